//! The MessageMedia twin: `POST /v1/messages`, signed callbacks, polling, blacklist and signature keys.
//!
//! Worth knowing before editing:
//! - A request is taken as a whole or not at all. What is wrong with a sender, a blocked number or a repeated text is never
//!   in the answer, only in a later report.
//! - Reports and replies of a message go to the same URL, and both stay in the polling lists until they are confirmed,
//!   pushed or not; which of those MessageMedia does is not documented.
//! - A message for later is never sent: it stays `scheduled` until somebody cancels it.
//! - Nothing makes a second request the first one's repetition, except De-Duplication.
//!
//! `sdk-check/messagemedia.py` points the vendor's own SDK at a running twin. Source: `shared/providers/messagemedia.md`.

mod accounts;
mod api;
mod books;
mod field;
mod inbound;
mod key_api;
mod keys;
mod numbers;
mod polling;
mod receipts;
mod refusal;
mod request;
mod resource;
mod signature;
mod webhooks;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::response::Response;

use crate::behaviour::SignatureVariant;
use crate::engine::{
    Engine, FromPerson, IdForm, Keyword, KeywordEffect, Keywords, Phase, Provider, Receipt,
    ReceiptForm, Trouble, phone,
};
use crate::locked;
use crate::running::RunningTwin;
use crate::settings::TwinSettings;
use crate::webhook::{Answer, Callback, RetryPolicy};
use accounts::{Account, is_number};
use books::{Books, Report};
use keys::{Key, KeyRing};

pub use accounts::MessageMediaAccount;
pub use keys::MessageMediaDigest;

const IDS: IdForm = IdForm::Uuid;

/// MessageMedia's twin.
#[derive(Debug)]
pub struct MessageMediaTwin;

impl MessageMediaTwin {
    /// Makes a key for each account without one, binds the address of the settings and serves until the returned twin is
    /// stopped or dropped.
    ///
    /// # Errors
    /// If the settings contradict themselves, a key is none, or the address is taken.
    pub async fn start(settings: TwinSettings<MessageMediaAccount>) -> anyhow::Result<RunningTwin> {
        settings.check()?;
        let mut rings = HashMap::with_capacity(settings.accounts.len());
        for (number, account) in settings.accounts.iter().enumerate() {
            let key = match account.key()? {
                Some(key) => key,
                None => Key::generate(account.webhook_digest)?,
            };
            rings.insert(u16::try_from(number)?, KeyRing::new(key));
        }
        let provider = MessageMedia {
            rings: Mutex::new(rings),
            books: Books::default(),
        };
        Engine::start(settings, provider).await
    }
}

#[derive(Debug)]
pub(crate) struct MessageMedia {
    /// By the number of the account; every account has one.
    rings: Mutex<HashMap<u16, KeyRing>>,
    books: Books,
}

/// What MessageMedia keeps with a message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Details {
    callback_url: Option<String>,
    delivery_report: bool,
    /// Whether the request named the sender; else it was the account's default number.
    names_sender: bool,
    sender_type: Option<String>,
    scheduled: Option<String>,
    /// The metadata but for `ref`, which is the engine's reference.
    metadata: BTreeMap<String, String>,
    has_ref: bool,
}

impl MessageMedia {
    fn callback(
        &self,
        account: &Account,
        variant: &SignatureVariant,
        url: &str,
        body: String,
        policy: RetryPolicy,
    ) -> Option<Callback> {
        let key = locked(&self.rings)
            .get(&account.number)
            .map(|ring| Arc::clone(&ring.enabled))?;
        signature::callback(variant, &key, url, body, policy, SystemTime::now())
    }
}

impl Provider for MessageMedia {
    type Account = MessageMediaAccount;
    type Details = Details;

    const IDS: IdForm = IDS;
    const KEYWORDS: Keywords = inbound::KEYWORDS;
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
        let details = &receipt.message.details;
        if !details.delivery_report {
            return false;
        }
        // Whether it is pushed or not, and even if the push is lost, the report can be polled.
        if !receipt.again {
            let mut books = self.books.open(receipt.message.number.run);
            books.add_report(account.number, Report::of(receipt));
        }
        details.callback_url.is_some()
    }

    fn receipts(
        &self,
        account: &Account,
        receipts: &[Receipt<Details>],
        signature: &SignatureVariant,
    ) -> Option<Callback> {
        let receipt = receipts.first()?;
        let url = receipt.message.details.callback_url.as_deref()?;
        let body = receipts::pushed(&account.settings, receipt).to_string();
        self.callback(account, signature, url, body, webhooks::OF_MESSAGE)
    }

    fn inbound(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        signature: &SignatureVariant,
    ) -> Vec<Callback> {
        let settings = &account.settings;
        let reply = inbound::reply(settings, message);
        let body = reply.to_string();
        self.books.open(message.number.run).add_reply(
            account.number,
            IDS.write(message.number),
            reply,
        );
        let to_message = inbound::reply_url(settings, message)
            .and_then(|url| self.callback(account, signature, url, body, webhooks::OF_MESSAGE));
        let to_account = settings.account_webhook.as_deref().and_then(|url| {
            let body = inbound::event(settings, message).to_string();
            let policy = webhooks::of_account(settings);
            self.callback(account, signature, url, body, policy)
        });
        to_message.into_iter().chain(to_account).collect()
    }

    fn receives_on(&self, _: &Account, address: &str, _: u64) -> Option<String> {
        is_number(address).then(|| address.to_owned())
    }

    fn alias(_: &Details) -> Option<&str> {
        None
    }

    /// The blacklist is MessageMedia's own and not the engine's, because a START does not free anybody.
    fn keyword_effect(
        &self,
        account: &Account,
        message: &FromPerson<'_, Details>,
        keyword: Keyword,
    ) -> KeywordEffect {
        if let (Keyword::Stop, Some(person)) = (keyword, phone::e164(message.from)) {
            let mut books = self.books.open(message.number.run);
            books.block(account.number, person);
        }
        KeywordEffect {
            told_apart: keyword == Keyword::Stop
                && account.settings.account_webhook.is_some()
                && inbound::reply_url(&account.settings, message).is_some(),
            ..KeywordEffect::default()
        }
    }

    fn understands(&self, _: &Answer) -> bool {
        true
    }
}
