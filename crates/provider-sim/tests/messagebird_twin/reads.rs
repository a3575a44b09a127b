//! Look-ups: a message, the list with its filters and pages, the balance.

use std::time::Duration;

use provider_sim::RunningTwin;
use serde_json::{Value, json};

use crate::bench::*;

#[tokio::test]
async fn a_message_is_read_with_its_present_status() {
    let hook = Hook::start().await;
    let mut behaviour = quick();
    behaviour.undelivered_rate = 1.0;
    let twin = twin(account(&hook), behaviour).await;
    let mut sent = message("r-1");
    sent["validity"] = 3_600.into();
    let (_, object) = post(&twin, &sent).await;
    let path = format!("/messages/{}", object["id"].as_str().unwrap());
    let (status, read) = get(&twin, &path).await;
    assert_eq!((status, &read["href"]), (200, &object["href"]));
    twin.idle().await;
    let (_, object) = get(&twin, &path).await;
    let item = &object["recipients"]["items"][0];
    assert_eq!(item["status"], "delivery_failed");
    assert!(item["statusErrorCode"].is_u64() && item["statusReason"].is_string());
    assert_eq!(object["recipients"]["totalDeliveryFailedCount"], 1);
    assert_eq!(
        (&object["validity"], &object["mclass"]),
        (&3_600.into(), &1.into())
    );
    let failed = references(&twin, "status=delivery_failed").await;
    assert_eq!(failed, ["r-1"]);
    twin.reset();
    assert_eq!(get(&twin, &path).await.0, 404);
}

async fn references(twin: &RunningTwin, query: &str) -> Vec<String> {
    let (status, page) = get(twin, &format!("/messages?{query}")).await;
    assert_eq!(status, 200, "{page}");
    let items = page["items"].as_array().unwrap();
    assert_eq!(page["count"], items.len());
    items
        .iter()
        .map(|item| item["reference"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_list_is_newest_first_and_each_filter_narrows_it() {
    let hook = Hook::start().await;
    let mut behaviour = quick();
    behaviour.receipt_delay = Duration::from_secs(60); // nothing moves while the list is read
    let twin = twin(account(&hook), behaviour).await;
    post(&twin, &message("a")).await;
    let mut other = message_to("31612340010", "b");
    other["originator"] = "Survey".into();
    other["type"] = "flash".into();
    post(&twin, &other).await;
    let mut group = message("c");
    group["recipients"] = json!([PERSON, "31612340011"]);
    post(&twin, &group).await;
    for (query, wanted) in [
        ("", &["c", "b", "a"][..]),
        ("limit=200&offset=0", &["c", "b", "a"]),
        ("recipient=31612340009", &["c", "a"]),
        ("recipient=31612340011", &["c"]),
        ("recipient=31612340012", &[]),
        ("originator=Survey", &["b"]),
        ("type=flash", &["b"]),
        ("direction=mt", &["c", "b", "a"]),
        ("direction=mo", &[]),
        ("status=sent", &["c", "b", "a"]),
        ("status=delivered", &[]),
        ("from=2020-01-01T00%3A00%3A00%2B00%3A00", &["c", "b", "a"]),
        ("from=2100-01-01T00:00:00Z", &[]),
        // Not documented: it narrows nothing.
        ("reference=a", &["c", "b", "a"]),
    ] {
        assert_eq!(references(&twin, query).await, wanted, "{query}");
    }
    for (query, parameter) in [
        ("limit=201", "limit"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
        ("recipient=%2B31612340009", "recipient"),
        ("from=yesterday", "from"),
    ] {
        let (status, answer) = get(&twin, &format!("/messages?{query}")).await;
        let error = &answer["errors"][0];
        assert_eq!((status, &error["code"]), (422, &10.into()), "{query}");
        assert_eq!(error["parameter"], parameter);
    }
}

#[tokio::test]
async fn the_pages_of_the_list_lead_to_each_other() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    for n in 0..5 {
        post(&twin, &message(&format!("r-{n}"))).await;
    }
    let (_, page) = get(&twin, "/messages?limit=2&offset=2&type=sms").await;
    assert_eq!(
        (&page["totalCount"], &page["count"]),
        (&5.into(), &2.into())
    );
    let links = &page["links"];
    let link = |offset| {
        Value::from(format!(
            "https://rest.messagebird.com/messages?type=sms&offset={offset}&limit=2"
        ))
    };
    assert_eq!((&links["first"], &links["previous"]), (&link(0), &link(0)));
    assert_eq!((&links["next"], &links["last"]), (&link(4), &link(4)));
    assert_eq!(references(&twin, "limit=2&offset=4").await, ["r-0"]);
    let (_, page) = get(&twin, "/messages?limit=2&offset=4").await;
    assert_eq!(page["links"]["next"], Value::Null);
}

#[tokio::test]
async fn the_balance_is_what_the_account_says() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.balance = Some(12.3);
    let twin = twin(account, quick()).await;
    let wanted = json!({"payment": "prepaid", "type": "euros", "amount": 12.3});
    assert_eq!(get(&twin, "/balance").await, (200, wanted));
    assert_eq!(post(&twin, &message("r-1")).await.0, 201);
}
