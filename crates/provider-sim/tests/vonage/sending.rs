//! `/sms/json`: entries for parts, and refusals.

use provider_sim::VonageStanding;
use serde_json::json;

use crate::scene::*;
use crate::support::{Hook, client, form, quick, read};

#[tokio::test]
async fn a_message_is_answered_with_an_entry_and_an_id_for_each_part() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let (status, answer) = post(&twin, &message(&[])).await;
    assert_eq!((status, &answer["message-count"]), (200, &json!("1")));
    let entry = &answer["messages"][0];
    assert_eq!(entry["to"], PERSON);
    assert_eq!(entry["client-ref"], "r-1");
    for money in ["remaining-balance", "message-price", "network"] {
        assert!(entry[money].is_string(), "{money}");
    }
    let id = entry["message-id"].as_str().unwrap();
    assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()));

    let long = "ж".repeat(135);
    let change = [
        ("text", long.as_str()),
        ("type", "unicode"),
        ("client-ref", "r-2"),
    ];
    let (_, answer) = post(&twin, &message(&change)).await;
    assert_eq!(answer["message-count"], "3");
    assert_eq!(statuses(&answer), ["0", "0", "0"]);
    let ids: std::collections::HashSet<_> = (0..3)
        .map(|n| answer["messages"][n]["message-id"].to_string())
        .collect();
    assert_eq!(ids.len(), 3);
    // In the wrong alphabet the text is garbled, and shorter.
    let (_, answer) = post(&twin, &message(&[("text", &long), ("client-ref", "")])).await;
    assert_eq!(answer["message-count"], "1");
    assert_eq!(answer["messages"][0].get("client-ref"), None);

    let report = twin.audit();
    assert_eq!(report.totals.accepted_segments, 5);
    let references: Vec<_> = report
        .entries
        .iter()
        .map(|e| e.reference.as_str())
        .collect();
    assert_eq!(references, ["r-1", "r-2", ""]);
    assert_eq!(report.entries[0].recipient, format!("+{PERSON}"));
}

#[tokio::test]
async fn a_reference_that_comes_twice_is_sent_twice() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.uuid_message_ids = true;
    let twin = twin(account, quick()).await;
    for _ in 0..2 {
        let (_, answer) = post(&twin, &message(&[])).await;
        let id = answer["messages"][0]["message-id"].as_str().unwrap();
        assert_eq!((id.len(), id.matches('-').count()), (36, 4));
    }
    let report = twin.audit();
    assert_eq!(report.doubled.len(), 1);
    assert_eq!(
        (report.doubled[0].requests, report.doubled[0].accepted),
        (2, 2)
    );
}

#[tokio::test]
async fn key_and_secret_come_in_by_header_or_body_and_the_body_may_be_json() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let url = format!("{}/sms/json", twin.base_url());
    let send = |kind: &str, body: String| {
        client()
            .post(&url)
            .header("content-type", kind)
            .body(body)
            .send()
    };
    let of_form = "application/x-www-form-urlencoded";
    let with_body = message(&[("api_key", KEY), ("api_secret", SECRET)]);
    let (_, answer) = read(send(of_form, form(&with_body)).await.unwrap()).await;
    assert_eq!(statuses(&answer), ["0"]);
    let object = json!({"from": SENDER, "to": PERSON, "text": "Bonjour", "ttl": 20_000, "status-report-req": true});
    assert_eq!(
        statuses(&post_json(&twin, "/sms/json", &object).await.1),
        ["0"]
    );

    let wrong = message(&[("api_key", KEY), ("api_secret", "no")]);
    let (status, answer) = read(send(of_form, form(&wrong)).await.unwrap()).await;
    assert_eq!((status, statuses(&answer)), (200, vec!["4"]));
    let (_, answer) = read(send(of_form, form(&message(&[]))).await.unwrap()).await;
    assert_eq!(
        answer["messages"][0],
        json!({"status": "2", "error-text": "Missing api_key param"})
    );
    let stranger = client()
        .post(&url)
        .basic_auth(KEY, Some("no"))
        .header("content-type", of_form);
    let stranger = stranger.body(form(&message(&[]))).send().await.unwrap();
    assert!(stranger.headers().contains_key("www-authenticate"));
    let (status, answer) = read(stranger).await;
    assert_eq!((status, &answer["error-code"]), (401, &json!("401")));
    let refused = twin.audit().totals.refused;
    assert_eq!(
        refused,
        [("2", 1), ("4", 1), ("401", 1)]
            .map(|(c, n)| (c.to_owned(), n))
            .into()
    );
}

