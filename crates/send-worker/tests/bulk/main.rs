//! Requests that carry many messages, and what the worker does when one of them spoils the rest, a
//! token is over, or nobody knows whether they were taken.

#[path = "../world/mod.rs"]
#[expect(dead_code, reason = "the other suite uses the rest")]
mod world;

mod scripted;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use message::{
    MessageState,
    opt_out::{OptOutChange, OptOutKind, OptOutSource},
};
use scripted::{Asked, Told, world};
use serde_json::{Value, json};
use world::{World, now, number};

type Seen = Arc<Mutex<BTreeMap<String, u32>>>;

/// Counts whom a provider took how often.
fn take(seen: &Seen, reference: &str) {
    *seen
        .lock()
        .expect("no panic")
        .entry(reference.to_owned())
        .or_default() += 1;
}

fn all_once(seen: &Seen, messages: usize) {
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.len(), messages, "{seen:?}");
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
}

fn json_answer(status: u16, body: &Value) -> Told {
    let kind = ("content-type", "application/json".to_owned());
    (status, vec![kind], body.to_string())
}

/// MessageMedia: refuses the whole request for the numbers that end in `bad`, and names them or not.
async fn messagemedia(
    names: bool,
    bad: &'static [&'static str],
    seen: Seen,
    requests: Seen,
) -> World {
    let fields = [("username", "key"), ("password", "secret")];
    world("messagemedia", "+61491570110", &fields, &["base_url"], move |asked: Asked| {
        let body = asked.json();
        let messages = body["messages"].as_array().expect("messages");
        take(&requests, &messages.len().to_string());
        let culprits: Vec<usize> = (0..messages.len())
            .filter(|index| {
                let to = messages[*index]["destination_number"].as_str().expect("a number");
                bad.iter().any(|bad| to.ends_with(bad))
            })
            .collect();
        if !culprits.is_empty() {
            let details: Vec<String> = culprits
                .iter()
                .map(|index| format!("/messages/{index}/destination_number: International address contains invalid characters."))
                .collect();
            let body = if names {
                json!({ "message": "Request failed to parse correctly.", "details": details })
            } else {
                json!({ "message": "Failed to parse message body." })
            };
            return json_answer(400, &body);
        }
        let echoed: Vec<Value> = messages
            .iter()
            .map(|message| {
                let reference = message["metadata"]["ref"].as_str().expect("our reference");
                take(&seen, reference);
                let mut echoed = message.clone();
                echoed["message_id"] = format!("id-{reference}").into();
                echoed["status"] = "queued".into();
                echoed
            })
            .collect();
        json_answer(202, &json!({ "messages": echoed }))
    })
    .await
}

#[tokio::test]
async fn messages_that_are_named_as_culprits_are_rejected_and_the_others_go_once() {
    let (seen, requests) = (Seen::default(), Seen::default());
    let mut world =
        messagemedia(true, &["003", "017", "042"], seen.clone(), requests.clone()).await;
    let batch = world.enqueue("d1", 100, 100).await;
    world.start();
    world.until_in(batch, MessageState::Accepted, 97).await;
    world.until_in(batch, MessageState::Rejected, 3).await;
    world.drain().await;
    all_once(&seen, 97);
    assert_eq!(
        *requests.lock().expect("no panic"),
        BTreeMap::from([("100".into(), 1), ("97".into(), 1)])
    );
    let rows = world.ledger.rows(batch, 0, 100).await.expect("embedded");
    assert_eq!(rows[3].state, MessageState::Rejected);
    assert_eq!(
        rows[4].provider_message_id,
        format!("id-{}", reference(batch, 4))
    );
    assert_eq!(rows[4].attempt, 1, "a resubmission is no attempt");
}

fn reference(batch: message::BatchKey, row: u32) -> String {
    message::Reference { batch, row }.to_string()
}

#[tokio::test]
async fn a_culprit_that_nobody_names_is_found_by_halving_and_no_other_message_goes_twice() {
    let (seen, requests) = (Seen::default(), Seen::default());
    let mut world = messagemedia(false, &["003", "077"], seen.clone(), requests.clone()).await;
    let batch = world.enqueue("d1", 100, 100).await;
    world.start();
    world.until_in(batch, MessageState::Accepted, 98).await;
    world.until_in(batch, MessageState::Rejected, 2).await;
    world.drain().await;
    all_once(&seen, 98);
    let asked: u32 = requests.lock().expect("no panic").values().sum();
    assert!(
        asked <= 2 * 2 * 7 + 1,
        "{asked} requests for two culprits among 100"
    );
}

