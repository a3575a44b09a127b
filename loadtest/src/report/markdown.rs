//! The tables of `RESULTS.md`.

use std::fmt::Write as _;

use super::{Measured, columns};
use crate::machine::Machine;
use crate::outcome::{Outcome, figure};

const HEAD: &str = "\
# Figures

Written by `load report --markdown` from what `make load` and `load compare` measured; nothing here is typed in. CPU is in
seconds per 10,000 messages, user and system time together; `total` counts every process of the fleet, RabbitMQ and Redis, and
neither the stub nor the program that measures. `others` are cores that other work on the machine took meanwhile: above 0.4 a
rate says little, and CPU is too high by what the caches lost.
";

pub(super) fn write(measured: &Measured) -> String {
    let mut text = HEAD.to_owned();
    machines(measured, &mut text);
    for comparison in &measured.comparisons {
        let _ = writeln!(text, "\n```\n{}```", comparison.table());
    }
    targets(measured, &mut text);
    let single: Vec<&Outcome> = measured
        .outcomes
        .iter()
        .filter(|it| it.variant.is_none())
        .collect();
    if !single.is_empty() {
        text.push_str("\n## Runs\n\n");
        table(&single, &mut text);
    }
    for group in measured.scaling() {
        let _ = writeln!(text, "\n## {}\n\n{}.\n", group[0].scenario, group[0].about);
        table(&group, &mut text);
    }
    let unbalanced: Vec<&Outcome> = measured
        .outcomes
        .iter()
        .filter(|it| !it.balanced())
        .collect();
    text.push_str("\n## Books\n\n");
    if unbalanced.is_empty() {
        let _ = writeln!(
            text,
            "The books of all {} runs balance.",
            measured.outcomes.len()
        );
    }
    for outcome in unbalanced {
        for fault in &outcome.faults {
            let _ = writeln!(text, "- {}: {fault}", outcome.title());
        }
    }
    text.push_str("\n## Commands\n\n");
    for outcome in &measured.outcomes {
        let _ = writeln!(text, "- `{}`", outcome.command);
    }
    text
}

fn machines(measured: &Measured, text: &mut String) {
    let mut machines: Vec<&Machine> = Vec::new();
    for outcome in &measured.outcomes {
        if !machines.contains(&&outcome.machine) {
            machines.push(&outcome.machine);
        }
    }
    for machine in machines {
        let _ = writeln!(
            text,
            "\n{}, {} cores, {} GB, Linux {}, RabbitMQ {}, Redis {}, commit {}, {} build.",
            machine.processor,
            machine.cores,
            machine.memory_gb,
            machine.kernel,
            machine.rabbitmq,
            machine.redis,
            machine.commit,
            machine.build,
        );
    }
}

fn targets(measured: &Measured, text: &mut String) {
    let all: Vec<_> = measured
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.targets.iter().map(move |met| (outcome, met)))
        .collect();
    if all.is_empty() {
        return;
    }
    text.push_str(
        "\n## Targets\n\n| run | figure | wanted | measured | |\n|---|---|---|---|---|\n",
    );
    for (outcome, met) in all {
        let measured = met
            .measured
            .map_or_else(|| "not measured".to_owned(), figure);
        let mark = if met.met { "met" } else { "**missed**" };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {measured} | {mark} |",
            outcome.title(),
            met.figure,
            met.wanted
        );
    }
}

fn table(outcomes: &[&Outcome], text: &mut String) {
    let columns = columns(outcomes);
    let _ = writeln!(text, "| run | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(columns.len()));
    for outcome in outcomes {
        let of = |name: &&str| {
            outcome
                .figures
                .get(*name)
                .map_or_else(String::new, |it| figure(*it))
        };
        let cells: Vec<String> = columns.iter().map(of).collect();
        let _ = writeln!(text, "| {} | {} |", outcome.title(), cells.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Met;

    #[test]
    fn every_run_and_every_missed_target_is_in_the_tables() {
        let outcome = |variant: Option<&str>| Outcome {
            scenario: "scale-workers".to_owned(),
            variant: variant.map(str::to_owned),
            figures: [("rate".to_owned(), 1234.0)].into(),
            targets: vec![Met {
                figure: "rate".to_owned(),
                wanted: "≥ 2000".to_owned(),
                measured: Some(1234.0),
                met: false,
            }],
            ..Outcome::default()
        };
        let measured = Measured {
            outcomes: vec![
                outcome(None),
                outcome(Some("workers.count=1")),
                outcome(Some("workers.count=2")),
            ],
            comparisons: Vec::new(),
        };
        let text = write(&measured);
        assert!(
            text.contains("| scale-workers (workers.count=2) | 1234 |"),
            "{text}"
        );
        assert_eq!(text.matches("**missed**").count(), 3);
        assert!(text.contains("The books of all 3 runs balance."));
    }
}
