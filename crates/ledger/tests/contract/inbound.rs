//! Inbound messages that were seen, and refused batches.

use ledger::{INBOUND_SEEN_FOR, REFUSED_BATCHES_MAX, RefusedBatch};
use message::{BatchId, Refusal, Rule};

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
