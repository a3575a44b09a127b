//! Long inbound messages whose parts come one by one: kept until the message is whole, told by the part
//! that made it so. A part that finds others missing waits on the bus, where it survives every
//! restart; the one that came last and finds them missing still tells what is there.
//! Source: `shared/providers/vonage.md`, section 7.

use backing::{fingerprint, patience::Undone};
use bus::RetryTier;
use ledger::{InboundPart, Joined};
use message::{OrganizationId, Timestamp};
use providers::Inbound;
use serde::{Deserialize, Serialize};

use crate::group::Groups;

/// How long a part waits for the others.
pub(crate) const WAIT: RetryTier = RetryTier::M5;

/// Where parts are missing.
const GAP: &str = "…";

/// What is kept of a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    id: String,
    text: String,
    media: u8,
    answers: Option<String>,
    received_at: Option<Timestamp>,
}

/// What a part, or a message that has none, is worth now.
pub(crate) enum Heard {
    /// A message to be told.
    Message(Box<Message>),
    /// A part that waits for others.
    Waits,
    /// A part of a message that another part tells.
    Elsewhere,
}

/// An inbound message as far as it arrived.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) inbound: Inbound,
    /// The ids that it has, its own first.
    pub(crate) ids: Vec<String>,
    /// Parts are missing: the texts of those that are there, each for itself. Else empty.
    pub(crate) fragments: Vec<String>,
}

impl Message {
    /// Whether parts of it are missing.
    pub(crate) fn is_incomplete(&self) -> bool {
        !self.fragments.is_empty()
    }
}

impl Groups {
    /// The message that `inbound` is, or is a part of. `name` makes names of ids; `has_waited` says
    /// that the callback comes back from its wait.
    pub(crate) async fn hear(
        &self,
        owner: &OrganizationId,
        mut inbound: Inbound,
        name: impl Fn(&str) -> String,
        has_waited: bool,
    ) -> Result<Heard, Undone> {
        let part = inbound.part.take();
        let Some(part) =
            part.filter(|part| part.total > 1 && (1..=part.total).contains(&part.number))
        else {
            return Ok(Heard::Message(Box::new(Message {
                ids: vec![inbound.provider_message_id.clone()],
                inbound,
                fragments: Vec::new(),
            })));
        };
        let own = Kept::of(&inbound);
        let entry = InboundPart {
            number: part.number,
            total: part.total,
            name: name(&inbound.provider_message_id),
            body: serde_json::to_string(&own).expect("it has string keys only"),
            has_waited,
        };
        let to = inbound.to.as_deref().unwrap_or_default();
        let names = [&name(""), &*inbound.from, to, &*part.reference];
        // None of them has a line feed, so together they are told apart.
        let message = fingerprint([names.join("\n").as_bytes()]);
        let joined = self
            .patience
            .ledger(|| self.ledger.join_part(owner, &message, &entry))
            .await?;
        let parts = match joined {
            Joined::Waits => return Ok(Heard::Waits),
            Joined::Elsewhere => return Ok(Heard::Elsewhere),
            Joined::Late => vec![(part.number, own)],
            Joined::Ready(bodies) => {
                let read = |(number, body): (u8, String)| {
                    let kept = serde_json::from_str(&body);
                    kept.map(|kept| (number, kept))
                };
                let parts = bodies.into_iter().map(read).collect::<Result<Vec<_>, _>>();
                parts.map_err(|why| Undone::Hopeless(format!("parts can not be read: {why}")))?
            }
        };
        let message = joined_message(inbound, part.total, &parts);
        Ok(Heard::Message(Box::new(message)))
    }
}

impl Kept {
    fn of(inbound: &Inbound) -> Self {
        Self {
            id: inbound.provider_message_id.clone(),
            text: inbound.text.clone(),
            media: inbound.media,
            answers: inbound.answers.clone(),
            received_at: inbound.received_at,
        }
    }
}

/// The message of `parts`, which are in order. It has the id of its first part, or of the first that
/// is there.
fn joined_message(inbound: Inbound, total: u8, parts: &[(u8, Kept)]) -> Message {
    let (mut text, mut next) = (String::new(), 1);
    for (number, part) in parts {
        if *number > next {
            text.push_str(GAP);
        }
        text.push_str(&part.text);
        next = number.saturating_add(1);
    }
    if next <= total {
        text.push_str(GAP);
    }
    let kept = || parts.iter().map(|(_, part)| part);
    let is_incomplete = parts.len() < usize::from(total);
    let fragments = kept()
        .filter(|_| is_incomplete)
        .map(|part| part.text.clone())
        .collect();
    let ids: Vec<_> = kept().map(|part| part.id.clone()).collect();
    let id = ids.first().cloned();
    Message {
        inbound: Inbound {
            provider_message_id: id.unwrap_or(inbound.provider_message_id),
            text,
            parts: u8::try_from(parts.len()).unwrap_or(u8::MAX),
            media: kept().fold(0, |sum, part| part.media.saturating_add(sum)),
            answers: kept().find_map(|part| part.answers.clone()),
            // Written down when the last of them was.
            received_at: kept().filter_map(|part| part.received_at).max(),
            ..inbound
        },
        ids,
        fragments,
    }
}

#[cfg(test)]
mod tests;
