//! What the engine does for providers unlike Twilio, shown by an invented one: bulk requests, refusals within them,
//! repeated ids, receipts per part or in groups, GET callbacks, inbound messages in several callbacks.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::IntoResponse;
use axum::routing::post;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::behaviour::{FaultRates, TwinBehaviour};
use crate::report::Totals;
use crate::settings::{AccountLimits, CountedIn};
use crate::webhook::RetryPolicy;

const PERSON: u64 = 33_199_000_001;
const SENDER: &str = "38100";

/// An invented provider; `GROUPED` tells its two ways to send receipts apart.
#[derive(Debug)]
struct Acme<const GROUPED: bool>;

#[derive(Clone, Debug, Default)]
struct AcmeAccount {
    webhook: String,
    senders: Vec<String>,
    limits: AccountLimits,
}

impl TwinAccount for AcmeAccount {
    fn name(&self) -> &str {
        "acme"
    }
    fn senders(&self) -> &[String] {
        &self.senders
    }
    fn limits(&self) -> &AccountLimits {
        &self.limits
    }
    fn check(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A message of a bulk request: without `to` it is refused alone, with an empty text the whole request is.
#[derive(Deserialize)]
struct Entry {
    to: Option<u64>,
    reference: String,
    text: String,
}

async fn send<const GROUPED: bool>(
    State(engine): State<Arc<Engine<Acme<GROUPED>>>>,
    Json(entries): Json<Vec<Entry>>,
) -> Response {
    let account = engine.accounts.named("acme").unwrap();
    let asked = |entry: &Entry| Asked {
        recipient: entry.to,
        reference: entry.reference.as_str().into(),
        segments: crate::segments::count(&entry.text),
    };
    let asked: Vec<Asked> = entries.iter().map(asked).collect();
    let references: Vec<_> = asked.iter().map(|one| Arc::clone(&one.reference)).collect();
    let decide = |call: &mut Call<'_, Acme<GROUPED>>| {
        if entries.iter().any(|entry| entry.text.is_empty()) {
            call.refuse_all("EMPTY");
            return StatusCode::BAD_REQUEST.into_response();
        }
        let mut answers = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let Some(to) = entry.to else {
                call.refuse(index, "NO_TO");
                answers.push(json!("NO_TO"));
                continue;
            };
            let known = {
                let messages = call.engine.messages();
                let known = messages.find_reference(call.account.number, &references[index]);
                known.and_then(|known| messages.view(known))
            };
            if let Some(known) = known {
                call.repeated(index);
                answers.push(json!(Acme::<GROUPED>::IDS.write(known.number)));
                continue;
            }
            let new = NewMessage {
                to,
                sender: SENDER.into(),
                text: entry.text.clone(),
                segments: crate::segments::count(&entry.text),
                details: (),
                validity: None,
                first: Phase::Queued,
                end: call
                    .is_blocked(to, "")
                    .then_some((Phase::Rejected, "OPTED_OUT")),
                dry: false,
            };
            let taken = call.take(index, new).unwrap();
            answers.push(json!(Acme::<GROUPED>::IDS.write(taken.number)));
        }
        Json(answers).into_response()
    };
    engine.serve(account, asked, decide).await
}

