//! The large run: distributions of several organisations, a provider each, through six real processes,
//! a real RabbitMQ and a real Redis, with providers that misbehave, people who opt out, and, with
//! `--kill`, processes that die. Then each twin's audit against the ledger, figure by figure. Exit code
//! 1 if some books do not balance.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use provider_sim::customers::PROVIDERS;
use provider_sim::{FaultRates, Replies, ReplyScript, TwinBehaviour};
use smsfleet_tests::checker::{Allowed, Verdict};
use smsfleet_tests::fleet::Service;
use smsfleet_tests::people;
use smsfleet_tests::scene::{Options, Scene};
use smsfleet_tests::wait;

/// What a batch may hold.
const BATCH: u32 = 10_000;
/// Whom the reminder goes to beside those who opted out.
const OTHERS: u32 = 500;

#[derive(Debug, Parser)]
struct Arguments {
    /// The providers, an organisation each: slugs with commas between, or `all`.
    #[arg(long, default_value = "all", value_delimiter = ',')]
    providers: Vec<String>,
    /// Recipients of each organisation's distribution.
    #[arg(long, default_value_t = 10_000)]
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
    /// People of each organisation who answer STOP.
    #[arg(long, default_value_t = 200)]
    stops: u64,
    /// People who say STOP of their own accord while the distribution runs, before their turn.
    #[arg(long, default_value_t = 20)]
    early_stops: u32,
    /// Kills every service at least once while the distribution runs.
    #[arg(long)]
    kill: bool,
    /// How often each service is killed.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Segments a second that each connection may send.
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
    /// By the number of the organisation and of the person.
    Stop(usize, u32),
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
    let every = arguments.providers.iter().any(|slug| slug == "all");
    let providers = if every {
        PROVIDERS.map(str::to_owned).to_vec()
    } else {
        arguments.providers.clone()
    };
    Options {
        providers,
        twin,
        segments_per_second: arguments.rate,
        ..Options::default()
    }
    // A worker that is gone for good is believed dead sooner than in production, where nobody waits
    // for the end of a run; and a 429 without a reason costs the run less than its two seconds.
    .with("send_worker.request_timeout", "\"5s\"")
    .with("send_worker.throttled_rest", "\"200ms\"")
}

/// Messages that the twins have taken.
fn taken(scene: &Scene) -> u64 {
    let all = scene.organizations.iter();
    all.map(|it| it.twin().audit_summary().totals.accepted)
        .sum()
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
        let id = format!("spring-{}", number + 1);
        scene.mail_all("spring", &id, &people).await?;
    }
    println!(
        "balance: {} times {} recipients handed over after {:.1} s",
        scene.organizations.len(),
        arguments.recipients,
        started.elapsed().as_secs_f64()
    );
    let allowed = disturb(arguments, scene, dice).await?;
    scene
        .settle(Duration::from_secs(1_800))
        .await
        .context("the distribution")?;
    let took = started.elapsed();
    let sent = taken(scene);

    // Who has opted out by now is written to once more, among others: none of them may be texted.
    let mut stopped = Vec::new();
    for at in 0..scene.organizations.len() {
        let organization = &scene.organizations[at];
        let stops = organization.twin().audit().stops;
        let mut reminded: Vec<String> = stops.into_iter().map(|stop| stop.recipient).collect();
        stopped.push(reminded.len() as u64);
        reminded.extend(people::numbers(
            arguments.recipients..arguments.recipients + OTHERS,
        ));
        dice.shuffle(&mut reminded);
        let json = organization.batch("reminder", "reminder-1", &reminded);
        scene.hand_over(at, &json).await?;
    }
    scene
        .settle(Duration::from_secs(600))
        .await
        .context("the reminder")?;

    let mut balanced = true;
    let verdicts = scene.all_books(allowed).await?;
    for (at, (provider, verdict)) in verdicts.iter().enumerate() {
        println!("\n{provider}\n{verdict}");
        let reminder = scene.organizations[at].api.counts("reminder").await?;
        let suppressed = reminder.get("suppressed").copied().unwrap_or_default();
        println!(
            "  reminder to {} who opted out and {OTHERS} others: {suppressed} suppressed",
            stopped[at]
        );
        let exact = suppressed == stopped[at];
        if !exact {
            println!("  THE REMINDER: not exactly those who opted out were suppressed");
        }
        balanced &= exact && verdict.balanced();
    }
    println!("\n{}", summary(&verdicts));
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
    Ok(balanced && leaks.is_empty())
}

