//! Decides about a send request: as a whole by the schema, then message by message.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::accounts::{InfobipBlocked, is_sender};
use super::answers::Refusal;
use super::fields::Violation;
use super::notes::{Note, Notes};
use super::receipts::{self, Facts};
use super::request::{Entry, Request, Version};
use super::statuses::{self, Status};
use super::{Details, Infobip};
use crate::engine::{Call, NewMessage, Phase};
use crate::locked;

const DUPLICATE: u16 = 23;
const ACCEPTED: u16 = 26;
const PARTS_MAX: u32 = 25;
const TEXT_BYTES_MAX: usize = 4_000;
const HOUR: Duration = Duration::from_secs(3_600);
/// In an hour, to one person.
const DIFFERENT_MAX: usize = 20;
const IDENTICAL_MAX: usize = 6;

/// Checks the request as a whole. `None` for one that cannot be read.
pub(crate) fn check(
    call: &Call<'_, Infobip>,
    is_json: bool,
    request: Option<Request>,
) -> Result<Request, Refusal> {
    let account = &call.account.settings;
    if !account.may_send {
        return Err(Refusal::new(403));
    }
    if !is_json {
        return Err(Refusal::new(415));
    }
    let mut request = request.ok_or_else(|| Refusal::violating(Vec::new()))?;
    let max = account.messages_per_request_max;
    if max.is_some_and(|max| request.entries.len() > max as usize) {
        return Err(Refusal::new(413));
    }
    for entry in &request.entries {
        let mut prefixes = account.violating_prefixes.iter();
        if prefixes.any(|prefix| entry.to.starts_with(prefix.as_str())) {
            request.violations.push(Violation {
                property: entry.path.clone(),
                violation: "is not valid".to_owned(),
            });
        }
    }
    if request.violations.is_empty() {
        return Ok(request);
    }
    let refusal = Refusal::violating(request.violations);
    Err(if account.violations_have_index {
        refusal
    } else {
        refusal.vague()
    })
}

/// Decides about every message; the body of the answer.
pub(crate) fn decide(call: &mut Call<'_, Infobip>, request: Request) -> Value {
    let engine = call.engine;
    let run = engine.messages().run;
    // Held over the whole request: no report may be due before its note is kept.
    let mut notes = locked(&engine.provider.notes);
    notes.begin(run);
    let mut refused = Vec::new();
    let mut answers = Vec::with_capacity(request.entries.len());
    for (index, entry) in request.entries.iter().enumerate() {
        let note = Note {
            bulk_id: request.bulk_id.clone(),
            ..entry.note.clone()
        };
        let (name, id) = match refusal(call, &notes, entry) {
            Some(DUPLICATE) => {
                call.repeated(index);
                (entry.message_id.to_string(), DUPLICATE)
            }
            Some(id) => {
                call.refuse(index, &id.to_string());
                let name = name_of_refused(entry);
                refused.push((entry, name.clone(), id, note));
                (name, id)
            }
            None => (take(call, &mut notes, index, entry, &note), ACCEPTED),
        };
        answers.push(answer(entry, &name, id, &request));
    }
    report_refused(call, &refused);
    json!({"bulkId": request.bulk_id, "messages": answers})
}

/// The status id with which a message is refused; in this order, because Infobip's is not documented.
fn refusal(call: &Call<'_, Infobip>, notes: &Notes, entry: &Entry) -> Option<u16> {
    let account = &call.account.settings;
    if entry.to.is_empty() {
        return Some(51);
    }
    if entry.to.starts_with('0') {
        return Some(8);
    }
    let Some(to) = entry.recipient() else {
        return Some(52);
    };
    if is_duplicate(call, to, &entry.message_id) {
        return Some(DUPLICATE);
    }
    if !is_sender(&entry.sender) || !call.account.owns(&entry.sender) {
        return Some(11);
    }
    if account.blocklisted_senders.contains(&entry.sender) {
        return Some(13);
    }
    if entry.segments() > PARTS_MAX || entry.text.len() > TEXT_BYTES_MAX {
        return Some(25);
    }
    if let Some(id) = account.refusal(&entry.to) {
        return Some(id);
    }
    let blocks = account.on_stop.then == InfobipBlocked::RefusedWith14;
    if blocks && has_stopped(call, to, &entry.sender) {
        return Some(14);
    }
    if account.flooding_filter && floods(call, to, &entry.text) {
        return Some(20);
    }
    let affords = notes.affords(call.account.number, account.credits, entry.segments());
    (!affords).then_some(12)
}

/// Whether a message was taken under this name before. One that was refused has not used its name up.
fn is_duplicate(call: &Call<'_, Infobip>, to: u64, name: &Arc<str>) -> bool {
    if name.is_empty() {
        return false;
    }
    let messages = call.engine.messages();
    let account = call.account;
    let Some(memory) = account.settings.message_id_memory else {
        return messages.find_reference(account.number, name).is_some();
    };
    let since = call.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    messages
        .newest_first(account.number, Some(to), None)
        .filter_map(|id| messages.view(id))
        .find(|message| message.reference == *name)
        .is_some_and(|message| since.saturating_sub(memory).as_secs() <= message.created.into())
}

