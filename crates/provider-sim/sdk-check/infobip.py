"""Points Infobip's own Python SDK at a running twin: sends, previews, reads the logs, and reads the twin's callbacks with
the SDK's models.

Needs a twin with one account, whose webhooks are where this script listens. By hand, because it needs the SDK:

    python3 -m venv sdk-venv && sdk-venv/bin/pip install infobip-api-python-client==6.0.0
    sdk-venv/bin/python infobip.py --twin http://127.0.0.1:8080 --key ... --hook 127.0.0.1:8099 --user ... --password ...

with `status_webhook = "http://127.0.0.1:8099/status"` and `inbound_webhook = "http://127.0.0.1:8099/inbound"` in the
account's settings, and the same user and password. Infobip signs nothing, so the SDK has nothing to verify callbacks with;
the script compares the Basic credentials. The SDK speaks version 3 only.
"""

import argparse
import base64
import http.server
import json
import threading
import urllib.request

from infobip_api_client import ApiClient, Configuration
from infobip_api_client.api.sms_api import SmsApi
from infobip_api_client.exceptions import ApiException
from infobip_api_client.models import (
    ApiError,
    MessageGeneralStatus,
    SmsDeliveryResult,
    SmsDestination,
    SmsInboundMessageResult,
    SmsMessage,
    SmsMessageContent,
    SmsMessageOptions,
    SmsMessageRequestOptions,
    SmsPreviewRequest,
    SmsRequest,
    SmsTextContent,
    SmsWebhooks,
    ValidityPeriod,
)


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--twin", "--key", "--hook", "--user", "--password"):
        arguments.add_argument(name, required=True)
    arguments = arguments.parse_args()
    pair = base64.b64encode(f"{arguments.user}:{arguments.password}".encode()).decode()
    calls = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            calls.append((self.path, body, self.headers["Authorization"] == f"Basic {pair}"))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    host, port = arguments.hook.split(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    api = SmsApi(ApiClient(Configuration(host=arguments.twin, api_key=arguments.key)))
    preview = api.preview_sms_message(SmsPreviewRequest(text="Grüß dich Jörg"))
    assert preview.previews[0].message_count == 1 and preview.original_text == "Grüß dich Jörg"

    def message(to, name, text, **more):
        destination = SmsDestination(to=to, message_id=name)
        content = SmsMessageContent(SmsTextContent(text=text))
        return SmsMessage(sender="868686", destinations=[destination], content=content, **more)

    options = SmsMessageOptions(validity_period=ValidityPeriod(amount=240))
    three = [
        message("353861112233", "sdk-1", "Ça va ? 👍", options=options, webhooks=SmsWebhooks(callback_data="batch-77")),
        message("4915112345678", "sdk-2", "x" * 161),
        message("0861112233", "sdk-3", "x"),
    ]
    counted = SmsMessageRequestOptions(include_sms_count_in_response=True)
    sent = api.send_sms_messages(SmsRequest(messages=three, options=counted))
    assert [entry.message_id for entry in sent.messages] == ["sdk-1", "sdk-2", "sdk-3"]
    assert [entry.status.id for entry in sent.messages] == [26, 26, 8], sent.messages
    assert [entry.details.message_count for entry in sent.messages] == [1, 2, 1]
    again = api.send_sms_messages(SmsRequest(messages=three[:1]))
    assert again.messages[0].status.name == "REJECTED_DUPLICATE_MESSAGE_ID"

    try:
        api.send_sms_messages(SmsRequest(messages=[message("353861112233", "sdk-4", "x"), message("353861112233", "sdk-5", "")]))
        raise SystemExit("a message without text was accepted")
    except ApiException as refusal:
        error = ApiError.from_json(refusal.body)
        assert (refusal.status, error.error_code) == (400, "E400"), refusal
        assert error.violations[0].var_property == "messages[1].content.text"

    drive(arguments.twin, "/_twin/inbound", {"from": "+353861112233", "to": "868686", "body": "Ça va ? 100% & ok = oui\n👍 "})
    with urllib.request.urlopen(f"{arguments.twin}/_twin/idle?wait_seconds=20") as answer:
        assert json.load(answer) == {"due": 0, "in_flight": 0}

    logs = api.get_outbound_sms_message_logs(message_id=["sdk-1", "sdk-2"])
    assert [log.status.group_name for log in logs.results] == [MessageGeneralStatus.DELIVERED] * 2
    assert logs.results[0].bulk_id == sent.bulk_id and logs.results[0].sent_at <= logs.results[0].done_at
    since = api.get_outbound_sms_message_logs(sent_since=logs.results[0].sent_at, use_cursor=True, limit=1)
    assert len(since.results) == 1 and since.cursor.limit == 1

    try:
        SmsApi(ApiClient(Configuration(host=arguments.twin, api_key="wrong"))).preview_sms_message(SmsPreviewRequest(text="x"))
        raise SystemExit("a wrong key came in")
    except ApiException as refusal:
        assert (refusal.status, ApiError.from_json(refusal.body).error_code) == (401, "E401"), refusal

    reports, inbound = [], []
    for path, body, authentic in calls:
        print("valid " if authentic else "FORGED", path, body[:120])
        if path == "/inbound":
            inbound.extend(SmsInboundMessageResult.from_json(body).results)
        else:
            reports.extend(SmsDeliveryResult.from_json(body).results)
    assert all(authentic for *_, authentic in calls)
    told = {report.message_id: report.status.group_name.value for report in reports}
    assert told == {"sdk-1": "DELIVERED", "sdk-2": "DELIVERED", "sdk-3": "REJECTED"}, told
    assert [report.callback_data for report in reports if report.message_id == "sdk-1"] == ["batch-77"]
    assert inbound[0].text == "Ça va ? 100% & ok = oui\n👍 " and inbound[0].var_from == "353861112233"
    print("the SDK sends, previews, reads the logs and reads the callbacks")


def drive(twin, path, body):
    request = urllib.request.Request(twin + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer) == {"answered": 200}


main()
