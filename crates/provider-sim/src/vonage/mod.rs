//! The Vonage twin: the SMS API, the Messages API for SMS, and the Reports API.
//!
//! Worth knowing before editing:
//! - `/sms/json` answers 200 to nearly everything; the outcome is the status of each part.
//! - A message has an id and receipts for each of its parts; one of the Messages API has one id, and receipts for all.
//! - The account, not the API that a message was sent by, decides the format of webhooks, as at Vonage.
//! - Over a limit the SMS API says status 1, or 10 for too many requests at once; a 429 there is a fault's.
//! - There are no idempotency keys: the same request twice is two messages.
//!
//! Source: `shared/providers/vonage.md`. `sdk-check/check_vonage.py` points Vonage's own SDK at a running twin.

mod accounts;
mod check;
mod credentials;
mod ids;
mod inbound;
mod messages_api;
mod parameters;
mod parts;
mod problems;
mod receipts;
mod reports;
mod signature;
mod sms_api;
mod statuses;
mod webhooks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::{get, post};

use crate::behaviour::SignatureVariant;
use crate::engine::{
    Engine, FromPerson, IdForm, Keyword, KeywordEffect, Keywords, Phase, Provider, Receipt,
    ReceiptForm, Trouble,
};
use crate::locked;
use crate::running::RunningTwin;
use crate::settings::TwinSettings;
use crate::webhook::{Answer, Callback};
use accounts::Account;

pub use accounts::{VonageAccount, VonageApi, VonageFormat, VonageSignature, VonageStanding};

const BODY_BYTES_MAX: usize = 256 * 1024;
/// The `err-code` of a person who has blocked the sender.
const OPTED_OUT: &str = "9";

/// Vonage's twin.
#[derive(Debug)]
pub struct VonageTwin;

impl VonageTwin {
    /// Binds the address of the settings and serves until the returned twin is stopped or dropped.
    ///
    /// # Errors
    /// If the settings contradict themselves or the address is taken.
    pub async fn start(settings: TwinSettings<VonageAccount>) -> anyhow::Result<RunningTwin> {
        Engine::start(settings, Vonage::default()).await
    }
}

#[derive(Debug, Default)]
pub(crate) struct Vonage {
    /// Which part was undelivered first, of long messages of the Messages API: it ends them, and the others are not told.
    /// A message is named by its run and its number.
    ended_by: Mutex<HashMap<(u64, u32), u8>>,
}

/// What Vonage keeps with a message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Details {
    /// The one that it was sent by.
    api: VonageApi,
    /// Where its receipts go, if they are wanted.
    callback: Option<String>,
}

impl Vonage {
    /// Whether a part's phase is news of the whole message.
    fn tells_of_the_whole(&self, receipt: &Receipt<Details>) -> bool {
        let message = &receipt.message;
        if message.segments <= 1 {
            return true;
        }
        match receipt.phase {
            Phase::Delivered => message.phase == Phase::Delivered,
            Phase::Undelivered => {
                let name = (message.number.run, message.number.index);
                *locked(&self.ended_by).entry(name).or_insert(receipt.part) == receipt.part
            }
            // Parts are sent about together, and fail, expire or are rejected together.
            _ => receipt.part == 0,
        }
    }
}

impl Provider for Vonage {
    type Account = VonageAccount;
    type Details = Details;

    const IDS: IdForm = IdForm::Hex16;
    const KEYWORDS: Keywords = inbound::KEYWORDS;
    const RECEIPTS: ReceiptForm = ReceiptForm {
        per_part: true,
        ..ReceiptForm::SINGLE
    };
    const SIGNATURES: &'static [&'static str] = webhooks::VARIANTS;
    const FINDS_BY_REFERENCE: bool = false;

    fn routes(engine: Arc<Engine<Self>>) -> Router {
        let refuse = || async { problems::wrong_method() };
        Router::new()
            .route("/sms/json", post(sms_api::send).fallback(refuse))
            .route("/v1/messages", post(messages_api::send).fallback(refuse))
            .route(
                "/v2/reports/records",
                get(reports::records).fallback(refuse),
            )
            .fallback(|| async { problems::not_found() })
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(engine)
    }

    fn trouble(&self, account: &Account, _: u32, trouble: Trouble) -> Response {
        problems::trouble(account, trouble)
    }

    fn word(phase: Phase) -> &'static str {
        receipts::word(phase)
    }

    fn codes(phase: Phase) -> &'static [&'static str] {
        receipts::codes(phase)
    }

    fn reports(&self, _: &Account, receipt: &Receipt<Details>) -> bool {
        let details = &receipt.message.details;
        details.callback.is_some()
            && match details.api {
                VonageApi::Sms => true,
                VonageApi::Messages => self.tells_of_the_whole(receipt),
            }
    }

    fn receipts(
        &self,
        account: &Account,
        receipts: &[Receipt<Details>],
        signature: &SignatureVariant,
    ) -> Option<Callback> {
        let account = &account.settings;
        let receipt = receipts.first()?;
        let url = receipt.message.details.callback.as_deref()?;
        Some(match account.api {
            VonageApi::Sms => {
                let parameters = receipts::parameters(account, receipt);
                webhooks::with_sig(account, url, signature, parameters)
            }
            VonageApi::Messages => {
                let object = receipts::object(account, receipt);
                webhooks::with_token(account, url, signature, &object)
            }
        })
    }

    fn inbound(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        signature: &SignatureVariant,
    ) -> Vec<Callback> {
        let account = &account.settings;
        let Some(url) = &account.inbound_webhook else {
            return Vec::new();
        };
        match account.api {
            VonageApi::Sms => inbound::parameters(account, message)
                .into_iter()
                .map(|parameters| webhooks::with_sig(account, url, signature, parameters))
                .collect(),
            VonageApi::Messages => {
                let object = inbound::object(account, message);
                vec![webhooks::with_token(account, url, signature, &object)]
            }
        }
    }

    fn receives_on(&self, _: &Account, address: &str, _: u64) -> Option<String> {
        let number = address.strip_prefix('+').unwrap_or(address);
        check::is_number(number).then(|| number.to_owned())
    }

    fn alias(_: &Details) -> Option<&str> {
        None
    }

    /// Without Opt-Out Assist keywords are the customer's affair. With it nothing is declared either: no field of the
    /// webhook tells that Vonage answered.
    fn keyword_effect(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        _: Keyword,
    ) -> KeywordEffect {
        KeywordEffect {
            told_apart: false,
            scope: account
                .settings
                .opt_out_assist
                .then(|| message.to.to_owned()),
            declared: false,
        }
    }

    /// The body of an answer is ignored.
    fn understands(&self, _: &Answer) -> bool {
        true
    }
}

/// A random UUID.
fn uuid() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    let cut = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-4{}-a{}-{}",
        cut(0, 8),
        cut(8, 12),
        cut(13, 16),
        cut(17, 20),
        cut(20, 32)
    )
}
