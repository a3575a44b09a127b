//! The large run: a distribution through six real processes, a real RabbitMQ and a real Redis, with
//! a provider that misbehaves, people who opt out, and, with `--kill`, processes that die. Then the
//! twin's audit against the ledger, figure by figure. Exit code 1 if the books do not balance.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use provider_sim::{FaultRates, Replies, ReplyScript, TwinBehaviour};
use smsfleet_tests::checker::{Allowed, check};
use smsfleet_tests::fleet::Service;
use smsfleet_tests::people;
use smsfleet_tests::scene::{Options, SENDER, Scene};
use smsfleet_tests::wait;

/// What a batch may hold.
const BATCH: u32 = 10_000;

#[derive(Debug, Parser)]
struct Arguments {
    /// Recipients of the distribution.
    #[arg(long, default_value_t = 50_000)]
    recipients: u32,
    /// Share of the requests that go wrong: 500 not taken, 500 but taken, reset, 429.
    #[arg(long, default_value_t = 0.01)]
    faults: f64,
    /// Share of the receipts that come twice.
    #[arg(long, default_value_t = 0.05)]
    duplicate: f64,
    /// Share of the messages whose receipts come in the wrong order.
    #[arg(long, default_value_t = 0.05)]
    reorder: f64,
    /// People who answer STOP.
    #[arg(long, default_value_t = 200)]
    stops: u64,
    /// People who say STOP of their own accord while the distribution runs, before their turn.
    #[arg(long, default_value_t = 50)]
    early_stops: u32,
    /// Kills every service at least once while the distribution runs.
    #[arg(long)]
    kill: bool,
    /// How often each service is killed.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Segments a second that the connection may send.
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// Decides faults, replies and kills. Random if left out, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Keeps configuration and logs.
    #[arg(long)]
    keep: bool,
}

