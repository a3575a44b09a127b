//! What the callbacks of a round say, sorted by what has to be done about it. Nothing is changed here.

use std::{collections::BTreeMap, mem};

use backing::callbacks::{Kept, Reason, Taken};
use ledger::{PartName, PartReport, RowReport};
use message::Reference;
use providers::{CallbackKind, Capabilities, ProviderOptOut, Reading, Receipt, Verified};

use crate::ReceiptMetrics;

/// One receipt of the round.
pub(crate) struct Told {
    /// Index into the round's callbacks.
    pub(crate) callback: usize,
    /// Its position in what the callback says.
    pub(crate) position: u32,
    /// The message, if the receipt names it or somebody found it.
    pub(crate) reference: Option<Reference>,
    receipt: Receipt,
    part: Option<PartReport>,
}

/// A provider's own opt-out signal.
pub(crate) struct Signal {
    pub(crate) callback: usize,
    /// Index of the receipt that it came with, if any: its message says whose opt-out it is.
    pub(crate) about: Option<usize>,
    pub(crate) opt_out: ProviderOptOut,
}

/// What a round's callbacks say.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) receipts: Vec<Told>,
    pub(crate) signals: Vec<Signal>,
}

impl Told {
    fn new(callback: usize, position: u32, receipt: Receipt, capabilities: &Capabilities) -> Self {
        let name = match (receipt.part, &receipt.provider_message_id) {
            (Some(number), _) => Some(PartName::Number(number)),
            // Nothing else tells the parts apart.
            (None, Some(id)) if capabilities.receipts_per_part => Some(PartName::Id(id.clone())),
            (None, _) => None,
        };
        let of = receipt.parts;
        let ours = receipt.reference.as_deref();
        Self {
            callback,
            position,
            // Another system may use the account too, with references of its own.
            reference: ours.and_then(|reference| reference.parse().ok()),
            part: name.map(|name| PartReport { name, of }),
            receipt,
        }
    }

    /// The provider's id, for a receipt that does not name its message.
    pub(crate) fn sought(&self) -> Option<&str> {
        match self.reference {
            Some(_) => None,
            None => self.receipt.provider_message_id.as_deref(),
        }
    }

    /// What it reports about `row`: once, because the texts go with it.
    pub(crate) fn report(&mut self, row: u32) -> RowReport {
        let receipt = &mut self.receipt;
        RowReport {
            row,
            state: receipt.status.state(),
            code: mem::take(&mut receipt.error_code),
            provider_message_id: receipt.provider_message_id.take().unwrap_or_default(),
            part: self.part.take(),
        }
    }
}

/// Reads `taken`; what can not be used goes to `kept`.
pub(crate) fn read(taken: &[Taken], kept: &mut Kept, metrics: &ReceiptMetrics) -> Read {
    let mut read = Read::default();
    read.receipts.reserve(taken.len());
    let mut states = States::new();
    for (index, one) in taken.iter().enumerate() {
        if let Err(unusable) = read_one(index, one, &mut read, &mut states, kept, metrics) {
            let Unusable { reason, pending } = unusable;
            metrics.kept.with_label_values(&[reason.as_str()]).inc();
            kept.bury(one, reason, pending);
        }
    }
    for ((provider, state), receipts) in states {
        let counter = metrics.receipts.with_label_values(&[provider, state]);
        counter.inc_by(receipts);
    }
    read
}

/// Receipts of the round by provider and state: there are few of both, and a metric is looked up by
/// the words.
type States = BTreeMap<(&'static str, &'static str), u64>;

/// What of a callback can not be used.
struct Unusable {
    reason: Reason,
    /// The positions, if it is not the whole callback.
    pending: Vec<u32>,
}

impl From<Reason> for Unusable {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            pending: Vec::new(),
        }
    }
}

