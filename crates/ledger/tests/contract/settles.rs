//! What became of a claimed row, and what receipts say about it.

use ledger::{Claim, ClaimRequest, SettleOutcome, Settled};
use message::MessageState;

use crate::world::{
    World, accepted, at, changed, good_row, provider_id, report, settle_row, unchanged,
};

pub async fn an_outcome_is_written_once_however_often_it_is_told(world: &World) {
    let batch = world.batch("b-1", 250).await;
    let all: Vec<u32> = (0..250).collect();
    world.claim(batch, 1, &all).await;
    let rows: Vec<_> = all.iter().map(|row| accepted(*row)).collect();
    let first = world.settle(batch, 1, &rows).await;
    for (answer, row) in first.iter().zip(&all) {
        let changed = changed(answer);
        assert_eq!((changed.row, changed.state), (*row, MessageState::Accepted));
        assert_eq!(changed.provider_message_id, provider_id(*row));
        assert_eq!(changed.changed_at, Some(at(2_000)));
    }
    let second = world.settle_at(batch, 1, &rows, at(2_500)).await;
    for (again, before) in second.iter().zip(&first) {
        assert_eq!(unchanged(again), changed(before));
    }
    assert_eq!(
        world.settle(batch, 1, &[accepted(250)]).await,
        [Settled::Unknown]
    );
}

pub async fn a_retry_counts_and_a_release_does_not(world: &World) {
    let batch = world.batch("b-1", 2).await;
    world.claim(batch, 1, &[0, 1]).await;
    let outcomes = [
        settle_row(0, SettleOutcome::Retry, "30001", ""),
        settle_row(1, SettleOutcome::Release, "", ""),
    ];
    let answer = world.settle(batch, 1, &outcomes).await;
    let (retry, release) = (changed(&answer[0]), changed(&answer[1]));
    assert_eq!((retry.state, retry.attempt), (MessageState::Queued, 1));
    assert_eq!(retry.code, "30001");
    assert_eq!((release.state, release.attempt), (MessageState::Queued, 0));
    assert_eq!((release.claimed_at, &release.connection_id), (None, &None));
    let again = world.settle(batch, 1, &outcomes).await;
    assert_eq!(
        (unchanged(&again[0]), unchanged(&again[1])),
        (retry, release)
    );

    let next = ClaimRequest {
        attempt: 2,
        ..world.claim_of(batch, 2, &[0])
    };
    assert_eq!(world.claimed(&next).await, [Claim::Fresh]);
    assert_eq!(world.claim(batch, 3, &[1]).await, [Claim::Fresh]);
    // The first call once more: both rows have another holder now.
    for answer in world.settle(batch, 1, &outcomes).await {
        assert_eq!(unchanged(&answer).state, MessageState::Sending);
    }
}

pub async fn the_owner_may_still_say_what_it_saw(world: &World) {
    let batch = world.batch("b-1", 4).await;
    let rows = [0, 1, 2, 3];
    world.claim(batch, 1, &rows).await;
    let redelivery = ClaimRequest {
        redelivered: true,
        ..world.claim_of(batch, 2, &rows)
    };
    world.claimed(&redelivery).await;
    let outcomes = [
        accepted(0),
        settle_row(1, SettleOutcome::State(MessageState::Suppressed), "", ""),
        settle_row(2, SettleOutcome::Retry, "", ""),
        settle_row(3, SettleOutcome::State(MessageState::Rejected), "21211", ""),
    ];
    let answer = world.settle(batch, 1, &outcomes).await;
    assert_eq!(changed(&answer[0]).state, MessageState::Accepted);
    assert_eq!(changed(&answer[0]).code, "");
    assert_eq!(changed(&answer[1]).state, MessageState::Suppressed);
    assert_eq!(unchanged(&answer[2]).state, MessageState::InDoubt);
    assert_eq!(changed(&answer[3]).state, MessageState::Rejected);
}

