//! RabbitMQ and Redis go away and come back. Only this fleet's lines are cut: the services
//! themselves are shared with the other tests.

use std::time::Duration;

use smsfleet_tests::checker::Allowed;
use smsfleet_tests::fleet::Service;
use smsfleet_tests::people;
use smsfleet_tests::proxy::{Line, Proxy};
use smsfleet_tests::scene::{Lines, Options, Scene, Stage};
use smsfleet_tests::wait;

use crate::{open, taken};

fn options() -> Options {
    let mut options = Options {
        segments_per_second: 200.0,
        proxies: true,
        ..Options::default()
    };
    options.twin.latency = Duration::from_millis(30);
    options.with("send_worker.request_timeout", "\"5s\"")
}

fn lines(scene: &Scene) -> &Lines {
    scene.lines.as_ref().expect("there are proxies")
}

/// Waits until every service says that it misses `need`, which is what takes it out of rotation.
async fn all_miss(scene: &Scene, need: &str) {
    for service in Service::ALL {
        let what = format!("{} misses {need}", service.binary());
        wait::until(&what, wait::PATIENCE, async || {
            let (status, said) = scene.fleet.readiness(service).await.ok()?;
            (status == 503 && said.contains(need)).then_some(())
        })
        .await
        .expect("it says so");
    }
}

async fn all_ready(scene: &mut Scene) {
    for service in Service::ALL {
        scene
            .fleet
            .ready(service)
            .await
            .expect("it recovers by itself");
    }
}

async fn insist(scene: &mut Scene) {
    let patience = Duration::from_secs(120);
    let verdict = scene
        .books(patience, Allowed::default())
        .await
        .expect("it settles");
    println!("{verdict}");
    assert!(verdict.balanced(), "{verdict}");
}

async fn fleet_waits_for(chosen: impl Fn(&Lines) -> &Proxy, need: &str) {
    let stage = Stage::open(options()).await.expect("the stage is set");
    let Some(mut stage) = stage else { return };
    chosen(stage.lines.as_ref().expect("there are proxies")).set(Line::Cut);
    for service in Service::ALL {
        stage.fleet.start(service).expect("it starts");
    }
    for service in Service::ALL {
        let what = format!("{} waits for {need}", service.binary());
        wait::until(&what, wait::PATIENCE, async || {
            let (status, said) = stage.fleet.readiness(service).await.ok()?;
            (status == 503 && said.contains(need)).then_some(())
        })
        .await
        .expect("it is up, and not ready");
    }
    stage.fleet.all_alive().expect("nobody gives up");
    chosen(stage.lines.as_ref().expect("there are proxies")).set(Line::Healthy);
    for service in Service::ALL {
        stage
            .fleet
            .ready(service)
            .await
            .expect("it becomes ready by itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_starts_before_its_broker_waits_for_it_and_says_so() {
    fleet_waits_for(|lines| &lines.amqp, "amqp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_starts_before_redis_waits_for_it_and_says_so() {
    fleet_waits_for(|lines| &lines.redis, "redis").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_during_a_mailing_costs_neither_message_nor_money() {
    let mut scene = open!(options());
    scene
        .mail("spring", "spring-1", &people::numbers(0..1_500))
        .await
        .expect("confirmed");
    taken(&scene, 300).await;
    lines(&scene).amqp.set(Line::Cut);
    all_miss(&scene, "amqp").await;
    lines(&scene).amqp.set(Line::Healthy);
    all_ready(&mut scene).await;
    insist(&mut scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_nothing_is_sent_and_afterwards_the_books_balance() {
    let mut scene = open!(options());
    scene
        .mail("spring", "spring-1", &people::numbers(0..1_500))
        .await
        .expect("confirmed");
    taken(&scene, 300).await;
    lines(&scene).redis.set(Line::Cut);
    all_miss(&scene, "redis").await;
    let silent = Duration::from_secs(2);
    let requests = async || Some(scene.twin().audit_summary().totals.requests);
    let sent = wait::until_calm("nothing is sent", silent, wait::PATIENCE, requests)
        .await
        .expect("the opt-out check fails closed");
    assert!(sent < 1_500, "{sent} requests left without Redis");
    lines(&scene).redis.set(Line::Healthy);
    all_ready(&mut scene).await;
    insist(&mut scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_stops_the_sending_and_nothing_is_sent_twice() {
    let mut scene = open!(options());
    scene
        .mail("spring", "spring-1", &people::numbers(0..1_000))
        .await
        .expect("confirmed");
    taken(&scene, 200).await;
    lines(&scene).redis.set(Line::Stalled);
    let silent = Duration::from_secs(2);
    let requests = async || Some(scene.twin().audit_summary().totals.requests);
    let sent = wait::until_calm("nothing is sent", silent, wait::PATIENCE, requests)
        .await
        .expect("the opt-out check fails closed");
    assert!(
        sent < 1_000,
        "{sent} requests left without an answer of Redis"
    );
    lines(&scene).redis.set(Line::Healthy);
    all_ready(&mut scene).await;
    insist(&mut scene).await;
}
