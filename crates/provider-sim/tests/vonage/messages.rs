//! `/v1/messages`, and webhooks behind a JWT.

use std::num::NonZeroU32;

use provider_sim::{SignatureVariant, TwinBehaviour, VonageStanding};
use serde_json::{Value, json};

use crate::scene::*;
use crate::support::{Hook, client, quick, read};

fn request(change: &Value) -> Value {
    let mut request = json!({
        "channel": "sms", "message_type": "text", "to": PERSON, "from": SENDER, "text": "Votre avis compte",
        "client_ref": "r-1", "webhook_version": "v1", "ttl": 14_400, "sms": {"encoding_type": "auto"},
    });
    for (name, value) in change.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

fn bodies(hook: &Hook) -> Vec<Value> {
    let calls = hook.calls();
    calls
        .iter()
        .map(|call| serde_json::from_str(&call.body).unwrap())
        .collect()
}

#[tokio::test]
async fn a_message_has_one_uuid_and_receipts_behind_a_token_for_all_its_parts() {
    let hook = Hook::start().await;
    let mut account = messages_account(&hook);
    account.application_id = Some("aaaaaaaa-bbbb-cccc-dddd-0123456789ab".into());
    let twin = twin(account, quick()).await;
    let callback = format!("{}/mine", hook.url);
    let long = request(&json!({"text": "ж".repeat(135), "webhook_url": callback}));
    let (status, answer) = post_json(&twin, "/v1/messages", &long).await;
    assert_eq!(status, 202);
    let id = answer["message_uuid"].as_str().unwrap();
    assert_eq!((id.len(), answer.as_object().unwrap().len()), (36, 1));
    twin.idle().await;
    let (calls, bodies) = (hook.calls(), bodies(&hook));
    assert_eq!(bodies.len(), 2, "one for each status, not for each part");
    for (call, body) in calls.iter().zip(&bodies) {
        assert_eq!(call.target, "/mine");
        let claims = claims(call).expect("it is signed");
        assert_eq!(
            (&claims["iss"], &claims["api_key"]),
            (&json!("Vonage"), &json!(KEY))
        );
        assert!(
            claims["application_id"].is_string()
                && claims["iat"].is_u64()
                && claims["jti"].is_string()
        );
        assert_eq!(
            (&body["message_uuid"], &body["client_ref"]),
            (&json!(id), &json!("r-1"))
        );
        assert_eq!(
            (&body["to"], &body["from"]),
            (&json!(PERSON), &json!(SENDER))
        );
        assert_eq!(
            (&body["channel"], &body["sms"]["count_total"]),
            (&json!("sms"), &json!("3"))
        );
        assert!(body["timestamp"].as_str().unwrap().ends_with('Z') && body.get("error").is_none());
    }
    assert_eq!(
        (&bodies[0]["status"], &bodies[1]["status"]),
        (&json!("submitted"), &json!("delivered"))
    );
    let audit = twin.audit();
    assert_eq!(
        (
            audit.totals.accepted_segments,
            audit.entries[0].reference.as_str()
        ),
        (3, "r-1")
    );
}

#[tokio::test]
async fn a_long_message_ends_once_whichever_of_its_parts_is_lost() {
    let hook = Hook::start().await;
    let behaviour = TwinBehaviour {
        undelivered_rate: 1.0,
        receipt_jitter: std::time::Duration::from_millis(50),
        ..quick()
    };
    let twin = twin(messages_account(&hook), behaviour).await;
    for n in 0..9 {
        let long = request(&json!({"text": "a".repeat(400), "client_ref": format!("u-{n}")}));
        post_json(&twin, "/v1/messages", &long).await;
    }
    twin.idle().await;
    let ends: Vec<Value> = bodies(&hook)
        .into_iter()
        .filter(|b| b["status"] == "undeliverable")
        .collect();
    assert_eq!(ends.len(), 9);
    assert!(
        ends.iter()
            .all(|end| end["error"]["type"].as_str().unwrap().contains('#'))
    );
    let numeric = ends.iter().any(|end| end["error"]["title"].is_u64());
    assert!(numeric && ends.iter().any(|end| end["error"]["title"].is_string()));
}

#[tokio::test]
async fn each_refusal_has_its_status_and_code() {
    let hook = Hook::start().await;
    let mut account = messages_account(&hook);
    account.senders = vec![SENDER.into()];
    account.refused_recipients = [("442079460007".into(), 7), ("442079460033".into(), 33)].into();
    let twin = twin(account, quick()).await;
    for (change, wanted) in [
        (json!({"from": "Acme"}), "#1120"),
        (json!({"from": "+1"}), "#1120"),
        (json!({"to": "+353861234567"}), "#1170"),
        (json!({"to": Value::Null}), "#1170"),
        (json!({"to": "442079460033"}), "#1170"),
        (json!({"to": "999123456789"}), "#1040"),
        (json!({"to": "442079460007"}), "#1050"),
        (json!({"text": "a".repeat(1_001)}), "#1090"),
        (json!({"text": ""}), "#invalid-params"),
        (json!({"channel": "mms"}), "#invalid-params"),
        (json!({"message_type": "image"}), "#invalid-params"),
        (json!({"ttl": 19}), "#invalid-params"),
        (json!({"ttl": "20"}), "#invalid-params"),
        (json!({"webhook_version": "v9"}), "#invalid-params"),
        (json!({"client_ref": "r".repeat(101)}), "#invalid-params"),
        (
            json!({"sms": {"encoding_type": "utf-8"}}),
            "#invalid-params",
        ),
    ] {
        let (status, problem) = post_json(&twin, "/v1/messages", &request(&change)).await;
        let kind = problem["type"].as_str().unwrap();
        assert!(
            status == 422 && kind.ends_with(wanted),
            "{change}: {status} {kind}"
        );
        assert!(
            ["title", "detail", "instance"]
                .iter()
                .all(|name| problem[name].is_string())
        );
    }
    assert_eq!(post_json(&twin, "/v1/messages", &json!([])).await.0, 422);
    assert_eq!(twin.audit().totals.refused["1170"], 3);
    let bearer = client()
        .post(format!("{}/v1/messages", twin.base_url()))
        .bearer_auth("a.b.c");
    let (status, problem) = read(
        bearer
            .body(request(&json!({})).to_string())
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert!(status == 401 && problem["type"].as_str().unwrap().ends_with("#unauthorized"));
}

#[tokio::test]
async fn an_account_in_bad_standing_or_over_its_rate_is_told_so_by_http() {
    let hook = Hook::start().await;
    for (standing, white_list, wanted) in [
        (VonageStanding::Barred, None, 403),
        (VonageStanding::OutOfCredit, None, 402),
        (VonageStanding::NotEnabled, None, 403),
        (VonageStanding::Good, Some(vec![]), 422),
    ] {
        let mut account = messages_account(&hook);
        (account.standing, account.white_list) = (standing, white_list);
        let twin = twin(account, quick()).await;
        assert_eq!(
            post_json(&twin, "/v1/messages", &request(&json!({})))
                .await
                .0,
            wanted
        );
    }
    let mut account = messages_account(&hook);
    account.limits.per_second = NonZeroU32::new(1);
    let twin = twin(account, quick()).await;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(
            post_json(&twin, "/v1/messages", &request(&json!({})))
                .await
                .0,
        );
    }
    assert_eq!(statuses, [202, 429]);
}

#[tokio::test]
async fn an_inbound_text_is_one_webhook_however_long() {
    let hook = Hook::start().await;
    let twin = twin(messages_account(&hook), quick()).await;
    let text = format!("où {}", "a".repeat(400));
    assert_eq!(
        twin.send_inbound("+353861234567", SENDER, &text)
            .await
            .unwrap(),
        200
    );
    let (call, body) = (hook.calls().pop().unwrap(), bodies(&hook).pop().unwrap());
    assert_eq!((hook.calls().len(), call.target.as_str()), (1, "/message"));
    assert!(claims(&call).is_some());
    assert_eq!(
        (&body["from"], &body["to"]),
        (&json!(PERSON), &json!(SENDER))
    );
    assert_eq!(
        (&body["text"], &body["message_type"]),
        (&json!(text), &json!("text"))
    );
    assert_eq!(
        (&body["sms"]["keyword"], &body["sms"]["num_messages"]),
        (&json!("OÙ"), &json!("3"))
    );
    assert_eq!(body["message_uuid"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn tokens_can_be_forged_missing_or_late() {
    let hook = Hook::start().await;
    let twin = twin(messages_account(&hook), quick()).await;
    let write = async |variant| {
        hook.calls.lock().unwrap().clear();
        twin.behaviour().change(|b| b.signature = variant).unwrap();
        twin.send_inbound("+353861234567", SENDER, "hello")
            .await
            .unwrap();
        hook.calls()
    };
    let forged = write(SignatureVariant::Forged).await;
    assert!(forged[0].headers.contains_key("authorization") && claims(&forged[0]).is_none());
    let missing = write(SignatureVariant::Missing).await;
    assert!(!missing[0].headers.contains_key("authorization"));
    hook.answers.lock().unwrap().push_back(503);
    let late = write(SignatureVariant::variant("unsigned_at_first")).await;
    assert_eq!(late.len(), 2);
    assert!(!late[0].headers.contains_key("authorization") && claims(&late[1]).is_some());
}

#[tokio::test]
async fn an_opted_out_person_is_told_by_code_1240_after_a_202() {
    let hook = Hook::start().await;
    let mut account = messages_account(&hook);
    account.opt_out_assist = true;
    let twin = twin(account, quick()).await;
    twin.send_inbound("+353861234567", SENDER, "STOP")
        .await
        .unwrap();
    hook.calls.lock().unwrap().clear();
    let (status, _) = post_json(&twin, "/v1/messages", &request(&json!({}))).await;
    assert_eq!(status, 202);
    twin.idle().await;
    let told = bodies(&hook).pop().unwrap();
    assert_eq!(
        (hook.calls().len(), &told["status"]),
        (1, &json!("rejected"))
    );
    assert!(told["error"]["type"].as_str().unwrap().ends_with("#1240"));
}

#[tokio::test]
async fn the_sms_api_names_parts_by_uuids_where_webhooks_are_of_the_messages_api() {
    let hook = Hook::start().await;
    let twin = twin(messages_account(&hook), quick()).await;
    let long = "a".repeat(200);
    let (_, answer) = post(&twin, &message(&[("text", &long)])).await;
    twin.idle().await;
    let mut told: Vec<String> = bodies(&hook)
        .iter()
        .filter(|body| body["status"] == "delivered")
        .map(|body| body["message_uuid"].as_str().unwrap().to_owned())
        .collect();
    told.sort();
    let mut sent: Vec<String> = (0..2)
        .map(|n| {
            answer["messages"][n]["message-id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    sent.sort();
    assert_eq!(told, sent);
}
