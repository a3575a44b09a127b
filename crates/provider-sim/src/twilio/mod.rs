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
mod messages;
mod overrides;
mod receipts;
mod resource;
mod signature;
mod submit;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::chance::{Dice, Subject};
use crate::delivery::{Schedule, Waiting};
use crate::locked;
use crate::running::{Provider, RunningTwin, Stage};
use crate::settings::TwinSettings;
use crate::webhook::Post;
use accounts::Accounts;
use inbound::FromPerson;
use messages::{MessageId, Messages, Status};
use receipts::{Posting, Step};

const IDEMPOTENCY_TOKEN: HeaderName = HeaderName::from_static("i-twilio-idempotency-token");

/// Twilio's twin.
#[derive(Debug)]
pub struct TwilioTwin;

impl TwilioTwin {
    /// Binds the address of the settings and serves until the returned twin is stopped or dropped.
    ///
    /// # Errors
    /// If the settings contradict themselves or the address is taken.
    pub async fn start(settings: TwinSettings) -> anyhow::Result<RunningTwin> {
        let twilio = Twilio {
            stage: Stage::new(&settings)?,
            accounts: Accounts::new(&settings.accounts, Instant::now())?,
            messages: Mutex::new(Messages::new()),
            schedule: Arc::new(Schedule::new()),
            callbacks_in_flight_max: settings.callbacks_in_flight_max,
        };
        RunningTwin::start(settings.listen, twilio).await
    }
}

#[derive(Debug)]
pub(crate) struct Twilio {
    stage: Stage,
    accounts: Accounts,
    messages: Mutex<Messages>,
    schedule: Arc<Schedule<Job>>,
    callbacks_in_flight_max: u16,
}

/// What happens to a message later.
#[derive(Debug)]
pub(crate) enum Job {
    /// Its status changes.
    Step(MessageId, Step),
    /// The person writes back.
    Reply(MessageId, Box<str>),
}

impl Twilio {
    /// Plans receipts and a reply for a message that was just accepted.
    fn plan(
        &self,
        id: MessageId,
        subject: Subject<'_>,
        initial: Status,
        validity: Option<Duration>,
        replies: bool,
    ) {
        let now = Instant::now();
        let behaviour = self.stage.behaviour.get();
        let plan = receipts::plan(&behaviour, subject, initial, validity);
        for (after, step) in plan.steps {
            self.schedule.push(now + after, Job::Step(id, step));
        }
        let Some(delivered_after) = plan.delivered_after.filter(|_| replies) else {
            return;
        };
        let text = keywords::reply(&behaviour, subject, &mut locked(&self.messages).replies);
        if let Some(text) = text {
            let at = now + delivered_after + behaviour.replies.delay;
            self.schedule.push(at, Job::Reply(id, text.into()));
        }
    }

    async fn carry_out(&self, job: Job) {
        match job {
            Job::Step(id, step) => self.step(id, step).await,
            Job::Reply(id, text) => self.reply(id, &text).await,
        }
    }

    async fn step(&self, id: MessageId, step: Step) {
        let now = SystemTime::now();
        let moved =
            locked(&self.messages).advance(id, step.status, step.error_code, unix_seconds(now));
        let Some(message) = moved else { return };
        if let Some((from, to)) = message.moved {
            self.stage
                .audit
                .moved(message.entry, from.word(), to.word(), step.error_code);
        }
        let (Some(callback), Some(account)) =
            (&message.callback, self.accounts.get(message.account))
        else {
            return;
        };
        if step.posted == Posting::Lost {
            self.stage.audit.count(|totals| totals.callbacks.lost += 1);
            return;
        }
        let behaviour = self.stage.behaviour.get();
        let settings = &account.settings;
        let dice = Dice(behaviour.seed);
        let parameters =
            receipts::parameters(&message, &settings.account_sid, step, dice, now.into());
        let url = format!("{}{}{}", callback.before, message.reference, callback.after);
        let signed = signature::sign(
            &behaviour.signature,
            &settings.auth_token,
            &url,
            &parameters,
        );
        let post = Post {
            url: signed.url,
            headers: signed.headers,
            body: signed.body,
            retry_headers: retry_headers(),
        };
        let posted = self.stage.poster.post(&post, &callback.policy).await;
        self.stage.audit.count(|totals| {
            posted.count(&mut totals.callbacks);
            totals.callbacks.duplicated += u64::from(step.posted == Posting::Again);
        });
    }

    async fn reply(&self, id: MessageId, text: &str) {
        let message = locked(&self.messages).snapshot(id);
        let Some(message) = message else { return };
        let Some(account) = self.accounts.get(message.account) else {
            return;
        };
        let service = message
            .service
            .as_deref()
            .or(account.service_of(&message.sender));
        let from = format!("+{}", message.to);
        let reply = FromPerson {
            from: &from,
            to: &message.sender,
            service,
            body: text,
        };
        self.deliver_inbound(account, reply).await;
    }
}

impl Provider for Twilio {
    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn routes(self: Arc<Self>) -> axum::Router {
        api::routes(self)
    }

    fn work(self: Arc<Self>) -> BoxFuture<'static, ()> {
        let (schedule, stop) = (Arc::clone(&self.schedule), self.stage.stop.clone());
        let in_flight_max = self.callbacks_in_flight_max;
        let work = move |job| {
            let twin = Arc::clone(&self);
            async move { twin.carry_out(job).await }
        };
        schedule.run(in_flight_max, stop, work).boxed()
    }

    fn inbound<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
        body: &'a str,
    ) -> BoxFuture<'a, anyhow::Result<u16>> {
        self.inbound_from(from, to, body).boxed()
    }

    fn waiting(&self) -> Waiting {
        self.schedule.waiting()
    }

    fn idle(&self) -> BoxFuture<'_, ()> {
        self.schedule.idle().boxed()
    }

    fn reset(&self) {
        self.schedule.clear();
        locked(&self.messages).reset();
        self.stage.audit.reset();
        self.accounts
            .iter()
            .for_each(|account| account.reset(Instant::now()));
    }
}

/// All retries of one callback carry the same token.
fn retry_headers() -> HeaderMap {
    let token = format!("{:032x}", fastrand::u128(..));
    HeaderValue::from_str(&token)
        .map(|token| HeaderMap::from_iter([(IDEMPOTENCY_TOKEN, token)]))
        .unwrap_or_default()
}

fn unix_seconds(now: SystemTime) -> u32 {
    // Until 2106.
    u32::try_from(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()).unwrap_or(u32::MAX)
}
