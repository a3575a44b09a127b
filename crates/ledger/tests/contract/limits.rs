//! Limits on the store's clock. The rule has its property tests beside it (`gcra.rs`); here it is the
//! whole: several callers, several limits, real time.

use std::time::{Duration, Instant};

use ledger::{Lease, LeaseRequest, LimitScope, LimitState, ThrottleReport};
use message::Sender;

use crate::world::{World, connection};

fn scope(world: &World) -> LimitScope {
    LimitScope::connection(&world.organization, &connection("con-1"))
}

fn ask(world: &World, want: u32) -> LeaseRequest {
    LeaseRequest {
        scope: scope(world),
        per_second: 1_000.0,
        want,
        least: 1,
    }
}

async fn lease(world: &World, request: LeaseRequest) -> Lease {
    let mut leases = world.ledger.lease(&[request]).await.expect("asked");
    assert_eq!(leases.len(), 1);
    leases.remove(0)
}

async fn report(world: &World, throttled: u32, answers: u32, hold_millis: u64) -> LimitState {
    let report = ThrottleReport {
        scope: scope(world),
        per_second: 1_000.0,
        throttled,
        answers,
        hold_millis,
    };
    world.ledger.throttled(&report).await.expect("told")
}

/// Microseconds until the last token of a lease is due.
fn end(lease: &Lease) -> f64 {
    let ends = lease.slices.iter().map(|slice| {
        slice.starts_in_micros as f64 + f64::from(slice.tokens) * lease.interval_micros
    });
    ends.fold(0.0, f64::max)
}

pub async fn callers_of_one_limit_share_its_timetable(world: &World) {
    let started = Instant::now();
    let caller = async |want| {
        let mut granted = 0;
        while started.elapsed() < Duration::from_millis(400) {
            let lease = lease(world, ask(world, want)).await;
            granted += lease.granted();
            let wait = end(&lease).max(lease.retry_after_micros as f64);
            tokio::time::sleep(Duration::from_micros(wait as u64)).await;
        }
        granted
    };
    let granted = tokio::join!(caller(1), caller(7), caller(100));
    let granted = f64::from(granted.0 + granted.1 + granted.2);
    // What was granted last may be due a block of each caller later.
    let seconds = started.elapsed().as_secs_f64() + 0.11;
    assert!(
        granted <= 1_000.0 * seconds + 10.0,
        "{granted} in {seconds}"
    );
    assert!(granted >= 0.7 * 1_000.0 * 0.4, "{granted} in {seconds}");
}

pub async fn several_limits_are_asked_at_once_and_answer_in_order(world: &World) {
    let sender = Sender::ShortCode("12345".into());
    let of_sender = LeaseRequest {
        scope: LimitScope::sender(&world.organization, "twilio-sms", &sender),
        per_second: 100.0,
        ..ask(world, 10)
    };
    // The fleet has one such limit: its rate is the test's own.
    let of_fleet = LeaseRequest {
        scope: LimitScope::provider(world.organization.as_str()),
        per_second: 0.0,
        ..ask(world, 10)
    };
    let asked = [ask(world, 3), of_fleet, of_sender];
    let leases = world.ledger.lease(&asked).await.expect("asked");
    let granted: Vec<_> = leases.iter().map(Lease::granted).collect();
    assert_eq!(granted, [3, 0, 10]);
    assert!(leases[1].retry_after_micros > 0);
    assert_eq!(world.ledger.lease(&[]).await.expect("asked"), []);
}

pub async fn a_held_limit_grants_nothing_before_the_hold_ends(world: &World) {
    report(world, 1, 1, 5_000).await;
    let state = report(world, 1, 1, 10).await;
    assert!(
        (4_500_000..=5_000_000).contains(&state.held_for_micros),
        "a shorter hold does not end a longer one: {state:?}"
    );
    let none = lease(world, ask(world, 50)).await;
    assert_eq!(none.granted(), 0);
    let wait = none.retry_after_micros;
    assert!((2_000_000..=3_000_000).contains(&wait), "{wait}");
    for per_second in [0.0, f64::NAN] {
        let never = LeaseRequest {
            per_second,
            ..ask(world, 1)
        };
        let lease = lease(world, never).await;
        assert!(lease.granted() == 0 && lease.retry_after_micros > 0);
    }
}

pub async fn what_a_provider_refuses_narrows_the_limit_for_everybody(world: &World) {
    let state = report(world, 4, 10, 0).await;
    assert!(state.cut && (state.per_second - 600.0).abs() < 1e-6);
    let ignored = report(world, 10, 10, 0).await;
    assert!(!ignored.cut && ignored.quiet_for_micros > 0, "{ignored:?}");
    let lease = lease(world, ask(world, 50)).await;
    assert!(
        (600.0..700.0).contains(&lease.per_second),
        "it recovers slowly: {lease:?}"
    );
    assert_eq!(lease.configured, 1_000.0);
    assert!((1_430.0..1_680.0).contains(&lease.interval_micros));
}

pub async fn an_operators_rate_holds_from_the_next_lease_on(world: &World) {
    let first = lease(world, ask(world, 10)).await;
    assert_eq!(first.configured, 1_000.0);
    let set = async |rate| {
        let scope = scope(world);
        world.ledger.set_limit(&scope, rate).await.expect("set");
        world.ledger.limit(&scope, 1_000.0).await.expect("asked")
    };
    let state = set(Some(10.0)).await;
    assert_eq!((state.set, state.configured), (Some(10.0), 10.0));
    let slow = lease(world, ask(world, 10)).await;
    assert_eq!((slow.granted(), slow.configured), (2, 10.0));
    // What is due stays due: the faster timetable begins where the slower one ended.
    let state = set(Some(5_000.0)).await;
    assert_eq!((state.set, state.per_second), (Some(5_000.0), 5_000.0));
    let fast = lease(world, ask(world, 10)).await;
    let least = end(&slow) - 100_000.0;
    assert!(fast.slices[0].starts_in_micros as f64 >= least, "{fast:?}");
    let state = set(None).await;
    assert_eq!((state.set, state.configured), (None, 1_000.0));
}
