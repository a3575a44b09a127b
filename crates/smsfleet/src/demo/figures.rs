//! The figures of a provider's row in the report.

use ledger::Counts;
use message::{MessageState, Reference};
use provider_sim::AuditReport;
use serde::Serialize;

use super::{
    books::BatchBooks,
    heard::Heard,
    pace::{Pace, STEADY_SHARE, rounded},
};
use crate::output::figure;

/// What became of a mailing at one provider, or of all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Rows handed over.
    pub handed_over: u64,
    /// Rows refused by intake.
    pub refused: u64,
    /// Messages withheld from people who had opted out.
    pub suppressed: u64,
    /// Messages of the mailing that the provider says it took.
    pub accepted: u64,
    /// On the handset.
    pub delivered: u64,
    /// Ended otherwise: undelivered, failed, rejected or expired.
    pub not_delivered: u64,
    /// Nobody can say whether they were taken.
    pub in_doubt: u64,
    /// Have no end yet.
    pub under_way: u64,
    /// What people wrote, as it was handed on to the platform; opt-outs are among it.
    pub replies: u64,
    /// Numbers that opted out while it ran.
    pub opt_outs: u64,
    /// HTTP requests to send; one may be for many messages.
    pub requests: u64,
    /// From the first message the provider took to the last.
    pub seconds: f64,
    /// Messages a second until 95 % were taken; the others waited for another attempt.
    pub messages_per_second: f64,
}

/// The headings of [`Figures::row`].
pub const HEADINGS: [&str; 13] = [
    "provider",
    "rows",
    "refused",
    "opted out",
    "accepted",
    "delivered",
    "not deliv.",
    "in doubt",
    "replies",
    "opt-outs",
    "requests",
    "seconds",
    "msg/s",
];

impl Figures {
    /// Of the batches that were handed over.
    pub fn of<'a>(
        batches: impl Iterator<Item = &'a BatchBooks>,
        counts: &Counts,
        audit: &AuditReport,
        heard: Heard,
        pace: &Pace,
    ) -> Self {
        use MessageState as S;
        let sum = |states: &[S]| states.iter().map(|state| counts.of(*state)).sum();
        let (mut handed_over, mut keys) = (0, Vec::new());
        for batch in batches {
            handed_over += batch.expected.as_ref().map_or(0, Vec::len) as u64;
            keys.push(batch.key);
        }
        let of_these = |reference: &str| {
            let name = reference.parse::<Reference>();
            name.is_ok_and(|name| keys.contains(&name.batch))
        };
        let taken = audit
            .entries
            .iter()
            .filter(|entry| entry.accepted > 0 && of_these(&entry.reference));
        let mut figures = Self {
            handed_over,
            refused: counts.of(S::Invalid),
            suppressed: counts.of(S::Suppressed),
            accepted: taken.count() as u64,
            delivered: counts.of(S::Delivered),
            not_delivered: sum(&[S::Undelivered, S::Failed, S::Rejected, S::Expired]),
            in_doubt: counts.of(S::InDoubt),
            under_way: sum(&[S::Queued, S::Sending, S::Accepted, S::Sent]),
            replies: heard.replies(),
            opt_outs: heard.opted_out,
            requests: audit.totals.http_requests,
            seconds: 0.0,
            messages_per_second: 0.0,
        };
        figures.paced(pace);
        figures
    }

    /// Counts another provider's in. Times do not add up: see [`Figures::paced`].
    pub fn add(&mut self, other: &Self) {
        self.handed_over += other.handed_over;
        self.refused += other.refused;
        self.suppressed += other.suppressed;
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.not_delivered += other.not_delivered;
        self.in_doubt += other.in_doubt;
        self.under_way += other.under_way;
        self.replies += other.replies;
        self.opt_outs += other.opt_outs;
        self.requests += other.requests;
    }

    /// Says how fast it went.
    pub fn paced(&mut self, pace: &Pace) {
        self.seconds = rounded(pace.span(1.0).0.as_secs_f64());
        self.messages_per_second = pace.per_second(STEADY_SHARE);
    }

    /// The row of the table.
    pub fn row(&self, name: &str) -> [String; HEADINGS.len()] {
        [
            name.to_owned(),
            figure(self.handed_over),
            figure(self.refused),
            figure(self.suppressed),
            figure(self.accepted),
            figure(self.delivered),
            figure(self.not_delivered),
            figure(self.in_doubt),
            figure(self.replies),
            figure(self.opt_outs),
            figure(self.requests),
            format!("{:.1}", self.seconds),
            figure(self.messages_per_second.round() as u64),
        ]
    }
}
