//! Every series reply-router exports. Labels are provider slugs and enums.

use prometheus::{Histogram, IntCounter, IntCounterVec};
use runtime::Metrics;

/// The series of one reply-router.
#[derive(Debug, Clone)]
pub struct ReplyMetrics {
    pub(crate) inbound: IntCounterVec,
    pub(crate) keywords: IntCounterVec,
    pub(crate) opt_outs: IntCounterVec,
    pub(crate) opt_out_seconds: Histogram,
    pub(crate) answers: IntCounterVec,
    pub(crate) kept: IntCounterVec,
    pub(crate) forwarded: IntCounter,
    pub(crate) group_seconds: Histogram,
    pub(crate) waits: IntCounterVec,
}

impl ReplyMetrics {
    /// Declares them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            inbound: metrics.counters(
                "smsfleet_reply_inbound_total",
                "Inbound messages by provider and outcome: matched, unmatched, parked, duplicate; parts of longer ones: waits, joined, and incomplete for what never became whole.",
                &["provider", "outcome"],
            ),
            keywords: metrics.counters(
                "smsfleet_reply_keywords_total",
                "Inbound messages by what the keyword rules made of them: opt_out, opt_in, help, none.",
                &["keyword"],
            ),
            opt_outs: metrics.counters(
                "smsfleet_reply_opt_outs_total",
                "Changes of a subscriber's standing, by kind: opt_out, opt_in.",
                &["kind"],
            ),
            opt_out_seconds: metrics.seconds(
                "smsfleet_reply_opt_out_seconds",
                "Seconds from the ingress taking an inbound message to its opt-out being in force.",
            ),
            answers: metrics.counters(
                "smsfleet_reply_answers_total",
                "Answers (confirmation, welcome, help) by outcome: sent, provider_answers, too_late, no_connection.",
                &["answer", "outcome"],
            ),
            kept: metrics.counters(
                "smsfleet_reply_kept_total",
                "Callbacks, or groups that can not be read, put with the dead letters, by reason.",
                &["reason"],
            ),
            forwarded: metrics.counter(
                "smsfleet_reply_forwarded_total",
                "Receipts that came to the message URL, passed on to receipt-ingest.",
            ),
            group_seconds: metrics.seconds(
                "smsfleet_reply_group_seconds",
                "Seconds from taking a group of callbacks to its ack.",
            ),
            waits: metrics.counters(
                "smsfleet_reply_waits_total",
                "Waits because something was away, by what: ledger, bus.",
                &["on"],
            ),
        }
    }
}