/// A row for each provider.
fn summary(verdicts: &[(&'static str, Verdict)]) -> String {
    const COLUMNS: [(&str, &str); 14] = [
        ("rows", "attempted: rows of those"),
        ("ledger", "acknowledged: rows in the ledger"),
        ("asked", "twin: requests"),
        ("taken", "twin: messages taken"),
        ("repeat", "twin: repeated, recognised"),
        ("429", "twin: throttled (429)"),
        ("delivrd", "ledger: delivered"),
        ("undeliv", "ledger: undelivered"),
        ("failed", "ledger: failed"),
        ("reject", "ledger: rejected"),
        ("supprs", "suppressed in the ledger"),
        ("doubt", "in doubt: all"),
        ("receipts", "twin: receipts taken by the ingress"),
        ("replies", "distinct replies heard"),
    ];
    const FORBIDDEN: [&str; 3] = ["lost", "doubled", "late"];
    let mut text = format!("  {:<14}", "provider");
    let names = COLUMNS.iter().map(|(name, _)| *name);
    for name in names.chain(FORBIDDEN) {
        text.push_str(&format!("{name:>9}"));
    }
    for (provider, verdict) in verdicts {
        text.push_str(&format!("\n  {provider:<14}"));
        let figures = COLUMNS.iter().map(|(_, figure)| verdict.figure(figure));
        let forbidden = FORBIDDEN.iter().map(|class| verdict.count_of(class));
        for count in figures.chain(forbidden) {
            text.push_str(&format!("{count:>9}"));
        }
        text.push_str(if verdict.balanced() {
            "  balanced"
        } else {
            "  NOT BALANCED"
        });
    }
    text
}

/// Kills and early opt-outs, at seeded points of the run's progress. What they allow the books to show.
async fn disturb(
    arguments: &Arguments,
    scene: &mut Scene,
    dice: &mut fastrand::Rng,
) -> anyhow::Result<Allowed> {
    /// `send_worker.requests_in_flight_max`.
    const IN_FLIGHT_MAX: u64 = 100;
    // Where a request holds many messages, a kill can cut off the claims of all of them.
    let cut_off = match scene.organizations.as_slice() {
        [only] if only.provider() == "twilio-sms" => IN_FLIGHT_MAX,
        _ => u64::from(arguments.recipients),
    };
    let organizations = scene.organizations.len();
    let total = u64::from(arguments.recipients) * organizations as u64;
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
        let organization = dice.usize(..organizations);
        acts.insert(at(0.05, 0.8, dice), Act::Stop(organization, person));
    }
    let mut allowed = Allowed::default();
    for ((point, _), act) in acts {
        let what = format!("{point} messages taken, for {act:?}");
        wait::until(&what, Duration::from_secs(300), async || {
            (taken(scene) >= point).then_some(())
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
                    Service::SendWorker => allowed.claims_cut_off += cut_off,
                    // Opt-outs wait for both of them; the worker learns of one by its next claim.
                    Service::Ingress | Service::ReplyRouter => allowed.late += away,
                    _ => {}
                }
            }
            Act::Stop(organization, person) => {
                let organization = &scene.organizations[organization];
                let said = organization.hears(&people::number(person), "STOP").await;
                // While the ingress restarts nobody may answer; then nothing was promised either.
                if let Err(error) = said {
                    println!("balance: a STOP was not taken: {error:#}");
                }
            }
        }
    }
    Ok(allowed)
}
