//! The part that all twins share.
//!
//! A twin implements [`Provider`] and starts an [`Engine`] with it; `twilio/` is the example. The engine owns the accounts,
//! the messages, the audit, the dice, the schedule and the calls to webhooks. The twin owns what is on the wire.
//!
//! # Making a twin
//!
//! 1. **The account** (`accounts.rs`): a public struct with `serde(default, deny_unknown_fields)`, the credentials, the
//!    callback addresses and secrets, `senders: Vec<String>` and `limits: AccountLimits`; implement
//!    [`TwinAccount`](crate::TwinAccount) and a `Debug` without secrets.
//! 2. **The details**: what the provider keeps with a message and gives back in receipts (callback URL, batch id). Equal
//!    details are stored once, so leave out what differs for every message: text, sender, recipient and the client's
//!    reference are kept by the engine.
//! 3. **The routes** ([`Provider::routes`]): axum handlers with `State<Arc<Engine<Self>>>`. A send request goes
//!    authenticate → read leniently → [`Engine::serve`] → check strictly and decide:
//!    ```ignore
//!    let Some(account) = authenticate(&engine, &headers) else {
//!        engine.refuse_stranger("401"); // booked as one refused message
//!        return unauthorized();
//!    };
//!    let request = Request::read(&headers, &body); // never fails: whom and how much it seems to ask for
//!    engine.serve(account, request.asked(), |call| {
//!        // Nothing is taken before everything is checked. Nothing is awaited in here.
//!        if let Err(refusal) = request.check(account) {
//!            call.refuse_all(refusal.code); // the whole request
//!            return refusal.answer();
//!        }
//!        let entries = request.entries().enumerate().map(|(index, entry)| match entry.check(call) {
//!            Err(refusal) => { call.refuse(index, refusal.code); refusal.entry() }
//!            Ok(new) => taken(call.take(index, new)), // a `View`; the id is `Self::IDS.write(view.number)`
//!        });
//!        answer(entries.collect())
//!    }).await
//!    ```
//!    Limits, faults and latency are the engine's: `decide` is not called for a request that is throttled or cut short,
//!    and its answer is thrown away where a fault hides it. [`Provider::trouble`] says how the provider words those;
//!    the answer carries an [`OverLimit`] if it was a limit, for a provider that words that in another way.
//!    [`Call::repeated`] books what the provider recognises as sent before ([`Messages::find_reference`] finds it).
//!    Other routes (token, look-up, list, balance) begin with [`Engine::visit`] and use [`Engine::find`] and
//!    [`Engine::messages`].
//! 4. **Words and codes** ([`Provider::word`], [`Provider::codes`]): a word for each [`Phase`], and the error codes to
//!    choose from for those that end badly. Codes are text. Where a receipt needs more than the code (a group, a sentence),
//!    look it up by the code.
//! 5. **Receipts** ([`Provider::RECEIPTS`], [`Provider::reports`], [`Provider::receipts`]): whether there is one per part
//!    and how many go into one callback; whether a phase is told at all; method, URL, headers, body, signature and
//!    [`RetryPolicy`](crate::webhook::RetryPolicy) of the callback. Times of a policy are the provider's, except for the
//!    pauses, which [`TwinBehaviour::callback_retry_pause`](crate::TwinBehaviour) shortens; so give it as many `retries`
//!    as a test can wait for. Delay, order, duplicates and losses are planned by the engine.
//! 6. **Inbound** ([`Provider::inbound`], [`Provider::receives_on`], [`Provider::keyword_effect`]): the callbacks of one
//!    message, several if the provider cuts long texts or tells opt-outs apart, none without a webhook.
//! 7. **Opt-outs**: a `keyword_effect` with a scope blocks it. At submit ask `call.is_blocked(to, scope)`: refuse, or take the
//!    message with `end: Some((Phase::Rejected, code))`, where the provider tells it in the receipt only.
//! 8. **Signatures**: sign by the [`SignatureVariant`] that is handed in: `AccountSecret` rightly, `Forged` with another
//!    secret, `Missing` not at all. Words of the provider's own ways are listed in [`Provider::SIGNATURES`]; others never
//!    reach the twin.
//!
//! `pub struct AcmeTwin; impl AcmeTwin { pub async fn start(settings: TwinSettings<AcmeAccount>) -> anyhow::Result<RunningTwin> {
//! Engine::start(settings, Acme).await } }`, and two lines in `lib.rs`, make it a twin.

mod accounts;
pub(crate) mod auth;
mod calls;
mod ids;
mod inbound;
mod messages;
mod phase;
pub(crate) mod phone;
mod plan;
mod receipts;
mod replies;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::audit::Status;
use crate::behaviour::SignatureVariant;
use crate::delivery::{Schedule, Waiting};
use crate::locked;
use crate::running::{RunningTwin, Stage, Twin};
use crate::settings::{TwinAccount, TwinSettings};
use crate::webhook::{Answer, Callback};

pub(crate) use accounts::{Account, Accounts};
pub(crate) use calls::{Asked, Call, OverLimit, Trouble};
pub(crate) use ids::IdForm;
pub(crate) use inbound::{FromPerson, KeywordEffect};
pub(crate) use messages::{Messages, NewMessage, View};
pub(crate) use phase::Phase;
pub(crate) use receipts::{Receipt, ReceiptForm};
pub(crate) use replies::{Keyword, Keywords};

use receipts::{Groups, Job};

