//! `GET /sms/3/logs`: what became of the messages of the last two days. Reading consumes nothing.
//!
//! Source: shared/providers/infobip.md, section 9.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::accounts::Account;
use super::answers::Refusal;
use super::fields::Violation;
use super::notes::{Note, Notes};
use super::receipts::{self, Facts};
use super::{Details, Infobip, times};
use crate::engine::{Engine, Messages, Provider, View};
use crate::locked;

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1_000;
const QUERY_MAX: usize = 2_048;
const READS_PER_MINUTE: usize = 120;
const KEPT: Duration = Duration::from_secs(48 * 3_600);
const GENERAL_STATUSES: &[&str] = &[
    "ACCEPTED",
    "PENDING",
    "UNDELIVERABLE",
    "DELIVERED",
    "REJECTED",
    "EXPIRED",
];

/// The query. Lists may be comma-separated, repeated, or both; what is unknown is ignored.
#[derive(Debug, Default)]
struct Query {
    message_ids: Vec<Arc<str>>,
    bulk_ids: Vec<String>,
    campaigns: Vec<String>,
    entity: Option<String>,
    application: Option<String>,
    general_status: Option<String>,
    sent_since: Option<SystemTime>,
    sent_until: Option<SystemTime>,
    destination: Option<String>,
    sender: Option<String>,
    limit: Option<usize>,
    use_cursor: bool,
    cursor: Option<String>,
    violations: Vec<Violation>,
}

/// The body of the answer.
pub(crate) fn read(
    engine: &Engine<Infobip>,
    account: &Account,
    query: &str,
) -> Result<Value, Refusal> {
    let mut notes = locked(&engine.provider.notes);
    let messages = engine.messages();
    notes.begin(messages.run);
    notes
        .read_logs(account.number, Instant::now(), READS_PER_MINUTE)
        .map_err(|wait| Refusal {
            retry_after: Some(wait.as_secs() + 1),
            ..Refusal::new(429)
        })?;
    let mut query = Query::read(query);
    let after = query.cursor.take().filter(|cursor| !cursor.is_empty());
    let before = match after {
        None => None,
        Some(cursor) => {
            let number = Infobip::IDS.read(&cursor, messages.run);
            let known = number.and_then(|number| messages.find(account.number, number));
            if known.is_none() {
                query.forbid("cursor", "is unknown");
            }
            known
        }
    };
    if !query.violations.is_empty() {
        return Err(Refusal::violating(query.violations));
    }
    let limit = query.limit.unwrap_or(LIMIT);
    let shows = |message: &View<Details>| {
        let note = notes.of(message).unwrap_or_default();
        query.shows(message, &note)
    };
    let mut found: Vec<View<Details>> = if query.message_ids.is_empty() {
        let all = messages.newest_first(account.number, None, before);
        let views = all.filter_map(|id| messages.view(id));
        views.filter(shows).take(limit + 1).collect()
    } else {
        let named = named(&messages, account, &query.message_ids);
        named.filter(shows).take(limit + 1).collect()
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let results: Vec<Value> = found.iter().map(|message| entry(message, &notes)).collect();
    let mut body = json!({ "results": results });
    if query.use_cursor {
        let next = found.last().filter(|_| more);
        let next = next.map(|message| Infobip::IDS.write(message.number));
        body["cursor"] = json!({"limit": limit, "nextCursor": next});
    }
    Ok(body)
}

/// The messages of these names, the client's or Infobip's.
fn named(
    messages: &Messages<Details>,
    account: &Account,
    names: &[Arc<str>],
) -> impl Iterator<Item = View<Details>> {
    names.iter().filter_map(|name| {
        let by_client = messages.find_reference(account.number, name);
        let id = by_client.or_else(|| {
            let number = Infobip::IDS.read(name, messages.run)?;
            messages.find(account.number, number)
        })?;
        messages.view(id)
    })
}

fn entry(message: &View<Details>, notes: &Notes) -> Value {
    let note = notes.of(message);
    let (name, to) = (receipts::name(message), message.to.to_string());
    let facts = Facts {
        name: &name,
        to: &to,
        sender: &message.sender,
        sent_at: receipts::sent_at(message),
        done_at: receipts::done_at(message),
        segments: message.segments.into(),
        status: receipts::status(message, message.phase, message.code),
        code: message.code,
        note: note.as_deref(),
    };
    facts.log(&message.text)
}

impl Query {
    fn read(text: &str) -> Self {
        let mut query = Self::default();
        if text.len() > QUERY_MAX {
            query.forbid("messageId", "the query has more than 2048 characters");
        }
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let list = || {
                value
                    .split(',')
                    .map(str::trim)
                    .filter(|one| !one.is_empty())
            };
            match name.as_ref() {
                "messageId" => query.message_ids.extend(list().map(Arc::from)),
                "bulkId" => query.bulk_ids.extend(list().map(str::to_owned)),
                "campaignReferenceId" => query.campaigns.extend(list().map(str::to_owned)),
                "entityId" => query.entity = Some(value.into_owned()),
                "applicationId" => query.application = Some(value.into_owned()),
                "destination" => query.destination = Some(value.into_owned()),
                "sender" => query.sender = Some(value.into_owned()),
                "useCursor" => query.use_cursor = value.eq_ignore_ascii_case("true"),
                "cursor" => query.cursor = Some(value.into_owned()),
                "generalStatus" => {
                    if !GENERAL_STATUSES.contains(&value.as_ref()) {
                        query.forbid("generalStatus", "unknown value");
                    }
                    query.general_status = Some(value.into_owned());
                }
                "limit" => {
                    query.limit = value.parse().ok();
                    if !query
                        .limit
                        .is_some_and(|limit| (1..=LIMIT_MAX).contains(&limit))
                    {
                        query.forbid("limit", "must be between 1 and 1000");
                    }
                }
                "sentSince" => query.sent_since = query.time("sentSince", &value),
                "sentUntil" => query.sent_until = query.time("sentUntil", &value),
                _ => {}
            }
        }
        query
    }

    fn time(&mut self, name: &str, value: &str) -> Option<SystemTime> {
        // A plus that was not escaped arrives as a blank.
        let at = times::read(&value.replace(' ', "+"));
        if at.is_none() {
            self.forbid(name, "must be a date and time");
        }
        at
    }

    fn forbid(&mut self, property: &str, violation: &str) {
        self.violations.push(Violation {
            property: property.to_owned(),
            violation: violation.to_owned(),
        });
    }

    fn shows(&self, message: &View<Details>, note: &Note) -> bool {
        let sent = receipts::sent_at(message);
        let status = receipts::status(message, message.phase, message.code);
        let is = |wanted: &Option<String>, own: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == own)
        };
        let among = |wanted: &[String], own: Option<&str>| {
            wanted.is_empty() || wanted.iter().any(|wanted| Some(wanted.as_str()) == own)
        };
        SystemTime::now().duration_since(sent).unwrap_or_default() <= KEPT
            && self.sent_since.is_none_or(|since| sent >= since)
            && self.sent_until.is_none_or(|until| sent <= until)
            && is(&self.destination, Some(&message.to.to_string()))
            && is(&self.sender, Some(&message.sender))
            && is(&self.general_status, Some(status.group_name()))
            && is(&self.entity, note.entity.as_deref())
            && is(&self.application, note.application.as_deref())
            && among(&self.bulk_ids, Some(&note.bulk_id))
            && among(&self.campaigns, note.campaign.as_deref())
    }
}
