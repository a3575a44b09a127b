//! Reports: their forms, their order, their company, their credentials.

use std::time::Duration;

use provider_sim::{InfobipReportForm, SignatureVariant, TwinBehaviour};
use serde_json::{Value, json};

use super::*;
use crate::support::quick;

/// Name and status id of each report.
fn states(reports: &[Value]) -> Vec<(&str, u64)> {
    reports.iter().map(state).collect()
}

fn state(report: &Value) -> (&str, u64) {
    let id = report["status"]["id"].as_u64();
    (report["messageId"].as_str().unwrap(), id.unwrap())
}

#[tokio::test]
async fn a_report_comes_with_the_credentials_and_everything_that_was_given() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let mut sent = message(PERSON, "m-1", &"a".repeat(200));
    sent["webhooks"] = json!({"callbackData": "batch-77"});
    sent["options"] = json!({"campaignReferenceId": "c-1", "platform": {"entityId": "e-1", "applicationId": "a-1"}});
    let (_, answer) = send(&twin, &[sent]).await;
    twin.idle().await;
    let calls = hook.calls();
    assert_eq!(calls.len(), 1, "passing states are not told unasked");
    assert_eq!(calls[0].target, "/status/infobip-sms/ORG_1");
    assert_eq!(calls[0].headers["authorization"], basic(HOOK_PASSWORD));
    assert_eq!(calls[0].headers["content-type"], "application/json");
    let report = &results(&hook, "/status")[0];
    for (field, wanted) in [
        ("bulkId", answer["bulkId"].clone()),
        ("messageId", json!("m-1")),
        ("to", json!(PERSON)),
        ("sender", json!(SENDER)),
        ("messageCount", json!(2)),
        ("mccMnc", json!("27201")),
        ("callbackData", json!("batch-77")),
        ("campaignReferenceId", json!("c-1")),
        (
            "platform",
            json!({"entityId": "e-1", "applicationId": "a-1"}),
        ),
        (
            "price",
            json!({"pricePerMessage": 0.031, "currency": "EUR"}),
        ),
        (
            "status",
            json!({"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET",
                          "description": "Message delivered to handset"}),
        ),
        (
            "error",
            json!({"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR",
                         "description": "No Error", "permanent": false}),
        ),
    ] {
        assert_eq!(report[field], wanted, "{field}");
    }
    for time in ["sentAt", "doneAt"] {
        assert!(
            report[time].as_str().unwrap().ends_with("+0000"),
            "{report}"
        );
    }
    let entry = &twin.audit().entries[0];
    assert_eq!(entry.status.as_deref(), Some("DELIVERED"));
}

#[tokio::test]
async fn the_older_form_has_other_names_and_nulls() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.report_form = InfobipReportForm::V2;
    let twin = twin(settings, quick()).await;
    send(&twin, &[message(PERSON, "m-1", "x")]).await;
    twin.idle().await;
    let report = &results(&hook, "/status")[0];
    assert_eq!(
        (&report["from"], &report["smsCount"]),
        (&json!(SENDER), &json!(1))
    );
    assert_eq!(report["error"]["groupName"], "Ok");
    assert_eq!(report.get("callbackData"), Some(&Value::Null));
    assert!(report.get("sender").is_none() && report.get("messageCount").is_none());
}

#[tokio::test]
async fn reports_of_several_requests_share_a_callback_of_at_most_a_hundred() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let first: Vec<_> = (0..70)
        .map(|n| {
            message(
                &format!("{}", 353_861_110_000_u64 + n),
                &format!("a-{n}"),
                "x",
            )
        })
        .collect();
    let second: Vec<_> = (0..50)
        .map(|n| {
            message(
                &format!("{}", 353_861_120_000_u64 + n),
                &format!("b-{n}"),
                "x",
            )
        })
        .collect();
    let (_, one) = send(&twin, &first).await;
    let (_, two) = send(&twin, &second).await;
    twin.idle().await;
    let calls = hook.calls();
    let sizes: Vec<usize> = calls
        .iter()
        .map(|call| {
            serde_json::from_str::<Value>(&call.body).unwrap()["results"]
                .as_array()
                .unwrap()
                .len()
        })
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 120, "{sizes:?}");
    assert!(
        sizes.iter().all(|size| *size <= 100) && sizes.len() < 20,
        "{sizes:?}"
    );
    for report in results(&hook, "/status") {
        let own = report["messageId"].as_str().unwrap().starts_with('a');
        assert_eq!(report["bulkId"], if own { &one } else { &two }["bulkId"]);
    }
    assert_eq!(twin.audit().totals.callbacks.ok, 120);
}

#[tokio::test]
async fn passing_states_are_told_where_the_message_or_the_account_wants_them() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let mut wants = message(PERSON, "m-1", "x");
    wants["webhooks"] = json!({"delivery": {"intermediateReport": true}});
    let mut silent = message(PERSON, "m-2", "x");
    silent["webhooks"] = json!({"delivery": {"intermediateReport": true, "notify": false}});
    send(&twin, &[wants, silent]).await;
    twin.idle().await;
    let told = results(&hook, "/status");
    let told = states(&told);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(matches!(told[0], ("m-1", 2 | 7)), "{told:?}");
    assert_eq!(told[1], ("m-1", 5));
}

#[tokio::test]
async fn a_url_of_the_message_is_called_instead_and_without_credentials() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    let mut own = message(PERSON, "m-1", "x");
    own["webhooks"] = json!({"delivery": {"url": format!("{}/own", hook.url)}});
    let bare = twin(settings.clone(), quick()).await;
    send(&bare, std::slice::from_ref(&own)).await;
    bare.idle().await;
    settings.basic_on_message_urls = true;
    let signing = twin(settings, quick()).await;
    send(&signing, &[own]).await;
    signing.idle().await;
    let calls = hook.calls();
    assert!(calls.iter().all(|call| call.target == "/own") && calls.len() == 2);
    assert!(!calls[0].headers.contains_key("authorization"));
    assert_eq!(calls[1].headers["authorization"], basic(HOOK_PASSWORD));
}

