//! Registration, rows, cancelling.

use ledger::{
    BatchRecord, Claim, DistributionState, LedgerError, NewRow, Registered, SettleOutcome,
};
use message::{DistributionId, MessageState};

use crate::world::{World, at, changed, good_row, number, settle_row};

pub async fn a_batch_is_new_once_and_known_from_then_on(world: &World) {
    let record = world.record("b-1", 3);
    assert_eq!(world.ledger.batch(record.key).await.expect("asked"), None);
    assert_eq!(
        world.ledger.register_batch(&record).await.expect("ok"),
        Registered::New
    );
    let again = BatchRecord {
        created_at: at(5_000),
        ..record.clone()
    };
    let known = Registered::Known(record.clone());
    assert_eq!(
        world.ledger.register_batch(&again).await.expect("ok"),
        known
    );

    world
        .ledger
        .mark_published(record.key)
        .await
        .expect("marked");
    world
        .ledger
        .mark_published(record.key)
        .await
        .expect("marked again");
    let published = BatchRecord {
        published: true,
        ..record.clone()
    };
    let known = Registered::Known(published.clone());
    assert_eq!(
        world.ledger.register_batch(&record).await.expect("ok"),
        known
    );
    assert_eq!(
        world.ledger.batch(record.key).await.expect("asked"),
        Some(published)
    );

    // Whatever happened in between, the distribution lists it once.
    let survey = DistributionId::new("survey").expect("valid");
    let listed = world
        .ledger
        .distribution(&world.organization, &survey)
        .await
        .expect("asked");
    assert_eq!(listed.expect("there").batches, [record.key]);
}

pub async fn the_same_id_with_other_content_is_a_conflict(world: &World) {
    let record = world.record("b-1", 3);
    world
        .ledger
        .register_batch(&record)
        .await
        .expect("registered");
    let other = BatchRecord {
        digest: "other".into(),
        ..record.clone()
    };
    assert_eq!(
        world.ledger.register_batch(&other).await.expect("ok"),
        Registered::Conflict
    );
    assert_eq!(
        world.ledger.batch(record.key).await.expect("asked"),
        Some(record)
    );
}

pub async fn a_cancelled_distribution_takes_no_batch(world: &World) {
    let record = world.record("b-1", 3);
    world
        .ledger
        .register_batch(&record)
        .await
        .expect("registered");
    let (organization, distribution) = (&record.organization_id, &record.distribution_id);
    let set = async |state| {
        let set = world
            .ledger
            .set_distribution_state(organization, distribution, state);
        assert!(set.await.expect("set"));
    };
    set(DistributionState::Cancelled).await;
    set(DistributionState::Active).await;
    let late = world.record("b-2", 3);
    for batch in [&late, &record] {
        let registered = world.ledger.register_batch(batch).await.expect("ok");
        assert_eq!(registered, Registered::Cancelled);
    }
    assert_eq!(world.ledger.batch(late.key).await.expect("asked"), None);
}

pub async fn rows_are_entered_once_and_listed_in_pages(world: &World) {
    let record = world.record("b-1", 350);
    world
        .ledger
        .register_batch(&record)
        .await
        .expect("registered");
    let mut rows: Vec<_> = (0..349).map(good_row).collect();
    rows[7] = NewRow {
        row: 7,
        to: None,
        invalid: Some("invalid_number:to".into()),
    };
    rows[8].invalid = Some("duplicate:to".into());
    world
        .ledger
        .write_rows(record.key, &rows)
        .await
        .expect("written");
    // A repetition, even one that would decide otherwise, changes nothing.
    rows[9].invalid = Some("duplicate:to".into());
    world
        .ledger
        .write_rows(record.key, &rows)
        .await
        .expect("written again");
    world.check_books(record.key).await;
    let counts = world.ledger.counts(record.key).await.expect("counted");
    assert_eq!(counts.of(MessageState::Queued), 347);
    assert_eq!(counts.of(MessageState::Invalid), 2);
    assert_eq!(counts.books().invalid, 2);

    let seventh = world.row(record.key, 7).await;
    assert_eq!(
        (seventh.to, seventh.code.as_str()),
        (None, "invalid_number:to")
    );
    assert_eq!(world.row(record.key, 8).await.to, Some(number(8).masked()));
    assert_eq!(world.row(record.key, 9).await.state, MessageState::Queued);
    let page = world
        .ledger
        .rows(record.key, 95, 120)
        .await
        .expect("listed");
    let numbers: Vec<_> = page.iter().map(|row| row.row).collect();
    assert_eq!(numbers, (95..215).collect::<Vec<_>>());
    let rest = world
        .ledger
        .rows(record.key, 340, 120)
        .await
        .expect("listed");
    assert_eq!(rest.len(), 9, "the last row was never written");
}

