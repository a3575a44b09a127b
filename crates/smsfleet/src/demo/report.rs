//! What a demo ends with: a row for each provider and their sum, what became of everybody, the
//! checks, and a sentence.

use std::collections::BTreeMap;

use anyhow::anyhow;
use ledger::Counts;
use message::{MessageState, Reference};
use provider_sim::{AuditReport, Totals};
use serde::Serialize;

use super::{
    books::BatchBooks,
    check::{Check, Summed, sum_up},
    figures::{Figures, HEADINGS},
    heard::Heard,
    pace::Pace,
};
use crate::{
    exit::Failure,
    output::{self, align_right, figure},
};

/// How a run ended.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether every check holds at every provider.
    pub balanced: bool,
    /// Whether every message has its end, or is one of the doubts that were asked for.
    pub finished: bool,
    /// The twins' seed: the same one plays the same run.
    pub seed: u64,
    /// All providers together.
    pub sum: Figures,
    /// Messages by the ledger's state, at all providers.
    pub states: BTreeMap<&'static str, u64>,
    /// A provider each.
    pub providers: Vec<ProviderReport>,
    /// Everything that was checked, at all providers.
    pub checks: Vec<Summed>,
}

/// How it ended at one provider.
#[derive(Debug, Clone, Serialize)]
pub struct ProviderReport {
    /// The provider's slug.
    pub provider: &'static str,
    /// Whose mailing it was.
    pub organization: String,
    /// The figures of its row.
    #[serde(flatten)]
    pub figures: Figures,
    /// Rows left out because their number stands in an earlier batch.
    pub left_out: u64,
    /// Messages by the ledger's state.
    pub states: BTreeMap<&'static str, u64>,
    /// Messages that did not end well by state and code, `undelivered 30003`.
    pub codes: BTreeMap<String, u64>,
    /// The first messages in doubt.
    pub doubts: Vec<Reference>,
    /// What survey and directory services heard.
    pub heard: Heard,
    /// People who wrote STOP and whose STOP was acknowledged.
    pub stops: usize,
    /// The twin's own figures.
    pub totals: Totals,
    /// Everything that was checked.
    pub checks: Vec<Check>,
}

const DOUBTS_SHOWN_MAX: usize = 20;

impl ProviderReport {
    /// Puts it together.
    #[expect(
        clippy::too_many_arguments,
        reason = "called once, with everything there is"
    )]
    pub fn new(
        provider: &'static str,
        organization: String,
        left_out: usize,
        batches: &[BatchBooks],
        audit: &AuditReport,
        heard: Heard,
        pace: &Pace,
        checks: Vec<Check>,
    ) -> Self {
        let own = || batches.iter().filter(|batch| batch.expected.is_some());
        let mut counts = Counts::default();
        own().for_each(|batch| counts.extend(&batch.counts));
        let mut codes = BTreeMap::new();
        let ended = |row: &&ledger::Row| {
            let well = row.state == MessageState::Delivered;
            row.state.is_terminal() && !well && !row.code.is_empty()
        };
        for row in own().flat_map(|batch| &batch.rows).filter(ended) {
            let name = format!("{} {}", row.state, row.code);
            *codes.entry(name).or_default() += 1;
        }
        let doubts = own()
            .flat_map(|batch| batch.rows.iter().map(|row| (batch.key, row)))
            .filter(|(_, row)| row.state == MessageState::InDoubt)
            .map(|(batch, row)| Reference {
                batch,
                row: row.row,
            })
            .take(DOUBTS_SHOWN_MAX)
            .collect();
        Self {
            provider,
            organization,
            figures: Figures::of(own(), &counts, audit, heard, pace),
            left_out: left_out as u64,
            states: counts
                .iter()
                .map(|(state, n)| (state.as_str(), n))
                .collect(),
            codes,
            doubts,
            heard,
            stops: audit.stops.len(),
            totals: audit.totals.clone(),
            checks,
        }
    }
}

impl Report {
    /// Sums up. `pace` is that of all mailings together.
    #[must_use]
    pub fn new(seed: u64, finished: bool, pace: &Pace, providers: Vec<ProviderReport>) -> Self {
        let mut sum = Figures::default();
        let mut states: BTreeMap<&'static str, u64> = BTreeMap::new();
        for provider in &providers {
            sum.add(&provider.figures);
            for (state, n) in &provider.states {
                *states.entry(state).or_default() += n;
            }
        }
        sum.paced(pace);
        let checks = sum_up(
            providers
                .iter()
                .map(|provider| (provider.provider, provider.checks.as_slice())),
        );
        Self {
            balanced: checks.iter().all(|check| check.wrong == 0),
            finished,
            seed,
            sum,
            states,
            providers,
            checks,
        }
    }

    fn of(&self, state: MessageState) -> u64 {
        self.states.get(state.as_str()).copied().unwrap_or(0)
    }