pub async fn a_stranger_withdraws_nothing(world: &World) {
    let batch = world.batch("b-1", 2).await;
    world.claim(batch, 1, &[0, 1]).await;
    world.settle(batch, 1, &[accepted(0)]).await;
    for state in [MessageState::Suppressed, MessageState::ExpiredBeforeSend] {
        let rows = [0, 1].map(|row| settle_row(row, SettleOutcome::State(state), "", ""));
        let answer = world.settle(batch, 2, &rows).await;
        assert_eq!(unchanged(&answer[0]).state, MessageState::Accepted);
        assert_eq!(unchanged(&answer[1]).state, MessageState::Sending);
        // Not even who held the claim, once it has said otherwise.
        let answer = world.settle(batch, 1, &rows[..1]).await;
        assert_eq!(unchanged(&answer[0]).state, MessageState::Accepted);
    }
}

pub async fn a_receipt_that_overtakes_the_answer_is_kept(world: &World) {
    let batch = world.batch("b-1", 1).await;
    world.claim(batch, 1, &[0]).await;
    let merged = world
        .merge(batch, &[report(0, MessageState::Delivered, "")])
        .await;
    assert_eq!(changed(&merged[0]).provider_message_id, "");
    let settled = world.settle(batch, 1, &[accepted(0)]).await;
    let row = unchanged(&settled[0]);
    assert_eq!(
        (row.state, row.seq),
        (MessageState::Delivered, changed(&merged[0]).seq)
    );
    assert_eq!(row.provider_message_id, provider_id(0));
    let again = world
        .merge(batch, &[report(0, MessageState::Delivered, "")])
        .await;
    assert_eq!(unchanged(&again[0]), row);
}

pub async fn a_receipt_for_a_row_that_was_never_sent_changes_nothing(world: &World) {
    let record = world.record("b-1", 5);
    world
        .ledger
        .register_batch(&record)
        .await
        .expect("registered");
    let mut rows: Vec<_> = (0..4).map(good_row).collect();
    rows[1].invalid = Some("duplicate:to".into());
    world
        .ledger
        .write_rows(record.key, &rows)
        .await
        .expect("written");
    world.claim(record.key, 1, &[2, 3]).await;
    let outcomes = [
        settle_row(2, SettleOutcome::State(MessageState::Suppressed), "", ""),
        settle_row(3, SettleOutcome::Release, "", ""),
    ];
    world.settle(record.key, 1, &outcomes).await;
    let before = world.ledger.rows(record.key, 0, 10).await.expect("listed");
    let reports = [0, 1, 2, 3, 4].map(|row| report(row, MessageState::Delivered, ""));
    let answer = world.merge(record.key, &reports).await;
    for (answer, row) in answer.iter().zip(&before) {
        assert_eq!(*answer, Settled::NeverSent(row.clone()));
    }
    assert_eq!(answer[4], Settled::Unknown);
    assert_eq!(
        world.ledger.rows(record.key, 0, 10).await.expect("listed"),
        before
    );
}

pub async fn a_receipt_between_attempts_counts(world: &World) {
    let batch = world.batch("b-1", 1).await;
    world.claim(batch, 1, &[0]).await;
    world
        .settle(batch, 1, &[settle_row(0, SettleOutcome::Retry, "503", "")])
        .await;
    let answer = world
        .merge(batch, &[report(0, MessageState::Sent, "")])
        .await;
    assert_eq!(
        (changed(&answer[0]).state, changed(&answer[0]).attempt),
        (MessageState::Sent, 1)
    );
    let next = ClaimRequest {
        attempt: 2,
        ..world.claim_of(batch, 2, &[0])
    };
    assert!(matches!(
        world.claimed(&next).await[..],
        [Claim::Settled(_)]
    ));
}

