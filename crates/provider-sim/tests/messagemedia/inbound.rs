//! People write: replies, unsolicited messages, opt-outs and what becomes of the next message.

use super::*;

/// The account's webhook is the same site under another path.
fn with_webhook(account: &mut MessageMediaAccount, hook: &Hook) {
    account.account_webhook = Some(format!("{}/account", hook.url));
    account.senders = vec![SENDER.into(), "Survey".into()];
}

fn at(world: &World, path: &str) -> Vec<Value> {
    let calls = world.hook.calls();
    let mine = calls.iter().filter(|call| call.target == path);
    mine.map(body)
        .filter(|body| body.get("delivery_report_id").is_none())
        .collect()
}

#[tokio::test]
async fn a_reply_goes_to_the_callback_url_of_the_message_whether_reports_were_asked_for_or_not() {
    let world = World::start(|_, _| {}).await;
    let mut message = world.message(PERSON, "r-1");
    message["delivery_report"] = json!(false);
    let (_, answer) = world.send(&[message]).await;
    let text = "Schön war’s 😀";
    assert_eq!(
        world.twin.send_inbound(PERSON, SENDER, text).await.unwrap(),
        200
    );
    let call = world.hook.calls().pop().unwrap();
    assert_eq!(call.target, "/status/messagemedia/org_1");
    assert!(is_signed(&call));
    let reply = body(&call);
    assert_eq!(reply["reply_id"].as_str().unwrap().len(), 36);
    assert_eq!(reply["source_number"], PERSON);
    assert_eq!(reply["destination_number"], SENDER);
    assert_eq!(reply["content"], text);
    assert_eq!(reply["message_id"], answer["messages"][0]["message_id"]);
    assert_eq!(reply["metadata"], json!({"ref": "r-1"}));
    assert_eq!(reply["callback_url"], json!(world.callback_url()));
    assert_eq!(reply["vendor_account_id"]["account_id"], "AcmeSurveys");
    assert!(reply["date_received"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_reply_to_a_message_without_a_sender_does_not_say_where_it_went() {
    let world = World::start(|_, _| {}).await;
    let mut message = world.message(PERSON, "r-1");
    message["source_number"] = Value::Null;
    message["source_number_type"] = Value::Null;
    assert_eq!(world.send(&[message]).await.0, 202);
    world.twin.send_inbound(PERSON, SENDER, "hi").await.unwrap();
    let reply = world.told().pop().unwrap();
    assert_eq!(reply.get("destination_number"), None);
}

#[tokio::test]
async fn an_unsolicited_message_is_only_told_to_the_accounts_webhook() {
    let world = World::start(|_, _| {}).await;
    let nowhere = world.twin.send_inbound(PERSON, SENDER, "hi").await;
    assert!(
        nowhere
            .unwrap_err()
            .to_string()
            .contains("no inbound webhook")
    );

    let world = World::start(with_webhook).await;
    world.twin.send_inbound(PERSON, SENDER, "hi").await.unwrap();
    let events = at(&world, "/account");
    assert_eq!(events[0]["message_id"], "$messageId", "an unset variable");
    assert_eq!(events[0]["metadata"], json!({"ref": ""}));
    assert_eq!(events[0]["account_id"], "AcmeSurveys");
    assert_eq!(events[0]["destination_number"], SENDER);
    assert!(events[0].get("callback_url").is_none());
    assert!(world.hook.calls().iter().all(is_signed));
    let one_way = world.twin.send_inbound(PERSON, "Survey", "hi").await;
    assert!(one_way.unwrap_err().to_string().contains("one-way"));
}

#[tokio::test]
async fn an_answer_comes_on_both_ways_under_the_same_id() {
    let world = World::start(with_webhook).await;
    let id = world.send_one(PERSON, "r-1").await;
    world.twin.send_inbound(PERSON, SENDER, "hi").await.unwrap();
    let (reply, event) = (
        &at(&world, "/status/messagemedia/org_1")[0],
        &at(&world, "/account")[0],
    );
    assert_eq!(reply["reply_id"], event["reply_id"]);
    assert_eq!(
        (&event["message_id"], &event["metadata"]["ref"]),
        (&json!(id), &json!("r-1"))
    );
}

#[tokio::test]
async fn a_stop_is_an_event_of_its_own_and_blocks_the_number_until_the_api_frees_it() {
    let world = World::start(with_webhook).await;
    world.send_one(PERSON, "r-1").await;
    world
        .twin
        .send_inbound(PERSON, SENDER, "Stop")
        .await
        .unwrap();
    let reply = &at(&world, "/status/messagemedia/org_1")[0];
    assert_eq!(
        (&reply["content"], reply.get("notification_id")),
        (&json!("Stop"), None)
    );
    let event = &at(&world, "/account")[0];
    assert_ne!(event["notification_id"], reply["reply_id"]);
    assert_eq!(
        (&event["content"], event.get("reply_id")),
        (&json!("Stop"), None)
    );
    assert_eq!(event["message_id"], reply["message_id"]);

    world.twin.idle().await;
    world
        .twin
        .send_inbound(PERSON, SENDER, "START")
        .await
        .unwrap();
    let id = world.send_one(PERSON, "r-2").await;
    world.twin.idle().await;
    let path = format!("/v1/messages/{id}");
    assert_eq!(world.get(&path).await.1["status"], "rejected");
    assert_eq!(
        world.reports().pop(),
        Some(("rejected".into(), "302".into()))
    );
    assert_eq!(world.twin.audit().stops.len(), 1);

    let entry = format!("/v1/number_authorisation/mt/blacklist/{PERSON}");
    let delete = async || world.request(reqwest::Method::DELETE, &entry, None).await.0;
    assert_eq!((delete().await, delete().await), (200, 404));
    world.send_one(PERSON, "r-3").await;
    world.twin.idle().await;
    assert_eq!(world.reports().pop().unwrap().0, "delivered");
}

#[tokio::test]
async fn an_opt_out_can_be_told_by_the_event_alone_and_without_a_message() {
    let world = World::start(|account, hook| {
        with_webhook(account, hook);
        account.opt_outs_by_account_webhook_only = true;
    })
    .await;
    let stop = async || {
        world
            .twin
            .send_inbound(PERSON, SENDER, "QUIT")
            .await
            .unwrap()
    };
    stop().await;
    world.send_one(PERSON, "r-1").await;
    stop().await;
    assert!(at(&world, "/status/messagemedia/org_1").is_empty());
    let events = at(&world, "/account");
    assert_eq!(events[0]["message_id"], "");
    assert_ne!(events[1]["message_id"], "");
}

#[tokio::test]
async fn an_account_that_handles_opt_outs_itself_is_not_kept_from_sending() {
    let world = World::start(|account, _| account.handles_opt_outs_itself = true).await;
    world.send_one(PERSON, "r-1").await;
    world
        .twin
        .send_inbound(PERSON, SENDER, "STOP")
        .await
        .unwrap();
    world.send_one(PERSON, "r-2").await;
    world.twin.idle().await;
    assert_eq!(world.reports().pop().unwrap().0, "delivered");
    let report = world.twin.audit();
    assert_eq!(report.totals.requests_after_stop, 1);
}

#[tokio::test]
async fn the_accounts_webhook_is_not_tried_again_unless_asked() {
    for (retries, wanted) in [(0, 503), (2, 200)] {
        let world = World::start(|account, hook| {
            with_webhook(account, hook);
            account.account_webhook_retries = retries;
        })
        .await;
        world.hook.answers.lock().unwrap().extend([503, 503]);
        let answered = world.twin.send_inbound(PERSON, SENDER, "hi").await.unwrap();
        assert_eq!(answered, wanted);
    }
}

#[tokio::test]
async fn the_blacklist_is_read_and_written_by_the_api() {
    let world = World::start(|_, _| {}).await;
    let list = "/v1/number_authorisation/mt/blacklist";
    let both = json!({"numbers": [PERSON, "+61491570157"]});
    assert_eq!(world.get(list).await, (200, json!({"numbers": []})));
    assert_eq!(world.post(list, &both).await.0, 201);
    assert_eq!(world.post(list, &both).await.0, 200);
    assert_eq!(world.get(list).await.1, both);
    let asked = format!("/v1/number_authorisation/is_authorised/{PERSON},+61491570158");
    let wanted = json!({"numbers": [
        {"number": PERSON, "authorised": false},
        {"number": "+61491570158", "authorised": true},
    ]});
    assert_eq!(world.get(&asked).await, (200, wanted));
    let eleven: Vec<String> = (0..11).map(|n| format!("+614915701{n:02}")).collect();
    for bad in [
        json!({"numbers": eleven}),
        json!({"numbers": []}),
        json!({}),
    ] {
        assert_eq!(world.post(list, &bad).await.0, 400);
    }
    world.twin.reset();
    assert_eq!(world.get(list).await.1, json!({"numbers": []}));
}

#[tokio::test]
async fn scripted_people_reply_after_delivery() {
    let mut behaviour = quick();
    behaviour.replies.stop.count = Some(2);
    behaviour.replies.text.count = Some(1);
    let world = World::behaving(|_, _| {}, behaviour).await;
    for n in 0..5 {
        world
            .send_one(&format!("+6149157015{n}"), &format!("p-{n}"))
            .await;
    }
    world.twin.idle().await;
    let report = world.twin.audit();
    assert_eq!((report.stops.len(), report.totals.inbound.posts.ok), (2, 3));
    assert_eq!(at(&world, "/status/messagemedia/org_1").len(), 3);
}
