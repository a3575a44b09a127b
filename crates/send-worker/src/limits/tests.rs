//! Several workers on one limit: everything that left, against every second. On paused time with the
//! ledger in the process, and on the clock with Redis.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bus::EmbeddedBus;
use ledger::{EmbeddedLedger, Ledger, RedisLedger, RedisSettings, Sealer};
use message::{Connection, ConnectionId, OrganizationId, Sender, Timestamp};
use runtime::Metrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{SendMetrics, limits::Limits, pacing::Pacing};

/// What left, and when.
type Log = Arc<Mutex<Vec<(Instant, u32)>>>;

fn connection(per_second: f64) -> Connection {
    let name = format!("org-{:x}", fastrand::u64(..));
    Connection {
        id: ConnectionId::new("c1").expect("valid"),
        organization_id: OrganizationId::new(&name).expect("valid"),
        provider: "sinch".into(),
        name: "Test".into(),
        sender: Sender::Alphanumeric("TEST".into()),
        fields: [].into(),
        secrets: [].into(),
        segments_per_second: per_second,
        created_at: Timestamp::from_millis(0),
        deleted_at: None,
    }
}

struct Fleet {
    ledger: Arc<dyn Ledger>,
    bus: Arc<dyn bus::Bus>,
    metrics: SendMetrics,
    connection: Connection,
    log: Log,
}

impl Fleet {
    fn new(ledger: Arc<dyn Ledger>, per_second: f64) -> Self {
        Self {
            ledger,
            bus: EmbeddedBus::new(),
            metrics: SendMetrics::new(&Metrics::new()),
            connection: connection(per_second),
            log: Log::default(),
        }
    }

    fn limits(&self) -> Arc<Limits> {
        let metrics = self.metrics.limits();
        Limits::new(self.ledger.clone(), self.bus.clone(), metrics, [].into())
    }

    /// A worker with all the work in the world. Aborting it is killing it.
    fn worker(&self, stalls: bool, most: u32) -> tokio::task::JoinHandle<()> {
        let limits = self.limits();
        let mut pacing = Pacing::new(&limits, &self.connection);
        let log = self.log.clone();
        let work = async move {
            loop {
                if stalls && fastrand::u32(0..400) == 0 {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..300))).await;
                }
                let until = Instant::now() + Duration::from_millis(250);
                let Ok(taken) = pacing.take(1, most, until).await else {
                    continue;
                };
                let back = if stalls {
                    taken.min(fastrand::u32(0..2))
                } else {
                    0
                };
                pacing.give_back(back);
                let mut log = log.lock().expect("no panic");
                log.push((Instant::now(), taken - back));
            }
        };
        let listening = limits.listen(CancellationToken::new());
        tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                () = listening => {}
            }
        })
    }

    fn figures(&self, from: Instant, until: Instant, per_second: f64) -> Figures {
        let mut log = self.log.lock().expect("no panic").clone();
        log.retain(|(at, _)| *at >= from && *at <= until);
        log.sort_by_key(|(at, _)| *at);
        let (mut first, mut sum, mut most) = (0, 0, 0);
        for last in 0..log.len() {
            sum += log[last].1;
            while log[last].0 - log[first].0 >= Duration::from_secs(1) {
                sum -= log[first].1;
                first += 1;
            }
            most = most.max(sum);
        }
        let all: u32 = log.iter().map(|(_, count)| count).sum();
        let leases = self.metrics.limits().leases.get();
        #[allow(clippy::cast_precision_loss)]
        Figures {
            all,
            busiest: most,
            over: f64::from(most) / per_second - 1.0,
            used: f64::from(all) / (per_second * (until - from).as_secs_f64()),
            leases_each: leases as f64 / f64::from(all.max(1)),
        }
    }
}

#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Figures {
    all: u32,
    busiest: u32,
    over: f64,
    used: f64,
    leases_each: f64,
}

