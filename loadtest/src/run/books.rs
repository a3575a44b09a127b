//! Whether everything that was handed over is accounted for.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::scenario::Scenario;
use crate::stage::Stage;
use crate::stub::Stats;

/// States by their names, added up over all distributions.
pub(super) type Counts = BTreeMap<String, u64>;

/// What the ledger says of the distributions that work.
pub(super) async fn counts(scenario: &Scenario, stage: &Stage) -> anyhow::Result<Counts> {
    of(scenario, stage, 0..scenario.work.distributions).await
}

/// What it says of those that have sent all they had.
pub(super) async fn idle_counts(scenario: &Scenario, stage: &Stage) -> anyhow::Result<Counts> {
    let first = scenario.work.distributions;
    of(
        scenario,
        stage,
        first..first + scenario.work.idle_distributions,
    )
    .await
}

async fn of(scenario: &Scenario, stage: &Stage, numbers: Range<u32>) -> anyhow::Result<Counts> {
    let mut all = Counts::new();
    for number in numbers {
        let of = scenario.work.organization_of(number);
        for (state, count) in stage.counts(of, number).await? {
            *all.entry(state).or_default() += count;
        }
    }
    Ok(all)
}

/// States of a message that the provider has.
const HAD: [&str; 8] = [
    "accepted",
    "sent",
    "delivered",
    "undelivered",
    "expired",
    "failed",
    "in_doubt",
    "sending",
];

/// What does not fit in a run of a scenario's whole work.
pub(super) fn faults(
    scenario: &Scenario,
    counts: &Counts,
    stub: &Stats,
    all_sent: bool,
) -> Vec<String> {
    compared(scenario.work.messages, counts, stub, all_sent)
}

/// What does not fit: handed over against the ledger, the ledger against the stub.
pub(super) fn compared(
    handed_over: u64,
    counts: &Counts,
    stub: &Stats,
    all_sent: bool,
) -> Vec<String> {
    let mut faults = Vec::new();
    let known: u64 = counts.values().sum();
    if known != handed_over {
        faults.push(format!(
            "{handed_over} handed over, {known} in the ledger: {counts:?}"
        ));
    }
    let of = |state: &&str| counts.get(*state).copied().unwrap_or_default();
    let had: u64 = HAD.iter().map(of).sum();
    let unsure = of(&"in_doubt") + of(&"sending");
    // A message in doubt may or may not have arrived.
    if stub.messages > had || stub.messages + unsure < had {
        faults.push(format!(
            "{} at the provider, {had} by the ledger: {counts:?}",
            stub.messages
        ));
    }
    if stub.doubles > 0 {
        faults.push(format!("{} messages came twice", stub.doubles));
    }
    if all_sent && had != handed_over {
        faults.push(format!("{had} of {handed_over} were sent: {counts:?}"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stub(messages: u64, doubles: u64) -> Stats {
        Stats {
            messages,
            doubles,
            ..Stats::default()
        }
    }

    fn counts(states: &[(&str, u64)]) -> Counts {
        states
            .iter()
            .map(|(state, count)| ((*state).to_owned(), *count))
            .collect()
    }

    #[test]
    fn books_that_balance_have_no_fault() {
        let counts = counts(&[("accepted", 9), ("in_doubt", 1)]);
        assert!(compared(10, &counts, &stub(9, 0), true).is_empty());
        assert!(compared(10, &counts, &stub(10, 0), true).is_empty());
    }

    #[test]
    fn every_kind_of_fault_is_named() {
        let all = counts(&[("accepted", 8), ("queued", 1)]);
        assert_eq!(compared(10, &all, &stub(7, 1), true).len(), 4);
    }
}
