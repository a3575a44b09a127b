//! Parts of inbound messages, alone and through the whole router. The provider is Twilio by name only:
//! what is read from a wire is its module's own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backing::{callbacks::Taken, patience::Patience};
use bus::{EmbeddedBus, Outgoing};
use ledger::{
    BatchRecord, ClaimRequest, EmbeddedLedger, Ledger, NewRow, SettleOutcome, SettleRequest,
    SettleRow,
};
use message::{
    BatchId, BatchKey, Class, Connection, ConnectionId, DistributionId, DoubtPolicy, MessageState,
    Msisdn, Reference, Sender,
    callback::Callback,
    event::{Keyword, ReplyEvent},
    opt_out::{OptOutKind, OptOutSource},
};
use providers::{InboundPart as Part, OptOutScope, ProviderOptOut};
use runtime::{CancellationToken, Config, Metrics};

use super::*;
use crate::{ReplyMetrics, inbound::Handled, standing::Turns};

const ANA: &str = "+353861234567";
const SENDER: &str = "+13531234567";

fn organization() -> OrganizationId {
    OrganizationId::new("ORG_1").expect("valid")
}

fn connection_id() -> ConnectionId {
    ConnectionId::new("C_1").expect("valid")
}

fn ana() -> Msisdn {
    Msisdn::parse(ANA).expect("valid")
}

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

/// A router's process over a ledger that it shares with others.
fn router(ledger: &Arc<EmbeddedLedger>) -> Groups {
    let config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
    let metrics = ReplyMetrics::new(&Metrics::new());
    Groups {
        settings: config.section("reply_router").expect("the defaults fit"),
        bus: EmbeddedBus::new(),
        ledger: ledger.clone(),
        patience: Patience {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(1),
            stop: CancellationToken::new(),
            waits: metrics.waits.clone(),
        },
        metrics,
        turns: Turns::new(),
    }
}

/// A ledger that knows the connection.
async fn ledger() -> Arc<EmbeddedLedger> {
    let ledger = EmbeddedLedger::new();
    let connection = Connection {
        id: connection_id(),
        organization_id: organization(),
        provider: "twilio-sms".into(),
        name: "ours".into(),
        sender: Sender::Number(Msisdn::parse(SENDER).expect("valid")),
        fields: BTreeMap::new(),
        secrets: BTreeMap::new(),
        segments_per_second: 10.0,
        created_at: Timestamp::from_millis(1),
        deleted_at: None,
    };
    ledger.add_connection(&connection).await.expect("embedded");
    ledger
}

/// [`ANA`] gets a message of this mailing from [`SENDER`].
async fn text(ledger: &EmbeddedLedger, mailing: &str) -> Reference {
    let batch_id = BatchId::new(mailing).expect("valid");
    let batch = BatchKey::of(&organization(), &batch_id);
    let record = BatchRecord {
        key: batch,
        organization_id: organization(),
        distribution_id: DistributionId::new(mailing).expect("valid"),
        batch_id,
        digest: "0".repeat(64),
        connection_id: connection_id(),
        class: Class::Bulk,
        recipients: 1,
        on_doubt: DoubtPolicy::Hold,
        expires_at: now().plus(Duration::from_secs(3600)),
        created_at: now(),
        published: false,
    };
    ledger.register_batch(&record).await.expect("embedded");
    let row = NewRow {
        row: 0,
        to: Some(ana().masked()),
        invalid: None,
    };
    ledger.write_rows(batch, &[row]).await.expect("embedded");
    let claim = ClaimRequest {
        organization_id: organization(),
        batch,
        token: 7,
        attempt: 1,
        connection_id: connection_id(),
        sender: SENDER.into(),
        now: now(),
        interrupted_after_millis: 60_000,
        redelivered: false,
        exempt_from_opt_out: false,
        rows: vec![(0, ana())],
    };
    ledger.claim(&claim).await.expect("embedded");
    let row = SettleRow {
        row: 0,
        to: ana(),
        outcome: SettleOutcome::State(MessageState::Accepted),
        code: String::new(),
        provider_message_id: "id".into(),
        parts: 1,
        part_ids: Vec::new(),
    };
    let settle = SettleRequest {
        batch,
        token: 7,
        now: now(),
        connection_id: connection_id(),
        sender: (organization(), SENDER.into()),
        index_ids: true,
        rows: vec![row],
    };
    ledger.settle(&settle).await.expect("embedded");
    Reference { batch, row: 0 }
}

