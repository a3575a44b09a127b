//! The LINK Mobility twin: the SMS REST API of the "Common" platform.
//!
//! Source: `shared/providers/link-mobility.md`. Worth knowing before editing:
//! - `refId` is only a reference: a message under a known one is sent again.
//! - A message over the limit, or a bad one, gets its own result code inside a 200; some accounts refuse the whole request.
//! - Each part of a long message has reports of its own, `{messageId}$0`, `{messageId}$1` and so on.
//! - LINK keeps no list of opt-outs: a STOP is forwarded like any other text and blocks nothing.
//! - The OAuth token of the manual's later versions is left out; this API is used with HTTP Basic.
//!
//! There is no official SDK, so that no script in `sdk-check/` points one at this twin.

mod accounts;
mod api;
mod callback;
mod codes;
mod content;
mod gates;
mod inbound;
mod receipts;
mod request;
mod throttle;
mod world;

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
use throttle::Throttle;

pub use accounts::{LinkMobilityAccess, LinkMobilityAccount};

/// Opaque, and awkward in a URL.
const IDS: IdForm = IdForm::Base64;

/// LINK Mobility's twin.
#[derive(Debug)]
pub struct LinkMobilityTwin;

impl LinkMobilityTwin {
    /// Binds the address of the settings and serves until the returned twin is stopped or dropped.
    ///
    /// # Errors
    /// If the settings contradict themselves or the address is taken.
    pub async fn start(settings: TwinSettings<LinkMobilityAccount>) -> anyhow::Result<RunningTwin> {
        Engine::start(settings, LinkMobility::default()).await
    }
}

#[derive(Debug, Default)]
pub(crate) struct LinkMobility {
    throttle: Throttle,
}

/// What LINK keeps with a message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Details {
    /// The request wanted delivery reports.
    reported: bool,
}

impl Provider for LinkMobility {
    type Account = LinkMobilityAccount;
    type Details = Details;

    const IDS: IdForm = IDS;
    const KEYWORDS: Keywords = Keywords::PLAIN;
    const RECEIPTS: ReceiptForm = ReceiptForm {
        per_part: true,
        ..ReceiptForm::SINGLE
    };
    const SIGNATURES: &'static [&'static str] = callback::VARIANTS;
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
        receipt.message.details.reported && account.settings.status_url.is_some()
    }

    fn receipts(
        &self,
        account: &Account,
        receipts: &[Receipt<Details>],
        signature: &SignatureVariant,
    ) -> Option<Callback> {
        let account = &account.settings;
        let body = receipts::report(account, receipts.first()?);
        let url = account.status_url.as_deref()?;
        Some(callback::post(account, url, &body, signature))
    }

    fn inbound(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        signature: &SignatureVariant,
    ) -> Vec<Callback> {
        let account = &account.settings;
        let url = account.message_url.as_deref();
        url.map(|url| callback::post(account, url, &inbound::body(account, message), signature))
            .into_iter()
            .collect()
    }

    fn receives_on(&self, _: &Account, address: &str, person: u64) -> Option<String> {
        inbound::receives_on(address, person)
    }

    fn alias(_: &Details) -> Option<&str> {
        None
    }

    fn keyword_effect(
        &self,
        _: &Account,
        _: &FromPerson<'_, Details>,
        _: Keyword,
    ) -> KeywordEffect {
        KeywordEffect::default()
    }

    /// The gate reads nothing but the status and, if it acknowledges, whether there is a body.
    fn understands(&self, _: &Answer) -> bool {
        true
    }
}