fn read_one(
    index: usize,
    taken: &Taken,
    read: &mut Read,
    states: &mut States,
    kept: &mut Kept,
    metrics: &ReceiptMetrics,
) -> Result<(), Unusable> {
    let callback = &taken.callback;
    let organization = &callback.organization_id;
    let provider = providers::provider(&callback.provider).ok_or(Reason::UnknownProvider)?;
    let slug = provider.slug();
    let request = taken.request().ok_or(Reason::Malformed)?;
    let readings = provider
        .read_callback(Verified::already(&request, None), CallbackKind::Status)
        .map_err(|why| {
            tracing::warn!(provider = slug, %organization, "receipt put with the dead letters: {why}");
            Reason::Malformed
        })?;
    // A callback that says several things is kept for those that can not be used.
    let (mut unusable, mut forward) = (None::<Unusable>, Vec::new());
    let mut spoil = |reason: Reason, position| {
        let known = unusable.get_or_insert_with(|| reason.into());
        known.pending.push(position);
    };
    // An opt-out comes behind the receipt that it is about.
    let mut about = None;
    let mut faults = 0;
    for (position, reading) in (0..).zip(readings) {
        if !taken.is_pending(position) {
            continue;
        }
        match reading {
            Reading::Receipt(receipt) => {
                *states.entry((slug, receipt.status.as_str())).or_default() += 1;
                faults += u32::from(receipt.account_fault);
                if receipt.about_repetition {
                    about = None;
                    continue;
                }
                let told = Told::new(index, position, receipt, provider.capabilities());
                if told.reference.is_none() && told.sought().is_none() {
                    spoil(Reason::NoReference, position);
                    about = None;
                    continue;
                }
                about = Some(read.receipts.len());
                read.receipts.push(told);
            }
            Reading::OptOut(opt_out) => read.signals.push(Signal {
                callback: index,
                about,
                opt_out,
            }),
            Reading::Inbound(_) => forward.push(position),
            Reading::Unrecognised { status } => {
                metrics.unrecognised.with_label_values(&[slug]).inc();
                let status = word(&status);
                tracing::warn!(provider = slug, %organization, status, "status that the provider's table does not know");
                spoil(Reason::Unrecognised, position);
            }
            Reading::Ignored => {}
        }
    }
    if faults > 0 {
        let counter = metrics.account_faults.with_label_values(&[slug]);
        counter.inc_by(faults.into());
        tracing::error!(provider = slug, %organization, connection = %callback.connection_id, receipts = faults,
            "the provider refuses messages because of the account: somebody has to look at it");
    }
    if !forward.is_empty() {
        kept.forward(taken, forward)?;
        metrics.forwarded.inc();
    }
    unusable.map_or(Ok(()), Err)
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

#[cfg(test)]
mod tests {
    use providers::ReceiptStatus;

    use super::*;

    fn told(receipt: Receipt, receipts_per_part: bool) -> Told {
        let twilio = providers::provider("twilio-sms").expect("known");
        let capabilities = Capabilities {
            receipts_per_part,
            ..*twilio.capabilities()
        };
        Told::new(0, 0, receipt, &capabilities)
    }

    fn receipt() -> Receipt {
        Receipt {
            reference: None,
            provider_message_id: Some("id-1".into()),
            status: ReceiptStatus::Rejected,
            error_code: "7".into(),
            part: None,
            parts: None,
            account_fault: false,
            about_repetition: false,
        }
    }

    #[test]
    fn a_receipt_speaks_for_the_whole_message_unless_its_provider_reports_parts() {
        let whole = told(receipt(), false).report(3);
        assert_eq!((whole.row, whole.part), (3, None));
        assert_eq!(whole.state, message::MessageState::Rejected);
        let by_id = told(receipt(), true).report(3).part;
        let name = PartName::Id("id-1".into());
        assert_eq!(by_id, Some(PartReport { name, of: None }));
        let numbered = Receipt {
            part: Some(2),
            parts: Some(3),
            ..receipt()
        };
        let name = PartName::Number(2);
        let expected = Some(PartReport { name, of: Some(3) });
        assert_eq!(told(numbered, true).report(3).part, expected);
    }

    #[test]
    fn what_is_no_reference_of_ours_is_sought_by_the_providers_id() {
        for (reference, sought) in [
            (None, Some("id-1")),
            (Some("another-systems"), Some("id-1")),
            (Some("3w5e11264sgsf-2s"), None),
        ] {
            let receipt = Receipt {
                reference: reference.map(str::to_owned),
                ..receipt()
            };
            assert_eq!(told(receipt, false).sought(), sought, "{reference:?}");
        }
    }
}
