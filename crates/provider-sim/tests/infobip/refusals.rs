//! What is refused: strangers, whole requests, single messages.

use serde_json::json;

use super::*;
use crate::support::quick;

#[tokio::test]
async fn only_the_scheme_app_with_a_known_key_comes_in() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let url = format!("{}/sms/3/messages", twin.base_url());
    let body = json!({"messages": [message(PERSON, "m-1", "x")]}).to_string();
    let attempt = async |authorization: Option<&str>| {
        let mut request = client()
            .post(&url)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .body(body.clone());
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let (status, answer) = read(request.send().await.unwrap()).await;
        (status, answer["errorCode"].as_str().map(str::to_owned))
    };
    let bearer = format!("Bearer {KEY}");
    let lower = format!("app {KEY}");
    let wrong = [
        None,
        Some("App other"),
        Some(KEY),
        Some(&bearer),
        Some(&lower),
    ];
    for authorization in wrong {
        let refused = (401, Some("E401".to_owned()));
        assert_eq!(attempt(authorization).await, refused, "{authorization:?}");
    }
    assert_eq!(attempt(Some(&format!("App {KEY}"))).await, (200, None));
    let totals = twin.audit().totals;
    assert_eq!((totals.refused.get("E401"), totals.accepted), (Some(&5), 1));
}

#[tokio::test]
async fn a_key_without_the_scope_is_forbidden_to_send() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.may_send = false;
    let twin = twin(settings, quick()).await;
    let (status, answer) = send(
        &twin,
        &[message(PERSON, "m-1", "x"), message(PERSON, "m-2", "x")],
    )
    .await;
    assert_eq!((status, &answer["errorCode"]), (403, &json!("E403")));
    assert_eq!(twin.audit().totals.refused.get("E403"), Some(&2));
}

#[tokio::test]
async fn a_violation_refuses_the_whole_request_and_names_the_culprit() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let mut three = [
        message(PERSON, "m-1", "x"),
        message(PERSON, "m-2", "x"),
        message(PERSON, "m-3", "x"),
    ];
    three[1]["destinations"][0] = json!({"messageId": "m-2"});
    let (status, answer) = send(&twin, &three).await;
    assert_eq!((status, &answer["errorCode"]), (400, &json!("E400")));
    let violation =
        json!([{"property": "messages[1].destinations[0].to", "violation": "must not be null"}]);
    assert_eq!(answer["violations"], violation);
    let totals = twin.audit().totals;
    assert_eq!((totals.accepted, totals.refused.get("E400")), (0, Some(&3)));
    let rest = [three[0].clone(), three[2].clone()];
    assert_eq!(ids(&send(&twin, &rest).await.1), [26, 26]);
}

#[tokio::test]
async fn an_account_may_be_told_no_index_and_have_recipients_that_violate() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.violations_have_index = false;
    settings.violating_prefixes = vec!["49".into()];
    let twin = twin(settings, quick()).await;
    let two = [
        message(PERSON, "m-1", "x"),
        message("4915112345678", "m-2", "x"),
    ];
    let (status, answer) = send(&twin, &two).await;
    assert_eq!(status, 400);
    assert_eq!(
        answer["violations"][0]["property"],
        "messages.destinations.to"
    );
    assert_eq!(ids(&send(&twin, &two[..1]).await.1), [26]);
}

