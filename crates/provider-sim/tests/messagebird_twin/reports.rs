//! Status reports: their order, fields, ways, signatures and repeats.

use std::time::Duration;

use http::Method;
use provider_sim::{MessageBirdReports, MessageBirdSignatures, SignatureVariant, TwinBehaviour};

use crate::bench::*;

#[tokio::test]
async fn reports_come_by_get_in_order_with_all_fields_and_a_token_over_the_whole_url() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let (_, object) = post(&twin, &message("r-1 & co")).await;
    twin.idle().await;
    assert_eq!(hook.statuses(), ["buffered", "delivered"]);
    for call in hook.calls() {
        assert_eq!((&call.method, call.body.as_str()), (&Method::GET, ""));
        assert!(
            call.url
                .starts_with(&format!("{}/status/twilio-sms/UR_1?id=", hook.url))
        );
        assert_eq!(call.get("id").as_deref(), object["id"].as_str());
        for (name, value) in [
            ("mccmnc", "20408"),
            ("ported", "0"),
            ("messageLength", "8"),
            ("messagePartCount", "1"),
            ("datacoding", "plain"),
            ("price[amount]", "0.075"),
            ("price[currency]", "EUR"),
            ("recipient", PERSON),
            ("reference", "r-1 & co"),
        ] {
            assert_eq!(call.get(name).as_deref(), Some(value), "{name}");
        }
        assert!(call.query.contains("price%5Bamount%5D=0.075"));
        let date = call.get("statusDatetime").unwrap();
        assert!(date.len() == 25 && date.ends_with("+00:00"), "{date}");
        assert!(call.query.contains("%2B00%3A00"));
        call.claims();
        assert!(!call.headers.contains_key("messagebird-signature"));
    }
    let reasons: Vec<_> = hook
        .calls()
        .iter()
        .map(|call| call.get("statusReason").unwrap())
        .collect();
    assert_eq!(reasons, ["pending DLR", "successfully delivered"]);
    assert_eq!(twin.audit().entries[0].status.as_deref(), Some("delivered"));
}

#[tokio::test]
async fn without_a_reference_or_a_url_nothing_is_reported() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    let first = twin(account.clone(), quick()).await;
    let mut sent = message("");
    assert_eq!(post(&first, &sent).await.0, 201);
    first.idle().await;
    account.status_webhook = None;
    let second = twin(account, quick()).await;
    sent["reference"] = "r-1".into();
    assert_eq!(post(&second, &sent).await.0, 201);
    second.idle().await;
    assert!(hook.calls().is_empty());
    assert_eq!(
        second.audit().entries[0].status.as_deref(),
        Some("delivered")
    );
    sent["reportUrl"] = format!("{}/own?m=1", hook.url).into();
    assert_eq!(post(&second, &sent).await.0, 201);
    second.idle().await;
    assert_eq!(hook.calls().len(), 2);
    for call in hook.calls() {
        assert!(call.query.starts_with("m=1&id="), "{}", call.query);
        call.claims();
    }
}

#[tokio::test]
async fn an_account_can_have_its_reports_posted_as_a_form_or_as_json() {
    for (way, kind) in [
        (
            MessageBirdReports::Form,
            "application/x-www-form-urlencoded",
        ),
        (MessageBirdReports::Json, "application/json"),
    ] {
        let hook = Hook::start().await;
        let mut account = account(&hook);
        account.reports = way;
        let twin = twin(account, quick()).await;
        post(&twin, &message("r-1")).await;
        twin.idle().await;
        assert_eq!(hook.statuses(), ["buffered", "delivered"]);
        for call in hook.calls() {
            assert_eq!((&call.method, call.query.as_str()), (&Method::POST, ""));
            assert_eq!(call.header("content-type"), kind);
            assert_eq!(call.get("price[amount]").as_deref(), Some("0.075"));
            assert!(call.claims()["payload_hash"].is_string());
        }
    }
}

#[tokio::test]
async fn bad_ends_carry_a_code_of_the_table_and_its_reason() {
    let hook = Hook::start().await;
    let mut behaviour = quick();
    behaviour.undelivered_rate = 1.0;
    let twin = twin(account(&hook), behaviour).await;
    for n in 0..20 {
        post(&twin, &message(&format!("u-{n}"))).await;
    }
    twin.idle().await;
    let failed = |wanted: &[&str]| {
        let calls = hook.calls();
        let last = calls
            .iter()
            .filter(|call| call.get("statusErrorCode").is_some());
        last.filter(|call| {
            assert_eq!(call.get("status").as_deref(), Some("delivery_failed"));
            assert!(call.get("statusReason").is_some());
            wanted.contains(&call.get("statusErrorCode").unwrap().as_str())
        })
        .count()
    };
    assert_eq!(failed(&["1", "5", "8", "9", "12", "27", "31", "34"]), 20);
    let ends = |b: &mut TwinBehaviour| (b.undelivered_rate, b.failed_rate) = (0.0, 1.0);
    twin.behaviour().change(ends).unwrap();
    post(&twin, &message("f-1")).await;
    twin.idle().await;
    assert_eq!(failed(&["105", "106", "107"]), 1);
    let slow = |b: &mut TwinBehaviour| {
        (b.failed_rate, b.receipt_delay) = (0.0, Duration::from_secs(60));
    };
    twin.behaviour().change(slow).unwrap();
    let mut sent = message("e-1");
    sent["validity"] = 1.into();
    post(&twin, &sent).await;
    twin.idle().await;
    let expired = hook.calls().pop().unwrap();
    assert_eq!(expired.get("status").as_deref(), Some("expired"));
    assert_eq!(expired.get("statusReason").as_deref(), Some("expired"));
    assert_eq!(expired.get("statusErrorCode"), None);
}

