//! The whole demo, small; and what it ends with when the books do not balance.

use clap::Parser as _;

use super::{
    check::Check,
    report::{ProviderReport, Report},
    *,
};

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    demo: Demo,
}

fn demo(arguments: &[&str]) -> Demo {
    Arguments::parse_from(std::iter::once(&"demo").chain(arguments)).demo
}

async fn play(demo: &Demo) -> Report {
    let audience = demo
        .audience()
        .map_err(|failure| format!("{failure:?}"))
        .expect("an audience");
    let mut stage = Stage::set(demo, audience.recipients.len())
        .await
        .expect("a stage");
    let report = mailing::play(demo, audience, &mut stage, &Display::Nothing)
        .await
        .expect("a run");
    stage.strike().await.expect("a drain");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_demo_balances_at_every_provider() {
    let report = play(&demo(&[
        "--recipients",
        "700",
        "--rate",
        "2000",
        "--latency",
        "1ms",
    ]))
    .await;
    let text = serde_json::to_string_pretty(&report).expect("plain data");
    assert!(report.balanced && report.finished, "{text}");
    assert!(report.verdict().is_ok());
    assert_eq!((report.sum.handed_over, report.sum.refused), (700, 28));
    let slugs: Vec<_> = report.providers.iter().map(|row| row.provider).collect();
    assert_eq!(slugs, PROVIDERS);
    for provider in &report.providers {
        let figures = &provider.figures;
        assert!((90..110).contains(&figures.handed_over), "{text}");
        assert!(figures.delivered > 80 && figures.requests > 0, "{text}");
        assert!(provider.heard.stop >= 1 && figures.opt_outs >= 1, "{text}");
    }
    assert!(
        report.checks.iter().all(|check| check.looked_at > 0),
        "{text}"
    );
    assert!(
        !text.contains("+33") && !text.contains("7946"),
        "no full number"
    );
    let table = report.by_provider();
    let rows = |of: &str| table.lines().filter(|line| line.contains(of)).count();
    assert!(PROVIDERS.iter().all(|slug| rows(slug) == 1), "{table}");
    assert_eq!(rows("sum"), 1, "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubts_that_were_asked_for_are_counted_and_nobody_is_texted_twice() {
    let arguments = [
        "--provider",
        "twilio-sms",
        "--provider",
        "infobip-sms",
        "--recipients",
        "400",
        "--rate",
        "2000",
        "--latency",
        "1ms",
        "--doubt-rate",
        "0.1",
        "--seed",
        "4",
    ];
    let report = play(&demo(&arguments)).await;
    let text = serde_json::to_string_pretty(&report).expect("plain data");
    assert!(report.balanced && report.finished, "{text}");
    assert_eq!(report.providers.len(), 2);
    for provider in &report.providers {
        let totals = &provider.totals;
        assert_eq!(totals.accepted, totals.accepted_references, "{text}");
    }
    let [infobip, twilio] = &report.providers[..] else {
        panic!("two providers: {text}");
    };
    assert!(twilio.figures.in_doubt > 0, "{text}");
    assert_eq!(
        infobip.figures.in_doubt, 0,
        "asked again under its id: {text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_out_of_time_says_so_and_its_books_still_balance() {
    let arguments = ["--recipients", "2100", "--rate", "50", "--timeout", "1s"];
    let report = play(&demo(&arguments)).await;
    let text = serde_json::to_string_pretty(&report).expect("plain data");
    assert!(report.balanced && !report.finished, "{text}");
    assert!(report.states["queued"] > 0, "{text}");
    assert_eq!(
        report.verdict().err().map(|failure| failure.code()),
        Some(1)
    );
}

#[test]
fn a_wrong_check_at_one_provider_ends_with_five_even_if_the_run_did_not_finish() {
    let check = |wrong| Check {
        what: "nobody was texted twice",
        looked_at: 1,
        wrong,
        examples: Vec::new(),
    };
    let report = |wrong: u64, finished| {
        let pace = pace::Pace::default();
        let of = |provider, wrong| {
            ProviderReport::new(
                provider,
                format!("demo-{provider}"),
                0,
                &[],
                &provider_sim::AuditReport::default(),
                heard::Heard::default(),
                &pace,
                vec![check(wrong)],
            )
        };
        let providers = vec![of("sinch", 0), of("messagebird", wrong)];
        Report::new(1, finished, &pace, providers)
    };
    let code = |report: Report| report.verdict().err().map(|failure| failure.code());
    assert_eq!(report(1, true).checks[0].wrong_at, ["messagebird"]);
    assert_eq!(code(report(1, true)), Some(5));
    assert_eq!(code(report(1, false)), Some(5));
    assert_eq!(code(report(0, false)), Some(1));
    assert_eq!(code(report(0, true)), None);
}

#[test]
fn only_the_providers_that_were_named_take_part_once_each() {
    let two = demo(&[
        "--provider",
        "vonage-sms",
        "--provider=sinch",
        "--provider=sinch",
    ]);
    assert_eq!(two.providers(), ["sinch", "vonage-sms"]);
    assert_eq!(demo(&[]).providers(), PROVIDERS);
    let unknown = Arguments::try_parse_from(["demo", "--provider", "acme"]);
    let said = unknown.err().map(|error| error.to_string());
    assert!(
        said.is_some_and(|said| said.contains("messagebird")),
        "names those there are"
    );
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    for arguments in [
        &["--rate", "0"][..],
        &["--fail-rate", "2"],
        &["--doubt-rate=-1"],
        &["--text", "x"],
    ] {
        assert!(demo(arguments).check().is_err(), "{arguments:?}");
    }
    assert!(
        Arguments::try_parse_from(["demo", "--csv", "x.csv"]).is_err(),
        "no text"
    );
    assert!(demo(&["--csv", "x.csv", "--text", "Hi"]).check().is_ok());
}
