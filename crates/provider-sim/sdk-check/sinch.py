"""Points Sinch's own Python SDK at a running twin: tokens, app, sends, look-ups, and validates the twin's callbacks.

Needs a twin with one account that keeps messages (`retention_days`), whose webhooks are where this script listens. With
`token_ends_after = "1s"` the SDK also has to renew a token that says it is good. By hand, because it needs the SDK:

    python3 -m venv sdk-venv && sdk-venv/bin/pip install sinch==2.3.0
    sdk-venv/bin/python sdk-check/sinch.py --twin http://127.0.0.1:8080 --project ... --app ... --client ... --secret ... \\
        --webhook-secret ... --sender 442079460001 --hook 127.0.0.1:8099

with `status_webhook` and `inbound_webhook` = "http://127.0.0.1:8099/status" and ".../inbound" in the twin's settings. The
SDK has no Batch API, so the script asks for a batch by hand, with the SDK's token.
"""

import sys

# The script is called like the SDK, and its folder comes first.
sys.path.pop(0)

import argparse
import http.server
import json
import threading
import time
import urllib.error
import urllib.request

from sinch import SinchClient
from sinch.domains.conversation.api.v1.exceptions import ConversationException

PERSON = "+33199000001"


def main():
    arguments = argparse.ArgumentParser()
    for name in ("twin", "project", "app", "client", "secret", "webhook-secret", "sender", "hook"):
        arguments.add_argument("--" + name, required=True)
    arguments = arguments.parse_args()

    client = SinchClient(key_id=arguments.client, key_secret=arguments.secret, project_id=arguments.project, conversation_region="eu")
    client.configuration.auth_origin = arguments.twin
    client.configuration.conversation_origin = arguments.twin
    events = client.conversation.sinch_events(arguments.webhook_secret)
    calls = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            valid = events.validate_authentication_header(headers=headers, json_payload=body.decode())
            calls.append((self.path, events.parse_event(body.decode(), headers), valid))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    host, port = arguments.hook.split(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    app = client.conversation.apps.get(arguments.app)
    assert app.id == arguments.app and app.queue_stats.outbound_limit == 500_000 and app.rate_limits.inbound == 25, app
    assert arguments.app in [one.id for one in client.conversation.apps.list().iterator()]

    def send(identity, reference):
        return client.conversation.messages.send_text_message(
            app_id=arguments.app,
            text="Ça va ? 👍",
            recipient_identities=[{"channel": "SMS", "identity": identity}],
            channel_priority_order=["SMS"],
            channel_properties={"SMS_SENDER": arguments.sender},
            message_metadata=reference,
            ttl=172800,
        )

    sent = send(PERSON, "sdk-1")
    assert len(sent.message_id) == 26 and sent.accepted_time is not None, sent
    time.sleep(1.2)
    send(PERSON, "sdk-2")
    try:
        send("nobody", "sdk-3")
        raise SystemExit("a bad number was accepted")
    except ConversationException as refusal:
        assert refusal.http_response.status_code == 400, refusal

    token = client.configuration.token_manager.get_auth_token().access_token
    entries = [
        {
            "recipient": {"identified_by": {"channel_identities": [{"channel": "SMS", "identity": f"+3319900001{n}"}]}},
            "parameters": {"t": f"text {n}"},
            "message_metadata": {"ref": f"batch-{n}"},
        }
        for n in range(3)
    ]
    batch = {
        "app_id": arguments.app,
        "message": {"text_message": {"text": "${t}"}},
        "recipient_and_params": entries,
        "channel_properties": {"SMS_SENDER": arguments.sender},
    }
    url = f"{arguments.twin}/v1/projects/{arguments.project}/messages"
    batch_id = drive(url, batch, {"Authorization": f"Bearer {token}"})["batch_id"]

    answered = drive(arguments.twin + "/_twin/inbound", {"from": PERSON, "to": arguments.sender, "body": "Oui, très bien 👍"})
    assert answered == {"answered": 200}, answered
    with urllib.request.urlopen(f"{arguments.twin}/_twin/idle?wait_seconds=20") as answer:
        assert json.load(answer) == {"due": 0, "in_flight": 0}

    source = {"messages_source": "DISPATCH_SOURCE"}
    found = client.conversation.messages.get(sent.message_id, **source)
    assert found.id == sent.message_id and found.metadata == "sdk-1", found
    listed = client.conversation.messages.list(channel_identity=PERSON, page_size=1, **source)
    assert {"sdk-1", "sdk-2"} <= {message.metadata for message in listed.iterator()}, "the SDK follows next_page_token"

    stranger = SinchClient(key_id=arguments.client, key_secret="wrong", project_id=arguments.project, conversation_region="eu")
    stranger.configuration.auth_origin = stranger.configuration.conversation_origin = arguments.twin
    try:
        stranger.conversation.apps.get(arguments.app)
        raise SystemExit("a wrong secret came in")
    except Exception as refusal:
        assert "401" in str(getattr(getattr(refusal, "http_response", None), "status_code", "")), refusal

    for path, event, valid in calls:
        report, message = getattr(event, "message_delivery_report", None), getattr(event, "message", None)
        shown = f"{report.status} {report.metadata}" if report else message.contact_message.text_message.text
        print("valid " if valid else "FORGED", path, shown)
    assert all(valid for *_, valid in calls)
    reports = [event.message_delivery_report for path, event, _ in calls if path == "/status"]
    assert len(reports) == 10 and sum(report.status == "DELIVERED" for report in reports) == 5
    assert sum(batch_id in report.metadata for report in reports) == 6
    assert [path for path, *_ in calls].count("/inbound") == 1
    print("the SDK gets tokens, sends, reads, lists and validates")


def drive(url, body, headers=None):
    headers = {"Content-Type": "application/json", **(headers or {})}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
        return json.load(answer)


main()