/// Infobip: takes what it has not seen, and says 23 to what it has.
fn infobip_answer(asked: &Asked, seen: &Seen) -> Told {
    let body = asked.json();
    let entries: Vec<Value> = body["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| {
            let id = message["destinations"][0]["messageId"].as_str().expect("an id");
            let known = seen.lock().expect("no panic").contains_key(id);
            let status = if known {
                json!({ "groupId": 5, "groupName": "REJECTED", "id": 23, "name": "REJECTED_DUPLICATE_MESSAGE_ID" })
            } else {
                take(seen, id);
                json!({ "groupId": 1, "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED" })
            };
            json!({ "messageId": id, "status": status, "destination": message["destinations"][0]["to"] })
        })
        .collect();
    json_answer(200, &json!({ "messages": entries }))
}

const INFOBIP: [(&str, &str); 4] = [
    ("api_key", "key"),
    ("base_url", "xk3n9q.api.infobip.com"),
    ("webhook_username", "hook"),
    ("webhook_password", "secret"),
];

#[tokio::test]
async fn a_doubt_is_settled_by_repeating_where_the_provider_recognises_what_it_has() {
    let seen = Seen::default();
    let (inside, mut asked_before) = (seen.clone(), 0);
    let mut world = world(
        "infobip-sms",
        "447491163443",
        &INFOBIP,
        &["test_base_url"],
        move |asked| {
            asked_before += 1;
            let told = infobip_answer(&asked, &inside);
            // Taken, but nobody hears of it.
            if asked_before == 1 {
                (502, Vec::new(), String::new())
            } else {
                told
            }
        },
    )
    .await;
    let batch = world.enqueue("d1", 20, 20).await;
    world.start();
    world.until_in(batch, MessageState::Accepted, 20).await;
    world.drain().await;
    all_once(&seen, 20);
}

#[tokio::test]
async fn a_doubt_stays_one_where_the_worker_has_to_stop_before_it_is_settled() {
    let mut world = world(
        "infobip-sms",
        "447491163443",
        &INFOBIP,
        &["test_base_url"],
        |_| (502, Vec::new(), String::new()),
    )
    .await;
    let batch = world.enqueue("d1", 5, 5).await;
    world.start();
    world
        .until(batch, |counts| counts.of(MessageState::Sending) == 5)
        .await;
    world.drain().await;
    world.until_in(batch, MessageState::InDoubt, 5).await;
}

#[tokio::test]
async fn a_doubt_that_a_dead_worker_left_is_settled_by_the_next_one_the_same_way() {
    let seen = Seen::default();
    let inside = seen.clone();
    let mut world = world(
        "infobip-sms",
        "447491163443",
        &INFOBIP,
        &["test_base_url"],
        move |asked| infobip_answer(&asked, &inside),
    )
    .await;
    let (batch, chunks) = world.batch("d1", 3, 3).await;
    // What a worker leaves that dies between its claim and its settle: of three messages, one was taken.
    take(&seen, &reference(batch, 1));
    let claim = ledger::ClaimRequest {
        organization_id: world.organization.clone(),
        batch,
        token: 1,
        attempt: 1,
        connection_id: world.connection.id.clone(),
        sender: world.connection.sender.key(),
        now: now(),
        interrupted_after_millis: 60_000,
        redelivered: false,
        exempt_from_opt_out: false,
        rows: chunks[0].rows.iter().map(|row| (row.row, row.to)).collect(),
    };
    world.ledger.claim(&claim).await.expect("embedded");
    world.publish(&chunks).await;
    let queue = world.queue(&chunks[0]).name();
    let mut dead = world.bus.consume(&queue, 1).await.expect("embedded");
    drop(dead.next().await.expect("the chunk"));
    drop(dead);
    world.start();
    world.until_in(batch, MessageState::Accepted, 3).await;
    world.drain().await;
    all_once(&seen, 3);
}

