//! Receipts that come part by part.

use ledger::{PartName, PartReport, RowReport, SettleOutcome, SettleRow, Settled};
use message::{BatchKey, MessageState};

use crate::world::{World, accepted, changed, provider_id, report, settle_row, unchanged};

use MessageState::{Accepted, Delivered, Expired, Failed, InDoubt, Sent, Undelivered};

/// About part `number` of `of`, as LINK Mobility tells it.
pub fn numbered(row: u32, number: u8, of: u8, state: MessageState, code: &str) -> RowReport {
    RowReport {
        provider_message_id: provider_id(row),
        part: Some(PartReport {
            name: PartName::Number(number),
            of: Some(of),
        }),
        ..report(row, state, code)
    }
}

/// About the part with this id, as Vonage tells it.
pub fn named(row: u32, id: &str, state: MessageState, code: &str) -> RowReport {
    RowReport {
        provider_message_id: id.into(),
        part: Some(PartReport {
            name: PartName::Id(id.into()),
            of: None,
        }),
        ..report(row, state, code)
    }
}

/// Taken, in so many parts.
pub fn in_parts(row: u32, parts: u8) -> SettleRow {
    SettleRow {
        parts,
        ..accepted(row)
    }
}

async fn claimed(world: &World, name: &str) -> BatchKey {
    let batch = world.batch(name, 1).await;
    world.claim(batch, 1, &[0]).await;
    batch
}

fn states(answers: &[Settled]) -> Vec<(bool, MessageState)> {
    let state = |answer: &Settled| match answer {
        Settled::Changed(row) => (true, row.state),
        Settled::Unchanged(row) => (false, row.state),
        other => panic!("{other:?}"),
    };
    answers.iter().map(state).collect()
}

pub async fn a_message_is_delivered_when_its_last_part_is(world: &World) {
    let reports = |of: fn(u8) -> RowReport| [of(2), of(2), of(1), of(3), of(1)];
    for (name, reports) in [
        ("numbers", reports(|n| numbered(0, n, 3, Delivered, "0"))),
        (
            "ids",
            reports(|n| named(0, &format!("id-{n}"), Delivered, "0")),
        ),
    ] {
        let batch = claimed(world, name).await;
        world.settle(batch, 1, &[in_parts(0, 3)]).await;
        let answers = world.merge(batch, &reports).await;
        let expected = [
            (true, Sent),
            (false, Sent),
            (false, Sent),
            (true, Delivered),
            (false, Delivered),
        ];
        assert_eq!(states(&answers), expected, "{name}");
        let row = world.row(batch, 0).await;
        assert_eq!(
            (row.code.as_str(), row.provider_message_id),
            ("", provider_id(0))
        );
    }
}

pub async fn a_failed_part_decides_and_another_parts_success_does_not_change_it(world: &World) {
    let batch = claimed(world, "b-1").await;
    world.settle(batch, 1, &[in_parts(0, 2)]).await;
    let answers = world
        .merge(
            batch,
            &[
                named(0, "a", Delivered, ""),
                named(0, "b", Expired, "3"),
                named(0, "a", Delivered, ""),
                named(0, "b", Undelivered, "9"),
            ],
        )
        .await;
    let expected = [
        (true, Sent),
        (true, Expired),
        (false, Expired),
        (true, Undelivered),
    ];
    assert_eq!(states(&answers), expected);
    assert_eq!(changed(&answers[3]).code, "9");
    // Unless it was that very part that arrived after all: now everything did.
    let late = world.merge(batch, &[named(0, "b", Delivered, "")]).await;
    assert_eq!(states(&late), [(true, Delivered)]);
}

pub async fn parts_that_overtake_the_answer_wait_for_their_number(world: &World) {
    let both = [named(0, "a", Delivered, ""), named(0, "b", Delivered, "")];
    for (parts, ends) in [(0, Delivered), (1, Delivered), (2, Delivered), (3, Sent)] {
        let batch = claimed(world, &format!("b-{parts}")).await;
        let early = if parts < 2 { &both[..1] } else { &both[..] };
        world.merge(batch, early).await;
        assert_eq!(world.row(batch, 0).await.state, Sent, "{parts}");
        let settled = world.settle(batch, 1, &[in_parts(0, parts)]).await;
        assert_eq!(states(&settled), [(ends == Delivered, ends)], "{parts}");
        let again = world.settle(batch, 1, &[in_parts(0, parts)]).await;
        assert_eq!(states(&again), [(false, ends)], "{parts}");
    }
    // A receipt that says how many there are needs nobody else.
    let batch = claimed(world, "b-9").await;
    let numbered = [1, 2].map(|n| numbered(0, n, 2, Delivered, ""));
    let answers = world.merge(batch, &numbered).await;
    assert_eq!(states(&answers), [(true, Sent), (true, Delivered)]);
}

