//! The Batch API: many recipients, filled-in texts, and receipts as the only news of each.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{APP, PERSON, SENDER, World};

fn entry(to: &str, text: &str, reference: &str) -> Value {
    json!({
        "recipient": {"identified_by": {"channel_identities": [{"channel": "SMS", "identity": to}]}},
        "parameters": {"t": text},
        "message_metadata": {"ref": reference},
    })
}

fn batch(entries: &[Value]) -> Value {
    json!({
        "app_id": APP,
        "message": {"text_message": {"text": "${t}"}},
        "recipient_and_params": entries,
        "channel_priority_order": ["SMS"],
        "channel_properties": {"SMS_SENDER": SENDER},
        "batch_metadata": {"request": "q-1"},
        "ttl": "172800s",
    })
}

#[tokio::test]
async fn every_recipient_becomes_a_message_that_only_its_receipts_name() {
    let world = World::start().await;
    let entries = [
        entry(PERSON, "Hi Ada", "sf-1"),
        entry("+33199000002", "Hallo Jan", "sf-2"),
        entry(PERSON, "Hi again", "sf-3"),
    ];
    let (status, answer) = world.post("messages", &batch(&entries)).await;
    assert_eq!(status, 200);
    let id = answer["batch_id"].as_str().unwrap();
    assert!(id.len() == 26 && answer["send_after"].is_string());
    assert_eq!(
        answer.as_object().unwrap().len(),
        2,
        "nothing about the messages"
    );
    world.twin.idle().await;
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in world.events() {
        let report = &event["message_delivery_report"];
        let metadata: Value = serde_json::from_str(report["metadata"].as_str().unwrap()).unwrap();
        assert_eq!(metadata["_batch_id"], id);
        let reference = metadata["ref"].as_str().unwrap().to_owned();
        let message = report["message_id"].as_str().unwrap().to_owned();
        assert_eq!(message.len(), 26);
        ids.entry(reference).or_default().push(message);
    }
    assert_eq!(ids.keys().collect::<Vec<_>>(), ["sf-1", "sf-2", "sf-3"]);
    assert!(
        ids.values().all(|ids| ids.len() == 2 && ids[0] == ids[1]),
        "{ids:?}"
    );
    let report = world.twin.audit();
    assert_eq!(
        (report.totals.http_requests, report.totals.accepted),
        (1, 3)
    );
    let references: Vec<_> = report
        .entries
        .iter()
        .map(|entry| entry.reference.as_str())
        .collect();
    assert_eq!(references, ["sf-1", "sf-2", "sf-3"]);
}

#[tokio::test]
async fn a_recipient_that_cannot_be_processed_fails_and_says_where_it_stood() {
    let world = World::start().await;
    let entries = [
        entry(PERSON, "costs ${price}", "sf-1"),
        entry("+3538", "x", "sf-2"),
        entry("+33199000002", "x", "sf-3"),
    ];
    let (status, answer) = world.post("messages", &batch(&entries)).await;
    assert_eq!(status, 200);
    world.twin.idle().await;
    let events = world.events();
    let report = |reference: &str| {
        let mine = format!("{{\"ref\":\"{reference}\",");
        let mut reports = events.iter().map(|event| &event["message_delivery_report"]);
        let last = reports.rfind(|report| report["metadata"].as_str().unwrap().starts_with(&mine));
        last.unwrap().clone()
    };
    let unfilled = report("sf-1");
    assert_eq!(
        (&unfilled["status"], &unfilled["reason"]["code"]),
        (&json!("FAILED"), &json!("BAD_REQUEST"))
    );
    assert_eq!(
        (&unfilled["batch_id"], &unfilled["message_index"]),
        (&answer["batch_id"], &json!(0))
    );
    assert_eq!(unfilled["message_id"], "", "it never became a message");
    let bad_number = report("sf-2");
    assert_eq!(bad_number["reason"]["code"], "BAD_REQUEST");
    assert_eq!(bad_number.get("message_index"), None);
    assert_eq!(report("sf-3")["status"], "DELIVERED");
}

#[tokio::test]
async fn a_fault_in_one_entry_refuses_the_whole_batch() {
    let world = World::start().await;
    let entries = [entry(PERSON, "x", "sf-1"), entry("nobody", "x", "sf-2")];
    let (status, body) = world.post("messages", &batch(&entries)).await;
    assert_eq!(status, 400);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("[1]") && message.contains("identity"),
        "{message}"
    );
    let mut unknown = batch(&[entry(PERSON, "x", "sf-1")]);
    unknown["app_id"] = json!("NOAPP");
    assert_eq!(world.post("messages", &unknown).await.0, 404);
    assert_eq!(world.post("messages", &batch(&[])).await.0, 400);
    let totals = world.twin.audit().totals;
    assert_eq!(
        (totals.accepted, totals.refused["INVALID_ARGUMENT"]),
        (0, 3)
    );
}

#[tokio::test]
async fn a_batch_is_found_by_its_id_and_after_a_lost_answer_by_its_metadata() {
    let world = World::start().await;
    let (_, answer) = world
        .post("messages", &batch(&[entry(PERSON, "x", "sf-1")]))
        .await;
    let id = answer["batch_id"].as_str().unwrap();
    let (status, found) = world.get(&format!("messages/{id}")).await;
    assert_eq!((status, &found["batch_id"]), (200, &json!(id)));
    assert_eq!(found["status"], "PROCESSED");
    assert_eq!(found["meta_data"], json!({"request": "q-1"}));
    let (_, found) = world
        .get("messages?metadataKey=request&metadataValue=q-1")
        .await;
    assert_eq!(found["batches"][0]["batch_id"], id);
    let (_, found) = world
        .get("messages?metadataKey=request&metadataValue=q-2")
        .await;
    assert_eq!(found["batches"], json!([]));
    let mut later = batch(&[entry(PERSON, "x", "sf-2")]);
    let at = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
    let at = at
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    later["send_after"] = json!(at);
    let (_, answer) = world.post("messages", &later).await;
    let id = answer["batch_id"].as_str().unwrap();
    assert_eq!(
        world.get(&format!("messages/{id}")).await.1["status"],
        "SCHEDULED"
    );
    assert!(world.twin.waiting().due >= 2, "its receipts are far away");
    world.twin.reset();
    assert_eq!(world.get(&format!("messages/{id}")).await.0, 404);
}