    /// Prints it.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return output::json(self);
        }
        output::line(&self.people())?;
        output::line(&self.checked())?;
        output::line(&self.by_provider())?;
        output::line(&self.sentence())
    }

    fn people(&self) -> String {
        let mut table = output::table(&["state", "messages", "what it means"]);
        for (state, meaning) in MEANINGS {
            let n = self.of(state);
            if n > 0 {
                table.add_row([state.as_str(), &figure(n), meaning]);
            }
        }
        let left_out = self
            .providers
            .iter()
            .map(|provider| provider.left_out)
            .sum();
        if left_out > 0 {
            table.add_row([
                "left out",
                &figure(left_out),
                "their number stands in an earlier batch",
            ]);
        }
        align_right(&mut table, 1);
        table.to_string()
    }

    /// A row for each provider, and the sum if there are several.
    pub(super) fn by_provider(&self) -> String {
        let mut table = output::table(&HEADINGS);
        for provider in &self.providers {
            table.add_row(provider.figures.row(provider.provider));
        }
        if self.providers.len() > 1 {
            table.add_row(self.sum.row("sum"));
        }
        (1..HEADINGS.len()).for_each(|column| align_right(&mut table, column));
        table.to_string()
    }

    fn checked(&self) -> String {
        let mut table = output::table(&["check", "looked at", "wrong"]);
        for check in &self.checks {
            table.add_row([check.what, &figure(check.looked_at), &figure(check.wrong)]);
            for example in &check.examples {
                table.add_row([&format!("  {example}"), "", ""]);
            }
        }
        align_right(&mut table, 1);
        align_right(&mut table, 2);
        table.to_string()
    }

    fn sentence(&self) -> String {
        let sum = &self.sum;
        let pace = match sum.messages_per_second > 0.0 {
            true => format!(
                " in {:.1} s, {} a second until only those were left that waited for another attempt",
                sum.seconds,
                figure(sum.messages_per_second.round() as u64)
            ),
            false => String::new(), // too few to have one
        };
        let stops: usize = self.providers.iter().map(|provider| provider.stops).sum();
        let mut text = format!(
            "{} rows{pace}:\n{} accepted by {}, {} delivered, {} withheld from people who had opted out; \
             {} people said STOP while it ran.",
            figure(sum.handed_over),
            figure(sum.accepted),
            match self.providers.len() {
                1 => "the provider".to_owned(),
                several => format!("{several} providers"),
            },
            figure(sum.delivered),
            figure(sum.suppressed),
            figure(stops as u64),
        );
        if sum.in_doubt > 0 {
            let names: Vec<String> = self
                .providers
                .iter()
                .flat_map(|provider| &provider.doubts)
                .take(DOUBTS_SHOWN_MAX)
                .map(Reference::to_string)
                .collect();
            text.push_str(&format!(
                "\n{} messages are in doubt, as asked for: nobody can know whether they were taken, and none is sent twice: {}.",
                figure(sum.in_doubt),
                names.join(" ")
            ));
        }
        if !self.finished {
            text.push_str("\nTHE RUN IS NOT FINISHED: messages or receipts are still under way; what is here is how it stands now.");
        }
        match self.balanced {
            true => text.push_str("\nThe books balance: nobody was texted twice, nobody opted out was texted, no message is missing."),
            false => {
                let mut at: Vec<&str> = self
                    .checks
                    .iter()
                    .flat_map(|check| check.wrong_at.iter().copied())
                    .collect();
                at.sort_unstable();
                at.dedup();
                text.push_str(&format!(
                    "\nTHE BOOKS DO NOT BALANCE: see the checks above, at {}.",
                    at.join(", ")
                ));
            }
        }
        text
    }

    /// How the process ends.
    ///
    /// # Errors
    /// [`Failure::Unbalanced`] comes first: it is the worst.
    pub fn verdict(&self) -> Result<(), Failure> {
        if !self.balanced {
            return Err(Failure::Unbalanced);
        }
        if !self.finished {
            return Err(Failure::Failed(anyhow!(
                "the mailing was not finished in time; --timeout gives it more"
            )));
        }
        Ok(())
    }
}

const MEANINGS: [(MessageState, &str); 14] = [
    (MessageState::Delivered, "on the handset, says a receipt"),
    (
        MessageState::Undelivered,
        "could not be delivered, says a receipt",
    ),
    (MessageState::Failed, "failed for good"),
    (MessageState::Expired, "its time ended at the provider"),
    (MessageState::Rejected, "refused by the provider's answer"),
    (MessageState::Sent, "with the carrier; no final receipt yet"),
    (MessageState::Accepted, "with the provider; no receipt yet"),
    (MessageState::InDoubt, "nobody can say whether it was taken"),
    (MessageState::Sending, "on its way to the provider"),
    (MessageState::Queued, "waits for an attempt"),
    (MessageState::Suppressed, "not sent: opted out"),
    (MessageState::Cancelled, "not sent: cancelled"),
    (
        MessageState::ExpiredBeforeSend,
        "not sent: its time was over",
    ),
    (
        MessageState::Invalid,
        "refused by intake: no number, or there already",
    ),
];
