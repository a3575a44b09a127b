//! The MessageBird twin: the REST API on `rest.messagebird.com`, written from `shared/providers/messagebird.md`.
//!
//! Worth knowing before editing:
//! - One request is one text for up to 50 recipients under one id; each recipient is a message of the engine, and an entry
//!   of the audit under the request's `reference`.
//! - Without a `reference` there is no status report.
//! - A 201 can carry a recipient that has failed already.
//! - Reports are GET with a query, and the signature is over the whole URL: nothing may touch it after signing.
//!
//! `sdk-check/messagebird.py` points the vendor's Python SDK at a running twin; see there for how.

mod accounts;
mod api;
mod coding;
mod errors;
mod inbound;
mod listing;
mod receipts;
mod resource;
mod signature;
mod submission;

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
use accounts::Account;

pub use accounts::{
    MessageBirdAccount, MessageBirdInbound, MessageBirdReports, MessageBirdSignatures,
};

/// MessageBird's twin.
///
/// Its words for [`SignatureVariant::Variant`]: tokens `hs384`, `hs512`, `without_exp`, `expired` (ten minutes old),
/// `alg_none`; the older signature `timestamp`, `timestamp_raw` and `timestamp_percent` (other forms of the query),
/// `late_timestamp` (eight hours old); `downgrade` (a good older one beside a wrong token); `bird` (the newer platform's).
#[derive(Debug)]
pub struct MessageBirdTwin;

impl MessageBirdTwin {
    /// Binds the address of the settings and serves until the returned twin is stopped or dropped.
    ///
    /// # Errors
    /// If the settings contradict themselves or the address is taken.
    pub async fn start(settings: TwinSettings<MessageBirdAccount>) -> anyhow::Result<RunningTwin> {
        Engine::start(settings, MessageBird).await
    }
}

#[derive(Debug)]
pub(crate) struct MessageBird;

/// What MessageBird keeps with a message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Details {
    coding: coding::Coding,
    flash: bool,
    validity_seconds: Option<u32>,
    /// Where its reports go instead of the account's URL.
    report_url: Option<String>,
    /// The request's other recipients; none if it had one.
    group: Option<resource::Group>,
}

impl Provider for MessageBird {
    type Account = MessageBirdAccount;
    type Details = Details;

    const IDS: IdForm = resource::IDS;
    const KEYWORDS: Keywords = Keywords::PLAIN;
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
        !receipt.message.reference.is_empty() && report_url(account, receipt).is_some()
    }

    fn receipts(
        &self,
        account: &Account,
        receipts: &[Receipt<Details>],
        signature: &SignatureVariant,
    ) -> Option<Callback> {
        let receipt = receipts.first()?;
        let url = report_url(account, receipt)?;
        let parameters = receipts::parameters(receipt);
        let callback = receipts::callback(url, account.settings.reports, &parameters);
        Some(signature::sign(signature, &account.settings, callback))
    }

    fn inbound(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        signature: &SignatureVariant,
    ) -> Vec<Callback> {
        let settings = &account.settings;
        let Some(url) = &settings.inbound_webhook else {
            return Vec::new();
        };
        let callback = inbound::callback(url, settings.inbound, message);
        vec![signature::sign(signature, settings, callback)]
    }

    /// Names are one-way.
    fn receives_on(&self, _: &Account, address: &str, _: u64) -> Option<String> {
        let number = address.strip_prefix('+').unwrap_or(address);
        let numeric = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        numeric.then(|| number.to_owned())
    }

    fn alias(_: &Details) -> Option<&str> {
        None
    }

    fn keyword_effect(
        &self,
        _: &Account,
        message: &FromPerson<'_, Details>,
        _: Keyword,
    ) -> KeywordEffect {
        inbound::keyword_effect(message)
    }

    /// Answers are not parsed.
    fn understands(&self, _: &Answer) -> bool {
        true
    }
}

fn report_url<'a>(account: &'a Account, receipt: &'a Receipt<Details>) -> Option<&'a str> {
    let own = receipt.message.details.report_url.as_deref();
    own.or(account.settings.status_webhook.as_deref())
}