/// A callback that has been parked so often; what it says is not read from it here.
fn taken(parked: u8) -> Taken {
    Taken {
        callback: Callback {
            organization_id: organization(),
            connection_id: connection_id(),
            provider: "twilio-sms".into(),
            received_at: now(),
            method: "POST".into(),
            target: "/".into(),
            content_type: String::new(),
            body: Vec::new(),
            pending: Vec::new(),
        },
        parked,
        forwarded: false,
    }
}

fn inbound(id: &str, text: &str) -> Inbound {
    Inbound {
        provider_message_id: id.into(),
        from: ANA.into(),
        to: None,
        service: None,
        text: text.into(),
        parts: 1,
        part: None,
        media: 0,
        answers: None,
        received_at: None,
        provider_verdict: None,
    }
}

fn part(number: u8, total: u8, text: &str) -> Inbound {
    Inbound {
        part: Some(Part {
            reference: "4".into(),
            number,
            total,
        }),
        ..inbound(&format!("id-{number}"), text)
    }
}

async fn hear(router: &Groups, parked: u8, inbound: &Inbound) -> Handled {
    let twilio = providers::provider("twilio-sms").expect("known");
    let handled = router
        .inbound(&taken(parked), twilio, inbound.clone())
        .await;
    handled.expect("nothing is away")
}

/// What the group does once everything is published.
async fn remember(ledger: &EmbeddedLedger, handled: &Handled) {
    for (owner, name) in &handled.seen {
        let marked = ledger.mark_seen(owner, name, Duration::from_secs(60)).await;
        marked.expect("embedded");
    }
}

fn replies(out: &[Outgoing]) -> Vec<ReplyEvent> {
    let replies = out
        .iter()
        .filter(|one| one.message_id.starts_with("reply:"));
    let read = |one: &Outgoing| serde_json::from_slice(&one.body).expect("a reply");
    replies.map(read).collect()
}

#[tokio::test]
async fn parts_in_any_order_over_two_processes_are_one_reply() {
    let orders = [
        [1, 2, 3],
        [1, 3, 2],
        [2, 1, 3],
        [2, 3, 1],
        [3, 1, 2],
        [3, 2, 1],
    ];
    for order in orders {
        let ledger = ledger().await;
        text(&ledger, "d-1").await;
        let routers = [router(&ledger), router(&ledger)];
        let mut told = Vec::new();
        for (at, number) in order.into_iter().enumerate() {
            let part = part(
                number,
                3,
                ["Bonjour ", "à ", "tous"][usize::from(number) - 1],
            );
            // Now and then the provider repeats one at once.
            for router in &routers[..1 + at % 2] {
                let handled = hear(router, 0, &part).await;
                assert_eq!(handled.parked.is_some(), at < 2, "{order:?}");
                told.extend(replies(&handled.out));
                remember(&ledger, &handled).await;
            }
        }
        // Each of them comes back from its wait, and finds it told.
        for number in order {
            let handled = hear(&routers[0], 1, &part(number, 3, "x")).await;
            assert!(handled.out.is_empty() && handled.parked.is_none());
        }
        let [reply] = &told[..] else {
            panic!("{order:?}: {} replies", told.len())
        };
        assert_eq!(reply.text, "Bonjour à tous");
        assert_eq!(reply.event_id, "reply:twilio-sms:id-1");
        assert_eq!((reply.parts, reply.incomplete), (3, false));
        assert_eq!(reply.to, SENDER, "the provider did not say");
        assert!(reply.in_reply_to.is_some());
    }
}

#[tokio::test]
async fn two_processes_at_once_tell_a_message_once() {
    for _ in 0..50 {
        let ledger = ledger().await;
        text(&ledger, "d-1").await;
        let (one, other) = (router(&ledger), router(&ledger));
        let (first, second) = (part(1, 2, "a"), part(2, 2, "b"));
        let (a, b) = tokio::join!(hear(&one, 0, &first), hear(&other, 0, &second));
        let told = replies(&[a.out, b.out].concat());
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].text, "ab");
    }
}

