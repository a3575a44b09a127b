//! Taking a message that stage one let through: stage two, consent, the queue.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::accounts::SinchConsent;
use super::definition::{self, Definition, Identity};
use super::errors::Refusal;
use super::queue::Places;
use super::{Details, FromBatch, Sinch};
use crate::engine::{Call, NewMessage, Phase, View};
use crate::segments;

/// What is one message's own.
pub(crate) struct Content {
    pub text: String,
    pub sender: Option<String>,
    pub batch: Option<FromBatch>,
    /// Whether every placeholder has a value.
    pub complete: bool,
}

/// Takes the message, whatever stage two says to it; that is told later.
pub(crate) fn pass_on(
    call: &mut Call<'_, Sinch>,
    index: usize,
    to: Identity,
    definition: &Definition,
    content: Content,
    wait: Duration,
) -> Option<View<Details>> {
    let account = call.account;
    let own = || account.settings.senders.first().cloned();
    let sender = content.sender.or_else(own);
    let segments = segments::count(&content.text);
    let parts = (segments, definition.parts_max);
    let objection = match content.complete {
        true => definition::objection(account, &to, sender.as_deref(), &content.text, parts),
        false => Some(definition::BAD_REQUEST),
    };
    let blocks = account.settings.consent == Some(SinchConsent::Primary);
    let blocked = || {
        // Which code a blocked message gets is undocumented; this one says it best.
        (blocks && call.is_blocked(to.digits, "")).then_some("RECIPIENT_NOT_OPTED_IN")
    };
    let mut end = objection
        .or_else(blocked)
        .map(|code| (Phase::Rejected, code));
    let mut wait = wait;
    if let Some(ttl) = definition.ttl.filter(|&ttl| end.is_none() && ttl <= wait) {
        (wait, end) = (ttl, Some((Phase::Expired, "MESSAGE_EXPIRED")));
    }
    let new = NewMessage {
        to: to.digits,
        sender: sender.unwrap_or_default(),
        text: content.text,
        segments,
        details: Details {
            batch: content.batch,
            correlation_id: definition.correlation_id.clone(),
            callback_url: definition.callback_url.clone(),
            odd_identity: to.odd,
        },
        validity: definition.ttl.map(|ttl| ttl.saturating_sub(wait)),
        first: Phase::Queued,
        end,
        dry: false,
    };
    call.take_later(index, new, wait)
}

/// Places in the app's queue, or the refusal of a full one.
pub(crate) fn enqueue(call: &Call<'_, Sinch>, count: usize) -> Result<Places, Refusal> {
    let run = call.engine.messages().run;
    let queues = &call.engine.provider.queues;
    queues
        .enter(call.account, run, count, Instant::now())
        .ok_or_else(|| {
            Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "the queue of the app is full",
            )
        })
}
