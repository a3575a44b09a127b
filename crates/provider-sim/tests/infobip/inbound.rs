//! People write: the form of it, opt-outs, and what follows from them.

use provider_sim::{InfobipBlocked, InfobipOnStop};
use serde_json::{Value, json};

use super::*;
use crate::support::quick;

const FROM: &str = "+353861112233";

fn on_stop(then: InfobipBlocked) -> InfobipOnStop {
    InfobipOnStop {
        then,
        ..InfobipOnStop::default()
    }
}

#[tokio::test]
async fn an_inbound_message_has_every_field_of_the_format() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.keywords = vec!["JOIN".into()];
    let twin = twin(settings, quick()).await;
    let mut sent = message(PERSON, "m-1", "x");
    sent["webhooks"] = json!({"callbackData": "batch-77"});
    send(&twin, &[sent]).await;
    let text = "join Danke für alles 🎉\n ";
    assert_eq!(twin.send_inbound(FROM, SENDER, text).await.unwrap(), 200);
    let call = calls_to(&hook, "/message").remove(0);
    assert_eq!(call.target, "/message/infobip-sms/ORG_1");
    assert_eq!(call.headers["authorization"], basic(HOOK_PASSWORD));
    let mut body: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!(
        (&body["messageCount"], &body["pendingMessageCount"]),
        (&json!(1), &json!(0))
    );
    let result = body["results"][0].as_object_mut().unwrap();
    let id = result.remove("messageId").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 18);
    let at = result.remove("receivedAt").unwrap();
    assert!(at.as_str().unwrap().ends_with("+0000"));
    let wanted = json!({
        "from": PERSON, "to": SENDER, "text": text, "cleanText": "Danke für alles 🎉\n ", "keyword": "JOIN",
        "smsCount": 1, "price": {"pricePerMessage": 0, "currency": "EUR"}, "callbackData": "batch-77",
    });
    assert_eq!(json!(result), wanted);
}

#[tokio::test]
async fn a_long_message_is_one_entry_and_a_name_cannot_be_written_to() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let text = "a".repeat(400);
    twin.send_inbound("CARRIER", SENDER, &text).await.unwrap();
    let told = results(&hook, "/message");
    assert_eq!(
        (&told[0]["smsCount"], &told[0]["from"]),
        (&json!(3), &json!("CARRIER"))
    );
    assert_eq!(told[0]["text"], text);
    assert_eq!(told[0].get("callbackData"), None);
    assert!(twin.send_inbound(FROM, "QUALTRICS", "x").await.is_err());
}

#[tokio::test]
async fn a_stop_is_a_message_like_any_other_with_an_empty_clean_text() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    twin.send_inbound(FROM, SENDER, "Stop").await.unwrap();
    let told = results(&hook, "/message");
    assert_eq!(
        (&told[0]["text"], &told[0]["cleanText"]),
        (&json!("Stop"), &json!(""))
    );
    assert_eq!(told[0]["keyword"], "STOP");
    let (_, answer) = send(&twin, &[message(PERSON, "m-1", "x")]).await;
    assert_eq!(ids(&answer), [26], "nothing is blocked by itself");
    let totals = twin.audit().totals;
    assert_eq!(
        (
            totals.requests_after_stop,
            totals.inbound.keywords.get("STOP")
        ),
        (1, Some(&1))
    );
}

#[tokio::test]
async fn a_block_can_be_told_in_the_answer_for_one_sender_or_all() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.on_stop = on_stop(InfobipBlocked::RefusedWith14);
    let one = twin(settings.clone(), quick()).await;
    settings.on_stop.any_sender = true;
    let all = twin(settings, quick()).await;
    for (twin, other) in [(&one, 26), (&all, 14)] {
        twin.send_inbound(FROM, SENDER, "STOP").await.unwrap();
        let mut by_other = message(PERSON, "m-2", "x");
        by_other["sender"] = json!("13531234567");
        let (_, answer) = send(twin, &[message(PERSON, "m-1", "x"), by_other]).await;
        assert_eq!(ids(&answer), [14, other]);
        twin.send_inbound(FROM, SENDER, "START").await.unwrap();
        let (_, answer) = send(twin, &[message(PERSON, "m-3", "x")]).await;
        assert_eq!(ids(&answer), [26]);
    }
}

#[tokio::test]
async fn a_block_can_be_told_by_the_report_alone() {
    for (then, error, status, group) in [
        (InfobipBlocked::ReportedWith2052, 2052, 14, "REJECTED"),
        (InfobipBlocked::ReportedWith573, 573, 4, "UNDELIVERABLE"),
        (InfobipBlocked::ReportedWith603, 603, 4, "UNDELIVERABLE"),
    ] {
        let hook = Hook::start().await;
        let mut settings = account(&hook);
        settings.on_stop = on_stop(then);
        let twin = twin(settings, quick()).await;
        twin.send_inbound(FROM, SENDER, "STOP").await.unwrap();
        let (_, answer) = send(&twin, &[message(PERSON, "m-1", "x")]).await;
        assert_eq!(ids(&answer), [26]);
        twin.idle().await;
        let report = &results(&hook, "/status")[0];
        assert_eq!(report["error"]["id"], error);
        assert_eq!(
            (&report["status"]["id"], &report["status"]["groupName"]),
            (&json!(status), &json!(group))
        );
        let entry = &twin.audit().entries[0];
        assert_eq!(entry.status.as_deref(), Some(group));
    }
}

#[tokio::test]
async fn an_action_may_swallow_the_stop_and_a_subscription_tell_the_block() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.on_stop = InfobipOnStop {
        then: InfobipBlocked::RefusedWith14,
        swallow: true,
        ..InfobipOnStop::default()
    };
    settings.blocklist_webhook = Some(format!("{}/blocklist", hook.url));
    let twin = twin(settings, quick()).await;
    twin.send_inbound(FROM, SENDER, "STOP").await.unwrap();
    assert!(calls_to(&hook, "/message").is_empty());
    let event = &results(&hook, "/blocklist")[0];
    let content = json!({"sender": SENDER, "destination": PERSON, "sourceType": "MO"});
    assert_eq!(
        (&event["event"], &event["content"]),
        (&json!("BLOCK"), &content)
    );
    twin.send_inbound(FROM, SENDER, "START").await.unwrap();
    assert_eq!(results(&hook, "/blocklist")[1]["event"], "UNBLOCK");
    assert_eq!(results(&hook, "/message").len(), 1);
}

#[tokio::test]
async fn scripted_people_reply_to_numbers_only() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    twin.behaviour()
        .change(|b| b.replies.text.fraction = 1.0)
        .unwrap();
    let mut one_way = message("4915112345678", "m-2", "x");
    one_way["sender"] = json!("QUALTRICS");
    send(&twin, &[message(PERSON, "m-1", "x"), one_way]).await;
    twin.idle().await;
    let told = results(&hook, "/message");
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["from"], &told[0]["to"]),
        (&json!(PERSON), &json!(SENDER))
    );
}
