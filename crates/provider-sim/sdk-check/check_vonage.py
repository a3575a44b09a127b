"""Points Vonage's own Python SDK at a running twin: sends by both APIs, reads refusals, and verifies the twin's webhooks.

Needs a twin with one account, whose webhooks are where this script listens. By hand, because it needs the SDK:

    python3 -m venv sdk-venv && sdk-venv/bin/pip install vonage
    sdk-venv/bin/python check_vonage.py --twin http://127.0.0.1:8080 --key a1b2c3d4 --secret ... --signature-secret ... \
        --method sha256 --hook 127.0.0.1:8099

with `status_webhook` and `inbound_webhook` below `http://127.0.0.1:8099/`, `signature_method` as named (the SDK knows no
`md5hash`), and no `senders`, in the twin's settings. With `api = "messages"` there, the webhooks come behind a JWT, and the
script verifies that; it tells the two formats apart by themselves.

Signed sending cannot be shown: this SDK signs its unset parameters as `None` and then leaves them out of the form.
"""

import argparse
import base64
import hashlib
import http.server
import json
import threading
import urllib.parse
import urllib.request

from requests.adapters import HTTPAdapter
from vonage import Auth, HttpClientOptions, Vonage
from vonage_http_client.errors import AuthenticationError, HttpRequestError
from vonage_jwt.verify_jwt import verify_signature
from vonage_messages.models import Sms
from vonage_sms import SmsMessage
from vonage_sms.errors import SmsError

PERSON, SENDER = "353861234567", "35312345678"
LONG = "Ça va ? 100% & ok = oui\n👍 " * 8


class ToTheTwin(HTTPAdapter):
    """The SDK builds https://rest.nexmo.com/... and https://api.nexmo.com/...; only scheme and host change."""

    def __init__(self, twin):
        super().__init__()
        self.twin = twin

    def send(self, request, *args, **kwargs):
        request.url = self.twin + urllib.parse.urlsplit(request.url)._replace(scheme="", netloc="").geturl()
        return super().send(request, *args, **kwargs)


def client(twin, key, secret):
    sdk = Vonage(Auth(api_key=key, api_secret=secret), HttpClientOptions(max_retries=0))
    sdk.http_client._session.mount("https://", ToTheTwin(twin))
    return sdk


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--twin", "--key", "--secret", "--signature-secret", "--method", "--hook"):
        arguments.add_argument(name, required=True)
    arguments = arguments.parse_args()
    verifier = Auth(api_key=arguments.key, signature_secret=arguments.signature_secret, signature_method=arguments.method)
    calls = []

    def verify(headers, query, body):
        kind = (headers.get("Content-Type") or "").split(";")[0]
        parameters = json.loads(body) if kind == "application/json" else dict(urllib.parse.parse_qsl(body or query, keep_blank_values=True))
        if "message_uuid" not in parameters:
            return parameters, verifier.check_signature(dict(parameters))
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        whole = claims["payload_hash"] == hashlib.sha256(body.encode()).hexdigest() and claims["api_key"] == arguments.key
        return parameters, whole and verify_signature(token, arguments.signature_secret)

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            calls.append(verify(self.headers, urllib.parse.urlsplit(self.path).query, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_):
            pass

    host, port = arguments.hook.split(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sdk = client(arguments.twin, arguments.key, arguments.secret)

    sent = sdk.sms.send(SmsMessage(to=PERSON, from_=SENDER, text="Bonjour", client_ref="sdk-1", ttl=20000, status_report_req=True))
    assert (sent.message_count, sent.messages[0].status, sent.messages[0].to) == ("1", "0", PERSON), sent
    assert sent.messages[0].client_ref == "sdk-1" and sent.messages[0].message_id and sent.messages[0].network
    parts = sdk.sms.send(SmsMessage(to=PERSON, from_="Acme", text=LONG, type="unicode", client_ref="a&b=c", status_report_req=True))
    assert parts.message_count == str(len(parts.messages)) and len(parts.messages) > 1, parts

    try:
        sdk.sms.send(SmsMessage(to="+" + PERSON, from_=SENDER, text="x"))
        raise SystemExit("a number with a plus was accepted")
    except SmsError as refusal:
        assert "error code 3" in str(refusal), refusal
    for wrong in (
        lambda sdk: sdk.sms.send(SmsMessage(to=PERSON, from_=SENDER, text="x")),
        lambda sdk: sdk.messages.send(Sms(to=PERSON, from_=SENDER, text="x")),
    ):
        try:
            wrong(client(arguments.twin, arguments.key, "wrong"))
            raise SystemExit("a wrong secret came in")
        except AuthenticationError as refusal:
            assert refusal.response.status_code == 401, refusal

    message = sdk.messages.send(Sms(to=PERSON, from_=SENDER, text=LONG, client_ref="sdk-2", ttl=20))
    assert len(message.message_uuid) == 36, message
    try:
        sdk.messages.send(Sms(to=PERSON, from_=SENDER, text="a" * 1001))
        raise SystemExit("a text that is too long was accepted")
    except HttpRequestError as refusal:
        assert refusal.response.status_code == 422 and refusal.response.json()["type"].endswith("#1090"), refusal

    drive(arguments.twin, {"from": "+" + PERSON, "to": SENDER, "body": LONG})
    with urllib.request.urlopen(f"{arguments.twin}/_twin/idle?wait_seconds=20") as answer:
        assert json.load(answer) == {"due": 0, "in_flight": 0}

    for fields, valid in calls:
        name = fields.get("client-ref") or fields.get("client_ref") or "inbound"
        print("valid " if valid else "FORGED", name, fields.get("status") or fields.get("concat-part") or "whole")
    assert calls and all(valid for _, valid in calls)
    told = [fields.get("messageId") or fields["message_uuid"] for fields, _ in calls if fields.get("status") == "delivered"]
    assert set(told) >= {part.message_id for part in sent.messages + parts.messages}, told
    inbound = sorted((int(fields.get("concat-part", 1)), fields["text"]) for fields, _ in calls if "text" in fields)
    assert "".join(text for _, text in inbound) == LONG
    print("the SDK sends, reads and verifies")


def drive(twin, message):
    request = urllib.request.Request(twin + "/_twin/inbound", json.dumps(message).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer) == {"answered": 200}


main()
