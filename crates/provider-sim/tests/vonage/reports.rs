//! `/v2/reports/records`.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::scene::*;
use crate::support::{Hook, client, quick, read};

const BASE: &str = "/v2/reports/records?account_id=a1b2c3d4&product=SMS&direction=outbound";

fn around_now() -> String {
    let now = OffsetDateTime::now_utc();
    let text = |time: OffsetDateTime| time.format(&Rfc3339).unwrap();
    let (start, end) = (text(now - Duration::HOUR), text(now + Duration::HOUR));
    format!("date_start={start}&date_end={end}")
}

fn ids(answer: &Value) -> Vec<String> {
    let records = answer["records"].as_array().unwrap().iter();
    records
        .map(|r| r["message_id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn parts_are_found_by_their_ids_with_what_became_of_the_message() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let long = "a".repeat(200);
    let (_, sent) = post(&twin, &message(&[("text", &long)])).await;
    let id = |n: usize| {
        sent["messages"][n]["message-id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let path = format!("{BASE}&id={},0C00000000000000,{}", id(0), id(1));
    let (status, answer) = get(&twin, &path).await;
    assert_eq!((status, &answer["items_count"]), (200, &json!(2)));
    assert_eq!(ids(&answer), [id(0), id(1)]);
    assert_eq!(answer["ids_not_found"], "0C00000000000000");
    assert_eq!(answer["records"][0]["status"], "submitted");
    assert_eq!(answer["records"][0].get("date_finalized"), None);
    twin.idle().await;
    let record = &get(&twin, &path).await.1["records"][0];
    assert_eq!(
        (&record["status"], &record["error_code"]),
        (&json!("delivered"), &json!("0"))
    );
    assert_eq!(
        (&record["to"], &record["from"]),
        (&json!(PERSON), &json!(SENDER))
    );
    assert_eq!(record["client_ref"], "r-1");
    assert!(record["date_finalized"].is_string() && record["error_code_description"].is_string());
}

#[tokio::test]
async fn messages_are_found_by_time_and_recipient_and_each_api_has_its_own() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    for to in ["442079460001", "442079460002", "442079460001"] {
        post(&twin, &message(&[("to", to)])).await;
    }
    let body = json!({"channel": "sms", "message_type": "text", "to": PERSON, "from": SENDER, "text": "x"});
    let (_, sent) = post_json(&twin, "/v1/messages", &body).await;
    let path = format!("{BASE}&{}", around_now());
    assert_eq!(ids(&get(&twin, &path).await.1).len(), 3);
    assert_eq!(
        ids(&get(&twin, &format!("{path}&to=442079460001")).await.1).len(),
        2
    );
    let of_messages = get(&twin, &path.replace("product=SMS", "product=MESSAGES"))
        .await
        .1;
    assert_eq!(ids(&of_messages), [sent["message_uuid"].as_str().unwrap()]);
    assert!(ids(&get(&twin, &path.replace("outbound", "inbound")).await.1).is_empty());
    let past =
        format!("{BASE}&date_start=2025-11-13T00:00:00%2B0000&date_end=2025-11-14T00:00:00%2B0000");
    let (status, answer) = get(&twin, &past).await;
    assert_eq!((status, ids(&answer).len()), (200, 0));
    assert_eq!(
        twin.audit().totals.http_requests,
        4,
        "a look-up is no send request"
    );
}

#[tokio::test]
async fn more_than_a_thousand_records_come_in_linked_pages() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    // 48 parts each, which no page ends with.
    let long = "ж".repeat(3_200);
    for n in 0..22 {
        let reference = format!("p-{n}");
        let change = [
            ("text", long.as_str()),
            ("type", "unicode"),
            ("client-ref", &reference),
            ("status-report-req", "0"),
        ];
        post(&twin, &message(&change)).await;
    }
    let (_, first) = get(&twin, &format!("{BASE}&{}", around_now())).await;
    assert_eq!(ids(&first).len(), 1_000);
    let next = first["_links"]["next"]["href"].as_str().unwrap();
    let (_, second) = get(&twin, next).await;
    assert_eq!(ids(&second).len(), 22 * 48 - 1_000);
    assert_eq!(second["_links"].get("next"), None);
    let all: std::collections::HashSet<_> = ids(&first).into_iter().chain(ids(&second)).collect();
    assert_eq!(all.len(), 22 * 48);
}

#[tokio::test]
async fn a_request_that_says_too_little_too_much_or_comes_from_a_stranger_is_refused() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let many = vec!["0C00000000000000"; 21].join(",");
    let day = "date_start=2025-11-13T00:00:00Z&date_end";
    for (query, wanted) in [
        (format!("{BASE}&id=x"), 200),
        (BASE.into(), 422),
        (format!("{BASE}&id={many}"), 422),
        (format!("{BASE}&id=x&{day}=2025-11-14T00:00:00Z"), 422),
        (format!("{BASE}&{day}=2025-11-14T00:00:00Z"), 200),
        (format!("{BASE}&{day}=2025-11-14T00:00:01Z"), 422),
        (format!("{BASE}&{day}=2025-11-12T00:00:00Z"), 422),
        (format!("{BASE}&{day}=soon"), 422),
        (format!("{BASE}&id=x&to=%2B353861234567"), 422),
        (format!("{BASE}&id=x").replace("SMS", "FAX"), 422),
        (format!("{BASE}&id=x").replace("outbound", "up"), 422),
        (format!("{BASE}&id=x").replace("a1b2c3d4", "b1b2c3d4"), 403),
        ("/v2/reports/records?id=x".into(), 422),
    ] {
        assert_eq!(get(&twin, &query).await.0, wanted, "{query}");
    }
    let stranger = client().get(format!("{}{BASE}&id=x", twin.base_url()));
    assert_eq!(read(stranger.send().await.unwrap()).await.0, 401);
}