/// Something that happens when so many messages were taken by the twin.
#[derive(Clone, Copy, Debug)]
enum Act {
    Kill(Service),
    Stop(u32),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("balance: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("balance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    ensure!(
        arguments.recipients > 0 && arguments.early_stops <= arguments.recipients / 10,
        "--recipients must be more than 0 and at least ten times --early-stops"
    );
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("balance: {arguments:?}");
    println!("balance: --seed {seed} repeats this run");
    let mut dice = fastrand::Rng::with_seed(seed);
    let opened = Scene::open(options(arguments, seed)).await;
    let mut scene = opened?
        .context("this needs RabbitMQ and Redis: deploy/dev/services run target/release/balance")?;
    let ended = play(arguments, &mut scene, &mut dice).await;
    if (arguments.keep || !matches!(ended, Ok(true)))
        && let Some(kept) = scene.fleet.keep_files()
    {
        println!("balance: configuration and logs are in {}", kept.display());
    }
    ended
}

fn options(arguments: &Arguments, seed: u64) -> Options {
    let replies = |count: u64| Replies {
        // Spread over the run rather than taken from its first messages.
        fraction: (4.0 * count as f64 / f64::from(arguments.recipients)).min(1.0),
        count: Some(count),
        words: Vec::new(),
    };
    let twin = TwinBehaviour {
        seed,
        latency: Duration::from_millis(20),
        latency_jitter: Duration::from_millis(20),
        receipt_delay: Duration::from_millis(500),
        receipt_jitter: Duration::from_secs(1),
        undelivered_rate: 0.03,
        failed_rate: 0.01,
        duplicate_receipt_rate: arguments.duplicate,
        reorder_rate: arguments.reorder,
        fault_rates: FaultRates {
            http_500: arguments.faults * 0.3,
            http_500_but_taken: arguments.faults * 0.3,
            reset: arguments.faults * 0.3,
            throttle_429: arguments.faults * 0.1,
            ..FaultRates::default()
        },
        replies: ReplyScript {
            delay: Duration::from_millis(200),
            stop: replies(arguments.stops),
            text: replies(arguments.stops / 2),
            ..ReplyScript::default()
        },
        ..TwinBehaviour::default()
    };
    Options {
        twin,
        segments_per_second: arguments.rate,
        ..Options::default()
    }
    // A worker that is gone for good is believed dead sooner than in production, where nobody waits
    // for the end of a run; and a 429 without a reason costs the run less than its two seconds.
    .with("send_worker.request_timeout", "\"5s\"")
    .with("send_worker.throttled_rest", "\"200ms\"")
}

async fn play(
    arguments: &Arguments,
    scene: &mut Scene,
    dice: &mut fastrand::Rng,
) -> anyhow::Result<bool> {
    let started = Instant::now();
    for (number, first) in (0..arguments.recipients)
        .step_by(BATCH as usize)
        .enumerate()
    {
        let people = people::numbers(first..arguments.recipients.min(first + BATCH));
        scene
            .mail("spring", &format!("spring-{}", number + 1), &people)
            .await?;
    }
    println!(
        "balance: {} recipients handed over after {:.1} s",
        arguments.recipients,
        started.elapsed().as_secs_f64()
    );
    let allowed = disturb(arguments, scene, dice).await?;
    scene
        .settle(Duration::from_secs(900))
        .await
        .context("the distribution")?;
    let took = started.elapsed();
    let sent = scene.twin().audit_summary().totals.accepted;

    // Who has opted out by now is written to once more, among others: none of them may be texted.
    let stopped: Vec<String> = {
        let stops = scene.twin().audit().stops;
        stops.into_iter().map(|stop| stop.recipient).collect()
    };
    let others = people::numbers(arguments.recipients..arguments.recipients + 500);
    let mut reminded = stopped.clone();
    reminded.extend(others);
    dice.shuffle(&mut reminded);
    scene.mail("reminder", "reminder-1", &reminded).await?;
    let before = scene.api().counts("spring").await?;
    scene
        .settle(Duration::from_secs(300))
        .await
        .context("the reminder")?;
    let reminder = scene.api().counts("reminder").await?;

    let verdict = check(&scene.history(allowed).await?);
    println!("{verdict}");
    let suppressed = reminder.get("suppressed").copied().unwrap_or_default();
    println!(
        "  reminder to {} who opted out and 500 others: {suppressed} suppressed",
        stopped.len()
    );
    let after = scene.api().counts("spring").await?;
    if before != after {
        println!("  note: the distribution moved after it had settled: {before:?}, then {after:?}");
    }
    println!("  allowed: {allowed:?}");
    println!(
        "  {sent} messages taken in {:.1} s, from hand-over to the last receipt settled: {:.0} messages/s",
        took.as_secs_f64(),
        sent as f64 / took.as_secs_f64()
    );
    let leaks = scene.leaks().await?;
    for leak in &leaks {
        println!("  LEAK: {leak}");
    }
    let exact = suppressed == stopped.len() as u64;
    if !exact {
        println!("  THE REMINDER: not exactly those who opted out were suppressed");
    }
    Ok(verdict.balanced() && exact && leaks.is_empty())
}

/// Kills and early opt-outs, at seeded points of the run's progress. What they allow the books to show.
async fn disturb(
    arguments: &Arguments,
    scene: &mut Scene,
    dice: &mut fastrand::Rng,
) -> anyhow::Result<Allowed> {
    /// `send_worker.requests_in_flight_max`, the claims that a kill can cut off.
    const IN_FLIGHT_MAX: u64 = 100;
    let total = u64::from(arguments.recipients);
    let mut acts: BTreeMap<(u64, u64), Act> = BTreeMap::new();
    let at = |from: f64, to: f64, dice: &mut fastrand::Rng| {
        let point = from + (to - from) * dice.f64();
        ((total as f64 * point) as u64, dice.u64(..))
    };
    if arguments.kill {
        for round in 0..arguments.rounds {
            let width = 0.8 / f64::from(arguments.rounds);
            for service in Service::ALL {
                // Intake is done with its work long before the worker is.
                let (from, to) = match service {
                    Service::BatchIntake if round == 0 => (0.0, 0.02),
                    _ => (width * f64::from(round), width * f64::from(round + 1)),
                };
                acts.insert(at(from, to, dice), Act::Kill(service));
            }
        }
    }
    // The last tenth of the people, so that most of them have not had their turn yet.
    for _ in 0..arguments.early_stops {
        let person = arguments.recipients - 1 - dice.u32(..arguments.recipients / 10);
        acts.insert(at(0.05, 0.8, dice), Act::Stop(person));
    }
    let mut allowed = Allowed::default();
    for ((point, _), act) in acts {
        let what = format!("{point} messages taken, for {act:?}");
        wait::until(&what, Duration::from_secs(300), async || {
            (scene.twin().audit_summary().totals.accepted >= point).then_some(())
        })
        .await?;
        match act {
            Act::Kill(service) => {
                let away = scene.fleet.kill9_and_restart(service).await?;
                println!(
                    "balance: killed {} at {point} messages; ready again after {:.2} s",
                    service.binary(),
                    away.as_secs_f64()
                );
                match service {
                    Service::SendWorker => allowed.claims_cut_off += IN_FLIGHT_MAX,
                    // Opt-outs wait for both of them; the worker learns of one by its next claim.
                    Service::Ingress | Service::ReplyRouter => allowed.late += away,
                    _ => {}
                }
            }
            Act::Stop(person) => {
                let said = scene
                    .twin()
                    .send_inbound(&people::number(person), SENDER, "STOP")
                    .await;
                // While the ingress restarts nobody may answer; then nothing was promised either.
                if let Err(error) = said {
                    println!("balance: a STOP was not taken: {error:#}");
                }
            }
        }
    }
    Ok(allowed)
}
