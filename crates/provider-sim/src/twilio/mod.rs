//! The Twilio twin: Programmable Messaging, REST version `2010-04-01`.
//!
//! Worth knowing before editing:
//! - A message is taken before the answer is written, so a client that gives up has still sent it.
//! - Numbers without `+` are refused, where Twilio would guess a country.
//! - `GET Messages.json` lists outbound messages only.
//! - The list shows a message at once; Twilio's delay is undocumented.
//!
//! `sdk-check/check.py` points Twilio's own SDK at a running twin; see there for how.

mod accounts;
mod api;
mod errors;
mod form;
mod inbound;
mod keywords;
mod overrides;
mod receipts;
mod resource;
mod signature;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;

use crate::behaviour::SignatureVariant;
use crate::engine::{
    Engine, FromPerson, IdForm, Keyword, KeywordEffect, Keywords, Phase, Provider, Receipt,
    ReceiptForm, Trouble,
};
use crate::running::RunningTwin;
use crate::settings::TwinSettings;
use crate::webhook::{Answer, Callback};
use accounts::{Account, is_number};
use form::StatusCallback;

pub use accounts::{SharedKey, SharedKeyAlgorithm, TwilioAccount};

/// Twilio's twin.
#[derive(Debug)]
pub struct TwilioTwin;

impl TwilioTwin {
    /// Binds the address of the settings and serves until the returned twin is stopped or dropped.
    ///
    /// # Errors
    /// If the settings contradict themselves or the address is taken.
    pub async fn start(settings: TwinSettings<TwilioAccount>) -> anyhow::Result<RunningTwin> {
        Engine::start(settings, Twilio).await
    }
}

#[derive(Debug)]
pub(crate) struct Twilio;

/// What Twilio keeps with a message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Details {
    /// The Messaging Service that sends it.
    service: Option<String>,
    callback: Option<StatusCallback>,
}

impl Provider for Twilio {
    type Account = TwilioAccount;
    type Details = Details;

    const IDS: IdForm = receipts::IDS;
    const KEYWORDS: Keywords = keywords::KEYWORDS;
    const RECEIPTS: ReceiptForm = ReceiptForm::SINGLE;
    const SIGNATURES: &'static [&'static str] = signature::VARIANTS;
    const FINDS_BY_REFERENCE: bool = false;

    fn routes(engine: Arc<Engine<Self>>) -> Router {
        api::routes(engine)
    }

    fn trouble(&self, account: &Account, at_once: u32, trouble: Trouble) -> Response {
        api::trouble(account, at_once, trouble)
    }

    fn word(phase: Phase) -> &'static str {
        receipts::word(phase)
    }

    fn codes(phase: Phase) -> &'static [&'static str] {
        receipts::codes(phase)
    }

    fn reports(&self, _: &Account, receipt: &Receipt<Details>) -> bool {
        receipt.message.details.callback.is_some()
    }

    fn receipts(
        &self,
        account: &Account,
        receipts: &[Receipt<Details>],
        signature: &SignatureVariant,
    ) -> Option<Callback> {
        let account = &account.settings;
        let receipt = receipts.first()?;
        let message = &receipt.message;
        let callback = message.details.callback.as_ref()?;
        let url = format!("{}{}{}", callback.before, message.reference, callback.after);
        let parameters = receipts::parameters(receipt, &account.account_sid);
        let policy = callback.policy;
        Some(signature::sign(
            signature,
            account,
            &url,
            policy,
            &parameters,
        ))
    }

    fn inbound(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        signature: &SignatureVariant,
    ) -> Vec<Callback> {
        let account = &account.settings;
        let Some(webhook) = &account.inbound_webhook else {
            return Vec::new();
        };
        let (url, policy) = overrides::split(webhook);
        let parameters = inbound::parameters(account, message);
        vec![signature::sign(
            signature,
            account,
            url,
            policy,
            &parameters,
        )]
    }

    fn receives_on(&self, account: &Account, address: &str, person: u64) -> Option<String> {
        if address.starts_with("MG") {
            return Some(account.settings.pool_number(person).to_owned());
        }
        is_number(address).then(|| address.to_owned())
    }

    fn alias(details: &Details) -> Option<&str> {
        details.service.as_deref()
    }

    fn keyword_effect(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        _: Keyword,
    ) -> KeywordEffect {
        inbound::keyword_effect(&account.settings, message)
    }

    fn understands(&self, answer: &Answer) -> bool {
        inbound::is_twiml(answer)
    }
}
