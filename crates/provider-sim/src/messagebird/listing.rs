//! `GET /messages`: the filters and pages of the list.
//!
//! Source: `shared/providers/messagebird.md`, section 9. Parameters that are not documented are ignored, `reference` among
//! them: whoever looks for a message by it gets the whole list. A `limit` above 200 is refused (unconfirmed).

use std::collections::HashSet;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::MessageBird;
use super::accounts::Account;
use super::resource::{Resource, Wire, id_of};
use crate::engine::Engine;
use crate::engine::phone::digits;

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 200;

/// What the query of the list asks for.
#[derive(Debug)]
pub(crate) struct Query {
    offset: usize,
    limit: usize,
    status: Option<String>,
    originator: Option<String>,
    direction: Option<String>,
    kind: Option<String>,
    recipient: Option<u64>,
    from: Option<OffsetDateTime>,
    /// The filters, to be repeated in the links to other pages.
    kept: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    offset: usize,
    limit: usize,
    count: usize,
    total_count: usize,
    links: Links,
    items: Vec<Wire<'a>>,
}

#[derive(Serialize)]
struct Links {
    first: String,
    previous: Option<String>,
    next: Option<String>,
    last: String,
}

impl Query {
    /// Reads a query; fails with the name of a parameter that cannot be read.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let mut query = Self {
            offset: 0,
            limit: LIMIT,
            status: None,
            originator: None,
            direction: None,
            kind: None,
            recipient: None,
            from: None,
            kept: String::new(),
        };
        let mut kept = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "offset" => {
                    query.offset = value.parse().map_err(|_| "offset")?;
                    continue;
                }
                "limit" => {
                    let limit = value.parse().map_err(|_| "limit")?;
                    query.limit = limit;
                    if !(1..=LIMIT_MAX).contains(&limit) {
                        return Err("limit");
                    }
                    continue;
                }
                "status" => query.status = Some(value.to_string()),
                "originator" => query.originator = Some(value.to_string()),
                "direction" => query.direction = Some(value.to_string()),
                "type" => query.kind = Some(value.to_string()),
                "recipient" => query.recipient = Some(digits(&value).ok_or("recipient")?),
                "from" => {
                    let from = OffsetDateTime::parse(&value, &Rfc3339).map_err(|_| "from")?;
                    query.from = Some(from);
                }
                _ => continue,
            }
            kept.append_pair(&name, &value);
        }
        query.kept = kept.finish();
        Ok(query)
    }

    /// The page, newest first. Only messages to people are listed, none of a test key's. Without a recipient it looks at
    /// every message of the account, because the answer says how many there are.
    pub fn page(&self, engine: &Engine<MessageBird>, account: &Account) -> String {
        let found = if account.settings.is_test() || self.direction.as_deref() == Some("mo") {
            Vec::new()
        } else {
            self.ids(engine, account.number)
        };
        let here: Vec<Resource> = found
            .iter()
            .skip(self.offset)
            .take(self.limit)
            .filter_map(|id| Resource::find(engine, account.number, id))
            .collect();
        let total = found.len();
        let last = total.saturating_sub(1) / self.limit * self.limit;
        let next = self.offset.saturating_add(self.limit);
        let page = Page {
            offset: self.offset,
            limit: self.limit,
            count: here.len(),
            total_count: total,
            links: Links {
                first: self.link(0),
                previous: (self.offset > 0)
                    .then(|| self.link(self.offset.saturating_sub(self.limit))),
                next: (next < total).then(|| self.link(next)),
                last: self.link(last),
            },
            items: here.iter().map(Resource::wire).collect(),
        };
        // Strings and numbers only: there is nothing that JSON could not hold.
        serde_json::to_string(&page).unwrap_or_default()
    }

    /// The ids of all messages that the filters let through.
    fn ids(&self, engine: &Engine<MessageBird>, account: u16) -> Vec<String> {
        let messages = engine.messages();
        let mut groups = HashSet::new();
        messages
            .newest_first(account, self.recipient, None)
            .filter_map(|id| messages.view(id))
            .filter(|message| {
                let is = |wanted: &Option<String>, given: &str| {
                    wanted.as_deref().is_none_or(|wanted| wanted == given)
                };
                let kind = if message.details.flash {
                    "flash"
                } else {
                    "sms"
                };
                let created = i64::from(message.created);
                is(&self.status, super::receipts::word(message.phase))
                    && is(&self.originator, &message.sender)
                    && is(&self.direction, "mt")
                    && is(&self.kind, kind)
                    && self
                        .from
                        .is_none_or(|from| created >= from.unix_timestamp())
            })
            .map(|message| (id_of(&message), message.details.group.is_some()))
            .filter(|(id, in_group)| !in_group || groups.insert(id.clone()))
            .map(|(id, _)| id)
            .collect()
    }

    fn link(&self, offset: usize) -> String {
        let joint = if self.kept.is_empty() { "" } else { "&" };
        let (kept, limit) = (&self.kept, self.limit);
        format!("https://rest.messagebird.com/messages?{kept}{joint}offset={offset}&limit={limit}")
    }
}
