//! The gate: delivery reports, its credentials and its patience.

use provider_sim::{LinkMobilityAccount, SignatureVariant, TwinBehaviour};
use serde_json::{Value, json};

use super::*;
use support::quick;

fn behaviour(edit: impl Fn(&mut TwinBehaviour)) -> TwinBehaviour {
    let mut behaviour = quick();
    edit(&mut behaviour);
    behaviour
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn a_report_has_every_field_of_the_page_and_comes_to_the_gate_with_the_accounts_credentials()
{
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let (_, answer) = send(&twin, &message(PERSON, "sf-000042", json!({}))).await;
    twin.idle().await;
    let id = answer["messageId"].as_str().unwrap();
    assert_eq!(reports(&hook), [(id.into(), 1000), (id.into(), 1001)]);
    for call in hook.calls() {
        assert_eq!(call.target, "/status/link-mobility/ORG_1");
        assert_eq!(call.headers[AUTHORIZATION], BASIC);
        assert_eq!(call.headers[CONTENT_TYPE], "application/json");
        let report = json_of(&call);
        let mut fields = vec![
            "refId",
            "id",
            "operator",
            "sentTimestamp",
            "timestamp",
            "resultCode",
            "operatorResultCode",
            "segments",
            "gateCustomParameters",
            "customParameters",
        ];
        fields.sort_unstable();
        let mut found = keys(&report);
        found.sort_unstable();
        assert_eq!(found, fields);
        assert_eq!(report["refId"], "sf-000042");
        assert_eq!(report["operator"], "no.telenor");
        assert_eq!(report["segments"], 1);
        let sent = report["sentTimestamp"].as_str().unwrap();
        assert!(sent.len() == 20 && sent.ends_with('Z'), "{sent}");
    }
    let audit = twin.audit();
    assert_eq!(audit.totals.callbacks.ok, 2);
    assert_eq!(audit.entries[0].status.as_deref(), Some("delivered"));
}

#[tokio::test]
async fn each_part_of_a_long_message_has_its_own_reports() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let more = json!({"userData": "ж".repeat(140), "customParameters": {"replySmsCount": "true"}});
    let (_, answer) = send(&twin, &message(PERSON, "l-1", more)).await;
    assert_eq!(answer["smsCount"], 3);
    twin.idle().await;
    let id = answer["messageId"].as_str().unwrap();
    let mut found = reports(&hook);
    found.sort();
    let mut wanted = Vec::new();
    for part in 0..3 {
        wanted.extend([
            (format!("{id}${part}"), 1000),
            (format!("{id}${part}"), 1001),
        ]);
    }
    assert_eq!(found, wanted);
    assert!(
        hook.calls()
            .iter()
            .all(|call| json_of(call)["segments"] == 3)
    );
    assert_eq!(twin.audit().totals.statuses.get("delivered"), Some(&1));
}

#[tokio::test]
async fn reports_are_doubled_reordered_and_lost_on_request() {
    let hook = Hook::start().await;
    let restless = behaviour(|b| (b.duplicate_receipt_rate, b.reorder_rate) = (1.0, 1.0));
    let twin = twin(account(&hook), restless).await;
    send(&twin, &message(PERSON, "r-1", json!({}))).await;
    twin.idle().await;
    let codes: Vec<u64> = reports(&hook).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, [1001, 1001, 1000, 1000]);
    twin.behaviour()
        .change(|b| b.lose_receipt_rate = 1.0)
        .unwrap();
    send(&twin, &message(PERSON, "r-2", json!({}))).await;
    twin.idle().await;
    assert_eq!(hook.calls().len(), 4);
}

