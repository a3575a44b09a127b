//! Bad input: everything that is wrong is named at once, nothing else is disturbed.

mod support;

use ledger::Ledger;
use message::{MessageState, OrganizationId, Refusal, Rule, event::RefusedEvent};
use serde_json::json;
use support::{Bench, Decided, ORGANIZATION, batch, key, number, text, with};

fn told(events: &[RefusedEvent]) -> Vec<(Option<u32>, &str, Rule)> {
    events
        .iter()
        .flat_map(|event| &event.refusals)
        .map(|refusal: &Refusal| (refusal.row, refusal.field.as_str(), refusal.rule))
        .collect()
}

#[tokio::test]
async fn bytes_that_are_no_batch_are_refused_with_their_place_and_kept_as_dead_letters() {
    let mut bench = Bench::new().await;
    let broken = r#"{"recipients": [{"to": "1"}, {"to" "2"}]}"#;
    let invalid_utf8 = b"{\"text\": \"\xff\"}".to_vec();
    for body in [
        broken.as_bytes().to_vec(),
        invalid_utf8,
        b"[]".to_vec(),
        vec![],
    ] {
        bench.hand_over(body).await;
    }
    assert_eq!(bench.run(4).await, Decided::only("refused", 4));
    let events = bench.refused().await;
    let mut places: Vec<(String, String)> = events
        .iter()
        .map(|event| {
            (
                event.refusals[0].field.clone(),
                event.refusals[0].detail.clone(),
            )
        })
        .collect();
    places.sort();
    assert_eq!(places.len(), 4, "{places:?}");
    assert!(
        places
            .iter()
            .any(|(field, why)| field == "recipients[1]" && why.contains("line 1 column")),
        "{places:?}"
    );
    assert!(
        places
            .iter()
            .any(|(field, why)| field == "text" && why == "byte 10 is not UTF-8")
    );
    let dead = bench.dead().await;
    assert!(dead.iter().all(|(reason, _)| reason == "malformed"));
    assert_eq!(dead.len(), 4);
    assert_eq!(bench.batches_waiting().await, 0);
}

#[tokio::test]
async fn all_faults_of_a_batch_are_told_together() {
    let mut bench = Bench::new().await;
    let faulty = json!({
        "organization_id": ORGANIZATION,
        "distribution_id": "no/slash",
        "batch_id": "b1",
        "method": "shout",
        "text": "Hi {{name",
        "recipients": [{ "to": "+33612000000" }, { "to": "12" }, 7],
        "expires_at": "2001-01-01T00:00:00Z",
        "max_segments": 99,
        "colour": "red",
    });
    bench.hand_over(text(&faulty)).await;
    assert_eq!(bench.run(1).await, Decided::only("refused", 1));
    let events = bench.refused().await;
    assert_eq!(
        told(&events),
        [
            (None, "distribution_id", Rule::Malformed),
            (None, "method", Rule::Malformed),
            (None, "text", Rule::Template),
            (None, "max_segments", Rule::SegmentLimit),
            (None, "colour", Rule::Malformed),
            (None, "expires_at", Rule::Expiry),
            (Some(1), "to", Rule::InvalidNumber),
            (Some(2), "recipients", Rule::Malformed),
        ]
    );
    let organization = OrganizationId::new(ORGANIZATION).expect("an id");
    let kept = bench
        .ledger
        .refused_batches(&organization)
        .await
        .expect("there");
    assert_eq!((kept.len(), kept[0].refusals.len()), (1, 8));
}

#[tokio::test]
async fn rows_of_a_wrong_shape_are_named_and_the_others_go_on() {
    let mut bench = Bench::new().await;
    let mut sound = batch("b1", 120);
    sound["recipients"][17]["to"] = json!(33_612_000_017_u64);
    sound["recipients"][99]["fields"]["name"] = json!(["Ana"]);
    sound["recipients"][100] = json!(null);
    sound["recipients"][101]["phone"] = json!("x");
    bench.hand_over(text(&sound)).await;
    assert_eq!(bench.run(1).await, Decided::only("taken", 1));
    assert_eq!(
        told(&bench.refused().await),
        [
            (Some(17), "to", Rule::Malformed),
            (Some(99), "fields.name", Rule::Malformed),
            (Some(100), "recipients", Rule::Malformed),
            (Some(101), "phone", Rule::Malformed),
        ]
    );
    let left = bench.left("b1").await;
    assert_eq!(left.rows_in_chunks().len(), 116);
    assert_eq!(left.rows.len(), 120);
    assert_eq!(
        (left.rows[17].state, left.rows[17].code.as_str()),
        (MessageState::Invalid, "malformed:to")
    );
}