#[tokio::test]
async fn each_refusal_is_a_status_in_a_200_and_counted_by_it() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.senders = vec![SENDER.into(), "Acme".into()];
    account.refused_recipients = [("442079460007".into(), 7), ("442079460101".into(), 101)].into();
    let twin = twin(account, quick()).await;
    let long = "a".repeat(3_201);
    let far = format!("https://h.example.org/{}", "a".repeat(79));
    for (name, value, wanted, text) in [
        ("from", "Acme", "0", ""),
        ("to", "", "2", "Missing to param"),
        ("from", "", "2", "Missing from param"),
        ("text", "", "2", "Missing text param"),
        ("to", "+353861234567", "3", "Invalid to param"),
        ("from", "+35312345678", "3", "Invalid from param"),
        ("type", "vcard", "3", "Invalid type param"),
        ("ttl", "19999", "3", "Invalid ttl param"),
        ("ttl", "soon", "3", "Invalid ttl param"),
        ("ttl", "604800000", "0", ""),
        (
            "status-report-req",
            "maybe",
            "3",
            "Invalid status-report-req param",
        ),
        (
            "to",
            "999123456789",
            "6",
            "Invalid Message: unknown number prefix",
        ),
        ("to", "442079460007", "7", "Number barred."),
        ("text", &long, "12", "Message Too Long"),
        (
            "from",
            "35312345679",
            "15",
            "Illegal Sender Address - rejected",
        ),
        ("callback", &far, "23", "Invalid Callback Url"),
        ("callback", &far[1..], "23", "Invalid Callback Url"),
        ("callback", &far[..100], "0", ""),
        (
            "sig",
            "0123456789abcdef",
            "32",
            "Signature And API Secret Disallowed",
        ),
        ("to", "442079460101", "101", "Error 101"),
    ] {
        let (status, answer) = post(&twin, &message(&[(name, value)])).await;
        assert_eq!(status, 200);
        assert_eq!(statuses(&answer), [wanted], "{name}={value:.30}");
        let said = answer["messages"][0]["error-text"]
            .as_str()
            .unwrap_or_default();
        assert_eq!(said, text, "{name}={value:.30}");
    }
    let totals = twin.audit().totals;
    assert_eq!(
        (totals.accepted, totals.refused["3"], totals.refused["23"]),
        (3, 6, 2)
    );
    assert_eq!(
        totals.requests,
        totals.accepted + totals.refused.values().sum::<u64>()
    );
}

#[tokio::test]
async fn an_account_in_bad_standing_or_on_trial_is_told_so() {
    let hook = Hook::start().await;
    for (standing, white_list, wanted) in [
        (VonageStanding::Barred, None, "8"),
        (VonageStanding::OutOfCredit, None, "9"),
        (VonageStanding::NotEnabled, None, "11"),
        (VonageStanding::Good, Some(vec![]), "29"),
        (VonageStanding::Good, Some(vec![PERSON.into()]), "0"),
    ] {
        let mut account = account(&hook);
        (account.standing, account.white_list) = (standing, white_list);
        let twin = twin(account, quick()).await;
        let (_, answer) = post(&twin, &message(&[])).await;
        assert_eq!(statuses(&answer), [wanted]);
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_by_http() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    assert_eq!(get(&twin, "/sms/json").await.0, 405);
    let (status, body) = get(&twin, "/sms/xml").await;
    assert_eq!(status, 404);
    assert!(body["type"].as_str().unwrap().ends_with("#not-found"));
    assert_eq!(twin.audit().totals.requests, 0);
}

#[tokio::test]
async fn a_long_text_can_be_taken_in_part_and_only_that_part_is_reported() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.cut_off_recipients = vec![PERSON.into()];
    let twin = twin(account, quick()).await;
    let long = "a".repeat(307);
    let (_, answer) = post(&twin, &message(&[("text", &long)])).await;
    assert_eq!(answer["message-count"], "3");
    assert_eq!(statuses(&answer), ["0", "1", "1"]);
    assert_eq!(
        answer["messages"][1],
        json!({"status": "1", "error-text": "Throttled"})
    );
    twin.idle().await;
    assert_eq!(all(&hook, "status").len(), 2);
    let totals = twin.audit().totals;
    assert_eq!((totals.accepted, totals.accepted_segments), (1, 1));
    let (_, answer) = post(&twin, &message(&[])).await;
    assert_eq!(statuses(&answer), ["0"], "one part is never cut");
}
