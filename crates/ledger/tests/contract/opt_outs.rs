//! Standings and the check before a send.

use ledger::{Claim, ClaimRequest, SettleOutcome};
use message::{
    MessageState, OrganizationId,
    opt_out::{OptOutChange, OptOutKind, OptOutSource},
};

use crate::world::{SENDER, World, at, changed, connection, number, settle_row};

fn change(world: &World, row: u32, kind: OptOutKind, millis: u64) -> OptOutChange {
    OptOutChange {
        organization_id: world.organization.clone(),
        number: number(row),
        kind,
        at: at(millis),
        sender: None,
        source: OptOutSource::Keyword,
        connection_id: Some(connection("con-1")),
        evidence: "SM-in-1 \"STOP\" {é}".into(),
    }
}

pub async fn an_opted_out_recipient_is_told_apart_from_the_others(world: &World) {
    let batch = world.batch("b-1", 250).await;
    for row in [3, 77] {
        let out = change(world, row, OptOutKind::OptOut, 10);
        assert!(world.ledger.change_opt_out(&out).await.expect("changed"));
    }
    let all: Vec<u32> = (0..250).collect();
    let claims = world.claim(batch, 1, &all).await;
    for (row, claim) in all.iter().zip(&claims) {
        let expected = if [3, 77].contains(row) {
            Claim::OptedOut
        } else {
            Claim::Fresh
        };
        assert_eq!(*claim, expected, "{row}");
    }
    let suppressed = SettleOutcome::State(MessageState::Suppressed);
    let settled = world
        .settle(batch, 1, &[settle_row(3, suppressed, "", "")])
        .await;
    assert_eq!(changed(&settled[0]).state, MessageState::Suppressed);
    let others = world.claim(batch, 2, &[3, 77]).await;
    assert!(
        matches!(others[..], [Claim::Settled(_), Claim::Busy]),
        "{others:?}"
    );

    // The one confirmation goes out all the same, and another organisation does not care.
    let again = world.batch("b-2", 250).await;
    let exempt = ClaimRequest {
        exempt_from_opt_out: true,
        ..world.claim_of(again, 1, &[3])
    };
    assert_eq!(world.claimed(&exempt).await, [Claim::Fresh]);
    let other = ClaimRequest {
        organization_id: OrganizationId::new("another").expect("valid"),
        ..world.claim_of(again, 1, &[77])
    };
    assert_eq!(world.claimed(&other).await, [Claim::Fresh]);
    let back = change(world, 77, OptOutKind::OptIn, 20);
    assert!(world.ledger.change_opt_out(&back).await.expect("changed"));
    assert_eq!(world.claim(again, 1, &[77]).await, [Claim::Fresh]);
}

pub async fn the_later_change_holds_and_at_a_tie_the_refusal(world: &World) {
    use OptOutKind::{OptIn, OptOut};
    let steps = [
        (OptIn, 100, true),
        (OptIn, 100, false),
        (OptOut, 100, true),
        (OptOut, 100, false),
        (OptIn, 100, false),
        (OptOut, 99, false),
        (OptIn, 101, true),
        (OptOut, 100, false),
        (OptOut, 102, true),
    ];
    let mut holds = None;
    for (kind, millis, expected) in steps {
        let next = change(world, 5, kind, millis);
        let did = world.ledger.change_opt_out(&next).await.expect("asked");
        assert_eq!(did, expected, "{kind:?} at {millis}");
        if did {
            holds = Some(next);
        }
        let numbers = [number(6), number(5)];
        let standings = world.ledger.standings(&world.organization, &numbers);
        assert_eq!(standings.await.expect("asked"), [None, holds.clone()]);
    }
    assert!(
        world
            .ledger
            .standings(&world.organization, &[])
            .await
            .expect("asked")
            .is_empty()
    );
}

/// A change towards one sender.
fn towards(sender: &str, change: OptOutChange) -> OptOutChange {
    OptOutChange {
        sender: Some(sender.into()),
        ..change
    }
}

