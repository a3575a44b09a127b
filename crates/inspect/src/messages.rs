//! Messages in questions.

use std::time::Duration;

use anyhow::Context as _;
use message::Msisdn;
use providers::{MtMessage, SubmitMode};
use serde::Deserialize;

/// One message.
#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    pub(crate) reference: String,
    to: String,
    #[serde(default)]
    text: String,
}

/// `None` for one whose recipient is no number.
pub(crate) fn number(given: &Given) -> Option<Msisdn> {
    Msisdn::parse(given.to.trim()).ok()
}

/// The messages in NFC, as the fleet sends them.
pub(crate) fn texts(given: &[Given]) -> Vec<String> {
    given
        .iter()
        .map(|one| message::segments::nfc(&one.text).into_owned())
        .collect()
}

/// As the providers see them.
///
/// # Errors
/// If a recipient is no number.
pub(crate) fn borrowed<'a>(
    given: &'a [Given],
    texts: &'a [String],
    validity: Duration,
) -> anyhow::Result<Vec<MtMessage<'a>>> {
    given
        .iter()
        .zip(texts)
        .enumerate()
        .map(|(index, (one, text))| {
            Ok(MtMessage {
                reference: &one.reference,
                to: number(one).with_context(|| {
                    format!("messages[{index}].to is not a number with its plus and 7 to 15 digits")
                })?,
                text,
                validity,
            })
        })
        .collect()
}

/// The form of a request that the question names.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    Single,
    Batch,
}

impl Mode {
    /// The mode of so many messages: the one that is named, else the one that the fleet uses.
    pub(crate) fn of(named: Option<Self>, messages: usize) -> SubmitMode {
        match named {
            Some(Self::Single) => SubmitMode::Single,
            Some(Self::Batch) => SubmitMode::Batch,
            None => SubmitMode::of(messages),
        }
    }
}

/// What a message is worth waiting for if the question does not say: the fleet's own default.
pub(crate) const VALIDITY_SECONDS: u64 = 172_800;