/// Whether the person blocked the sender, or the whole account.
fn has_stopped(call: &Call<'_, Infobip>, to: u64, sender: &str) -> bool {
    call.is_blocked(to, sender) || call.is_blocked(to, "")
}

/// Whether one more is too many within the hour.
fn floods(call: &Call<'_, Infobip>, to: u64, text: &str) -> bool {
    let now = call.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = now.saturating_sub(HOUR).as_secs();
    let messages = call.engine.messages();
    let texts: Vec<Arc<str>> = messages
        .newest_first(call.account.number, Some(to), None)
        .filter_map(|id| messages.view(id))
        .take_while(|message| u64::from(message.created) >= since)
        .map(|message| message.text)
        .collect();
    let identical = texts.iter().filter(|known| ***known == *text).count();
    let different: HashSet<&Arc<str>> = texts.iter().collect();
    identical >= IDENTICAL_MAX || (identical == 0 && different.len() >= DIFFERENT_MAX)
}

/// Takes a message; its name.
fn take(
    call: &mut Call<'_, Infobip>,
    notes: &mut Notes,
    index: usize,
    entry: &Entry,
    note: &Note,
) -> String {
    let segments = entry.segments();
    let to = entry.recipient().unwrap_or_default();
    let new = NewMessage {
        to,
        sender: entry.sender.clone(),
        text: entry.text.to_string(),
        segments,
        details: entry.details.clone(),
        validity: entry.validity,
        first: Phase::Queued,
        end: if has_stopped(call, to, &entry.sender) {
            end_of_blocked(call.account.settings.on_stop.then)
        } else {
            None
        },
        dry: false,
    };
    // An entry with a recipient is always taken.
    let Some(message) = call.take(index, new) else {
        return entry.message_id.to_string();
    };
    notes.keep(&message, note);
    notes.spend(call.account.number, segments);
    receipts::name(&message)
}

fn end_of_blocked(blocked: InfobipBlocked) -> Option<(Phase, &'static str)> {
    match blocked {
        InfobipBlocked::NotAtAll | InfobipBlocked::RefusedWith14 => None,
        InfobipBlocked::ReportedWith2052 => Some((Phase::Rejected, "2052")),
        InfobipBlocked::ReportedWith573 => Some((Phase::Undelivered, "573")),
        InfobipBlocked::ReportedWith603 => Some((Phase::Undelivered, "603")),
    }
}

/// Infobip names what it refuses too.
fn name_of_refused(entry: &Entry) -> String {
    if entry.message_id.is_empty() {
        let bits = fastrand::u128(..);
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            bits as u32,
            (bits >> 32) as u16,
            bits >> 48 & 0xfff,
            bits >> 60 & 0xfff,
            bits >> 80
        )
    } else {
        entry.message_id.to_string()
    }
}

fn answer(entry: &Entry, name: &str, id: u16, request: &Request) -> Value {
    let status = statuses::status(id).map(Status::json);
    let mut answer = json!({"messageId": name, "status": status});
    match request.version {
        Version::V3 => {
            answer["destination"] = json!(entry.to);
            if request.counts {
                answer["details"] = json!({"messageCount": entry.segments()});
            }
        }
        Version::V2 => {
            answer["to"] = json!(entry.to);
            if request.counts {
                answer["smsCount"] = json!(entry.segments());
            }
        }
    }
    answer
}

/// Tells the refusals once more, as reports. Not duplicates: a report under their name would be about the first message.
fn report_refused(call: &Call<'_, Infobip>, refused: &[(&Entry, String, u16, Note)]) {
    let account = &call.account.settings;
    if !account.reports_refusals {
        return;
    }
    let mut by_address: Vec<(&Details, Vec<Value>)> = Vec::new();
    for (entry, name, id, note) in refused {
        let Some(status) = statuses::status(*id) else {
            continue;
        };
        let facts = Facts {
            name,
            to: &entry.to,
            sender: &entry.sender,
            sent_at: call.at,
            done_at: Some(call.at),
            segments: entry.segments(),
            status,
            code: None,
            note: Some(note),
        };
        let result = facts.report(account.report_form);
        let known = by_address.iter_mut().find(|(details, results)| {
            **details == entry.details && results.len() < receipts::REPORTS_MAX
        });
        match known {
            Some((_, results)) => results.push(result),
            None => by_address.push((&entry.details, vec![result])),
        }
    }
    let behaviour = call.engine.stage.behaviour.get();
    for (details, results) in by_address {
        let reports = results.len() as u64;
        let callback = receipts::callback(account, details, results, &behaviour.signature);
        if let Some(callback) = callback.filter(|_| !details.silent) {
            call.engine
                .post_later(behaviour.receipt_delay, callback, reports);
        }
    }
}