const OTHER: &str = "Acme";

/// Whether the number of row 5 is out towards [`SENDER`] and towards [`OTHER`].
async fn is_out(world: &World, batch: &str) -> [bool; 2] {
    let batch = world.batch(batch, 6).await;
    let mut out = [false; 2];
    for (out, sender) in out.iter_mut().zip([SENDER, OTHER]) {
        let claim = ClaimRequest {
            sender: sender.into(),
            ..world.claim_of(batch, 1, &[5])
        };
        *out = world.claimed(&claim).await == [Claim::OptedOut];
    }
    out
}

pub async fn a_refusal_of_one_sender_holds_for_that_sender_only(world: &World) {
    use OptOutKind::{OptIn, OptOut};
    let ledger = &world.ledger;
    let out = towards(OTHER, change(world, 5, OptOut, 100));
    assert!(ledger.change_opt_out(&out).await.expect("changed"));
    assert!(!ledger.change_opt_out(&out).await.expect("known"));
    assert_eq!(is_out(world, "b-1").await, [false, true]);
    let towards_senders = || ledger.sender_standings(&world.organization, number(5));
    assert_eq!(
        towards_senders().await.expect("asked"),
        std::slice::from_ref(&out)
    );
    let numbers = [number(5)];
    let whole = ledger.standings(&world.organization, &numbers);
    assert_eq!(whole.await.expect("asked"), [None]);

    let also = towards(SENDER, change(world, 5, OptOut, 50));
    assert!(ledger.change_opt_out(&also).await.expect("changed"));
    assert_eq!(is_out(world, "b-2").await, [true, true]);
    // The provider lifts what it refused, and an older refusal that comes late changes nothing.
    let back = towards(SENDER, change(world, 5, OptIn, 60));
    assert!(ledger.change_opt_out(&back).await.expect("changed"));
    assert!(!ledger.change_opt_out(&also).await.expect("asked"));
    assert_eq!(is_out(world, "b-3").await, [false, true]);
    assert_eq!(towards_senders().await.expect("asked"), [back, out]);
    let nobody = ledger.sender_standings(&world.organization, number(6));
    assert_eq!(nobody.await.expect("asked"), []);
}

pub async fn who_comes_back_to_the_organisation_comes_back_to_all_its_senders(world: &World) {
    use OptOutKind::{OptIn, OptOut};
    let ledger = &world.ledger;
    let steps = [
        // A START lifts what is older, and keeps what is as old.
        (
            towards(OTHER, change(world, 5, OptOut, 100)),
            true,
            [false, true],
        ),
        (
            towards(SENDER, change(world, 5, OptOut, 200)),
            true,
            [true, true],
        ),
        (change(world, 5, OptIn, 200), true, [true, false]),
        // What it would have lifted does not hold when it comes late.
        (
            towards(OTHER, change(world, 5, OptOut, 199)),
            false,
            [true, false],
        ),
        (
            towards(OTHER, change(world, 5, OptIn, 200)),
            false,
            [true, false],
        ),
        (change(world, 5, OptIn, 201), true, [false, false]),
        (
            towards(OTHER, change(world, 5, OptOut, 201)),
            true,
            [false, true],
        ),
        // A STOP towards the organisation leaves it as it is.
        (change(world, 5, OptOut, 300), true, [true, true]),
        (change(world, 5, OptIn, 400), true, [false, false]),
    ];
    for (step, (change, expected, out)) in steps.into_iter().enumerate() {
        let did = ledger.change_opt_out(&change).await.expect("asked");
        assert_eq!(did, expected, "step {step}");
        assert_eq!(
            is_out(world, &format!("b-{step}")).await,
            out,
            "step {step}"
        );
    }
    let towards_senders = ledger.sender_standings(&world.organization, number(5));
    assert_eq!(towards_senders.await.expect("asked"), []);
}
