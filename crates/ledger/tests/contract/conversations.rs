//! Which message a reply answers.

use ledger::{Conversation, SettleOutcome, SettleRequest};
use message::{BatchKey, MessageState, OrganizationId, Reference};

use crate::world::{SENDER, World, accepted, at, connection, number, settle_row};

async fn latest(world: &World, sender: &str, row: u32) -> Option<Conversation> {
    let latest = world
        .ledger
        .latest_message(&world.organization, sender, number(row));
    latest.await.expect("asked")
}

fn told(batch: BatchKey, row: u32, millis: u64) -> Option<Conversation> {
    let reference = Reference { batch, row };
    Some(Conversation {
        reference,
        sent_at: at(millis),
    })
}

pub async fn the_newest_message_from_a_sender_is_found(world: &World) {
    let (first, second) = (world.batch("b-1", 4).await, world.batch("b-2", 4).await);
    world.claim(first, 1, &[0, 1, 2, 3]).await;
    world.claim(second, 1, &[0, 1, 2, 3]).await;
    let doubt = SettleOutcome::State(MessageState::InDoubt);
    let rejected = SettleOutcome::State(MessageState::Rejected);
    let rows = [
        accepted(0),
        settle_row(1, doubt, "timeout", ""),
        settle_row(2, rejected, "21211", ""),
        settle_row(3, SettleOutcome::Retry, "", ""),
    ];
    world.settle_at(first, 1, &rows, at(5_000)).await;
    assert_eq!(latest(world, SENDER, 0).await, told(first, 0, 5_000));
    assert_eq!(latest(world, SENDER, 1).await, told(first, 1, 5_000));
    assert_eq!(latest(world, SENDER, 2).await, None, "no request was taken");
    assert_eq!(latest(world, SENDER, 3).await, None, "no request was taken");
    assert_eq!(latest(world, "+15550101", 0).await, None, "another sender");
    let stranger = OrganizationId::new("another").expect("valid");
    let other = world.ledger.latest_message(&stranger, SENDER, number(0));
    assert_eq!(other.await.expect("asked"), None);

    world.settle_at(second, 1, &[accepted(0)], at(6_000)).await;
    assert_eq!(latest(world, SENDER, 0).await, told(second, 0, 6_000));
    // An older one that is written late does not win.
    world.settle_at(first, 1, &rows, at(5_500)).await;
    assert_eq!(latest(world, SENDER, 0).await, told(second, 0, 6_000));
    assert_eq!(latest(world, SENDER, 1).await, told(first, 1, 5_500));
}

pub async fn thousands_of_conversations_are_all_found(world: &World) {
    // More than the first two levels of shards hold.
    let batch = world.batch("b-1", 3_000).await;
    let all: Vec<u32> = (0..3_000).collect();
    for rows in all.chunks(250) {
        let settle = SettleRequest {
            batch,
            token: 1,
            now: at(u64::from(rows[0])),
            connection_id: connection("con-1"),
            sender: (world.organization.clone(), SENDER.into()),
            index_ids: true,
            rows: rows.iter().map(|row| accepted(*row)).collect(),
        };
        world.ledger.settle(&settle).await.expect("settled");
    }
    for row in all.iter().step_by(7) {
        let millis = u64::from(row / 250 * 250);
        assert_eq!(latest(world, SENDER, *row).await, told(batch, *row, millis));
    }
}