pub async fn one_part_speaks_for_a_message_that_has_no_other(world: &World) {
    let batch = world.batch("b-1", 4).await;
    world.claim(batch, 1, &[0, 1, 2, 3]).await;
    let doubt = settle_row(2, SettleOutcome::State(InDoubt), "timeout", "");
    world
        .settle(
            batch,
            1,
            &[in_parts(0, 1), in_parts(1, 0), doubt, in_parts(3, 1)],
        )
        .await;
    let reports = [
        named(0, &provider_id(0), Delivered, "0"),
        named(1, &provider_id(1), Failed, "6"),
        named(2, "late", Delivered, ""),
        numbered(3, 1, 1, Delivered, ""),
    ];
    let answers = world.merge(batch, &reports).await;
    let expected = [
        (true, Delivered),
        (true, Failed),
        (true, Delivered),
        (true, Delivered),
    ];
    assert_eq!(states(&answers), expected);
    assert_eq!(changed(&answers[2]).provider_message_id, "late");
    let improved = named(1, &provider_id(1), Delivered, "");
    let answers = world.merge(batch, &[improved]).await;
    assert_eq!(states(&answers), [(true, Delivered)]);
}

pub async fn a_receipt_for_the_whole_message_needs_no_parts(world: &World) {
    let batch = claimed(world, "b-1").await;
    world.settle(batch, 1, &[in_parts(0, 3)]).await;
    let answers = world
        .merge(
            batch,
            &[
                named(0, "a", Sent, ""),
                report(0, Delivered, ""),
                named(0, "b", Failed, "1"),
                named(0, "c", Delivered, ""),
            ],
        )
        .await;
    unchanged(&answers[2]);
    assert_eq!(unchanged(&answers[3]).state, Delivered);
}

/// What is reported about the parts of a message, over its whole life.
fn any_reports(random: &mut fastrand::Rng, total: u8, says_how_many: bool) -> Vec<RowReport> {
    const STATES: [MessageState; 6] = [Accepted, Sent, Expired, Undelivered, Failed, Delivered];
    // Mostly good news, or no message would ever arrive.
    let any_state = |random: &mut fastrand::Rng| match random.u32(..5) {
        0..3 => Delivered,
        _ => STATES[random.usize(..STATES.len())],
    };
    let mut reports = Vec::new();
    for number in 1..=total {
        for _ in 0..random.usize(1..4) {
            let state = any_state(random);
            let code = ["", "7", "30003"][random.usize(..3)];
            reports.push(match says_how_many {
                true => numbered(0, number, total, state, code),
                false => named(0, &format!("id-{number}"), state, code),
            });
        }
    }
    reports
}

pub async fn any_order_of_part_reports_ends_the_same(world: &World) {
    let mut delivered = 0;
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (total, says_how_many) = (random.u8(1..5), random.bool());
        let mut said = any_reports(&mut random, total, says_how_many);
        let mut ends = Vec::new();
        for order in 0..4 {
            said.extend_from_within(..random.usize(..=said.len()));
            random.shuffle(&mut said);
            let batch = claimed(world, &format!("b-{seed}-{order}")).await;
            let (before, after) = said.split_at(random.usize(..=said.len()));
            world.merge(batch, before).await;
            let settled = match random.bool() {
                true => in_parts(0, total),
                // In doubt, its parts are told all the same.
                false => SettleRow {
                    parts: total,
                    ..settle_row(0, SettleOutcome::State(InDoubt), "", "")
                },
            };
            world.settle(batch, 1, &[settled]).await;
            world.merge(batch, after).await;
            let row = world.row(batch, 0).await;
            ends.push((row.state, row.code));
        }
        assert!(
            ends.windows(2).all(|pair| pair[0] == pair[1]),
            "seed {seed}, {total} parts: {ends:?}"
        );
        delivered += usize::from(ends[0].0 == Delivered);
    }
    assert!((5..55).contains(&delivered), "both ends occur: {delivered}");
}
