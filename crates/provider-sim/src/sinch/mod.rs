//! The Sinch twin: Conversation API on the channel SMS, with its Batch API and its token endpoint.
//!
//! Worth knowing before editing:
//! - Token host, API host and batch host are one address here and told apart by their paths. The region stands in the host
//!   name, so a wrong one is noticed only where the request's `Host` is Sinch's own name for it.
//! - An account is an app. Apps of one project share its keys; each has limits, queue and webhooks of its own.
//! - A message is validated twice: what stage one lets through may still fail, and only its receipt says so.
//! - Every app runs in DISPATCH mode: no contacts, no conversations.
//! - Callbacks are not paced, though an app's rate for them is shown.
//!
//! `sdk-check/sinch.py` points Sinch's own SDK at a running twin; see there for how.

mod accounts;
mod api;
mod batch;
mod caller;
mod definition;
mod errors;
mod fields;
mod inbound;
mod lookup;
mod queue;
mod receipts;
mod sending;
mod signature;
mod template;
mod token;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::response::Response;

use crate::behaviour::SignatureVariant;
use crate::engine::phone::digits;
use crate::engine::{
    Engine, FromPerson, IdForm, Keyword, KeywordEffect, Keywords, Phase, Provider, Receipt,
    ReceiptForm, Trouble,
};
use crate::running::RunningTwin;
use crate::settings::TwinSettings;
use crate::webhook::{Answer, Callback};
use accounts::Account;

pub use accounts::{SinchAccount, SinchConsent, SinchRegion};

/// The default lists of consent management. Without it they are texts like any other, and the fleet has to know them.
pub(crate) const KEYWORDS: Keywords = Keywords {
    stop: &[
        "STOP",
        "UNSUBSCRIBE",
        "OptOut_All_EN",
        "DETENER",
        "SALIR",
        "PARAR",
        "CANCELAR",
    ],
    start: &[
        "START",
        "SUBSCRIBE",
        "VOLVER",
        "RECIBIR",
        "VOLTAR",
        "RECEBER",
    ],
    help: &["HELP"],
    // Most people write the plain word.
    written_stop: &["STOP", "Stop", "stop", "STOP", "Stop ", "Unsubscribe"],
    written_start: &["START", "Start"],
    written_help: &["HELP", "Help"],
};

/// Sinch's twin.
#[derive(Debug)]
pub struct SinchTwin;

impl SinchTwin {
    /// Binds the address of the settings and serves until the returned twin is stopped or dropped.
    ///
    /// # Errors
    /// If the settings contradict themselves or the address is taken.
    pub async fn start(settings: TwinSettings<SinchAccount>) -> anyhow::Result<RunningTwin> {
        let sinch = Sinch {
            tokens: token::Tokens::new(),
            queues: queue::Queues::default(),
            batches: batch::Batches::default(),
        };
        Engine::start(settings, sinch).await
    }
}

#[derive(Debug)]
pub(crate) struct Sinch {
    tokens: token::Tokens,
    queues: queue::Queues,
    batches: batch::Batches,
}

/// What Sinch keeps with a message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Details {
    batch: Option<FromBatch>,
    correlation_id: String,
    /// Receipts go here instead of to the account's webhook.
    callback_url: Option<String>,
    /// The recipient as it was given, where that is no phone number.
    odd_identity: Option<String>,
}

/// What a message has from its batch.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct FromBatch {
    id: String,
    /// Metadata beside the reference.
    rest: Vec<(String, String)>,
    /// Its place, if the recipient could not be processed.
    unprocessed: Option<usize>,
}

impl Provider for Sinch {
    type Account = SinchAccount;
    type Details = Details;

    const IDS: IdForm = IdForm::Ulid;
    const KEYWORDS: Keywords = KEYWORDS;
    const RECEIPTS: ReceiptForm = ReceiptForm::SINGLE;
    const SIGNATURES: &'static [&'static str] = signature::VARIANTS;
    const FINDS_BY_REFERENCE: bool = false;

    fn routes(engine: Arc<Engine<Self>>) -> Router {
        api::routes(engine)
    }

    fn trouble(&self, account: &Account, _: u32, trouble: Trouble) -> Response {
        api::trouble(account, trouble)
    }

    fn word(phase: Phase) -> &'static str {
        receipts::word(phase)
    }

    fn codes(phase: Phase) -> &'static [&'static str] {
        receipts::codes(phase)
    }

    fn reports(&self, account: &Account, receipt: &Receipt<Details>) -> bool {
        let told = !matches!(receipt.phase, Phase::Accepted | Phase::Queued);
        let target = receipt.message.details.callback_url.as_ref();
        told && target
            .or(account.settings.status_webhook.as_ref())
            .is_some()
    }

    fn receipts(
        &self,
        account: &Account,
        receipts: &[Receipt<Details>],
        signature: &SignatureVariant,
    ) -> Option<Callback> {
        let settings = &account.settings;
        let receipt = receipts.first()?;
        // An overridden target has a secret of its own.
        let (url, secret) = match &receipt.message.details.callback_url {
            Some(url) => (url, &settings.override_secret),
            None => (settings.status_webhook.as_ref()?, &settings.webhook_secret),
        };
        let body = receipts::body(account, receipt);
        let kind = "application/json; charset=utf-8";
        Some(signature::sign(signature, secret, url, kind, body))
    }

    fn inbound(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        signature: &SignatureVariant,
    ) -> Vec<Callback> {
        inbound::callbacks(&account.settings, message, signature)
    }

    /// Numbers and short codes, without plus; names cannot be answered.
    fn receives_on(&self, _: &Account, address: &str, _: u64) -> Option<String> {
        let bare = address.strip_prefix('+').unwrap_or(address);
        let short = (3..=6).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_digit());
        (short || digits(bare).is_some()).then(|| bare.to_owned())
    }

    fn alias(_: &Details) -> Option<&str> {
        None
    }

    fn keyword_effect(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        _: Keyword,
    ) -> KeywordEffect {
        inbound::keyword_effect(&account.settings, message)
    }

    /// The body of an answer is ignored.
    fn understands(&self, _: &Answer) -> bool {
        true
    }
}

/// A new name in the form of a message's, for what the engine does not name: batches, nonces, tokens.
fn ulid() -> String {
    const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let chance = fastrand::u128(..) & ((1 << 80) - 1);
    let bits = now.as_millis() << 80 | chance;
    (0..26)
        .rev()
        .map(|place| char::from(CROCKFORD[(bits >> (place * 5)) as usize & 31]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_own_words_are_of_their_kind() {
        assert!(KEYWORDS.are_consistent());
    }

    #[test]
    fn names_are_different_and_of_26_characters() {
        let names: std::collections::HashSet<String> = (0..1_000).map(|_| ulid()).collect();
        assert_eq!(names.len(), 1_000);
        assert!(names.iter().all(|name| name.len() == 26));
    }
}
