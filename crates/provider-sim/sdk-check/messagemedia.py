"""Points MessageMedia's own Python SDK at a running twin: sends, looks up, cancels, polls and confirms.

The SDK (unmaintained) has a base URI that can be set, and nothing that verifies callbacks: those are verified here with
`cryptography`, by the public key that the twin's API returns. Needs a twin with one account. By hand, because it needs
the SDK:

    python3 -m venv sdk-venv && sdk-venv/bin/pip install messagemedia-messages-sdk cryptography
    sdk-venv/bin/python messagemedia.py --twin http://127.0.0.1:8080 --user key-1 --secret ... --hook 127.0.0.1:8099
"""

import argparse
import base64
import http.server
import json
import threading
import urllib.error
import urllib.request

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key
from message_media_messages.configuration import Configuration
from message_media_messages.exceptions.api_exception import APIException
from message_media_messages.exceptions.send_messages_400_response_exception import SendMessages400ResponseException
from message_media_messages.message_media_messages_client import MessageMediaMessagesClient
from message_media_messages.models.cancel_scheduled_message_request import CancelScheduledMessageRequest
from message_media_messages.models.message import Message
from message_media_messages.models.send_messages_request import SendMessagesRequest

PERSON, SENDER, TEXT = "+61491570156", "+61491570110", "Ça va ? 👍"


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--twin", "--user", "--secret", "--hook"):
        arguments.add_argument(name, required=True)
    arguments = arguments.parse_args()
    pair = base64.b64encode(f"{arguments.user}:{arguments.secret}".encode()).decode()
    asked = urllib.request.Request(f"{arguments.twin}/v1/iam/signature_keys/enabled", headers={"Authorization": f"Basic {pair}"})
    with urllib.request.urlopen(asked) as answer:
        public_key = load_der_public_key(base64.b64decode(json.load(answer)["public_key"]))
    calls = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            digest = self.headers["X-Messagemedia-Digest-Type"].replace("-", "")
            signed = f"POST {self.path} HTTP/1.1{self.headers['Date']}".encode() + body
            signature = base64.b64decode(self.headers["X-Messagemedia-Signature"], validate=True)
            try:
                public_key.verify(signature, signed, padding.PKCS1v15(), getattr(hashes, digest)())
                calls.append((json.loads(body), True))
            except InvalidSignature:
                calls.append((json.loads(body), False))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    host, port = arguments.hook.split(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    Configuration.base_uri = arguments.twin
    client = MessageMediaMessagesClient(arguments.user, arguments.secret)

    def send(*messages):
        request = SendMessagesRequest()
        request.messages = list(messages)
        return client.messages.send_messages(request).messages

    def message(**more):
        fields = {"content": TEXT, "destination_number": PERSON, "source_number": SENDER, "source_number_type": "INTERNATIONAL"}
        return Message(**{**fields, **more})

    callback = f"http://{arguments.hook}/status/messagemedia/org_1?c=7"
    told, quiet = send(message(callback_url=callback, delivery_report=True, metadata={"ref": "sdk-1"}), message())
    for sent in (told, quiet):
        assert sent.status == "queued" and len(sent.message_id) == 36 and sent.content == TEXT, vars(sent)

    try:
        send(message(), message(destination_number="+6149a"))
        raise SystemExit("a bad number was accepted")
    except SendMessages400ResponseException as refusal:
        assert refusal.response_code == 400 and refusal.message.startswith("Request failed to parse"), refusal

    # The SDK cannot read the echo of `scheduled` (it takes the text for a date), so the message is scheduled without it.
    later = {"content": TEXT, "destination_number": PERSON, "scheduled": "2099-01-01T00:00:00.000Z"}
    headers = {"Authorization": f"Basic {pair}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{arguments.twin}/v1/messages", json.dumps({"messages": [later]}).encode(), headers)
    with urllib.request.urlopen(asked) as answer:
        (scheduled,) = json.load(answer)["messages"]
    cancel = CancelScheduledMessageRequest()
    cancel.status = "cancelled"
    client.messages.cancel_scheduled_message(scheduled["message_id"], cancel)
    assert client.messages.get_message_status(scheduled["message_id"]).status == "cancelled"

    drive(arguments.twin, "/_twin/inbound", {"from": PERSON, "to": SENDER, "body": "Schön war’s 😀"})
    send(message(callback_url=callback, metadata={"ref": "sdk-2"}))
    drive(arguments.twin, "/_twin/inbound", {"from": PERSON, "to": SENDER, "body": "Schön war’s 😀"}, {"answered": 200})
    with urllib.request.urlopen(f"{arguments.twin}/_twin/idle?wait_seconds=20") as answer:
        assert json.load(answer) == {"due": 0, "in_flight": 0}

    assert client.messages.get_message_status(told.message_id).status == "delivered"
    reports = client.delivery_reports.check_delivery_reports().delivery_reports
    assert [report.status for report in reports] == ["enroute", "submitted", "delivered"], reports
    assert {report.message_id for report in reports} == {told.message_id}
    client.delivery_reports.confirm_delivery_reports_as_received({"delivery_report_ids": [report.delivery_report_id for report in reports]})
    assert client.delivery_reports.check_delivery_reports().delivery_reports == []
    replies = client.replies.check_replies().replies
    assert replies and all(reply.content == "Schön war’s 😀" for reply in replies)
    client.replies.confirm_replies_as_received({"reply_ids": [reply.reply_id for reply in replies]})
    assert client.replies.check_replies().replies == []

    try:
        client.messages.get_message_status("00000000-0000-0000-0000-000000000000")
        raise SystemExit("an unknown message was found")
    except APIException as refusal:
        assert refusal.response_code == 404, refusal
    Configuration.basic_auth_password = "wrong"
    try:
        client.messages.get_message_status(told.message_id)
        raise SystemExit("a wrong secret came in")
    except APIException as refusal:
        assert refusal.response_code == 401, refusal

    for body, valid in calls:
        print("valid " if valid else "FORGED", body.get("status") or body.get("content"))
    assert len(calls) == 4 and all(valid for _, valid in calls)
    print("the SDK sends, looks up, cancels, polls and confirms; every callback is signed")


def drive(twin, path, body, wanted=None):
    request = urllib.request.Request(twin + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            answered = json.load(answer)
    except urllib.error.HTTPError as error:
        # Nobody is told of the first reply: neither its message nor the account has an address for it.
        assert wanted is None, error
        return
    assert wanted in (None, answered), answered


main()