#[tokio::test]
async fn a_number_is_sent_to_once_however_it_is_written() {
    let mut bench = Bench::new().await;
    let mut sound = batch("b1", 4);
    sound["recipients"][2]["to"] = json!("+33 6 12 00 00 00");
    sound["recipients"][3]["to"] = json!("0033612000001");
    bench.hand_over(text(&sound)).await;
    bench.run(1).await;
    let left = bench.left("b1").await;
    assert!(left.rows_in_chunks().starts_with(&[0, 1]));
    assert!(told(&bench.refused().await).contains(&(Some(2), "to", Rule::Duplicate)));
    assert!(!left.rows_in_chunks().contains(&2));
}

#[tokio::test]
async fn ten_thousand_bad_rows_are_ten_events_and_no_chunk() {
    let mut bench = Bench::new().await;
    let mut bad = batch("b1", 10_000);
    for row in bad["recipients"].as_array_mut().expect("rows") {
        row["to"] = json!("nobody");
    }
    bench.hand_over(text(&bad)).await;
    assert_eq!(bench.run(1).await, Decided::only("taken", 1));
    let events = bench.refused().await;
    assert_eq!(events.len(), 10);
    assert_eq!(told(&events).len(), 10_000);
    let left = bench.left("b1").await;
    assert!(left.published && left.chunks.is_empty());
    let counts = bench.ledger.counts(key("b1")).await.expect("there");
    assert_eq!(counts.of(MessageState::Invalid), 10_000);
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_one_refusal() {
    let mut bench = Bench::new().await;
    let rows = vec!["{}"; 100_000].join(",");
    let body = text(&batch("b1", 0));
    let body = String::from_utf8(body)
        .expect("text")
        .replace("\"recipients\":[]", &format!("\"recipients\":[{rows}]"));
    assert!(body.len() > 100_000);
    bench.hand_over(body).await;
    assert_eq!(bench.run(1).await, Decided::only("refused", 1));
    let events = bench.refused().await;
    assert_eq!(told(&events), [(None, "recipients", Rule::RecipientCount)]);
    assert!(
        events[0].refusals[0]
            .detail
            .starts_with("100000 recipients")
    );
    assert!(
        bench.dead().await.is_empty(),
        "it is a batch, only too long"
    );
}

#[tokio::test]
async fn ten_megabytes_are_read_and_one_byte_more_is_not() {
    let mut bench = Bench::new().await;
    let mut body = text(&batch("b1", 1));
    body.resize(10_000_000, b' ');
    bench.hand_over(body.clone()).await;
    assert_eq!(bench.run(1).await, Decided::only("taken", 1));
    body.push(b' ');
    bench.hand_over(body).await;
    assert_eq!(bench.run(1).await, Decided::only("refused", 1));
    assert_eq!(told(&bench.refused().await), [(None, "", Rule::TooLarge)]);
    assert_eq!(bench.dead().await, [("too_large".to_owned(), 64 * 1024)]);
}

#[tokio::test]
async fn no_number_and_no_text_is_ever_repeated_in_a_refusal() {
    let mut bench = Bench::new().await;
    let canary = "+33612999999";
    let mut bad = batch("b1", 3);
    bad["recipients"][0] = json!(canary);
    bad["recipients"][1] = json!({ "to": { canary: canary }, canary: canary });
    bad["recipients"][2] = json!({ "to": format!("{canary}{canary}"), "fields": { canary: 1 } });
    bench.hand_over(text(&bad)).await;
    bench
        .hand_over(text(&with(batch("b2", 1), "method", json!(canary))))
        .await;
    bench
        .hand_over(text(&with(batch("b3", 1), canary, json!(canary))))
        .await;
    bench
        .hand_over(format!("{{\"{canary}\": \"{canary}\" 1}}"))
        .await;
    bench.hand_over(format!("\"{canary}\"")).await;
    bench.run(5).await;
    let events = bench.refused().await;
    assert_eq!(events.len(), 5);
    for event in &events {
        let said = serde_json::to_string(event).expect("JSON");
        assert!(!said.contains("12999999"), "{said}");
    }
}

#[tokio::test]
async fn a_deeply_nested_value_refuses_its_row_only() {
    let bench = Bench::new().await;
    let nested = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let body = String::from_utf8(text(&batch("b1", 2))).expect("text");
    let body = body.replace(&format!("\"{}\"", number(1)), &nested);
    bench.hand_over(body).await;
    assert_eq!(bench.run(1).await, Decided::only("taken", 1));
    assert_eq!(bench.left("b1").await.rows_in_chunks(), [0]);
}
