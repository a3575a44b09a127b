//! Who may send a row, and who finds out that somebody else does.

use ledger::{Claim, ClaimRequest, SettleOutcome};
use message::MessageState;

use crate::world::{World, accepted, at, connection, settle_row};

pub async fn a_waiting_row_is_claimed_once(world: &World) {
    let batch = world.batch("b-1", 250).await;
    let all: Vec<u32> = (0..250).rev().collect();
    assert_eq!(world.claim(batch, 1, &all).await, vec![Claim::Fresh; 250]);
    let row = world.row(batch, 3).await;
    assert_eq!((row.state, row.attempt), (MessageState::Sending, 1));
    assert_eq!(row.connection_id, Some(connection("con-1")));
    assert_eq!(
        (row.claimed_at, row.changed_at),
        (Some(at(1_000)), Some(at(1_000)))
    );
    world.settle(batch, 1, &[accepted(3)]).await;
    let [Claim::Settled(row)] = &world.claim(batch, 2, &[3]).await[..] else {
        panic!("decided");
    };
    assert_eq!(row.state, MessageState::Accepted);
}

pub async fn a_repeated_call_gets_the_same_answer(world: &World) {
    let batch = world.batch("b-1", 3).await;
    for _ in 0..3 {
        assert_eq!(
            world.claim(batch, 1, &[0, 1, 1]).await,
            vec![Claim::Fresh; 3]
        );
    }
    let counts = world.ledger.counts(batch).await.expect("counted");
    assert_eq!(counts.of(MessageState::Sending), 2);
}

pub async fn another_delivery_is_busy_until_the_claim_is_old(world: &World) {
    let batch = world.batch("b-1", 2).await;
    world.claim(batch, 1, &[0]).await;
    let mut other = world.claim_of(batch, 2, &[0, 1]);
    other.now = at(61_000);
    assert_eq!(world.claimed(&other).await, [Claim::Busy, Claim::Fresh]);
    other.now = at(61_001);
    let answer = world.claimed(&other).await;
    let [Claim::Interrupted(row), Claim::Fresh] = &answer[..] else {
        panic!("{answer:?}");
    };
    assert_eq!((row.state, row.attempt), (MessageState::InDoubt, 1));
    assert_eq!(row.changed_at, Some(at(61_001)));
    let answer = world.claimed(&other).await;
    assert_eq!(answer, [Claim::Settled(row.clone()), Claim::Fresh]);
}

pub async fn a_redelivered_chunk_finds_its_claims_interrupted(world: &World) {
    let batch = world.batch("b-1", 2).await;
    world.claim(batch, 1, &[0]).await;
    let before = world.row(batch, 0).await.seq;
    let redelivery = ClaimRequest {
        redelivered: true,
        ..world.claim_of(batch, 2, &[0, 1])
    };
    let answer = world.claimed(&redelivery).await;
    let [Claim::Interrupted(row), Claim::Fresh] = &answer[..] else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (row.state, row.code.as_str()),
        (MessageState::InDoubt, "interrupted")
    );
    assert!(row.seq > before);
}

pub async fn a_leftover_of_an_earlier_attempt_is_inert(world: &World) {
    let batch = world.batch("b-1", 1).await;
    world.claim(batch, 1, &[0]).await;
    world
        .settle(
            batch,
            1,
            &[settle_row(0, SettleOutcome::Retry, "20429", "")],
        )
        .await;
    // Waiting for attempt 2, a copy of attempt 1 comes back.
    let leftover = ClaimRequest {
        redelivered: true,
        ..world.claim_of(batch, 2, &[0])
    };
    assert!(matches!(
        world.claimed(&leftover).await[..],
        [Claim::Settled(_)]
    ));
    // Attempt 2 runs, and it comes back again: that says nothing about attempt 2.
    let second = ClaimRequest {
        attempt: 2,
        ..world.claim_of(batch, 3, &[0])
    };
    assert_eq!(world.claimed(&second).await, [Claim::Fresh]);
    let late = ClaimRequest {
        now: at(900_000),
        ..leftover
    };
    assert!(matches!(
        world.claimed(&late).await[..],
        [Claim::Settled(_)]
    ));
    assert_eq!(world.row(batch, 0).await.state, MessageState::Sending);
}

pub async fn a_chunk_ahead_of_its_row_is_inert(world: &World) {
    let batch = world.batch("b-1", 1).await;
    let ahead = ClaimRequest {
        attempt: 2,
        ..world.claim_of(batch, 1, &[0])
    };
    assert!(matches!(
        world.claimed(&ahead).await[..],
        [Claim::Settled(_)]
    ));
    world.claim(batch, 2, &[0]).await;
    // Attempt 1 runs still; its age alone decides, not that this chunk came twice.
    let redelivered = ClaimRequest {
        redelivered: true,
        ..ahead
    };
    assert_eq!(world.claimed(&redelivered).await, [Claim::Busy]);
    let late = ClaimRequest {
        now: at(900_000),
        ..redelivered
    };
    assert!(matches!(
        world.claimed(&late).await[..],
        [Claim::Interrupted(_)]
    ));
}

pub async fn rows_nobody_entered_are_unknown(world: &World) {
    let record = world.record("b-0", 1);
    assert_eq!(world.claim(record.key, 1, &[0]).await, [Claim::Unknown]);
    let batch = world.batch("b-1", 1).await;
    let answer = world.claim(batch, 1, &[0, 1, 99_999]).await;
    assert_eq!(answer, [Claim::Fresh, Claim::Unknown, Claim::Unknown]);
}
