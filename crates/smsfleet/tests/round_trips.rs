//! Every provider's module against its twin, which was written from the same page a second time: what
//! one builds the other takes, and what that answers the first reads. Texts, numbers and the size of
//! requests are left to chance.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use message::{Connection, ConnectionId, Msisdn, OrganizationId, Timestamp};
use proptest::{
    collection::vec,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use provider_sim::{
    AccountLimits, TwinBehaviour,
    customers::{Connected, Customer, connect},
};
use providers::{
    MtMessage, PROVIDERS, Provider, Submission, SubmitClass, SubmitMode, check_message,
};

const PUBLIC_URL: &str = "http://127.0.0.1:9";
/// Requests for each provider.
const ROUNDS: usize = 30;

async fn connected(slug: &str) -> (Connected, Connection) {
    let customer = Customer {
        organization: "ORG_1".to_owned(),
        ingress_url: PUBLIC_URL.to_owned(),
        secret: "5c52259b6d382c7f3c1f06999bb495dd".to_owned(),
        limits: AccountLimits::default(),
    };
    // No receipt is due while the test runs: nobody listens for them.
    let behaviour = TwinBehaviour {
        receipt_delay: Duration::from_secs(3_600),
        ..TwinBehaviour::default()
    };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let connected = connect(slug, listen, &customer, behaviour)
        .await
        .expect("the twin starts");
    let form = &connected.connection;
    let values: BTreeMap<_, _> = form.fields.clone().into_iter().collect();
    let provider = providers::provider(slug).expect("a provider");
    let filled = provider
        .form()
        .fill(&form.sender, &values)
        .expect("a form without faults");
    let connection = Connection {
        id: ConnectionId::new("c1").expect("valid"),
        organization_id: OrganizationId::new("ORG_1").expect("valid"),
        provider: slug.to_owned(),
        name: "twin".to_owned(),
        sender: filled.sender,
        fields: filled.fields,
        secrets: filled.secrets,
        segments_per_second: 1e6,
        created_at: now(),
        deleted_at: None,
    };
    (connected, connection)
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

async fn exchange(
    client: &reqwest::Client,
    request: http::Request<Bytes>,
) -> http::Response<Bytes> {
    let request = reqwest::Request::try_from(request).expect("a URL");
    let answer = client.execute(request).await.expect("the twin answers");
    let mut response = http::Response::builder().status(answer.status());
    *response.headers_mut().expect("a status") = answer.headers().clone();
    response
        .body(answer.bytes().await.expect("a body"))
        .expect("a response")
}

/// Texts of every kind: GSM-7, accents, quotes, signs that mean something in forms and JSON, scripts,
/// emoji; and 1 to `most` of them.
fn texts(most: usize) -> impl Strategy<Value = Vec<String>> {
    let text = proptest::prop_oneof![
        "[ -~]{1,180}",
        "[a-zA-Zéèüñ€ ,.!?]{1,80}",
        r#"[&=+%$#{}\[\]"'\\/<>_ ]{1,40}"#,
        "[αβγ你好한글 👍🎉]{1,60}",
        "\\PC{1,70}",
    ];
    let shown = text.prop_filter("shows something", |text: &String| !text.trim().is_empty());
    vec(shown, 1..=most)
}

#[tokio::test]
async fn what_a_provider_builds_its_twin_takes_and_its_answer_is_read_as_that() {
    for provider in PROVIDERS {
        round_trips(*provider).await;
    }
}

async fn round_trips(provider: &'static dyn Provider) {
    let slug = provider.slug();
    let (connected, connection) = connected(slug).await;
    let client = reqwest::Client::new();
    let token = match provider.access_tokens() {
        None => None,
        Some(tokens) => {
            let request = tokens.build_request(&connection).expect("a token request");
            Some(
                tokens
                    .read_response(&exchange(&client, request).await)
                    .expect("a token")
                    .token,
            )
        }
    };
    let most = provider.messages_per_request(&connection).min(20);
    let mut runner = TestRunner::deterministic();
    let (mut number, mut accepted) = (0_u64, BTreeMap::new());
    for _ in 0..ROUNDS {
        let texts = texts(most).new_tree(&mut runner).expect("texts").current();
        let texts: Vec<_> = texts
            .iter()
            .map(|text| message::segments::nfc(text).into_owned())
            .collect();
        let named: Vec<_> = texts
            .iter()
            .map(|text| {
                number += 1;
                let to = Msisdn::from_u64(61_491_570_000 + number % 1_000).expect("11 digits");
                (format!("3w5e11264sgsf-{number}"), to, text)
            })
            .collect();
        let messages: Vec<_> = named
            .iter()
            .map(|(reference, to, text)| MtMessage {
                reference,
                to: *to,
                text,
                validity: Duration::from_secs(7_200),
            })
            .filter(|message| check_message(provider, &connection, message).is_ok())
            .collect();
        if messages.is_empty() {
            continue;
        }
        let mode = SubmitMode::of(messages.len());
        let submission = Submission {
            messages: &messages,
            mode,
            public_url: PUBLIC_URL,
            access_token: token.as_ref().map(|token| token.reveal()),
            now: now(),
        };
        let request = provider
            .build_request(&connection, &submission)
            .expect("a request");
        let answer = provider.read_response(&messages, mode, &exchange(&client, request).await);
        for (message, outcome) in messages.iter().zip(&answer.outcomes) {
            assert_eq!(
                outcome.class,
                SubmitClass::Accepted,
                "{slug}: {outcome:?} for {:?}",
                message.text
            );
            accepted.insert(message.reference.to_owned(), message.to.e164());
        }
    }
    let audit = connected.twin.audit();
    let taken: BTreeMap<_, _> = audit
        .entries
        .iter()
        .filter(|entry| entry.accepted == 1)
        .map(|entry| (entry.reference.clone(), entry.recipient.clone()))
        .collect();
    assert_eq!(taken, accepted, "{slug}: who was texted under which name");
    assert!(
        accepted.len() >= ROUNDS / 2,
        "{slug}: {} messages prove little",
        accepted.len()
    );
    connected.twin.stop().await;
}
