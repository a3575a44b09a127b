//! What is told about an inbound message.

use crate::parts::Message;
use bus::{Outgoing, Route, Topic};
use ledger::{BatchRecord, Conversation};
use message::{
    OrganizationId,
    callback::Callback,
    event::{EVENT_VERSION, Keyword, ReplyEvent, ReplyTo},
};

/// The message that a reply answers, with its batch.
#[derive(Debug)]
pub(crate) struct Matched {
    pub(crate) conversation: Conversation,
    pub(crate) batch: BatchRecord,
}

/// The reply, for `<organization>.<distribution>` or `<organization>.unmatched`.
pub(crate) fn reply(
    name: &str,
    callback: &Callback,
    message: Message,
    owner: &OrganizationId,
    matched: Option<&Matched>,
    keyword: Keyword,
) -> Outgoing {
    let incomplete = message.is_incomplete();
    let inbound = message.inbound;
    let organization = matched.map_or(owner, |matched| &matched.batch.organization_id);
    let place = matched.map_or("unmatched", |matched| {
        matched.batch.distribution_id.as_str()
    });
    let key = format!("{organization}.{place}");
    let event_id = format!("reply:{name}");
    let event = ReplyEvent {
        v: EVENT_VERSION,
        event_id: event_id.clone(),
        organization_id: organization.clone(),
        connection_id: callback.connection_id.clone(),
        in_reply_to: matched.map(|matched| ReplyTo {
            reference: matched.conversation.reference,
            distribution_id: matched.batch.distribution_id.clone(),
            batch_id: matched.batch.batch_id.clone(),
            sent_at: matched.conversation.sent_at,
        }),
        from: inbound.from,
        to: inbound.to.unwrap_or_default(),
        text: inbound.text,
        parts: inbound.parts,
        incomplete,
        keyword,
        provider_message_id: inbound.provider_message_id,
        received_at: callback.received_at,
    };
    let body = serde_json::to_vec(&event).expect("events have string keys only");
    Outgoing::new(Route::Topic(Topic::Replies, key), event_id, body)
}

/// The label in metrics.
pub(crate) const fn keyword_word(keyword: Keyword) -> &'static str {
    match keyword {
        Keyword::OptOut => "opt_out",
        Keyword::OptIn => "opt_in",
        Keyword::Help => "help",
        Keyword::None => "none",
    }
}
