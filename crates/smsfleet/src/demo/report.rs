//! What a demo ends with: a table of what became of everybody, the checks, and a sentence.

use std::collections::BTreeMap;

use anyhow::anyhow;
use ledger::Counts;
use message::{MessageState, Reference};
use provider_sim::{AuditReport, Totals};
use serde::Serialize;

use super::{
    Demo,
    books::BatchBooks,
    check::Check,
    heard::Heard,
    pace::{Pace, STEADY_SHARE, rounded},
};
use crate::{
    exit::Failure,
    output::{self, align_right, figure},
};

/// How a run ended.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether every check holds.
    pub balanced: bool,
    /// Whether every message has its end, or is one of the doubts that were asked for.
    pub finished: bool,
    /// Rows handed over.
    pub rows: u64,
    /// Rows left out because their number stands in an earlier batch.
    pub left_out: u64,
    /// Messages by the ledger's state.
    pub states: BTreeMap<&'static str, u64>,
    /// The first messages in doubt.
    pub in_doubt: Vec<Reference>,
    /// From the first message the provider took to the last.
    pub sending_seconds: f64,
    /// Messages a second until 95 % were taken; the others waited for another attempt.
    pub messages_per_second: f64,
    /// What survey and directory services heard.
    pub heard: Heard,
    /// The provider's own figures.
    pub provider: Provider,
    /// Everything that was checked.
    pub checks: Vec<Check>,
}

/// The twin's side.
#[derive(Debug, Clone, Serialize)]
pub struct Provider {
    /// The provider's slug.
    pub slug: &'static str,
    /// Its seed: the same one plays the same run.
    pub seed: u64,
    /// People who wrote STOP and whose STOP was acknowledged.
    pub stops: usize,
    /// Its audit's figures.
    pub totals: Totals,
}

const IN_DOUBT_SHOWN_MAX: usize = 20;

impl Report {
    /// Puts it together.
    #[expect(
        clippy::too_many_arguments,
        reason = "called once, with everything there is"
    )]
    pub fn new(
        demo: &Demo,
        left_out: usize,
        finished: bool,
        batches: &[BatchBooks],
        audit: &AuditReport,
        heard: Heard,
        pace: Pace,
        checks: Vec<Check>,
    ) -> Self {
        let own = || batches.iter().filter(|batch| batch.expected.is_some());
        let mut counts = Counts::default();
        own().for_each(|batch| counts.extend(&batch.counts));
        let in_doubt = own()
            .flat_map(|batch| batch.rows.iter().map(|row| (batch.key, row)))
            .filter(|(_, row)| row.state == MessageState::InDoubt)
            .map(|(batch, row)| Reference {
                batch,
                row: row.row,
            })
            .take(IN_DOUBT_SHOWN_MAX)
            .collect();
        Self {
            balanced: checks.iter().all(Check::holds),
            finished,
            rows: own()
                .map(|batch| batch.expected.as_ref().map_or(0, Vec::len) as u64)
                .sum(),
            left_out: left_out as u64,
            states: counts
                .iter()
                .map(|(state, n)| (state.as_str(), n))
                .collect(),
            in_doubt,
            sending_seconds: rounded(pace.span(1.0).0.as_secs_f64()),
            messages_per_second: pace.per_second(STEADY_SHARE),
            heard,
            provider: Provider {
                slug: "twilio-sms",
                seed: demo.seed,
                stops: audit.stops.len(),
                totals: audit.totals.clone(),
            },
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
        output::line(&self.provider())?;
        output::line(&self.checked())?;
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
        if self.left_out > 0 {
            table.add_row([
                "left out",
                &figure(self.left_out),
                "their number stands in an earlier batch",
            ]);
        }
        align_right(&mut table, 1);
        table.to_string()
    }

    fn provider(&self) -> String {
        let totals = &self.provider.totals;
        let status = |name: &str| figure(totals.statuses.get(name).copied().unwrap_or(0));
        let headings = [
            "provider",
            "requests",
            "accepted",
            "429",
            "delivered",
            "undelivered",
            "failed",
            "receipts",
            "STOP",
            "START",
            "HELP",
            "other replies",
        ];
        let mut table = output::table(&headings);
        table.add_row([
            self.provider.slug.to_owned(),
            figure(totals.requests),
            figure(totals.accepted),
            figure(totals.throttled),
            status("delivered"),
            status("undelivered"),
            status("failed"),
            figure(totals.callbacks.ok),
            figure(self.heard.stop),
            figure(self.heard.start),
            figure(self.heard.help),
            figure(self.heard.text),
        ]);
        (1..headings.len()).for_each(|column| align_right(&mut table, column));
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
        let pace = match self.messages_per_second > 0.0 {
            true => format!(
                " in {:.1} s, {} a second until only those were left that waited for another attempt",
                self.sending_seconds,
                figure(self.messages_per_second.round() as u64)
            ),
            false => String::new(), // too few to have one
        };
        let mut text = format!(
            "{} rows{pace}:\n{} accepted by the provider, {} delivered, {} withheld from people who had opted out; \
             {} people said STOP while it ran.",
            figure(self.rows),
            figure(self.provider.totals.accepted),
            figure(self.of(MessageState::Delivered)),
            figure(self.of(MessageState::Suppressed)),
            figure(self.provider.stops as u64),
        );
        if !self.in_doubt.is_empty() {
            let names: Vec<String> = self.in_doubt.iter().map(Reference::to_string).collect();
            text.push_str(&format!(
                "\n{} messages are in doubt, as asked for: nobody can know whether they were taken, and none is sent twice: {}.",
                figure(self.of(MessageState::InDoubt)),
                names.join(" ")
            ));
        }
        if !self.finished {
            text.push_str("\nTHE RUN IS NOT FINISHED: messages or receipts are still under way; what is here is how it stands now.");
        }
        text.push_str(match self.balanced {
            true => "\nThe books balance: nobody was texted twice, nobody opted out was texted, no message is missing.",
            false => "\nTHE BOOKS DO NOT BALANCE: see the checks above.",
        });
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
