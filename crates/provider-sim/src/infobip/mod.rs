//! The Infobip twin: SMS over HTTP, version 3, and the older version 2 of the same.
//!
//! Worth knowing before editing:
//! - A `messageId` that was taken is refused for ever after (status 23); one that was refused may be used again, which the
//!   page does not say. The same recipient or text does not matter.
//! - Refusals of single messages stand in a 200. The schema, in contrast, is the whole request's matter: one violation, and
//!   nothing is taken.
//! - A scheduled message goes at once; binary contents, URL shortening and reports in XML are not offered; Infobip's
//!   `GET /sms/3/reports` and `/sms/1/inbox/reports` neither, because they consume what the callbacks tell.
//! - A request without JSON as its content type is answered with 415; the page names no answer.
//! - The callbacks for a message's own URL have no credentials, since no source promises any.
//!
//! `sdk-check/infobip.py` points Infobip's own SDK at a running twin; see there for how.
//!
//! Source: shared/providers/infobip.md.

mod accounts;
mod answers;
mod api;
mod causes;
mod credentials;
mod fields;
mod inbound;
mod logs;
mod notes;
mod receipts;
mod request;
mod send;
mod statuses;
mod times;
mod v2;
mod v3;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::Response;

use crate::behaviour::SignatureVariant;
use crate::engine::{
    Engine, FromPerson, IdForm, Keyword, KeywordEffect, Keywords, Phase, Provider, Receipt,
    ReceiptForm, Trouble, View,
};
use crate::locked;
use crate::running::RunningTwin;
use crate::settings::TwinSettings;
use crate::webhook::{Answer, Callback};
use accounts::{Account, is_number};
use notes::{Note, Notes};

pub use accounts::{InfobipAccount, InfobipBlocked, InfobipOnStop, InfobipReportForm};

/// Infobip's twin.
#[derive(Debug)]
pub struct InfobipTwin;

impl InfobipTwin {
    /// Binds the address of the settings and serves until the returned twin is stopped or dropped.
    ///
    /// # Errors
    /// If the settings contradict themselves or the address is taken.
    pub async fn start(settings: TwinSettings<InfobipAccount>) -> anyhow::Result<RunningTwin> {
        Engine::start(settings, Infobip::default()).await
    }
}

#[derive(Debug, Default)]
pub(crate) struct Infobip {
    notes: Mutex<Notes>,
}

/// What decides where a message's reports go. What else belongs to a message is in its [`Note`], so that the reports of
/// different requests can share a callback.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Details {
    /// The message's own address, instead of the account's.
    url: Option<String>,
    /// Passing states are told too.
    intermediate: bool,
    /// Nothing is told.
    silent: bool,
}

impl Infobip {
    fn note(&self, message: &View<Details>) -> Option<Arc<Note>> {
        locked(&self.notes).of(message)
    }
}

impl Provider for Infobip {
    type Account = InfobipAccount;
    type Details = Details;

    const IDS: IdForm = IdForm::Uuid;
    // Infobip knows no words that hold everywhere; what a STOP does is for the account to set up.
    const KEYWORDS: Keywords = Keywords::PLAIN;
    const RECEIPTS: ReceiptForm = ReceiptForm {
        per_part: false,
        grouped_max: receipts::REPORTS_MAX,
        grouped_within: Duration::from_millis(100),
    };
    const SIGNATURES: &'static [&'static str] = credentials::VARIANTS;
    const FINDS_BY_REFERENCE: bool = true;

    fn routes(engine: Arc<Engine<Self>>) -> Router {
        api::routes(engine)
    }

    fn trouble(&self, account: &Account, _: u32, trouble: Trouble) -> Response {
        api::trouble(account, trouble)
    }

    fn word(phase: Phase) -> &'static str {
        statuses::word(phase)
    }

    fn codes(phase: Phase) -> &'static [&'static str] {
        causes::codes(phase)
    }

    fn reports(&self, account: &Account, receipt: &Receipt<Details>) -> bool {
        let (account, details) = (&account.settings, &receipt.message.details);
        let told = match receipt.phase {
            Phase::Accepted | Phase::Queued => false,
            Phase::Sent => details.intermediate || account.intermediate_reports,
            _ => true,
        };
        let somewhere = details.url.is_some() || account.status_webhook.is_some();
        told && somewhere && !details.silent
    }

    fn receipts(
        &self,
        account: &Account,
        receipts: &[Receipt<Details>],
        signature: &SignatureVariant,
    ) -> Option<Callback> {
        let account = &account.settings;
        let report = |receipt: &Receipt<Details>| {
            let note = self.note(&receipt.message);
            receipts::of_receipt(receipt, note.as_deref(), account.report_form)
        };
        let results = receipts.iter().map(report).collect();
        let details = &receipts.first()?.message.details;
        receipts::callback(account, details, results, signature)
    }

    fn inbound(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        signature: &SignatureVariant,
    ) -> Vec<Callback> {
        let answered = message.answers.as_ref();
        let note = answered.and_then(|answered| self.note(answered));
        inbound::callbacks(&account.settings, message, note.as_deref(), signature)
    }

    fn receives_on(&self, _: &Account, address: &str, _: u64) -> Option<String> {
        is_number(address).then(|| address.to_owned())
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
        inbound::keyword_effect(account, message)
    }

    // The body is not read.
    fn understands(&self, _: &Answer) -> bool {
        true
    }
}