pub async fn rows_of_a_batch_that_is_not_registered_are_refused(world: &World) {
    let record = world.record("b-1", 3);
    let rows = [good_row(0)];
    let write = world.ledger.write_rows(record.key, &rows);
    assert!(matches!(write.await, Err(LedgerError::Damaged { .. })));
    let mark = world.ledger.mark_published(record.key);
    assert!(matches!(mark.await, Err(LedgerError::Damaged { .. })));
    assert!(
        world
            .ledger
            .rows(record.key, 0, 10)
            .await
            .expect("listed")
            .is_empty()
    );
    assert!(
        world
            .ledger
            .cancel_rows(record.key, at(0))
            .await
            .expect("cancelled")
            .is_empty()
    );
    world
        .ledger
        .register_batch(&record)
        .await
        .expect("registered");
    let rows = [good_row(3)];
    let beyond = world.ledger.write_rows(record.key, &rows);
    assert!(matches!(beyond.await, Err(LedgerError::Damaged { .. })));
}

pub async fn cancelling_counts_every_waiting_row_exactly(world: &World) {
    let batch = world.batch("b-1", 1_234).await;
    let claimed: Vec<u32> = (100..350).collect();
    world.claim(batch, 1, &claimed).await;
    let cancelled = world
        .ledger
        .cancel_rows(batch, at(9_000))
        .await
        .expect("cancelled");
    assert_eq!(cancelled.len(), 1_234 - 250);
    assert!(cancelled.windows(2).all(|pair| pair[0].row < pair[1].row));
    assert!(
        cancelled
            .iter()
            .all(|row| row.changed_at == Some(at(9_000)))
    );
    world.check_books(batch).await;
    // Who repeats the call because the answer was lost gets it again.
    let again = world
        .ledger
        .cancel_rows(batch, at(9_500))
        .await
        .expect("cancelled");
    assert_eq!(again, cancelled);
    assert!(matches!(
        world.claim(batch, 2, &[0]).await[..],
        [Claim::Settled(_)]
    ));
}

pub async fn nothing_waits_in_a_cancelled_batch(world: &World) {
    let record = world.record("b-1", 4);
    world
        .ledger
        .register_batch(&record)
        .await
        .expect("registered");
    world
        .ledger
        .write_rows(record.key, &[good_row(0), good_row(1)])
        .await
        .expect("written");
    world.claim(record.key, 1, &[0, 1]).await;
    world
        .ledger
        .cancel_rows(record.key, at(1_500))
        .await
        .expect("cancelled");
    // Intake was still writing, and a worker still sending.
    world
        .ledger
        .write_rows(record.key, &[good_row(2)])
        .await
        .expect("written");
    let outcomes = [(0, SettleOutcome::Retry), (1, SettleOutcome::Release)];
    let rows = outcomes.map(|(row, outcome)| settle_row(row, outcome, "", ""));
    for answer in world.settle(record.key, 1, &rows).await {
        assert_eq!(changed(&answer).state, MessageState::Cancelled);
    }
    let counts = world.ledger.counts(record.key).await.expect("counted");
    assert_eq!(counts.of(MessageState::Cancelled), 3);
}
