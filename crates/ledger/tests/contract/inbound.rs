//! Inbound messages that were seen, and refused batches.

use ledger::{INBOUND_SEEN_FOR, InboundPart, Joined, REFUSED_BATCHES_MAX, RefusedBatch};
use message::{BatchId, OrganizationId, Refusal, Rule};

use crate::world::{World, at};

pub async fn an_inbound_message_is_seen_once_it_is_marked(world: &World) {
    let seen = async |id: &str| {
        world
            .ledger
            .was_seen(&world.organization, id)
            .await
            .expect("asked")
    };
    let id = "SM-in {weird} \u{e9}\n1";
    assert!(!seen(id).await);
    for _ in 0..2 {
        world
            .ledger
            .mark_seen(&world.organization, id, INBOUND_SEEN_FOR)
            .await
            .expect("marked");
    }
    assert!(seen(id).await);
    assert!(!seen("SM-in").await);
}

pub async fn refused_batches_are_listed_newest_first_and_capped(world: &World) {
    let refused = |n: u64| RefusedBatch {
        organization_id: world.organization.clone(),
        distribution_id: None,
        batch_id: BatchId::new(&format!("b-{n}")).ok(),
        refusals: vec![Refusal {
            row: Some(3),
            field: "to".into(),
            rule: Rule::InvalidNumber,
            detail: "expected a number".into(),
        }],
        at: at(n),
    };
    let listed = async || {
        world
            .ledger
            .refused_batches(&world.organization)
            .await
            .expect("listed")
    };
    assert_eq!(listed().await, []);
    let cap = REFUSED_BATCHES_MAX as u64;
    for n in 0..cap + 5 {
        world
            .ledger
            .record_refused_batch(&refused(n))
            .await
            .expect("kept");
    }
    world
        .ledger
        .record_refused_batch(&refused(cap))
        .await
        .expect("a repetition");
    let listed = listed().await;
    assert_eq!(listed.len(), REFUSED_BATCHES_MAX);
    assert_eq!(listed.first(), Some(&refused(cap + 4)));
    assert_eq!(listed.last(), Some(&refused(5)));
}

fn part(number: u8, total: u8) -> InboundPart {
    InboundPart {
        number,
        total,
        name: format!("vonage:{number}"),
        body: format!("{{\"text\":\"part {number}\"}}\n\u{e9}"),
        has_waited: false,
    }
}

fn waited(part: InboundPart) -> InboundPart {
    InboundPart {
        has_waited: true,
        ..part
    }
}

async fn join(world: &World, part: &InboundPart) -> Joined {
    let joined = world.ledger.join_part(&world.organization, "m 1", part);
    joined.await.expect("joined")
}

fn ready(parts: &[InboundPart]) -> Joined {
    let parts = parts.iter().map(|part| (part.number, part.body.clone()));
    Joined::Ready(parts.collect())
}

pub async fn parts_are_joined_in_any_order_and_told_by_one_of_them(world: &World) {
    let all = [1, 2, 3].map(|number| part(number, 3));
    for at in [2, 0, 2] {
        assert_eq!(join(world, &all[at]).await, Joined::Waits);
    }
    // Its callback may come back after a crash: then it still is its to tell.
    for _ in 0..2 {
        assert_eq!(join(world, &all[1]).await, ready(&all));
    }
    for other in [&all[0], &waited(all[2].clone())] {
        assert_eq!(join(world, other).await, Joined::Elsewhere);
    }
}

pub async fn what_never_becomes_whole_is_told_by_the_part_that_came_last(world: &World) {
    let all = [1, 2, 3].map(|number| part(number, 3));
    for at in [2, 0] {
        assert_eq!(join(world, &all[at]).await, Joined::Waits);
    }
    let (first, last) = (waited(all[2].clone()), waited(all[0].clone()));
    assert_eq!(join(world, &first).await, Joined::Elsewhere);
    let told = [all[0].clone(), all[2].clone()];
    assert_eq!(join(world, &last).await, ready(&told));
    assert_eq!(join(world, &all[0]).await, ready(&told));
    assert_eq!(join(world, &first).await, Joined::Elsewhere);
    // What comes after that stands alone, however often it comes.
    for _ in 0..2 {
        assert_eq!(join(world, &all[1]).await, Joined::Late);
    }
}

pub async fn a_reference_may_name_another_message_later(world: &World) {
    let all = [1, 2].map(|number| part(number, 2));
    let next = all.clone().map(|part| InboundPart {
        name: format!("next-{}", part.number),
        ..part
    });
    assert_eq!(join(world, &all[0]).await, Joined::Waits);
    // At the same time they can not be told apart.
    assert_eq!(join(world, &next[0]).await, Joined::Late);
    assert_eq!(join(world, &all[1]).await, ready(&all));
    assert_eq!(join(world, &next[1]).await, Joined::Waits);
    assert_eq!(join(world, &next[0]).await, ready(&next));
    let elsewhere = OrganizationId::new("another").expect("valid");
    let joined = world.ledger.join_part(&elsewhere, "m 1", &next[0]).await;
    assert_eq!(joined.expect("joined"), Joined::Waits);
}