impl<const GROUPED: bool> Provider for Acme<GROUPED> {
    type Account = AcmeAccount;
    type Details = ();
    const IDS: IdForm = IdForm::Base64;
    const KEYWORDS: Keywords = Keywords::PLAIN;
    const RECEIPTS: ReceiptForm = ReceiptForm {
        per_part: !GROUPED,
        grouped_max: if GROUPED { 3 } else { 1 },
        grouped_within: Duration::from_millis(60),
    };
    const SIGNATURES: &'static [&'static str] = &[];
    const FINDS_BY_REFERENCE: bool = true;

    fn routes(engine: Arc<Engine<Self>>) -> Router {
        Router::new()
            .route("/send", post(send::<GROUPED>))
            .with_state(engine)
    }
    fn trouble(&self, _: &Account<AcmeAccount>, _: u32, trouble: Trouble) -> Response {
        match trouble {
            Trouble::Throttled => StatusCode::TOO_MANY_REQUESTS.into_response(),
            Trouble::Error500 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            Trouble::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }
    fn word(phase: Phase) -> &'static str {
        match phase {
            Phase::Accepted | Phase::Queued => "TAKEN",
            Phase::Sent => "SENT",
            Phase::Delivered => "DELIVERED",
            Phase::Undelivered | Phase::Failed | Phase::Expired => "LOST",
            Phase::Rejected => "REJECTED",
        }
    }
    fn codes(phase: Phase) -> &'static [&'static str] {
        match phase {
            Phase::Undelivered => &["ABSENT"],
            _ => &[],
        }
    }
    fn reports(&self, _: &Account<AcmeAccount>, receipt: &Receipt<()>) -> bool {
        receipt.phase.is_final()
    }
    fn receipts(
        &self,
        account: &Account<AcmeAccount>,
        receipts: &[Receipt<()>],
        _: &SignatureVariant,
    ) -> Option<Callback> {
        let told = receipts.iter().map(|receipt| {
            let id = Self::IDS.write(receipt.message.number);
            assert!(id.contains('+') && id.contains('/') && id.contains('='));
            format!(
                "{}.{}.{}",
                receipt.message.reference,
                receipt.part,
                Self::word(receipt.phase)
            )
        });
        let told: Vec<String> = told.collect();
        Some(callback(account, "receipt", &told.join(",")))
    }
    fn inbound(
        &self,
        account: &Account<AcmeAccount>,
        message: &FromPerson<'_, ()>,
        _: &SignatureVariant,
    ) -> Vec<Callback> {
        let parts = message.text.split(' ');
        parts
            .map(|part| callback(account, "inbound", part))
            .collect()
    }
    fn receives_on(&self, _: &Account<AcmeAccount>, address: &str, _: u64) -> Option<String> {
        Some(address.to_owned())
    }
    fn alias((): &()) -> Option<&str> {
        None
    }
    fn keyword_effect(
        &self,
        _: &Account<AcmeAccount>,
        _: &FromPerson<'_, ()>,
        _: Keyword,
    ) -> KeywordEffect {
        KeywordEffect {
            told_apart: false,
            scope: Some(String::new()),
            declared: false,
        }
    }
    fn understands(&self, _: &Answer) -> bool {
        true
    }
}

fn callback(account: &Account<AcmeAccount>, kind: &str, told: &str) -> Callback {
    Callback {
        method: Method::GET,
        url: format!("{}/{kind}?{told}", account.settings.webhook),
        headers: HeaderMap::new(),
        body: String::new(),
        retry_headers: HeaderMap::new(),
        policy: RetryPolicy {
            retries: 3,
            on_connect: true,
            on_timeout: true,
            on_429: true,
            on_4xx: false,
            on_5xx: true,
            attempt_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(10),
            doubling: true,
            wants_a_body: true,
        },
    }
}

/// A webhook that remembers what it was asked, and a twin that calls it.
struct Site {
    calls: Arc<Mutex<Vec<String>>>,
    /// Answers before the usual 200 with a body.
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    twin: RunningTwin,
}

