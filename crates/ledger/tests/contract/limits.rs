//! Limits on the store's clock. The arithmetic has its property tests beside it (`gcra.rs`); here
//! it is the whole: several callers, real time.

use std::time::{Duration, Instant};

use ledger::{Lease, LeaseRequest};

use crate::world::World;

fn ask(world: &World, want: u32) -> LeaseRequest {
    LeaseRequest {
        scope: format!("connection:{}", world.organization),
        per_second: 1_000.0,
        burst: 50.0,
        want,
    }
}

pub async fn a_limit_grants_its_rate_and_its_burst_to_all_together(world: &World) {
    let started = Instant::now();
    let caller = async |want| {
        let mut granted = 0;
        while started.elapsed() < Duration::from_millis(400) {
            let lease = world.ledger.lease(&ask(world, want)).await.expect("asked");
            granted += lease.granted;
            if lease.granted == 0 {
                let wait = lease.retry_after_millis;
                assert!((1..=60).contains(&wait), "{wait}");
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
        }
        granted
    };
    let granted = tokio::join!(caller(1), caller(7), caller(100));
    let granted = f64::from(granted.0 + granted.1 + granted.2);
    let seconds = started.elapsed().as_secs_f64();
    assert!(
        granted <= 1_000.0 * seconds + 50.0 + 1.0,
        "{granted} in {seconds}"
    );
    // What comes evenly is not lost while callers come back within the burst's time.
    assert!(granted >= 0.7 * 1_000.0 * 0.4, "{granted} in {seconds}");
}

pub async fn a_held_limit_grants_nothing_until_the_hold_ends(world: &World) {
    let scope = ask(world, 1).scope;
    let started = Instant::now();
    world.ledger.hold_back(&scope, 300).await.expect("held");
    world
        .ledger
        .hold_back(&scope, 10)
        .await
        .expect("a shorter hold does not end a longer one");
    let lease = world.ledger.lease(&ask(world, 50)).await.expect("asked");
    assert_eq!(lease.granted, 0);
    assert!((200..=300).contains(&lease.retry_after_millis), "{lease:?}");
    tokio::time::sleep(Duration::from_millis(lease.retry_after_millis)).await;
    let Lease { granted, .. } = world.ledger.lease(&ask(world, 50)).await.expect("asked");
    let since_end = started.elapsed().saturating_sub(Duration::from_millis(300));
    let most = since_end.as_secs_f64() * 1_000.0 + 3.0;
    assert!(
        granted >= 1 && f64::from(granted) <= most,
        "no burst: {granted} of {most}"
    );

    for per_second in [0.0, f64::NAN] {
        let never = LeaseRequest {
            per_second,
            ..ask(world, 1)
        };
        let lease = world.ledger.lease(&never).await.expect("asked");
        assert!(lease.granted == 0 && lease.retry_after_millis > 0);
    }
}
