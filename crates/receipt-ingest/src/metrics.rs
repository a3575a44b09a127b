//! Every series receipt-ingest exports. Labels are provider slugs and enums.

use prometheus::{Histogram, IntCounter, IntCounterVec};
use runtime::Metrics;

/// The series of one receipt-ingest.
#[derive(Debug, Clone)]
pub struct ReceiptMetrics {
    pub(crate) receipts: IntCounterVec,
    pub(crate) merged: IntCounterVec,
    pub(crate) never_sent: IntCounter,
    pub(crate) sought_by_id: IntCounterVec,
    pub(crate) account_faults: IntCounterVec,
    pub(crate) unrecognised: IntCounterVec,
    pub(crate) kept: IntCounterVec,
    pub(crate) parked: IntCounter,
    pub(crate) forwarded: IntCounter,
    pub(crate) opt_outs: IntCounterVec,
    pub(crate) round_seconds: Histogram,
    pub(crate) groups: IntCounter,
    pub(crate) waits: IntCounterVec,
}

impl ReceiptMetrics {
    /// Declares them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            receipts: metrics.counters(
                "smsfleet_receipt_receipts_total",
                "Receipts read, by provider and the state they report.",
                &["provider", "state"],
            ),
            merged: metrics.counters(
                "smsfleet_receipt_merged_total",
                "What merging receipts came to: changed, repeated, outranked, never_sent, unknown, foreign.",
                &["outcome"],
            ),
            never_sent: metrics.counter(
                "smsfleet_receipt_never_sent_total",
                "Receipts for messages that were never handed over. Not zero is an alarm: something sent past the claims.",
            ),
            sought_by_id: metrics.counters(
                "smsfleet_receipt_sought_by_id_total",
                "Receipts without a reference of ours, by provider and whether its id found their message: found, unknown.",
                &["provider", "outcome"],
            ),
            account_faults: metrics.counters(
                "smsfleet_receipt_account_faults_total",
                "Receipts by which a provider says that the account is at fault and not the message. Somebody has to look at it.",
                &["provider"],
            ),
            unrecognised: metrics.counters(
                "smsfleet_receipt_unrecognised_total",
                "Callbacks with a status that the provider's table does not know; kept as dead letters.",
                &["provider"],
            ),
            kept: metrics.counters(
                "smsfleet_receipt_kept_total",
                "Callbacks, or groups that can not be read, put with the dead letters, by reason.",
                &["reason"],
            ),
            parked: metrics.counter(
                "smsfleet_receipt_parked_total",
                "Callbacks about unknown messages that wait to be tried again.",
            ),
            forwarded: metrics.counter(
                "smsfleet_receipt_forwarded_total",
                "Inbound messages that came to the status URL, passed on to reply-router.",
            ),
            opt_outs: metrics.counters(
                "smsfleet_receipt_opt_outs_total",
                "Opt-outs and opt-ins that providers signalled beside receipts, by kind.",
                &["kind"],
            ),
            round_seconds: metrics.seconds(
                "smsfleet_receipt_round_seconds",
                "Seconds from taking a round's groups to their ack.",
            ),
            groups: metrics.counter(
                "smsfleet_receipt_groups_total",
                "Groups of callbacks taken; divided by the rounds it is the mean round.",
            ),
            waits: metrics.counters(
                "smsfleet_receipt_waits_total",
                "Waits because something was away, by what: ledger, bus.",
                &["on"],
            ),
        }
    }
}