#[tokio::test]
async fn a_process_that_died_before_telling_is_followed_by_one_that_tells_the_same() {
    let ledger = ledger().await;
    text(&ledger, "d-1").await;
    hear(&router(&ledger), 0, &part(2, 2, "b")).await;
    let died = hear(&router(&ledger), 0, &part(1, 2, "a")).await;
    let again = hear(&router(&ledger), 0, &part(1, 2, "a")).await;
    let told = |handled: &Handled| {
        let replies = replies(&handled.out).into_iter();
        replies
            .map(|reply| (reply.event_id, reply.text))
            .collect::<Vec<_>>()
    };
    let expected = [("reply:twilio-sms:id-1".to_owned(), "ab".to_owned())];
    assert_eq!(told(&died), expected);
    assert_eq!(told(&again), expected);
}

#[tokio::test]
async fn what_never_becomes_whole_is_told_with_its_gaps_and_a_straggler_by_itself() {
    let ledger = ledger().await;
    text(&ledger, "d-1").await;
    let router = router(&ledger);
    for number in [3, 1] {
        let handled = hear(&router, 0, &part(number, 4, "x")).await;
        assert_eq!(handled.parked, Some(WAIT));
    }
    let first = hear(&router, 1, &part(3, 4, "x")).await;
    assert!(
        first.out.is_empty() && first.parked.is_none(),
        "the other came later"
    );
    let last = hear(&router, 1, &part(1, 4, "x")).await;
    let [reply] = &replies(&last.out)[..] else {
        panic!("one reply")
    };
    assert_eq!(reply.text, "x…x…");
    assert_eq!((reply.parts, reply.incomplete), (2, true));
    remember(&ledger, &last).await;

    let straggler = hear(&router, 0, &part(2, 4, "late")).await;
    let [reply] = &replies(&straggler.out)[..] else {
        panic!("one reply")
    };
    assert_eq!(reply.text, "…late…");
    assert_eq!(reply.event_id, "reply:twilio-sms:id-2");
}

#[tokio::test]
async fn a_keyword_counts_in_the_whole_text_and_alone_only_if_the_rest_never_came() {
    let is_out = async |ledger: &EmbeddedLedger| {
        let standing = ledger.standings(&organization(), &[ana()]).await;
        let standing = standing.expect("embedded").remove(0);
        standing.is_some_and(|standing| standing.kind == OptOutKind::OptOut)
    };
    let whole = ledger().await;
    text(&whole, "d-1").await;
    let process = router(&whole);
    hear(&process, 0, &part(2, 2, "STOP")).await;
    let handled = hear(&process, 0, &part(1, 2, "I saw the sign: ")).await;
    assert_eq!(replies(&handled.out)[0].keyword, Keyword::None);
    assert!(!is_out(&whole).await);

    let torn = ledger().await;
    text(&torn, "d-1").await;
    let process = router(&torn);
    hear(&process, 0, &part(2, 2, "STOP")).await;
    assert!(!is_out(&torn).await, "it may be the end of something else");
    let handled = hear(&process, 1, &part(2, 2, "STOP")).await;
    assert_eq!(replies(&handled.out)[0].keyword, Keyword::OptOut);
    assert!(is_out(&torn).await);
}

#[tokio::test]
async fn the_message_that_the_provider_says_is_answered_is_if_it_went_to_the_writer() {
    let ledger = ledger().await;
    let elder = text(&ledger, "d-elder").await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    text(&ledger, "d-newer").await;
    let router = router(&ledger);
    for (answers, from, expected) in [
        (elder.to_string(), ANA, Some("d-elder")),
        ("another systems".into(), ANA, Some("d-newer")),
        ("zzz-1".into(), ANA, Some("d-newer")),
        (elder.to_string(), "+353861234599", None),
    ] {
        let inbound = Inbound {
            answers: Some(answers.clone()),
            from: from.into(),
            ..inbound(&format!("id-{answers}-{from}"), "4")
        };
        let handled = hear(&router, 1, &inbound).await;
        let reply = replies(&handled.out).remove(0);
        let found = reply.in_reply_to.map(|found| found.distribution_id);
        assert_eq!(found.as_ref().map(|id| id.as_str()), expected, "{answers}");
    }
}

