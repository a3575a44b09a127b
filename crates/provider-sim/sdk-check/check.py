"""Points Twilio's own Python SDK at a running twin: sends, reads, lists, and validates the twin's callbacks.

Needs a twin with one account, whose inbound webhook is where this script listens. By hand, because it needs the SDK:

    python3 -m venv sdk-venv && sdk-venv/bin/pip install twilio
    sdk-venv/bin/python check.py --twin http://127.0.0.1:8080 --sid AC... --token ... --hook 127.0.0.1:8099

with `inbound_webhook = "http://127.0.0.1:8099/inbound"` in the twin's settings.
"""

import argparse
import http.server
import json
import threading
import urllib.parse
import urllib.request

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client


class ToTheTwin(TwilioHttpClient):
    """The SDK builds https://api.twilio.com/...; only scheme and host change."""

    def __init__(self, twin):
        super().__init__()
        self.twin = twin

    def request(self, method, url, *args, **kwargs):
        return super().request(method, self.twin + urllib.parse.urlsplit(url)._replace(scheme="", netloc="").geturl(), *args, **kwargs)


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--twin", "--sid", "--token", "--hook"):
        arguments.add_argument(name, required=True)
    arguments = arguments.parse_args()
    validator, calls = RequestValidator(arguments.token), []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            # keep_blank_values: the empty parameters are signed too
            parameters = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
            url = f"http://{arguments.hook}{self.path}"
            signature = self.headers.get("X-Twilio-Signature", "")
            calls.append((self.path, parameters, validator.validate(url, parameters, signature)))
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.end_headers()
            self.wfile.write(b"<Response/>")

        def log_message(self, *_):
            pass

    host, port = arguments.hook.split(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    client = Client(arguments.sid, arguments.token, http_client=ToTheTwin(arguments.twin))
    callback = f"http://{arguments.hook}/status?m=sdk-1#rc=3&rp=all"
    sent = client.messages.create(to="+33639980001", from_="+12025550101", body="Ça va ? 👍", status_callback=callback, validity_period=3600)
    assert sent.sid.startswith("SM") and sent.status == "queued" and sent.direction == "outbound-api", sent.status
    assert sent.date_created is not None and sent.num_segments == "1" and sent.error_code is None

    try:
        client.messages.create(to="+3538", from_="+12025550101", body="x")
        raise SystemExit("a bad number was accepted")
    except TwilioRestException as refusal:
        assert (refusal.status, refusal.code) == (400, 21211), refusal

    drive(arguments.twin, "/_twin/inbound", {"from": "+33639980001", "to": "+12025550101", "body": "Ça va ? 100% & ok = oui\n👍 "})
    with urllib.request.urlopen(f"{arguments.twin}/_twin/idle?wait_seconds=20") as answer:
        assert json.load(answer) == {"due": 0, "in_flight": 0}

    assert client.messages(sent.sid).fetch().status == "delivered"
    for n in range(5):
        client.messages.create(to=f"+3363998001{n}", from_="+12025550101", body="x")
    listed = client.messages.list(to="+33639980001", date_sent_after=sent.date_created.replace(hour=0, minute=0, second=0))
    assert sent.sid in [message.sid for message in listed]
    assert len(client.messages.list(page_size=2)) >= 6, "the SDK follows next_page_uri"

    try:
        Client(arguments.sid, "wrong", http_client=ToTheTwin(arguments.twin)).messages(sent.sid).fetch()
        raise SystemExit("a wrong token came in")
    except TwilioRestException as refusal:
        assert (refusal.status, refusal.code) == (401, 20003), refusal

    for path, parameters, valid in calls:
        print("valid " if valid else "FORGED", path, parameters.get("MessageStatus") or parameters.get("Body"))
    assert len(calls) == 3 and all(valid for *_, valid in calls)
    assert any(path == "/inbound" for path, *_ in calls)
    print("the SDK sends, reads, lists and validates")


def drive(twin, path, body):
    request = urllib.request.Request(twin + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer) == {"answered": 200}


main()
