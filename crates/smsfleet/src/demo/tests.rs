//! The whole demo, small; and what it ends with when the books do not balance.

use clap::Parser as _;

use super::*;

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
    let report = mailing::play(demo, &audience, &mut stage, &Display::Nothing)
        .await
        .expect("a run");
    stage.strike().await.expect("a drain");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_demo_balances() {
    let report = play(&demo(&[
        "--recipients",
        "300",
        "--rate",
        "2000",
        "--latency",
        "1ms",
    ]))
    .await;
    let text = serde_json::to_string_pretty(&report).expect("plain data");
    assert!(report.balanced && report.finished, "{text}");
    assert!(report.verdict().is_ok());
    assert_eq!((report.rows, report.states["invalid"]), (300, 12), "{text}");
    assert!(
        report.states["suppressed"] >= 4 && report.states["delivered"] > 250,
        "{text}"
    );
    assert!(report.heard.stop >= 1 && report.heard.start >= 1, "{text}");
    assert!(
        report.checks.iter().all(|check| check.looked_at > 0),
        "{text}"
    );
    assert!(
        !text.contains("+33") && !text.contains("7946"),
        "no full number"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubts_that_were_asked_for_are_counted_and_nobody_is_texted_twice() {
    let arguments = [
        "--recipients",
        "200",
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
    assert!(report.states["in_doubt"] > 0, "{text}");
    assert_eq!(
        report.provider.totals.accepted, report.provider.totals.accepted_references,
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_out_of_time_says_so_and_its_books_still_balance() {
    let arguments = ["--recipients", "300", "--rate", "50", "--timeout", "1s"];
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
fn a_wrong_check_ends_with_five_even_if_the_run_did_not_finish() {
    let wrong = Check {
        what: "nobody was texted twice",
        looked_at: 1,
        wrong: 1,
        examples: Vec::new(),
    };
    let report = |checks, finished| {
        let audit = provider_sim::AuditReport::default();
        Report::new(
            &demo(&[]),
            0,
            finished,
            &[],
            &audit,
            heard::Heard::default(),
            pace::Pace::default(),
            checks,
        )
    };
    let code = |report: Report| report.verdict().err().map(|failure| failure.code());
    assert_eq!(code(report(vec![wrong.clone()], true)), Some(5));
    assert_eq!(code(report(vec![wrong], false)), Some(5));
    assert_eq!(code(report(Vec::new(), false)), Some(1));
    assert_eq!(code(report(Vec::new(), true)), None);
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
