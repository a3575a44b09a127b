"""Points MessageBird's own Python SDK at a running twin: sends, reads, lists, and validates the twin's callbacks.

Needs a twin with one account, whose webhooks are where this script listens. By hand, because it needs the SDK:

    python3 -m venv sdk-venv && sdk-venv/bin/pip install messagebird==2.2.0
    sdk-venv/bin/python -P messagebird.py --twin http://127.0.0.1:8080 --key ... --signing-key ... --hook 127.0.0.1:8099

with `status_webhook = "http://127.0.0.1:8099/status"` and `inbound_webhook = "http://127.0.0.1:8099/inbound"` in the
twin's settings. `-P`, because this file has the name of the SDK and lies in the folder that Python would look in first.
"""

import argparse
import http.server
import json
import threading
import urllib.parse
import urllib.request
import warnings

from messagebird.client import Client, ErrorException
from messagebird.error import ValidationError
from messagebird.http_client import HttpClient
from messagebird.request_validator import RequestValidator
from messagebird.signed_request import SignedRequest

SENDER, PERSON, OTHER = "3197001234567", "31612340009", "31612340010"


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--twin", "--key", "--signing-key", "--hook"):
        arguments.add_argument(name, required=True)
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    validator, calls = RequestValidator(arguments.signing_key), []

    def judge(path, headers, body):
        token = headers.get("MessageBird-Signature-JWT")
        if token:
            try:
                validator.validate_signature(token, f"http://{arguments.hook}{path}", body)
                return "token"
            except ValidationError as error:
                return f"BAD TOKEN {error}"
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query, keep_blank_values=True))
        stamp = headers.get("MessageBird-Request-Timestamp")
        # The SDK takes the body as text and encodes it as Latin-1, which gives the bytes back.
        signed = SignedRequest(headers.get("MessageBird-Signature"), stamp, body.decode("latin-1"), query)
        return "stamp" if signed.verify(arguments.signing_key) and signed.is_recent() else "BAD STAMP"

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            calls.append((self.command, self.path, judge(self.path, self.headers, body)))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"OK")

        do_POST = do_GET

        def log_message(self, *_):
            pass

    host, port = arguments.hook.split(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    client = Client(arguments.key, http_client=HttpClient(arguments.twin, arguments.key, "sdk-check"))
    assert client.balance().payment == "prepaid"
    options = {"reference": "sdk-1", "datacoding": "auto", "validity": 3600}
    sent = client.message_create(SENDER, [PERSON, OTHER], "Bedankt! ✅", options)
    assert len(sent.id) == 32 and sent.direction == "mt" and sent.reference == "sdk-1" and sent.validity == 3600
    assert sent.datacoding == "unicode" and sent.createdDatetime is not None
    assert [(one.recipient, one.status) for one in sent.recipients["items"]] == [(int(PERSON), "sent"), (int(OTHER), "sent")]

    for originator, recipients, body, wanted in (
        (SENDER, "+3161", "x", (9, "recipients")),
        ("Much too long", PERSON, "x", (10, "originator")),
        (SENDER, PERSON, "", (9, "body")),
    ):
        refused(wanted, lambda: client.message_create(originator, recipients, body))
    refused((20, None), lambda: client.message("0" * 32))
    stranger = Client("wrong", http_client=HttpClient(arguments.twin, "wrong", "sdk-check"))
    refused((2, "access_key"), stranger.balance)

    inbound = {"from": f"+{PERSON}", "to": SENDER, "body": "Ja, graag 100% & \"zo\" ✅\n"}
    assert drive(arguments.twin, "/_twin/inbound", inbound) == {"answered": 200}
    idle(arguments.twin)
    read = client.message(sent.id)
    assert [one.status for one in read.recipients["items"]] == ["delivered", "delivered"]
    for n in range(4):
        client.message_create(SENDER, PERSON, f"text {n}", {"reference": f"sdk-list-{n}"})
    assert [one.body for one in client.message_list(limit=2, offset=1).items] == ["text 2", "text 1"]
    assert client.message_list(status="delivered").totalCount >= 1
    idle(arguments.twin)

    drive(arguments.twin, "/_twin/behaviour", {"signature": {"variant": "timestamp"}})
    client.message_create(SENDER, PERSON, "stamped", {"reference": "sdk-2 & co"})
    assert drive(arguments.twin, "/_twin/inbound", inbound) == {"answered": 200}
    idle(arguments.twin)
    drive(arguments.twin, "/_twin/behaviour", {"signature": "forged"})
    client.message_create(SENDER, PERSON, "forged", {"reference": "sdk-3"})
    idle(arguments.twin)
    drive(arguments.twin, "/_twin/behaviour", {"signature": "account_secret"})

    for method, path, verdict in calls:
        print(f"{verdict:10.40} {method} {path:.60}")
    verdicts = [verdict.split()[0] for *_, verdict in calls]
    # Two reports for each of six messages and one inbound message; then three calls with the older signature; then two forged.
    assert verdicts == ["token"] * 13 + ["stamp"] * 3 + ["BAD"] * 2, verdicts
    print("the SDK sends, reads, lists and validates")


def refused(wanted, call):
    try:
        call()
    except ErrorException as refusal:
        first = refusal.errors[0]
        assert (first.code, first.parameter) == wanted, refusal
    else:
        raise SystemExit(f"what deserves {wanted} was let through")


def idle(twin):
    with urllib.request.urlopen(f"{twin}/_twin/idle?wait_seconds=20") as answer:
        assert json.load(answer) == {"due": 0, "in_flight": 0}


def drive(twin, path, body):
    request = urllib.request.Request(twin + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


main()
