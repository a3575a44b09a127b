//! What the callbacks of a round say, sorted by what has to be done about it. Nothing is changed here.

use std::collections::BTreeMap;

use backing::callbacks::{Kept, Reason, Taken};
use ledger::RowReport;
use message::{BatchKey, Reference};
use providers::{CallbackKind, ProviderOptOut, Reading, Receipt, Verified};

use crate::ReceiptMetrics;

/// Reports about rows of one batch, each with the callback that it came in.
#[derive(Default)]
pub(crate) struct Reports {
    pub(crate) rows: Vec<RowReport>,
    /// Indices into the round's callbacks, in the order of `rows`.
    pub(crate) callbacks: Vec<usize>,
}

/// A provider's own opt-out signal.
pub(crate) struct Signal {
    pub(crate) callback: usize,
    /// The message that it came with, if any: it says whose opt-out it is.
    pub(crate) about: Option<Reference>,
    pub(crate) opt_out: ProviderOptOut,
}

/// What a round's callbacks say.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) reports: BTreeMap<BatchKey, Reports>,
    pub(crate) signals: Vec<Signal>,
}

/// Reads `taken`; what can not be used goes to `kept`.
pub(crate) fn read(taken: &[Taken], kept: &mut Kept, metrics: &ReceiptMetrics) -> Read {
    let mut read = Read::default();
    for (index, one) in taken.iter().enumerate() {
        if let Err(reason) = read_one(index, one, &mut read, kept, metrics) {
            metrics.kept.with_label_values(&[reason.as_str()]).inc();
            kept.bury(one, reason);
        }
    }
    read
}

fn read_one(
    index: usize,
    taken: &Taken,
    read: &mut Read,
    kept: &mut Kept,
    metrics: &ReceiptMetrics,
) -> Result<(), Reason> {
    let callback = &taken.callback;
    let organization = &callback.organization_id;
    let provider = providers::provider(&callback.provider).ok_or(Reason::UnknownProvider)?;
    let slug = provider.slug();
    let request = taken.request().ok_or(Reason::Malformed)?;
    let readings = provider
        .read_callback(Verified::already(&request), CallbackKind::Status)
        .map_err(|why| {
            tracing::warn!(provider = slug, %organization, "receipt put with the dead letters: {why}");
            Reason::Malformed
        })?;
    let about = readings.iter().find_map(|reading| match reading {
        Reading::Receipt(receipt) => receipt.reference,
        _ => None,
    });
    // A callback that says several things is kept once, whole, if one of them can not be used.
    let (mut unusable, mut forward) = (None, false);
    for reading in readings {
        match reading {
            Reading::Receipt(receipt) => {
                metrics
                    .receipts
                    .with_label_values(&[slug, receipt.state.as_str()])
                    .inc();
                match receipt.reference {
                    Some(reference) => read.report(index, reference, receipt),
                    None => unusable = Some(Reason::NoReference),
                }
            }
            Reading::OptOut(opt_out) => {
                read.signals.push(Signal {
                    callback: index,
                    about,
                    opt_out,
                });
            }
            Reading::Inbound(_) => forward = true,
            Reading::Unrecognised { status } => {
                metrics.unrecognised.with_label_values(&[slug]).inc();
                let status = word(&status);
                tracing::warn!(provider = slug, %organization, status, "status that the provider's table does not know");
                unusable = Some(Reason::Unrecognised);
            }
            Reading::Ignored => {}
        }
    }
    if forward {
        kept.forward(taken)?;
        metrics.forwarded.inc();
    }
    unusable.map_or(Ok(()), Err)
}

impl Read {
    fn report(&mut self, callback: usize, reference: Reference, receipt: Receipt) {
        let reports = self.reports.entry(reference.batch).or_default();
        reports.callbacks.push(callback);
        reports.rows.push(RowReport {
            row: reference.row,
            state: receipt.state,
            code: receipt.error_code,
            provider_message_id: receipt.provider_message_id,
        });
    }
}

/// A provider's word as far as it may stand in a log: a word, not a number.
fn word(status: &str) -> String {
    const CHARS_MAX: usize = 40;
    let harmless = |c: char| if c.is_ascii_digit() { '#' } else { c };
    status
        .chars()
        .take(CHARS_MAX)
        .map(harmless)
        .flat_map(char::escape_debug)
        .collect()
}
