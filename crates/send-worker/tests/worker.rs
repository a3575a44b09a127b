//! The worker over the embedded bus and ledger and real HTTP, the ugly side first.

use std::{collections::HashSet, time::Duration};

use message::{
    Chunk, MessageState,
    event::Event,
    opt_out::{OptOutChange, OptOutKind, OptOutSource},
};
use world::{Answer, World, connection, now, number};

mod world;

/// Fast enough not to matter.
const UNPACED: f64 = 100_000.0;

#[tokio::test]
async fn every_row_is_sent_once_and_told() {
    let mut world = World::new(UNPACED, |_, _| Answer::Taken).await;
    let batch = world.enqueue("d1", 500, 100).await;
    world.start();
    world.until_in(batch, MessageState::Accepted, 500).await;
    let requests = world.requests();
    assert_eq!(requests.iter().collect::<HashSet<_>>().len(), 500);
    assert_eq!(requests.len(), 500);
    let mut told = 0;
    while told < 500 {
        let Event::Status(event) = world.event().await else {
            panic!("only statuses happen here")
        };
        assert_eq!(event.status, MessageState::Accepted);
        told += event.messages.len();
    }
    world.drain().await;
}

#[tokio::test]
async fn a_chunk_that_comes_twice_is_sent_once() {
    let mut world = World::new(UNPACED, |_, _| Answer::Taken).await;
    let (batch, chunks) = world.batch("d1", 200, 50).await;
    let twice: Vec<Chunk> = chunks.iter().chain(&chunks).cloned().collect();
    world.publish(&twice).await;
    world.start();
    world.until_in(batch, MessageState::Accepted, 200).await;
    let queue = world.queue(&chunks[0]);
    world.until_empty(&queue).await;
    world.drain().await;
    assert_eq!(world.requests().len(), 200);
}

#[tokio::test]
async fn an_opted_out_recipient_gets_no_request() {
    let mut world = World::new(UNPACED, |_, _| Answer::Taken).await;
    let change = OptOutChange {
        sender: None,
        organization_id: world.organization.clone(),
        number: number(3),
        kind: OptOutKind::OptOut,
        at: now(),
        source: OptOutSource::Api,
        connection_id: None,
        evidence: String::new(),
    };
    world
        .ledger
        .change_opt_out(&change)
        .await
        .expect("embedded");
    let batch = world.enqueue("d1", 10, 10).await;
    world.start();
    world
        .until(batch, |c| {
            c.of(MessageState::Accepted) == 9 && c.of(MessageState::Suppressed) == 1
        })
        .await;
    world.drain().await;
    assert!(!world.requests().contains(&number(3).e164()));
}

#[tokio::test]
async fn a_submit_in_doubt_is_never_retried_blindly() {
    let mut world = World::new(UNPACED, |_, _| Answer::Refused(502, 0)).await;
    let (batch, chunks) = world.batch("d1", 5, 5).await;
    world.publish(&chunks).await;
    world.start();
    world.until_in(batch, MessageState::InDoubt, 5).await;
    // The same chunk again, as after a crash: still nothing is sent.
    world.publish(&chunks).await;
    let queue = world.queue(&chunks[0]);
    world.until_empty(&queue).await;
    world.drain().await;
    assert_eq!(world.requests().len(), 5);
}

#[tokio::test]
async fn a_request_that_hangs_ends_in_doubt_and_does_not_hold_up_the_others() {
    let hanging = number(0).e164();
    let mut world = World::new(UNPACED, move |to, _| {
        if to == hanging {
            Answer::Hang
        } else {
            Answer::Taken
        }
    })
    .await;
    world.settings.request_timeout = Duration::from_secs(3);
    let batch = world.enqueue("d1", 300, 100).await;
    world.start();
    let counts = world
        .until(batch, |c| c.of(MessageState::Accepted) == 299)
        .await;
    assert_eq!(
        counts.of(MessageState::Sending),
        1,
        "the hanging one is still out: {counts:?}"
    );
    world.until_in(batch, MessageState::InDoubt, 1).await;
    world.drain().await;
}

