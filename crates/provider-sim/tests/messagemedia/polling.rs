//! Reports and replies are listed until they are confirmed.

use super::*;

fn ids(list: &Value, id: &str) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one[id].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn reports_are_polled_oldest_first_and_come_again_until_they_are_confirmed() {
    let world = World::start(|_, _| {}).await;
    world
        .twin
        .behaviour()
        .change(|b| b.lose_receipt_rate = 1.0)
        .unwrap();
    world.send_one(PERSON, "r-1").await;
    world.twin.idle().await;
    assert!(world.told().is_empty(), "every push was lost");
    let path = "/v1/delivery_reports";
    let (status, list) = world.get(path).await;
    assert_eq!(status, 200);
    let reports = &list["delivery_reports"];
    let words: Vec<&str> = reports
        .as_array()
        .unwrap()
        .iter()
        .map(|report| report["status"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["enroute", "submitted", "delivered"]);
    assert_eq!(reports[0]["metadata"], json!({"ref": "r-1"}));
    assert!(reports[0].get("error_code").is_none());
    assert_eq!(world.get(path).await.1, list);
    let mut ids = ids(reports, "delivery_report_id");
    ids.pop();
    let confirmed = "/v1/delivery_reports/confirmed";
    let body = json!({ "delivery_report_ids": ids });
    assert_eq!(world.post(confirmed, &body).await.0, 202);
    let (_, rest) = world.get(path).await;
    assert_eq!(rest["delivery_reports"], json!([reports[2]]));
    let many = json!({ "delivery_report_ids": vec!["x"; 101] });
    for bad in [many, json!({}), json!([]), json!({"reply_ids": ["x"]})] {
        assert_eq!(world.post(confirmed, &bad).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_hundred_reports_are_listed_at_once() {
    let world = World::start(|_, _| {}).await;
    let many: Vec<Value> = (0..50)
        .map(|n| {
            let mut message = world.message(PERSON, &format!("r-{n}"));
            message.as_object_mut().unwrap().remove("callback_url");
            message
        })
        .collect();
    world.send(&many).await;
    world.twin.idle().await;
    let (_, list) = world.get("/v1/delivery_reports").await;
    assert_eq!(list["delivery_reports"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn replies_are_polled_even_if_there_is_nowhere_to_push_them() {
    let world = World::start(|_, _| {}).await;
    let nowhere = world.twin.send_inbound(PERSON, SENDER, "hello").await;
    assert!(nowhere.is_err());
    world.send_one(PERSON, "r-1").await;
    world.twin.send_inbound(PERSON, SENDER, "hi").await.unwrap();
    let (status, list) = world.get("/v1/replies").await;
    assert_eq!(status, 200);
    let replies = &list["replies"];
    assert_eq!(replies[0]["content"], "hello");
    assert!(replies[0].get("message_id").is_none());
    assert_eq!(replies[1], world.told().pop().unwrap());
    let body = json!({ "reply_ids": ids(replies, "reply_id") });
    assert_eq!(world.post("/v1/replies/confirmed", &body).await.0, 202);
    let (_, rest) = world.get("/v1/replies").await;
    assert_eq!(rest, json!({"replies": []}));
}