#[tokio::test]
async fn bad_ends_have_the_codes_of_the_page_by_chance_or_by_the_settings() {
    let hook = Hook::start().await;
    let mut chosen = account(&hook);
    chosen.receipt_codes = [
        ("+4741560001".into(), 1002),
        ("+4741560002".into(), 2105),
        ("+4741560003".into(), 4001),
    ]
    .into();
    let twin = twin(chosen, quick()).await;
    for n in 1..=3 {
        send(
            &twin,
            &message(&format!("+474156000{n}"), &format!("k-{n}"), json!({})),
        )
        .await;
    }
    twin.idle().await;
    let ends = |reference: &str| -> Vec<Value> {
        let bodies = hook.calls().into_iter().map(|call| json_of(&call));
        bodies.filter(|body| body["refId"] == reference).collect()
    };
    let codes = |reference: &str| -> Vec<u64> {
        let ends = ends(reference).into_iter();
        ends.map(|body| body["resultCode"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(codes("k-1"), [1002]);
    assert_eq!(codes("k-2"), [1000, 2105]);
    assert_eq!(codes("k-3"), [4001]);
    let never_sent = &ends("k-3")[0];
    assert_eq!(never_sent["operator"], Value::Null);
    assert_eq!(never_sent["operatorResultCode"], Value::Null);
    assert_eq!(never_sent["sentTimestamp"], never_sent["timestamp"]);
    let statuses = twin.audit().totals.statuses;
    let wanted = [("expired", 1), ("rejected", 1), ("undelivered", 1)];
    assert_eq!(
        statuses,
        wanted.map(|(word, n)| (word.to_owned(), n)).into()
    );

    twin.behaviour()
        .change(|b| b.undelivered_rate = 1.0)
        .unwrap();
    send(&twin, &message(PERSON, "k-4", json!({}))).await;
    twin.idle().await;
    let last = *codes("k-4").last().unwrap();
    assert!([1004, 1006, 2104, 2105, 2107].contains(&last), "{last}");
}

#[tokio::test]
async fn a_report_may_have_the_types_of_the_gate_manual() {
    let hook = Hook::start().await;
    let manual = LinkMobilityAccount {
        gate_manual_reports: true,
        ..account(&hook)
    };
    let twin = twin(manual, quick()).await;
    send(&twin, &message(PERSON, "g-1", json!({"refId": null}))).await;
    twin.idle().await;
    let report = json_of(&hook.calls()[1]);
    assert_eq!(report["resultCode"], "1001");
    assert_eq!(report["customParameters"], json!([]));
    assert_eq!(
        (&report["source"], &report["destination"]),
        (&json!(SENDER), &json!(PERSON))
    );
    assert_eq!(report["refId"], Value::Null);
}

#[tokio::test]
async fn what_is_not_received_is_repeated_and_an_acknowledging_gate_wants_a_body() {
    let hook = Hook::start().await;
    let impatient = behaviour(|b| b.callback_retry_pause = std::time::Duration::from_millis(20));
    let quiet = twin(account(&hook), impatient.clone()).await;
    hook.answers.lock().unwrap().extend([503, 401, 200]);
    send(&quiet, &message(PERSON, "q-1", json!({}))).await;
    quiet.idle().await;
    let codes: Vec<u64> = reports(&hook).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, [1000, 1000, 1000, 1001]);
    hook.answers.lock().unwrap().extend([204, 204]);
    send(&quiet, &message(PERSON, "q-2", json!({}))).await;
    quiet.idle().await;
    assert_eq!(hook.calls().len(), 6, "a 204 is enough for this gate");
    quiet.stop().await;

    let strict = LinkMobilityAccount {
        acknowledge: true,
        ..account(&hook)
    };
    let strict = twin(strict, impatient).await;
    hook.answers.lock().unwrap().extend([204, 200]);
    assert_eq!(
        strict.send_inbound(PERSON, SENDER, "Hei").await.unwrap(),
        200
    );
    assert_eq!(
        hook.calls().len(),
        8,
        "a 204 has no body and does not count"
    );
    assert_eq!(strict.audit().totals.inbound.posts.retries, 1);
}

#[tokio::test]
async fn a_gate_gives_up_at_the_end_of_its_ttl() {
    let hook = Hook::start().await;
    let short = LinkMobilityAccount {
        ttl: Some(std::time::Duration::from_secs(1)),
        ..account(&hook)
    };
    let twin = twin(short, quick()).await;
    hook.answers.lock().unwrap().extend([503; 8]);
    let answered = twin.send_inbound(PERSON, SENDER, "Hei").await.unwrap();
    assert_eq!((answered, hook.calls().len()), (503, 3)); // at 0, 200 and 600 ms; the next would be at 1400
}

#[tokio::test]
async fn the_credentials_of_a_callback_can_be_forged_missing_or_odd() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    for (signature, wanted) in [
        (SignatureVariant::Forged, None),
        (SignatureVariant::Missing, Some(vec![])),
        (
            SignatureVariant::variant("lower_case_scheme"),
            Some(vec!["basic YWNtZV9zbXM6UGE1NXcwcmQh"]),
        ),
        (
            SignatureVariant::variant("two_headers"),
            Some(vec![BASIC, BASIC]),
        ),
    ] {
        twin.behaviour()
            .change(|b| b.signature = signature)
            .unwrap();
        twin.send_inbound(PERSON, SENDER, "Hei").await.unwrap();
        let call = hook.calls().pop().unwrap();
        let values = call.headers.get_all(AUTHORIZATION).iter();
        let found: Vec<&str> = values.map(|value| value.to_str().unwrap()).collect();
        match wanted {
            Some(wanted) => assert_eq!(found, wanted),
            None => assert!(found.len() == 1 && found[0] != BASIC, "{found:?}"),
        }
    }
}