#[tokio::test]
async fn credentials_are_wrong_missing_or_spelled_otherwise_on_request() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let lower = SignatureVariant::variant("lower_case_scheme");
    let variants = [SignatureVariant::Forged, SignatureVariant::Missing, lower];
    for (n, signature) in variants.into_iter().enumerate() {
        twin.behaviour()
            .change(|b| b.signature = signature)
            .unwrap();
        send(&twin, &[message(PERSON, &format!("m-{n}"), "x")]).await;
        twin.idle().await;
    }
    let calls = hook.calls();
    assert_eq!(
        calls[0].headers["authorization"],
        basic(&format!("not {HOOK_PASSWORD}"))
    );
    assert!(!calls[1].headers.contains_key("authorization"));
    let lower = calls[2].headers["authorization"].to_str().unwrap();
    assert_eq!(lower, basic(HOOK_PASSWORD).replacen('B', "b", 1));
    let unknown = SignatureVariant::variant("hmac");
    assert!(twin.behaviour().change(|b| b.signature = unknown).is_err());
}

#[tokio::test]
async fn bad_ends_have_a_status_and_an_error_that_belong_together() {
    let hook = Hook::start().await;
    let behaviour = TwinBehaviour {
        failed_rate: 0.4,
        undelivered_rate: 0.4,
        ..quick()
    };
    let twin = twin(account(&hook), behaviour).await;
    let many: Vec<_> = (0..60)
        .map(|n| {
            message(
                &format!("{}", 353_861_110_000_u64 + n),
                &format!("m-{n}"),
                "x",
            )
        })
        .collect();
    send(&twin, &many).await;
    twin.idle().await;
    let audit = twin.audit();
    let told = results(&hook, "/status");
    assert_eq!(told.len(), 60);
    for report in &told {
        let entry = audit
            .entries
            .iter()
            .find(|e| report["messageId"] == e.reference.as_str())
            .unwrap();
        assert_eq!(
            report["status"]["groupName"],
            entry.status.as_deref().unwrap()
        );
        let error = report["error"]["id"].as_u64().unwrap();
        assert_eq!(
            entry.error_code.clone().unwrap_or("0".into()),
            error.to_string()
        );
    }
    for group in ["DELIVERED", "UNDELIVERABLE", "REJECTED"] {
        assert!(
            told.iter()
                .any(|report| report["status"]["groupName"] == group),
            "{group}"
        );
    }
}

#[tokio::test]
async fn a_message_that_outlives_its_validity_expires() {
    let hook = Hook::start().await;
    let behaviour = TwinBehaviour {
        receipt_delay: Duration::from_secs(20),
        ..quick()
    };
    let twin = twin(account(&hook), behaviour).await;
    let mut short = message(PERSON, "m-1", "x");
    short["options"] = json!({"validityPeriod": {"amount": 1, "timeUnit": "SECONDS"}});
    send(&twin, &[short]).await;
    twin.idle().await;
    let report = &results(&hook, "/status")[0];
    assert_eq!(report["status"]["groupName"], "EXPIRED");
    assert!(
        [4101, 2048]
            .map(|id| json!(id))
            .contains(&report["error"]["id"])
    );
}

#[tokio::test]
async fn a_report_that_comes_twice_is_the_same_and_one_that_is_not_taken_is_repeated() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    twin.behaviour()
        .change(|b| {
            (b.duplicate_receipt_rate, b.callback_retry_pause) = (1.0, Duration::from_millis(5))
        })
        .unwrap();
    send(&twin, &[message(PERSON, "m-1", "x")]).await;
    twin.idle().await;
    let told = results(&hook, "/status");
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], told[1]);
    twin.behaviour()
        .change(|b| b.duplicate_receipt_rate = 0.0)
        .unwrap();
    hook.answers
        .lock()
        .unwrap()
        .extend([401, 404, 500, 429, 200]);
    send(&twin, &[message(PERSON, "m-2", "x")]).await;
    twin.idle().await;
    let callbacks = twin.audit().totals.callbacks;
    assert_eq!(
        (callbacks.ok, callbacks.retries, callbacks.duplicated),
        (3, 4, 1)
    );
    assert!(callbacks.failed.is_empty());
}

#[tokio::test]
async fn a_refusal_is_reported_as_well_unless_the_account_does_without() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    let loud = twin(settings.clone(), quick()).await;
    let three = [
        message("0861112233", "m-1", "x"),
        message(PERSON, "m-2", "x"),
        message("+1", "m-3", "x"),
    ];
    send(&loud, &three).await;
    send(&loud, &[message(PERSON, "m-2", "x")]).await;
    loud.idle().await;
    let told = results(&hook, "/status");
    let mut told_states = states(&told);
    told_states.sort_unstable();
    assert_eq!(
        told_states,
        [("m-1", 8), ("m-2", 5), ("m-3", 52)],
        "a duplicate is not reported"
    );
    let refused = told
        .iter()
        .find(|report| report["messageId"] == "m-1")
        .unwrap();
    assert_eq!(
        (&refused["error"]["id"], &refused["to"]),
        (&json!(0), &json!("0861112233"))
    );
    assert_eq!(loud.audit().totals.callbacks.ok, 3);

    settings.reports_refusals = false;
    let quiet = twin(settings, quick()).await;
    send(&quiet, &three[..1]).await;
    quiet.idle().await;
    assert_eq!(results(&hook, "/status").len(), 3);
}
