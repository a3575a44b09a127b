//! Processes that die, and processes that are asked to go.

use std::time::Duration;

use smsfleet_tests::checker::Allowed;
use smsfleet_tests::fleet::Service;
use smsfleet_tests::people;
use smsfleet_tests::scene::{Options, Scene};
use smsfleet_tests::wait;

use crate::{open, taken};

/// The worker's requests in flight, at most: `send_worker.requests_in_flight_max`.
const IN_FLIGHT_MAX: u64 = 100;

fn options(segments_per_second: f64) -> Options {
    let mut options = Options {
        segments_per_second,
        ..Options::default()
    };
    // Long enough for a kill to find requests in flight.
    options.twin.latency = Duration::from_millis(60);
    options.twin.duplicate_receipt_rate = 0.05;
    options.twin.reorder_rate = 0.05;
    options.with("send_worker.request_timeout", "\"5s\"")
}

async fn insist(scene: &mut Scene, allowed: Allowed) {
    let patience = Duration::from_secs(120);
    let verdict = scene.books(patience, allowed).await.expect("it settles");
    println!("{verdict}\n  allowed: {allowed:?}");
    assert!(verdict.balanced(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_is_killed_in_turn_during_a_mailing_and_the_books_balance() {
    let mut scene = open!(options(250.0));
    scene
        .mail("spring", "spring-1", &people::numbers(0..3_000))
        .await
        .expect("confirmed");
    // The first of them is killed while it has the batch in hand.
    for (turn, service) in (0_u64..).zip(Service::ALL) {
        taken(&scene, turn * 450).await;
        let away = scene
            .fleet
            .kill9_and_restart(service)
            .await
            .expect("it comes back");
        println!("killed {}; ready again after {away:?}", service.binary());
    }
    let allowed = Allowed {
        claims_cut_off: IN_FLIGHT_MAX,
        ..Allowed::default()
    };
    insist(&mut scene, allowed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_services_are_killed_at_once_and_the_books_balance() {
    let mut scene = open!(options(250.0));
    scene
        .mail("spring", "spring-1", &people::numbers(0..1_500))
        .await
        .expect("confirmed");
    taken(&scene, 400).await;
    for service in Service::ALL {
        scene.fleet.kill9(service).expect("it ran");
    }
    scene.fleet.start_all().await.expect("they come back");
    let allowed = Allowed {
        claims_cut_off: IN_FLIGHT_MAX,
        ..Allowed::default()
    };
    insist(&mut scene, allowed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_asked_to_stop_drains_and_leaves_nothing_in_doubt() {
    /// Far below the deadline: requests take 60 ms here, so that nothing has to be waited for long.
    const QUICK: Duration = Duration::from_secs(10);
    let mut scene = open!(options(200.0));
    scene
        .mail("spring", "spring-1", &people::numbers(0..2_000))
        .await
        .expect("confirmed");
    for (turn, service) in (0_u64..).zip(Service::ALL) {
        taken(&scene, 50 + turn * 250).await;
        let ended = scene.fleet.terminate(service).await.expect("it ends");
        println!("{} drained: {ended:?}", service.binary());
        assert_eq!(ended.code, Some(0), "{}", service.binary());
        assert!(ended.took < QUICK, "{}: {ended:?}", service.binary());
        scene.fleet.start(service).expect("it starts again");
        scene.fleet.ready(service).await.expect("it comes back");
    }
    let verdict = scene
        .books(wait::PATIENCE, Allowed::default())
        .await
        .expect("it settles");
    assert!(verdict.balanced(), "{verdict}");
    assert_eq!(verdict.figure("in doubt: all"), 0, "{verdict}");
    assert_eq!(verdict.figure("twin: requests"), 2_000, "{verdict}");
}