#[tokio::test]
async fn a_refusal_for_good_is_final_and_names_the_code() {
    let mut world = World::new(UNPACED, |_, _| Answer::Refused(400, 21211)).await;
    let batch = world.enqueue("d1", 1, 1).await;
    world.start();
    world.until_in(batch, MessageState::Rejected, 1).await;
    let rows = world.ledger.rows(batch, 0, 10).await.expect("embedded");
    assert_eq!(rows[0].code, "21211");
    world.drain().await;
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn an_opt_out_known_to_the_provider_becomes_ours() {
    let mut world = World::new(UNPACED, |_, _| Answer::Refused(400, 21610)).await;
    let batch = world.enqueue("d1", 1, 1).await;
    world.start();
    world.until_in(batch, MessageState::Rejected, 1).await;
    world.drain().await;
    let standing = world
        .ledger
        .standings(&world.organization, &[number(0)])
        .await
        .expect("embedded");
    let standing = standing[0].as_ref().expect("recorded");
    assert_eq!(
        (standing.kind, standing.source),
        (OptOutKind::OptOut, OptOutSource::Provider)
    );
}

#[tokio::test]
async fn throttling_costs_no_attempt_and_the_message_goes_out_later() {
    let mut world = World::new(UNPACED, |_, nth| {
        if nth == 1 {
            Answer::Refused(429, 20429)
        } else {
            Answer::Taken
        }
    })
    .await;
    world.settings.throttled_rest = Duration::from_millis(200);
    let batch = world.enqueue("d1", 20, 20).await;
    world.start();
    world.until_in(batch, MessageState::Accepted, 20).await;
    world.drain().await;
    let rows = world.ledger.rows(batch, 0, 100).await.expect("embedded");
    assert!(rows.iter().all(|row| row.attempt == 1), "{rows:?}");
}

#[tokio::test]
async fn a_provider_that_can_not_be_reached_is_tried_again_and_costs_an_attempt() {
    let mut world = World::new(UNPACED, |_, _| Answer::Taken).await;
    // Nobody listens on port 9 of the loopback interface.
    let away = connection("c2", &world.organization, "http://127.0.0.1:9", UNPACED);
    world.ledger.add_connection(&away).await.expect("embedded");
    let (batch, mut chunks) = world.batch("d1", 2, 2).await;
    chunks[0].connection_id = away.id.clone();
    world.publish(&chunks).await;
    world.start();
    world
        .until(batch, |c| {
            c.of(MessageState::Queued) == 2 && c.of(MessageState::Sending) == 0
        })
        .await;
    let mut rows = Vec::new();
    for _ in 0..500 {
        rows = world.ledger.rows(batch, 0, 10).await.expect("embedded");
        if rows
            .iter()
            .all(|row| row.attempt == 1 && row.state == MessageState::Queued)
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(rows.iter().all(|row| row.attempt == 1), "{rows:?}");
    world.drain().await;
    assert!(world.requests().is_empty());
}

#[tokio::test]
async fn the_last_attempt_ends_as_failed_with_a_dead_letter() {
    let mut world = World::new(UNPACED, |_, _| Answer::Taken).await;
    world.settings.attempts_max = std::num::NonZeroU8::MIN;
    let away = connection("c2", &world.organization, "http://127.0.0.1:9", UNPACED);
    world.ledger.add_connection(&away).await.expect("embedded");
    let (batch, mut chunks) = world.batch("d1", 2, 2).await;
    chunks[0].connection_id = away.id.clone();
    world.publish(&chunks).await;
    world.start();
    world.until_in(batch, MessageState::Failed, 2).await;
    assert_eq!(world.dead_letter().await, "attempts_exhausted");
    world.drain().await;
}

#[tokio::test]
async fn what_has_expired_is_not_sent() {
    let mut world = World::new(UNPACED, |_, _| Answer::Taken).await;
    let (batch, mut chunks) = world.batch("d1", 3, 3).await;
    chunks[0].expires_at = now();
    world.publish(&chunks).await;
    world.start();
    world
        .until_in(batch, MessageState::ExpiredBeforeSend, 3)
        .await;
    assert_eq!(world.dead_letter().await, "expired");
    world.drain().await;
    assert!(world.requests().is_empty());
}

#[tokio::test]
async fn a_poison_chunk_is_dead_with_its_reason_and_its_neighbours_are_done() {
    let mut world = World::new(UNPACED, |_, _| Answer::Taken).await;
    let (batch, mut chunks) = world.batch("d1", 4, 1).await;
    chunks[1].v = 99;
    world.publish(&chunks).await;
    world.start();
    world.until_in(batch, MessageState::Accepted, 3).await;
    assert_eq!(world.dead_letter().await, "unknown_version");
    world.drain().await;
}

#[tokio::test]
async fn messages_of_a_deleted_connection_go_over_the_next_one() {
    let mut world = World::new(UNPACED, |_, _| Answer::Taken).await;
    let base_url = world.connection.field("base_url").to_owned();
    let next = connection("c2", &world.organization, &base_url, UNPACED);
    world.ledger.add_connection(&next).await.expect("embedded");
    let batch = world.enqueue("d1", 20, 5).await;
    let deleted = world
        .ledger
        .delete_connection(&world.organization, &world.connection.id, now())
        .await;
    assert!(deleted.expect("embedded"));
    world.start();
    world.until_in(batch, MessageState::Accepted, 20).await;
    world.drain().await;
    let rows = world.ledger.rows(batch, 0, 100).await.expect("embedded");
    assert!(
        rows.iter()
            .all(|row| row.connection_id.as_ref() == Some(&next.id)),
        "{rows:?}"
    );
}

#[tokio::test]
async fn a_stop_under_load_loses_and_doubles_nothing() {
    let mut world = World::new(2_000.0, |_, _| Answer::Taken).await;
    let batch = world.enqueue("d1", 1_000, 100).await;
    for _ in 0..5 {
        world.start();
        let before = world.requests().len();
        world
            .until(batch, |c| {
                c.of(MessageState::Accepted) >= (before as u64 + 50).min(1_000)
            })
            .await;
        world.drain().await;
        let counts = world.ledger.counts(batch).await.expect("embedded");
        assert_eq!(
            counts.of(MessageState::Sending) + counts.of(MessageState::InDoubt),
            0,
            "{counts:?}"
        );
    }
    world.start();
    world.until_in(batch, MessageState::Accepted, 1_000).await;
    world.drain().await;
    assert_eq!(world.requests().len(), 1_000);
}

#[tokio::test]
async fn a_small_distribution_does_not_wait_behind_a_huge_one() {
    let mut world = World::new(400.0, |_, _| Answer::Taken).await;
    let huge = world.enqueue("huge", 5_000, 100).await;
    world.start();
    world
        .until(huge, |c| c.of(MessageState::Accepted) >= 100)
        .await;
    let small = world.enqueue("small", 10, 10).await;
    world.until_in(small, MessageState::Accepted, 10).await;
    let ahead = world
        .ledger
        .counts(huge)
        .await
        .expect("embedded")
        .of(MessageState::Accepted);
    assert!(ahead < 1_500, "{ahead} of the huge one went first");
    world.drain().await;
}

#[tokio::test]
async fn two_workers_together_keep_one_limit() {
    let mut world = World::new(200.0, |_, _| Answer::Taken).await;
    let batch = world.enqueue("d1", 600, 50).await;
    let started = std::time::Instant::now();
    world.start();
    world.start();
    world.until_in(batch, MessageState::Accepted, 600).await;
    // 600 at 200 a second, less one burst of a tenth of a second for each worker.
    let least = Duration::from_millis(2_700);
    assert!(
        started.elapsed() >= least,
        "600 messages in {:?}",
        started.elapsed()
    );
    world.drain().await;
}

#[tokio::test]
async fn rows_whose_tokens_have_come_are_never_released_and_claimed_again() {
    let mut world = World::new(1_000.0, |_, _| Answer::Taken).await;
    let batch = world.enqueue("d1", 400, 100).await;
    world.start();
    world.until_in(batch, MessageState::Accepted, 400).await;
    world.drain().await;
    let rows = world.ledger.rows(batch, 0, 400).await.expect("embedded");
    let changes = rows.iter().map(|row| row.seq).max();
    assert_eq!(changes, Some(2 * 400), "a claim and an acceptance each");
}