pub async fn two_reports_in_one_call_apply_in_order(world: &World) {
    let batch = world.batch("b-1", 1).await;
    world.claim(batch, 1, &[0]).await;
    world.settle(batch, 1, &[accepted(0)]).await;
    let reports = [
        report(0, MessageState::Sent, ""),
        report(0, MessageState::Undelivered, "30003"),
        report(0, MessageState::Undelivered, "30006"),
        report(0, MessageState::Undelivered, "30003"),
        report(0, MessageState::Delivered, ""),
        report(0, MessageState::Queued, "zzz"),
        report(0, MessageState::Cancelled, "zzz"),
    ];
    let answer = world.merge(batch, &reports).await;
    let told: Vec<_> = answer[..3]
        .iter()
        .map(|answer| changed(answer).state)
        .collect();
    let undelivered = MessageState::Undelivered;
    assert_eq!(told, [MessageState::Sent, undelivered, undelivered]);
    assert_eq!(changed(&answer[2]).code, "30006");
    assert_eq!(unchanged(&answer[3]).code, "30006");
    assert_eq!(changed(&answer[4]).state, MessageState::Delivered);
    assert_eq!(changed(&answer[4]).seq, changed(&answer[0]).seq + 3);
    assert_eq!(unchanged(&answer[5]), changed(&answer[4]));
    assert_eq!(unchanged(&answer[6]), changed(&answer[4]));
}

pub async fn only_what_was_given_up_can_be_reopened(world: &World) {
    let batch = world.batch("b-1", 5).await;
    world.claim(batch, 1, &[0, 1, 2]).await;
    let failed = SettleOutcome::State(MessageState::Failed);
    let given_up = settle_row(0, failed, "attempts_exhausted:connect", "");
    let refused = settle_row(1, failed, "30003", "");
    world
        .settle(batch, 1, &[given_up, refused, accepted(2)])
        .await;
    let reopen = || world.ledger.reopen(batch, &[0, 1, 2, 3, 4, 999], at(3_000));
    assert_eq!(reopen().await.expect("reopened"), [0]);
    world.check_books(batch).await;
    assert!(reopen().await.expect("asked again").is_empty());
    assert_eq!(world.claim(batch, 2, &[0, 1]).await[0], Claim::Fresh);
}

pub async fn rows_that_go_their_own_way_keep_what_they_shared(world: &World) {
    let batch = world.batch("b-1", 100).await;
    let all: Vec<u32> = (0..100).collect();
    world.claim(batch, 1, &all).await;
    let rows: Vec<_> = all.iter().map(|row| accepted(*row)).collect();
    world.settle(batch, 1, &rows).await;
    let before = world.ledger.rows(batch, 0, 100).await.expect("listed");
    // One by one, some together, and then the rest: whatever is told later says the same as before.
    let mut left = all.clone();
    for leaving in [
        vec![50],
        vec![0, 99],
        (20..45).collect(),
        vec![98],
        (60..98).collect(),
    ] {
        let reports: Vec<_> = leaving
            .iter()
            .map(|row| report(*row, MessageState::Delivered, ""))
            .collect();
        for (answer, row) in world.merge(batch, &reports).await.iter().zip(&leaving) {
            let (now, then) = (changed(answer), &before[*row as usize]);
            assert_eq!(now.provider_message_id, then.provider_message_id);
            assert_eq!((now.to, now.claimed_at), (then.to, then.claimed_at));
            assert!(now.seq > 200);
        }
        left.retain(|row| !leaving.contains(row));
        let after = world.ledger.rows(batch, 0, 100).await.expect("listed");
        for row in &left {
            assert_eq!(after[*row as usize], before[*row as usize]);
        }
    }
    let counts = world.ledger.counts(batch).await.expect("counted");
    assert_eq!(counts.of(MessageState::Delivered), 67);
}

pub async fn a_chunk_in_any_order_is_numbered_by_its_rows(world: &World) {
    let batch = world.batch("b-1", 150).await;
    let backwards: Vec<u32> = (0..150).rev().collect();
    world.claim(batch, 1, &backwards).await;
    let rows: Vec<_> = backwards.iter().map(|row| accepted(*row)).collect();
    for (answer, row) in world.settle(batch, 1, &rows).await.iter().zip(&backwards) {
        assert_eq!(
            (changed(answer).row, changed(answer).seq),
            (*row, 151 + row)
        );
    }
}