impl Site {
    async fn start<const GROUPED: bool>(limits: AccountLimits, behaviour: TwinBehaviour) -> Self {
        let (calls, answers) = (
            Arc::<Mutex<Vec<_>>>::default(),
            Arc::<Mutex<VecDeque<_>>>::default(),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let webhook = format!("http://{}", listener.local_addr().unwrap());
        let seen = (Arc::clone(&calls), Arc::clone(&answers));
        let called = move |method: Method, OriginalUri(uri): OriginalUri| {
            assert_eq!(method, Method::GET);
            locked(&seen.0).push(uri.to_string());
            let answer = locked(&seen.1).pop_front();
            let (status, body) = answer.unwrap_or((200, "OK"));
            std::future::ready((StatusCode::from_u16(status).unwrap(), body))
        };
        let router = Router::new().fallback(called);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let account = AcmeAccount {
            webhook,
            senders: vec![SENDER.into()],
            limits,
        };
        let settings = TwinSettings {
            accounts: vec![account],
            behaviour: TwinBehaviour {
                receipt_delay: Duration::from_millis(20),
                receipt_jitter: Duration::ZERO,
                callback_retry_pause: Duration::from_millis(5),
                ..behaviour
            },
            ..TwinSettings::default()
        };
        let twin = Engine::start(settings, Acme::<GROUPED>).await.unwrap();
        Self {
            calls,
            answers,
            twin,
        }
    }

    async fn send(&self, entries: &[(Option<u64>, &str, &str)]) -> (u16, Value) {
        let body: Vec<Value> = entries
            .iter()
            .map(|(to, reference, text)| json!({"to": to, "reference": reference, "text": text}))
            .collect();
        let request = reqwest::Client::new()
            .post(format!("{}/send", self.twin.base_url()))
            .header("content-type", "application/json")
            .body(json!(body).to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap();
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    fn calls(&self) -> Vec<String> {
        let mut calls = locked(&self.calls).clone();
        calls.sort();
        calls
    }

    /// The totals, whose parts have to add up.
    fn totals(&self) -> Totals {
        let totals = self.twin.audit().totals;
        let parts = totals.accepted
            + totals.refused.values().sum::<u64>()
            + totals.repeated
            + totals.throttled
            + totals.ambiguous_not_taken;
        assert_eq!(totals.requests, parts, "{totals:?}");
        totals
    }
}

#[tokio::test]
async fn a_bulk_request_is_booked_message_by_message() {
    let site = Site::start::<false>(AccountLimits::default(), TwinBehaviour::default()).await;
    let two = [
        (Some(PERSON), "a", "x"),
        (None, "b", "x"),
        (Some(PERSON + 1), "c", "x"),
    ];
    let (status, first) = site.send(&two).await;
    assert_eq!((status, &first[1]), (200, &json!("NO_TO")));
    let (_, again) = site.send(&[(Some(PERSON), "a", "x")]).await;
    assert_eq!(again[0], first[0], "a known reference is the same message");
    assert_eq!(
        site.send(&[(Some(PERSON), "d", "x"), (Some(PERSON), "e", "")])
            .await
            .0,
        400
    );
    assert_eq!(site.send(&[]).await.0, 200);
    let totals = site.totals();
    assert_eq!((totals.http_requests, totals.requests), (4, 7));
    assert_eq!((totals.accepted, totals.repeated), (2, 1));
    let refused = [
        ("EMPTY".into(), 2),
        ("NO_TO".into(), 1),
        ("undecided".into(), 1),
    ];
    assert_eq!(totals.refused, refused.into());
    assert!(site.twin.audit().doubled.is_empty());
}

#[tokio::test]
async fn a_fault_meets_a_whole_request_and_a_limit_counts_what_it_is_told_to() {
    let limits = AccountLimits {
        per_second: NonZeroU32::new(4),
        counted_in: CountedIn::Messages,
        ..AccountLimits::default()
    };
    let site = Site::start::<false>(limits, TwinBehaviour::default()).await;
    let taken = FaultRates {
        http_500_but_taken: 1.0,
        ..FaultRates::default()
    };
    site.twin
        .behaviour()
        .change(|b| b.fault_rates = taken)
        .unwrap();
    let three = [
        (Some(PERSON), "a", "x"),
        (None, "b", "x"),
        (Some(PERSON), "c", "x"),
    ];
    assert_eq!(site.send(&three).await.0, 500);
    site.twin
        .behaviour()
        .change(|b| b.fault_rates = FaultRates::default())
        .unwrap();
    assert_eq!(site.send(&three).await.0, 429, "3 and 3 are more than 4");
    let totals = site.totals();
    assert_eq!(
        (totals.accepted, totals.ambiguous_taken, totals.throttled),
        (2, 2, 3)
    );
    assert_eq!(totals.refused.get("NO_TO"), Some(&1));
}

#[tokio::test]
async fn each_part_has_its_receipt_and_the_message_is_as_bad_as_its_worst_part() {
    let behaviour = TwinBehaviour {
        undelivered_rate: 0.4,
        ..TwinBehaviour::default()
    };
    let site = Site::start::<false>(AccountLimits::default(), behaviour).await;
    let text = "a".repeat(153 * 3);
    for n in 0..10 {
        let reference = format!("r-{n}");
        site.send(&[(Some(PERSON + n), &reference, &text)]).await;
    }
    site.twin.idle().await;
    let calls = site.calls();
    assert_eq!(calls.len(), 30);
    for entry in site.twin.audit().entries {
        let parts = |word: &str| {
            let mine = format!("?{}.", entry.reference);
            calls
                .iter()
                .filter(|call| call.contains(&mine) && call.ends_with(word))
                .count()
        };
        let wanted = if parts(".DELIVERED") == 3 {
            "DELIVERED"
        } else {
            "LOST"
        };
        assert_eq!(parts(".DELIVERED") + parts(".LOST"), 3);
        assert_eq!(entry.status.as_deref(), Some(wanted));
        assert_eq!(
            entry.error_code.as_deref(),
            (wanted == "LOST").then_some("ABSENT")
        );
    }
    let totals = site.totals();
    assert!(calls.iter().any(|call| call.ends_with(".LOST")));
    assert_eq!(totals.statuses.values().sum::<u64>(), totals.accepted);
}

#[tokio::test]
async fn reports_of_a_short_time_share_a_callback_up_to_the_providers_limit() {
    let site = Site::start::<true>(AccountLimits::default(), TwinBehaviour::default()).await;
    let four = ["a", "b", "c", "d"].map(|reference| (Some(PERSON), reference, "x"));
    site.send(&four).await;
    site.twin.idle().await;
    let calls = site.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    let reports: usize = calls.iter().map(|call| call.split(',').count()).sum();
    assert_eq!((reports, site.totals().callbacks.ok), (4, 4));
}

#[tokio::test]
async fn a_callback_is_repeated_as_its_policy_says() {
    let site = Site::start::<false>(AccountLimits::default(), TwinBehaviour::default()).await;
    locked(&site.answers).extend([(503, ""), (429, ""), (200, "")]);
    site.send(&[(Some(PERSON), "a", "x")]).await;
    site.twin.idle().await;
    let callbacks = site.totals().callbacks;
    assert_eq!((callbacks.ok, callbacks.retries), (1, 3));
    locked(&site.answers).extend([(404, "no")]);
    site.send(&[(Some(PERSON), "b", "x")]).await;
    site.twin.idle().await;
    assert_eq!(site.totals().callbacks.failed.get("404"), Some(&1));
}

#[tokio::test]
async fn a_long_reply_comes_in_parts_that_may_be_out_of_order_and_twice() {
    let site = Site::start::<false>(AccountLimits::default(), TwinBehaviour::default()).await;
    let person = format!("+{PERSON}");
    site.twin
        .send_inbound(&person, SENDER, "one two")
        .await
        .unwrap();
    let behaviour = site.twin.behaviour();
    behaviour
        .change(|b| (b.reorder_rate, b.duplicate_receipt_rate) = (1.0, 1.0))
        .unwrap();
    site.twin
        .send_inbound(&person, SENDER, "three four")
        .await
        .unwrap();
    let calls = locked(&site.calls).clone();
    let wanted = ["one", "two", "four", "four", "three", "three"];
    assert_eq!(calls, wanted.map(|part| format!("/inbound?{part}")));
    let posts = site.totals().inbound.posts;
    assert_eq!((posts.ok, posts.duplicated), (6, 2));
}

#[tokio::test]
async fn an_opt_out_can_be_told_by_the_receipt_alone() {
    let site = Site::start::<false>(AccountLimits::default(), TwinBehaviour::default()).await;
    let person = format!("+{PERSON}");
    site.twin
        .send_inbound(&person, SENDER, "Stop")
        .await
        .unwrap();
    assert_eq!(site.send(&[(Some(PERSON), "a", "x")]).await.0, 200);
    site.twin.idle().await;
    let audit = site.twin.audit();
    assert_eq!(audit.entries[0].status.as_deref(), Some("REJECTED"));
    assert_eq!(audit.entries[0].phase.as_deref(), Some("rejected"));
    assert_eq!(audit.entries[0].error_code.as_deref(), Some("OPTED_OUT"));
    assert_eq!(audit.totals.requests_after_stop, 1);
    site.twin
        .send_inbound(&person, SENDER, "start")
        .await
        .unwrap();
    site.send(&[(Some(PERSON), "b", "x")]).await;
    site.twin.idle().await;
    assert_eq!(
        site.twin.audit().entries[1].status.as_deref(),
        Some("DELIVERED")
    );
}