#[tokio::test]
async fn a_stop_that_comes_late_is_ordered_by_when_it_was_written_unless_that_is_absurd() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let ago = |n: u64| Timestamp::from_millis(now().as_millis() - minutes(n).as_secs() * 1_000);
    for (received_at, holds) in [
        (Some(ago(20)), false),
        (Some(ago(5)), true),
        (Some(now().plus(minutes(1))), true),
        (Some(ago(25 * 60)), true),
        (None, true),
    ] {
        let ledger = ledger().await;
        text(&ledger, "d-1").await;
        let router = router(&ledger);
        // She wrote START ten minutes ago.
        let start = Inbound {
            received_at: Some(ago(10)),
            ..inbound("id-start", "START")
        };
        hear(&router, 0, &start).await;
        let stop = Inbound {
            received_at,
            ..inbound("id-stop", "STOP")
        };
        hear(&router, 0, &stop).await;
        let standing = ledger.standings(&organization(), &[ana()]).await;
        let standing = standing.expect("embedded").remove(0).expect("known");
        assert_eq!(
            standing.kind == OptOutKind::OptOut,
            holds,
            "{received_at:?}"
        );
    }
}

#[tokio::test]
async fn what_a_provider_refuses_for_one_sender_holds_for_that_sender_until_a_start() {
    let ledger = ledger().await;
    let router = router(&ledger);
    let signal = ProviderOptOut {
        number: ana(),
        kind: OptOutKind::OptOut,
        scope: OptOutScope::Sender,
        code: "302".into(),
    };
    let callback = taken(0).callback;
    for _ in 0..2 {
        let told = router.signal(&callback, &signal).await.expect("in force");
        assert_eq!(told.len(), 1, "told again under the same name");
    }
    let (owner, number) = (organization(), ana());
    let known = async || {
        ledger
            .sender_standings(&owner, number)
            .await
            .expect("embedded")
    };
    let [standing] = &known().await[..] else {
        panic!("one standing")
    };
    assert_eq!(standing.sender.as_deref(), Some(SENDER));
    assert_eq!(standing.source, OptOutSource::Provider);
    let towards_all = ledger.standings(&owner, &[number]).await;
    assert_eq!(towards_all.expect("embedded"), [None]);

    tokio::time::sleep(Duration::from_millis(2)).await;
    hear(&router, 0, &inbound("id-start", "START")).await;
    assert!(known().await.is_empty());
}

fn message(total: u8, numbers: &[u8]) -> Message {
    let inbound = inbound("id-own", "own");
    let part = |number: &u8| {
        let kept = Kept {
            id: format!("id-{number}"),
            text: format!("[{number}]"),
            media: 1,
            answers: (*number == 2).then(|| "3w5e11264sgsf-2s".into()),
            received_at: Some(Timestamp::from_millis(10 - u64::from(*number))),
        };
        (*number, kept)
    };
    let parts: Vec<_> = numbers.iter().map(part).collect();
    joined_message(inbound, total, &parts)
}

#[test]
fn a_whole_message_has_all_texts_and_the_id_of_its_first_part() {
    let whole = message(3, &[1, 2, 3]);
    assert_eq!(whole.inbound.text, "[1][2][3]");
    assert_eq!(whole.inbound.provider_message_id, "id-1");
    assert_eq!(whole.ids, ["id-1", "id-2", "id-3"]);
    assert_eq!((whole.inbound.parts, whole.inbound.media), (3, 3));
    assert_eq!(whole.inbound.answers.as_deref(), Some("3w5e11264sgsf-2s"));
    let received_at = Some(Timestamp::from_millis(9));
    assert_eq!(whole.inbound.received_at, received_at);
    assert!(!whole.is_incomplete());
}

#[test]
fn gaps_are_marked_once_each() {
    for (numbers, text) in [
        (&[1][..], "[1]…"),
        (&[4], "…[4]"),
        (&[2, 3], "…[2][3]…"),
        (&[1, 4], "[1]…[4]"),
        (&[2, 4], "…[2]…[4]"),
    ] {
        let message = message(4, numbers);
        assert_eq!(message.inbound.text, text);
        assert!(message.is_incomplete());
        assert_eq!(message.fragments.len(), numbers.len());
        assert_eq!(message.ids[0], format!("id-{}", numbers[0]));
    }
}