#[tokio::test]
async fn a_long_text_has_one_report_for_all_its_parts() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let mut sent = message("r-1");
    sent["body"] = "ж".repeat(135).into();
    post(&twin, &sent).await;
    twin.idle().await;
    assert_eq!(hook.statuses(), ["buffered", "delivered"]);
    let call = hook.calls().pop().unwrap();
    assert_eq!(call.get("messagePartCount").as_deref(), Some("3"));
    assert_eq!(call.get("messageLength").as_deref(), Some("135"));
    assert_eq!(call.get("datacoding").as_deref(), Some("unicode"));
    assert_eq!(call.get("price[amount]").as_deref(), Some("0.225"));
    assert_eq!(twin.audit().totals.accepted_segments, 3);
}

#[tokio::test]
async fn a_report_that_is_not_taken_is_repeated_as_it_was_signed() {
    for signatures in [MessageBirdSignatures::Jwt, MessageBirdSignatures::Timestamp] {
        let hook = Hook::start().await;
        let mut account = account(&hook);
        account.signatures = signatures;
        let behaviour = TwinBehaviour {
            // Longer than a second between first and last, so that a new time stamp would be another one.
            callback_retry_pause: Duration::from_millis(600),
            lose_receipt_rate: 0.0,
            ..quick()
        };
        let twin = twin(account, behaviour).await;
        let mut sent = message("r-1");
        sent["reportUrl"] = format!("{}/own", hook.url).into();
        hook.answers.lock().unwrap().extend([500, 401, 429]);
        post(&twin, &sent).await;
        twin.idle().await;
        let calls = hook.calls();
        let mut buffered: Vec<_> = calls
            .iter()
            .filter(|call| call.get("status").as_deref() == Some("buffered"))
            .collect();
        let first = buffered.remove(0);
        assert!(!buffered.is_empty());
        for again in buffered {
            assert_eq!(again.url, first.url);
            for name in [
                "messagebird-signature-jwt",
                "messagebird-signature",
                "messagebird-request-timestamp",
            ] {
                assert_eq!(again.header(name), first.header(name), "{name}");
            }
        }
        let totals = twin.audit().totals.callbacks;
        assert_eq!((totals.ok, totals.retries), (2, 3));
    }
}

#[tokio::test]
async fn a_report_is_given_up_after_ten_tries() {
    let hook = Hook::start().await;
    let behaviour = TwinBehaviour {
        callback_retry_pause: Duration::from_millis(5),
        failed_rate: 1.0,
        ..quick()
    };
    let twin = twin(account(&hook), behaviour).await;
    hook.answers.lock().unwrap().extend([503; 20]);
    post(&twin, &message("r-1")).await;
    twin.idle().await;
    assert_eq!(hook.calls().len(), 10);
    let totals = twin.audit().totals.callbacks;
    assert_eq!(totals.failed, [("503".into(), 1)].into());
}

#[tokio::test]
async fn doubled_and_swapped_reports_keep_their_own_dates_and_the_status_ends_right() {
    let hook = Hook::start().await;
    let behaviour = TwinBehaviour {
        duplicate_receipt_rate: 1.0,
        reorder_rate: 1.0,
        ..quick()
    };
    let twin = twin(account(&hook), behaviour).await;
    post(&twin, &message("r-1")).await;
    twin.idle().await;
    assert_eq!(
        hook.statuses(),
        ["delivered", "delivered", "buffered", "buffered"]
    );
    let calls = hook.calls();
    assert_eq!(
        calls[0].get("statusDatetime"),
        calls[1].get("statusDatetime")
    );
    assert_eq!(
        calls[2].get("statusDatetime"),
        calls[3].get("statusDatetime")
    );
    assert_eq!(twin.audit().entries[0].status.as_deref(), Some("delivered"));
}

#[tokio::test]
async fn the_older_signature_covers_time_query_and_body() {
    for way in [
        MessageBirdReports::Query,
        MessageBirdReports::Form,
        MessageBirdReports::Json,
    ] {
        let hook = Hook::start().await;
        let mut account = account(&hook);
        account.signatures = MessageBirdSignatures::Timestamp;
        account.reports = way;
        let twin = twin(account, quick()).await;
        post(&twin, &message("r-1")).await;
        twin.idle().await;
        for call in hook.calls() {
            assert!(call.has_good_stamp());
            assert!(!call.headers.contains_key("messagebird-signature-jwt"));
        }
        let forge = |b: &mut TwinBehaviour| b.signature = SignatureVariant::Forged;
        twin.behaviour().change(forge).unwrap();
        post(&twin, &message("r-2")).await;
        twin.idle().await;
        assert!(!hook.calls().pop().unwrap().has_good_stamp());
    }
}

#[tokio::test]
async fn callbacks_are_signed_badly_or_not_at_all_on_request() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let last = async |variant: SignatureVariant| {
        let edit = |b: &mut TwinBehaviour| b.signature = variant;
        twin.behaviour().change(edit).unwrap();
        post(&twin, &message("r-1")).await;
        twin.idle().await;
        hook.calls().pop().unwrap()
    };
    let missing = last(SignatureVariant::Missing).await;
    let signed = |call: &Call| {
        call.headers
            .keys()
            .any(|name| name.as_str().starts_with("messagebird"))
    };
    assert!(!signed(&missing));
    let downgrade = last(SignatureVariant::variant("downgrade")).await;
    assert!(downgrade.has_good_stamp());
    assert!(downgrade.headers.contains_key("messagebird-signature-jwt"));
    let late = last(SignatureVariant::variant("late_timestamp")).await;
    assert!(late.has_good_stamp());
    let unknown = SignatureVariant::variant("rsa");
    assert!(twin.behaviour().change(|b| b.signature = unknown).is_err());
}