/// Eight workers that start, stop and are killed, one such thing in each pause.
async fn restless(fleet: &Fleet, seconds: f64, pause: Duration, stalls: bool, most: u32) {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut workers: Vec<_> = (0..8).map(|_| fleet.worker(stalls, most)).collect();
    while Instant::now() < end {
        tokio::time::sleep(pause).await;
        let which = fastrand::usize(0..8);
        workers[which].abort();
        workers[which] = fleet.worker(stalls, most);
    }
    for worker in workers {
        worker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn eight_restless_workers_keep_every_second_and_use_nearly_all_of_it() {
    for per_second in [1.0, 12.0, 100.0, 333.0, 1_000.0, 5_000.0] {
        let fleet = Fleet::new(EmbeddedLedger::new(), per_second);
        let from = Instant::now();
        restless(&fleet, 30.0, Duration::from_secs(5), false, 50).await;
        let figures = fleet.figures(from, Instant::now(), per_second);
        println!("{per_second}/s: {figures:?}");
        let burst = (per_second * 0.01).max(1.0);
        assert!(
            f64::from(figures.busiest) <= per_second + burst,
            "{figures:?}"
        );
        if per_second >= 100.0 {
            // With a dead worker a lease is lost: a quarter of a second at 100/s, and less above.
            let least = if per_second > 100.0 { 0.97 } else { 0.94 };
            assert!(figures.used >= least, "{figures:?}");
            assert!(figures.leases_each <= 0.05, "{figures:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stalls_and_frequent_deaths_cost_tokens_and_never_exceed_a_limit() {
    for per_second in [3.0, 100.0, 1_000.0, 3_000.0] {
        let fleet = Fleet::new(EmbeddedLedger::new(), per_second);
        let from = Instant::now();
        restless(&fleet, 20.0, Duration::from_millis(130), true, 50).await;
        let figures = fleet.figures(from, Instant::now(), per_second);
        println!("{per_second}/s: {figures:?}");
        let burst = (per_second * 0.01).max(1.0);
        assert!(
            f64::from(figures.busiest) <= per_second + burst,
            "{figures:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_never_limits_costs_twenty_leases_a_second() {
    let fleet = Fleet::new(EmbeddedLedger::new(), 100_000.0);
    let from = Instant::now();
    let worker = fleet.worker(false, 250);
    tokio::time::sleep(Duration::from_secs(5)).await;
    worker.abort();
    let figures = fleet.figures(from, Instant::now(), 100_000.0);
    let leases = fleet.metrics.limits().leases.get();
    assert!(leases <= 5 * 22, "{leases}: {figures:?}");
}

#[tokio::test(start_paused = true)]
async fn an_operators_change_neither_bursts_nor_pauses() {
    let fleet = Fleet::new(EmbeddedLedger::new(), 1_000.0);
    let scope =
        ledger::LimitScope::connection(&fleet.connection.organization_id, &fleet.connection.id);
    let workers: Vec<_> = (0..8).map(|_| fleet.worker(false, 50)).collect();
    for rate in [1_000.0, 200.0, 1_000.0] {
        fleet
            .ledger
            .set_limit(&scope, Some(rate))
            .await
            .expect("embedded");
        let from = Instant::now();
        tokio::time::sleep(Duration::from_secs(6)).await;
        // What was granted before the change goes on to be spent: two seconds ahead at most.
        let settled = from + Duration::from_secs(2);
        let figures = fleet.figures(settled, Instant::now(), rate);
        println!("{rate}/s: {figures:?}");
        assert!(figures.over <= 0.01, "{figures:?}");
        assert!(figures.used >= 0.97, "{figures:?}");
    }
    let all = fleet.figures(
        Instant::now() - Duration::from_secs(18),
        Instant::now(),
        1_000.0,
    );
    assert!(all.over <= 0.01, "{all:?}");
    workers.iter().for_each(|worker| worker.abort());
}

#[tokio::test(start_paused = true)]
async fn the_fleet_slows_down_within_200_ms_of_the_first_refusal_and_recovers() {
    let fleet = Fleet::new(EmbeddedLedger::new(), 1_000.0);
    let stop = CancellationToken::new();
    let workers: Vec<_> = (0..8).map(|_| fleet.worker(false, 50)).collect();
    let limits = fleet.limits();
    let listening = tokio::spawn(limits.clone().listen(stop.clone()));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = limits.of(&fleet.connection);
    told.answered(50, 100, None);
    let at = Instant::now();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let narrow = fleet.figures(
        at + Duration::from_millis(200),
        at + Duration::from_millis(1_200),
        1_000.0,
    );
    println!("{narrow:?}");
    assert!(narrow.used <= 0.65, "{narrow:?}");
    tokio::time::sleep(Duration::from_secs(14)).await;
    let back = fleet.figures(at + Duration::from_secs(12), Instant::now(), 1_000.0);
    assert!(back.used >= 0.97 && back.over <= 0.01, "{back:?}");

    told.answered(1, 100, Some(Duration::from_secs(2)));
    let at = Instant::now();
    tokio::time::sleep(Duration::from_millis(4_000)).await;
    let held = fleet.figures(
        at + Duration::from_millis(200),
        at + Duration::from_millis(2_000),
        1_000.0,
    );
    assert_eq!(held.all, 0, "{held:?}");
    let after = fleet.figures(
        at + Duration::from_millis(2_100),
        at + Duration::from_millis(4_000),
        1_000.0,
    );
    assert!(after.used >= 0.8 && after.over <= 0.01, "{after:?}");
    stop.cancel();
    listening.await.expect("ends");
    workers.iter().for_each(|worker| worker.abort());
}

#[tokio::test]
async fn eight_restless_workers_keep_a_limit_in_redis() {
    let Ok(url) = std::env::var("SMSFLEET_REDIS_URL") else {
        let required = std::env::var("SMSFLEET_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
        assert!(!required, "SMSFLEET_REDIS_URL is not set");
        println!("skipped: SMSFLEET_REDIS_URL is not set");
        return;
    };
    let settings = RedisSettings {
        key_prefix: format!("test:{:x}:", fastrand::u64(..)),
        ..RedisSettings::default()
    };
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let sealer = Sealer::new(vec![("test".into(), message::Secret::new(key.into()))]);
    let sealer = Arc::new(sealer.expect("a valid key"));
    let ledger = RedisLedger::connect(&url, settings, sealer)
        .await
        .expect("Redis answers");
    for (per_second, seconds) in [(100.0, 3.0), (1_000.0, 5.0)] {
        let fleet = Fleet::new(ledger.clone(), per_second);
        let from = Instant::now();
        restless(&fleet, seconds, Duration::from_secs(1), false, 50).await;
        let figures = fleet.figures(from, Instant::now(), per_second);
        println!("{per_second}/s: {figures:?}");
        let burst = (per_second * 0.01).max(1.0);
        assert!(
            f64::from(figures.busiest) <= per_second + burst,
            "{figures:?}"
        );
        // How much is used depends on the machine too: a process that is not run loses tokens.
        assert!(figures.used >= 0.5, "{figures:?}");
        assert!(figures.leases_each <= 0.1, "{figures:?}");
    }
}