/// What a twin tells the engine about its provider. No method has a default: what is forgotten does not compile.
pub(crate) trait Provider: Debug + Send + Sync + Sized + 'static {
    type Account: TwinAccount;
    /// What the provider keeps with a message beside what every provider keeps.
    type Details: Debug + Eq + Hash + Send + Sync + 'static;

    /// How it writes the ids of messages.
    const IDS: IdForm;
    const KEYWORDS: Keywords;
    const RECEIPTS: ReceiptForm;
    /// Its own words for [`SignatureVariant::Variant`].
    const SIGNATURES: &'static [&'static str];
    /// Whether messages are looked up by the client's reference; costs memory for every message.
    const FINDS_BY_REFERENCE: bool;

    /// Its API.
    fn routes(engine: Arc<Engine<Self>>) -> Router;
    /// Its answer to a request that is throttled or fails. `at_once` counts the account's requests in flight.
    fn trouble(&self, account: &Account<Self::Account>, at_once: u32, trouble: Trouble)
    -> Response;

    /// Its word for a phase; several phases may share one.
    fn word(phase: Phase) -> &'static str;
    /// Its error codes for a phase, of which chance picks one; empty for those without.
    fn codes(phase: Phase) -> &'static [&'static str];

    /// Whether the customer is told of this phase, and there is somewhere to tell it.
    fn reports(&self, account: &Account<Self::Account>, receipt: &Receipt<Self::Details>) -> bool;
    /// The callback for receipts that [`Provider::reports`] let through: at least one, at most `grouped_max`, all of one
    /// account and with the same details. `None` posts nothing.
    fn receipts(
        &self,
        account: &Account<Self::Account>,
        receipts: &[Receipt<Self::Details>],
        signature: &SignatureVariant,
    ) -> Option<Callback>;

    /// The callbacks that tell what a person wrote; none if the account has no webhook.
    fn inbound(
        &self,
        account: &Account<Self::Account>,
        message: &FromPerson<'_, Self::Details>,
        signature: &SignatureVariant,
    ) -> Vec<Callback>;
    /// The number on which the account gets what `person` writes to `address`; `None` if nobody can write to that.
    fn receives_on(
        &self,
        account: &Account<Self::Account>,
        address: &str,
        person: u64,
    ) -> Option<String>;
    /// What else than its sender a message's conversation is addressed by, such as a service.
    fn alias(details: &Self::Details) -> Option<&str>;
    /// What the provider itself does when a person writes a keyword.
    fn keyword_effect(
        &self,
        account: &Account<Self::Account>,
        message: &FromPerson<'_, Self::Details>,
        keyword: Keyword,
    ) -> KeywordEffect;
    /// Whether a successful answer to an inbound callback has a form that the provider can read.
    fn understands(&self, answer: &Answer) -> bool;
}

/// A provider at work.
#[derive(Debug)]
pub(crate) struct Engine<P: Provider> {
    pub provider: P,
    pub accounts: Accounts<P::Account>,
    pub stage: Stage,
    messages: Mutex<Messages<P::Details>>,
    groups: Groups<P::Details>,
    schedule: Arc<Schedule<Job>>,
    callbacks_in_flight_max: u16,
}

impl<P: Provider> Engine<P> {
    /// Binds the address of the settings and serves until the returned twin is stopped or dropped.
    ///
    /// # Errors
    /// If the settings contradict themselves or the address is taken.
    pub async fn start(
        settings: TwinSettings<P::Account>,
        provider: P,
    ) -> anyhow::Result<RunningTwin> {
        let engine = Self {
            provider,
            stage: Stage::new(&settings, P::SIGNATURES)?,
            accounts: Accounts::new(settings.accounts, Instant::now())?,
            messages: Mutex::new(Messages::new(P::FINDS_BY_REFERENCE)),
            groups: Mutex::default(),
            schedule: Arc::new(Schedule::new()),
            callbacks_in_flight_max: settings.callbacks_in_flight_max,
        };
        RunningTwin::start(settings.listen, engine).await
    }

    /// All messages, locked: for lists, and for several questions at once. To be let go before [`Call::take`].
    pub fn messages(&self) -> MutexGuard<'_, Messages<P::Details>> {
        locked(&self.messages)
    }

    /// The account's message of the provider's name for it; a part's name finds the message.
    pub fn find(&self, account: &Account<P::Account>, name: &str) -> Option<View<P::Details>> {
        let messages = self.messages();
        let number = P::IDS.read(name, messages.run)?;
        messages.view(messages.find(account.number, number)?)
    }
}

impl<P: Provider> Twin for Engine<P> {
    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn routes(self: Arc<Self>) -> Router {
        P::routes(self)
    }

    fn work(self: Arc<Self>) -> BoxFuture<'static, ()> {
        let (schedule, stop) = (Arc::clone(&self.schedule), self.stage.stop.clone());
        let in_flight_max = self.callbacks_in_flight_max;
        let work = move |job| {
            let engine = Arc::clone(&self);
            async move { engine.carry_out(job).await }
        };
        schedule.run(in_flight_max, stop, work).boxed()
    }

    fn inbound<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
        text: &'a str,
    ) -> BoxFuture<'a, anyhow::Result<u16>> {
        self.inbound_from(from, to, text).boxed()
    }

    fn waiting(&self) -> Waiting {
        self.schedule.waiting()
    }

    fn idle(&self) -> BoxFuture<'_, ()> {
        self.schedule.idle().boxed()
    }

    fn reset(&self) {
        self.schedule.clear();
        locked(&self.groups).clear();
        locked(&self.messages).reset();
        self.stage.audit.reset();
        self.accounts
            .iter()
            .for_each(|account| account.reset(Instant::now()));
    }
}

/// A phase as the audit books it.
fn status<P: Provider>(phase: Phase) -> Status {
    Status {
        word: P::word(phase),
        phase: phase.as_str(),
    }
}

fn unix_seconds(now: SystemTime) -> u32 {
    // Until 2106.
    u32::try_from(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()).unwrap_or(u32::MAX)
}
