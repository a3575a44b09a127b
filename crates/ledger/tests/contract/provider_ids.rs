//! Receipts that do not name their message find it by the provider's id.

use ledger::{RowReport, SettleOutcome, SettleRequest, SettleRow};
use message::{BatchKey, MessageState, Reference};

use crate::{
    parts::named,
    world::{SENDER, World, accepted, at, connection, provider_id, report, settle_row},
};

async fn found(world: &World, connection_id: &str, ids: &[&str]) -> Vec<Option<Reference>> {
    let connection = connection(connection_id);
    let found = world.ledger.by_provider_id(&connection, ids).await;
    found.expect("asked")
}

fn reference(batch: BatchKey, row: u32) -> Option<Reference> {
    Some(Reference { batch, row })
}

pub async fn a_message_is_found_by_its_providers_id(world: &World) {
    let batch = world.batch("b-1", 4).await;
    assert_eq!(found(world, "con-1", &["SM1"]).await, [None]);
    world.claim(batch, 1, &[0, 1, 2, 3]).await;
    let state = SettleOutcome::State;
    let rows = [
        accepted(0),
        settle_row(1, state(MessageState::InDoubt), "http_502", "doubt"),
        settle_row(2, state(MessageState::Rejected), "1", "refused"),
        SettleRow {
            parts: 3,
            part_ids: vec!["p1".into(), "p2".into(), "p3".into()],
            ..settle_row(3, state(MessageState::Accepted), "", "p1")
        },
    ];
    for _ in 0..2 {
        world.settle(batch, 1, &rows).await;
    }
    let first = provider_id(0);
    let ids = ["p2", &first, "refused", "p1", "doubt", "", "p3", "P3"];
    let [zero, one, three] = [0, 1, 3].map(|row| reference(batch, row));
    let expected = [three, zero, None, three, one, None, three, None];
    assert_eq!(found(world, "con-1", &ids).await, expected);
    // Another connection's ids are its own, and no question has no answer.
    assert_eq!(found(world, "con-2", &["p2"]).await, [None]);
    assert!(found(world, "con-1", &[]).await.is_empty());
}

pub async fn an_id_that_a_receipt_teaches_is_found_too(world: &World) {
    let batch = world.batch("b-1", 2).await;
    world.claim(batch, 1, &[0, 1]).await;
    let nameless = [0, 1].map(|row| SettleRow {
        provider_message_id: String::new(),
        ..accepted(row)
    });
    world.settle(batch, 1, &nameless).await;
    let says = |id: &str| RowReport {
        provider_message_id: id.into(),
        ..report(0, MessageState::Sent, "")
    };
    let reports = [
        says(""),
        says("learned"),
        says("another"),
        named(1, "part", MessageState::Delivered, ""),
    ];
    world.merge(batch, &reports).await;
    let [zero, one] = [0, 1].map(|row| reference(batch, row));
    let ids = ["learned", "another", "part"];
    assert_eq!(found(world, "con-1", &ids).await, [zero, None, one]);
}

pub async fn thousands_of_ids_are_all_found(world: &World) {
    let batch = world.batch("b-1", 1).await;
    let ids: Vec<String> = (0..3_000).map(|n| format!("id-{n}")).collect();
    for (row, ids) in (0..).zip(ids.chunks(250)) {
        let told = SettleRow {
            provider_message_id: String::new(),
            part_ids: ids.to_vec(),
            ..accepted(row + 70_000)
        };
        let settle = SettleRequest {
            batch,
            token: 1,
            now: at(1),
            connection_id: connection("con-1"),
            sender: (world.organization.clone(), SENDER.into()),
            index_ids: true,
            rows: vec![told],
        };
        world.ledger.settle(&settle).await.expect("settled");
    }
    let asked: Vec<&str> = ids.iter().map(String::as_str).collect();
    let answers = found(world, "con-1", &asked).await;
    for (n, answer) in (0..).zip(answers) {
        assert_eq!(answer, reference(batch, n / 250 + 70_000), "{n}");
    }
}