#[tokio::test]
async fn a_request_that_is_no_submission_has_its_own_answer() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.messages_per_request_max = Some(1);
    let twin = twin(settings, quick()).await;
    let own = |path: &str| request(&twin, path, &json!({}));
    let code = async |request: reqwest::RequestBuilder| {
        let (status, answer) = read(request.send().await.unwrap()).await;
        (
            status,
            answer["errorCode"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let send_path = "/sms/3/messages";
    assert_eq!(
        code(own(send_path).body("no json")).await,
        (400, "E400".into())
    );
    assert_eq!(code(own(send_path).body("[]")).await, (400, "E400".into()));
    assert_eq!(code(own(send_path)).await, (400, "E400".into()));
    let get = client().get(format!("{}{send_path}", twin.base_url()));
    let get = get.header("accept", "application/json");
    assert_eq!(code(get).await, (405, "E404".into()));
    assert_eq!(code(own("/sms/3/message")).await, (404, "E404".into()));
    let xml = client()
        .post(format!("{}{send_path}", twin.base_url()))
        .header("authorization", format!("App {KEY}"))
        .header("accept", "application/json")
        .header("content-type", "application/xml")
        .body("<request/>");
    assert_eq!(code(xml).await, (415, "E415".into()));
    let two = [message(PERSON, "m-1", "x"), message(PERSON, "m-2", "x")];
    assert_eq!(send(&twin, &two).await.0, 413);
    assert_eq!(send(&twin, &two[..1]).await.0, 200);
    let totals = twin.audit().totals;
    let refused = [("E400", 3), ("E413", 2), ("E415", 1)];
    assert_eq!(
        totals.refused,
        refused.map(|(code, n)| (code.to_owned(), n)).into()
    );
}

#[tokio::test]
async fn each_message_has_its_own_refusal_within_a_200() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.senders = vec![SENDER.into(), "QUALTRICS".into(), "BLOCKED".into()];
    settings.blocklisted_senders = vec!["BLOCKED".into()];
    settings.refusals = [
        ("4477".into(), 18),
        ("33199".into(), 6),
        ("33199002".into(), 10),
    ]
    .into();
    let twin = twin(settings, quick()).await;
    let from = |sender: &str, id: &str| {
        let mut message = message(PERSON, id, "x");
        message["sender"] = json!(sender);
        message
    };
    let mut nobody = message(PERSON, "m-0", "x");
    nobody.as_object_mut().unwrap().remove("sender");
    let messages = [
        (nobody, 11),
        (from("+13531234567", "m-1"), 11),
        (from("OTHER", "m-2"), 11),
        (from("BLOCKED", "m-3"), 13),
        (from("QUALTRICS", "m-4"), 26),
        (message("", "m-5", "x"), 51),
        (message("0861112233", "m-6", "x"), 8),
        (message("+353861112233", "m-7", "x"), 52),
        (message("35386", "m-8", "x"), 52),
        (message("447700900123", "m-9", "x"), 18),
        (message("33199001111", "m-10", "x"), 6),
        (message("33199002222", "m-11", "x"), 10),
        (message(PERSON, "m-12", &"a".repeat(153 * 25)), 26),
        (message(PERSON, "m-13", &"a".repeat(153 * 25 + 1)), 25),
        (message(PERSON, "m-14", &"ж".repeat(2_001)), 25),
    ];
    let (sent, wanted): (Vec<_>, Vec<u64>) = messages.into_iter().unzip();
    let (status, answer) = send(&twin, &sent).await;
    assert_eq!((status, ids(&answer)), (200, wanted));
    assert_eq!(answer["messages"][5]["destination"], "");
    assert_eq!(answer["messages"][9]["status"]["groupName"], "REJECTED");
    let totals = twin.audit().totals;
    assert_eq!((totals.requests, totals.accepted), (15, 2));
    assert_eq!(
        (totals.refused.get("11"), totals.refused.get("52")),
        (Some(&3), Some(&2))
    );
    assert_eq!(totals.refused.values().sum::<u64>(), 13);
}

#[tokio::test]
async fn credit_ends_in_the_middle_of_a_request() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.credits = Some(3);
    let twin = twin(settings, quick()).await;
    let long = "a".repeat(161);
    let three = [
        message(PERSON, "m-1", &long),
        message(PERSON, "m-2", &long),
        message(PERSON, "m-3", "x"),
    ];
    let (_, answer) = send(&twin, &three).await;
    assert_eq!(
        ids(&answer),
        [26, 12, 26],
        "what is left covers a shorter one"
    );
    assert_eq!(
        ids(&send(&twin, &[message(PERSON, "m-4", "x")]).await.1),
        [12]
    );
    assert_eq!(twin.audit().totals.refused.get("12"), Some(&2));
}

#[tokio::test]
async fn the_flooding_filter_knows_identical_and_different_messages() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.flooding_filter = true;
    let twin = twin(settings, quick()).await;
    let same: Vec<_> = (0..7)
        .map(|n| message(PERSON, &format!("s-{n}"), "same"))
        .collect();
    assert_eq!(
        ids(&send(&twin, &same).await.1),
        [26, 26, 26, 26, 26, 26, 20]
    );
    let other = "4915112345678";
    let different: Vec<_> = (0..21)
        .map(|n| message(other, &format!("d-{n}"), &format!("text {n}")))
        .collect();
    let answered = ids(&send(&twin, &different).await.1);
    assert_eq!((&answered[..20], answered[20]), (&[26; 20][..], 20));
}