#[tokio::test]
async fn nobody_who_opted_out_after_the_first_try_is_asked_about_again() {
    let seen = Seen::default();
    let (inside, asked) = (seen.clone(), Arc::new(Mutex::new(Vec::<usize>::new())));
    let counts = asked.clone();
    let mut world = world(
        "infobip-sms",
        "447491163443",
        &INFOBIP,
        &["test_base_url"],
        move |asked| {
            let messages = asked.json()["messages"].as_array().expect("messages").len();
            let mut counts = counts.lock().expect("no panic");
            counts.push(messages);
            // The first try is lost on its way: nothing was taken.
            if counts.len() == 1 {
                (504, Vec::new(), String::new())
            } else {
                infobip_answer(&asked, &inside)
            }
        },
    )
    .await;
    let batch = world.enqueue("d1", 4, 4).await;
    world.start();
    for _ in 0..500 {
        if !asked.lock().expect("no panic").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stop = OptOutChange {
        organization_id: world.organization.clone(),
        number: number(2),
        kind: OptOutKind::OptOut,
        at: now(),
        source: OptOutSource::Keyword,
        sender: None,
        connection_id: None,
        evidence: String::new(),
    };
    assert!(world.ledger.change_opt_out(&stop).await.expect("embedded"));
    world.until_in(batch, MessageState::Accepted, 3).await;
    world.until_in(batch, MessageState::InDoubt, 1).await;
    world.drain().await;
    assert_eq!(*asked.lock().expect("no panic"), [4, 3]);
    assert_eq!(seen.lock().expect("no panic").len(), 3);
}

const SINCH: [(&str, &str); 6] = [
    ("client_id", "client"),
    ("client_secret", "secret"),
    ("region", "eu"),
    ("project_id", "project-1"),
    ("app_id", "app-1"),
    ("webhook_secret", "hook"),
];
const SINCH_HOSTS: [&str; 3] = ["base_url", "batch_base_url", "auth_base_url"];

/// Sinch: tokens are numbered, and only those from `valid_from` on open the door.
fn sinch(
    valid_from: Arc<Mutex<u32>>,
    tokens: Arc<Mutex<u32>>,
    seen: Seen,
) -> impl FnMut(Asked) -> Told + Send + 'static {
    move |asked| {
        if asked.path == "/oauth2/token" {
            let mut tokens = tokens.lock().expect("no panic");
            *tokens += 1;
            return json_answer(
                200,
                &json!({ "access_token": format!("t{tokens}"), "expires_in": 3600, "token_type": "bearer" }),
            );
        }
        let token = asked.headers["authorization"].to_str().expect("text");
        let token: u32 = token
            .trim_start_matches("Bearer t")
            .parse()
            .expect("a number");
        if token < *valid_from.lock().expect("no panic") {
            let expired =
                r#"Bearer error="invalid_token", error_description="Jwt expired at 2025-01-01""#;
            return (
                401,
                vec![("www-authenticate", expired.to_owned())],
                String::new(),
            );
        }
        let body = asked.json();
        if let Some(recipients) = body["recipient_and_params"].as_array() {
            for one in recipients {
                take(
                    &seen,
                    one["message_metadata"]["ref"]
                        .as_str()
                        .expect("our reference"),
                );
            }
            return json_answer(
                200,
                &json!({ "batch_id": "01B", "send_after": "2025-03-04T09:15:00Z" }),
            );
        }
        let reference = body["message_metadata"].as_str().expect("our reference");
        take(&seen, reference);
        json_answer(200, &json!({ "message_id": format!("id-{reference}") }))
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_for_everybody_and_renewed_once_when_it_is_over() {
    let (valid_from, tokens, seen) = (
        Arc::new(Mutex::new(1)),
        Arc::new(Mutex::new(0)),
        Seen::default(),
    );
    let script = sinch(valid_from.clone(), tokens.clone(), seen.clone());
    let mut world = world("sinch", "35312345678", &SINCH, &SINCH_HOSTS, script).await;
    world.start();
    let first = world.enqueue("d1", 200, 50).await;
    world.until_in(first, MessageState::Accepted, 200).await;
    assert_eq!(
        *tokens.lock().expect("no panic"),
        1,
        "200 requests, one token"
    );
    *valid_from.lock().expect("no panic") = 2;
    let second = world.enqueue("d2", 200, 50).await;
    world.until_in(second, MessageState::Accepted, 200).await;
    world.drain().await;
    assert_eq!(
        *tokens.lock().expect("no panic"),
        2,
        "renewed once, not once a request"
    );
    all_once(&seen, 400);
}

#[tokio::test]
async fn a_renewed_token_that_is_refused_as_well_is_the_accounts_fault_and_nothing_is_lost() {
    let (valid_from, tokens, seen) = (
        Arc::new(Mutex::new(u32::MAX)),
        Arc::new(Mutex::new(0)),
        Seen::default(),
    );
    let script = sinch(valid_from.clone(), tokens.clone(), seen.clone());
    let mut world = world("sinch", "35312345678", &SINCH, &SINCH_HOSTS, script).await;
    let batch = world.enqueue("d1", 1, 1).await;
    world.start();
    world
        .until(batch, |counts| {
            counts.of(MessageState::Queued) == 1 && *tokens.lock().expect("no panic") >= 2
        })
        .await;
    world.drain().await;
    assert!(seen.lock().expect("no panic").is_empty());
    let rows = world.ledger.rows(batch, 0, 1).await.expect("embedded");
    assert_eq!((rows[0].state, rows[0].attempt), (MessageState::Queued, 0));
}

#[tokio::test]
async fn texts_that_a_batch_would_garble_travel_alone_beside_it() {
    let (valid_from, tokens, seen) = (
        Arc::new(Mutex::new(1)),
        Arc::new(Mutex::new(0)),
        Seen::default(),
    );
    let mut batches = 0;
    let mut inner = sinch(valid_from, tokens, seen.clone());
    let (singles, in_batches) = (Seen::default(), Seen::default());
    let (inside_singles, inside_batches) = (singles.clone(), in_batches.clone());
    let script = move |asked: Asked| {
        if asked.path.ends_with("messages:send") {
            take(
                &inside_singles,
                asked.json()["message_metadata"]
                    .as_str()
                    .expect("our reference"),
            );
        } else if asked.path.ends_with("/messages") {
            batches += 1;
            let recipients = asked.json()["recipient_and_params"]
                .as_array()
                .map_or(0, Vec::len);
            take(&inside_batches, &format!("{batches}: {recipients}"));
        }
        inner(asked)
    };
    let fields: Vec<_> = SINCH.into_iter().chain([("mode", "batch")]).collect();
    let mut world = world("sinch", "35312345678", &fields, &SINCH_HOSTS, script).await;
    let (batch, mut chunks) = world.batch("d1", 10, 10).await;
    for chunk in &mut chunks {
        chunk.text = "Hi {{name|you}}".to_owned();
        let row = &mut chunk.rows[4];
        row.fields.insert("name", "${t}");
    }
    world.publish(&chunks).await;
    world.start();
    world.until_in(batch, MessageState::Accepted, 10).await;
    world.drain().await;
    all_once(&seen, 10);
    assert_eq!(
        *singles.lock().expect("no panic"),
        BTreeMap::from([(reference(batch, 4), 1)])
    );
    assert_eq!(
        *in_batches.lock().expect("no panic"),
        BTreeMap::from([("1: 9".to_owned(), 1)])
    );
}

#[tokio::test]
async fn one_request_of_link_mobility_carries_a_whole_chunk() {
    let seen = Seen::default();
    let inside = seen.clone();
    let fields = [
        ("username", "acme"),
        ("password", "secret"),
        ("platform_id", "COMMON_API"),
        ("platform_partner_id", "30978"),
        ("endpoint_host", "wsx.sp247.net"),
        ("gate_id", "BVldZyQt"),
    ];
    let mut world = world("link-mobility", "+35312345678", &fields, &["base_url"], move |asked| {
        let body = asked.json();
        let messages = body["sendRequestMessages"].as_array().expect("the batch form");
        let entries: Vec<Value> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| {
                let reference = message["refId"].as_str().expect("our reference");
                take(&inside, reference);
                // One in ten is throttled inside the 200 at first, and surely not taken.
                let again = *inside.lock().expect("no panic").get(reference).unwrap_or(&0) > 1;
                let code = if index % 10 == 0 && !again { 3 } else { 1005 };
                json!({ "messageId": format!("id+{reference}="), "refId": reference, "resultCode": code, "message": "" })
            })
            .collect();
        json_answer(200, &Value::from(entries))
    })
    .await;
    world.settings.throttled_rest = Duration::from_millis(50);
    let batch = world.enqueue("d1", 250, 250).await;
    world.start();
    // Those wait at hand and go again, without a way through the broker and without an attempt.
    world.until_in(batch, MessageState::Accepted, 250).await;
    world.drain().await;
    let rows = world.ledger.rows(batch, 0, 250).await.expect("embedded");
    assert!(rows.iter().all(|row| row.attempt == 1));
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.values().filter(|times| **times == 2).count(), 25);
    assert_eq!(seen.values().filter(|times| **times == 1).count(), 225);
}
