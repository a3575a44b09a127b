//! `GET /v2/reports/records`: what became of messages, by their ids or by time.
//!
//! A record speaks of one part, as ids do; its status is the whole message's. Inbound messages are not kept.
//! Source: `shared/providers/vonage.md`, section 9.

use std::sync::Arc;

use axum::extract::{OriginalUri, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use super::accounts::{Account, VonageApi};
use super::problems::{problem, unauthorized, with_json};
use super::statuses::{NETWORK, PRICE};
use super::{Details, Vonage, credentials, ids, receipts, uuid};
use crate::engine::phone::digits;
use crate::engine::{Engine, View};

const IDS_MAX: usize = 20;
const RECORDS_MAX: usize = 1_000;

/// What is asked for.
#[derive(Debug)]
struct Query {
    api: VonageApi,
    inbound: bool,
    which: Which,
    to: Option<u64>,
    /// The last record that the page before this one showed.
    cursor: Option<String>,
}

#[derive(Debug)]
enum Which {
    Named(Vec<String>),
    Between(OffsetDateTime, OffsetDateTime),
}

pub(super) async fn records(
    State(twin): State<Arc<Engine<Vonage>>>,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(account) = credentials::by_header(&twin.accounts, &headers) else {
        return unauthorized();
    };
    let query = query.unwrap_or_default();
    let asked = match Query::read(&query, &account.settings.api_key) {
        Ok(asked) => asked,
        Err(refusal) => return *refusal,
    };
    let _visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    let mut missing = Vec::new();
    let mut found: Vec<(View<Details>, u8)> = match &asked.which {
        Which::Named(names) => {
            let found = names.iter().filter_map(|name| {
                let found = ids::find(&twin, account, name).filter(|(view, _)| asked.shows(view));
                if found.is_none() {
                    missing.push(name.as_str());
                }
                found
            });
            found.collect()
        }
        Which::Between(start, end) => between(&twin, account, &asked, (*start, *end)),
    };
    let more = found.len() > RECORDS_MAX;
    found.truncate(RECORDS_MAX);
    let records: Vec<Value> = found
        .iter()
        .map(|(view, part)| record(account, view, *part))
        .collect();
    let mut links = json!({ "self": { "href": uri.to_string() } });
    if let Some(last) = records.last().filter(|_| more) {
        let mut next = form_urlencoded::Serializer::new(format!("{}?", uri.path()));
        let kept = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor");
        next.extend_pairs(kept);
        next.append_pair("cursor", last["message_id"].as_str().unwrap_or_default());
        links["next"] = json!({ "href": next.finish().replace("?&", "?") });
    }
    let mut answer = json!({
        "_links": links,
        "request_id": uuid(),
        "request_status": "SUCCESS",
        "account_id": account.settings.api_key,
        "product": product(asked.api),
        "items_count": records.len(),
        "records": records,
    });
    if !missing.is_empty() {
        answer["ids_not_found"] = missing.join(",").into();
    }
    with_json(StatusCode::OK, answer.to_string())
}

/// The records of a time, newest first, from behind the cursor on; one more than a page, if there are so many.
fn between(
    twin: &Engine<Vonage>,
    account: &Account,
    asked: &Query,
    (start, end): (OffsetDateTime, OffsetDateTime),
) -> Vec<(View<Details>, u8)> {
    let cursor = asked.cursor.as_deref();
    let cursor = cursor.and_then(|name| ids::find(twin, account, name));
    let messages = twin.messages();
    let time = start.unix_timestamp()..end.unix_timestamp();
    let mut found = Vec::new();
    if let Some((view, part)) = cursor.as_ref() {
        let rest = part + 1..parts(view);
        found.extend(rest.filter_map(|part| Some((messages.view(view.id)?, part))));
    }
    let before = cursor.map(|(view, _)| view.id);
    let views = messages
        .newest_first(account.number, asked.to, before)
        .filter_map(|id| messages.view(id))
        .filter(|view| time.contains(&i64::from(view.created)) && asked.shows(view));
    for view in views {
        let number = view.id;
        found.extend((0..parts(&view)).filter_map(|part| Some((messages.view(number)?, part))));
        if found.len() > RECORDS_MAX {
            break;
        }
    }
    found
}

/// Names of a message: one for each part in the SMS API.
fn parts(view: &View<Details>) -> u8 {
    match view.details.api {
        VonageApi::Sms => u8::try_from(view.segments.max(1)).unwrap_or(u8::MAX),
        VonageApi::Messages => 1,
    }
}

fn record(account: &Account, view: &View<Details>, part: u8) -> Value {
    let account = &account.settings;
    let date = |unix_seconds: u32| {
        let time = OffsetDateTime::from_unix_timestamp(i64::from(unix_seconds)).ok()?;
        time.format(&Rfc3339).ok()
    };
    let code = view.code.unwrap_or("0");
    let mut record = json!({
        "account_id": account.api_key,
        "message_id": ids::form(account, view.details.api).write(view.number.part(part)),
        "from": &*view.sender,
        "to": view.to.to_string(),
        "direction": "outbound",
        "network": NETWORK,
        "total_price": PRICE,
        "date_received": date(view.created),
        "status": receipts::word(view.phase),
    });
    if !view.reference.is_empty() {
        record["client_ref"] = (&*view.reference).into();
    }
    if view.phase.is_final() {
        record["date_finalized"] = date(view.updated).into();
        record["error_code"] = code.into();
        record["error_code_description"] = receipts::description(code).into();
    }
    record
}

impl Query {
    fn read(text: &str, api_key: &str) -> Result<Self, Box<Response>> {
        let get = |wanted: &str| {
            form_urlencoded::parse(text.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        match get("account_id") {
            Some(id) if id == api_key => {}
            Some(_) => {
                let status = StatusCode::FORBIDDEN;
                let detail = "The account is not yours.";
                let answer = problem(status, "api-errors#forbidden", "Forbidden", detail);
                return Err(Box::new(answer));
            }
            None => return Err(invalid("account_id")),
        }
        let api = match get("product").as_deref() {
            Some("SMS") => VonageApi::Sms,
            Some("MESSAGES") => VonageApi::Messages,
            _ => return Err(invalid("product")),
        };
        let inbound = match get("direction").as_deref() {
            Some("outbound") => false,
            Some("inbound") => true,
            _ => return Err(invalid("direction")),
        };
        let dates = (get("date_start"), get("date_end"));
        let which = match (get("id"), dates) {
            (Some(list), (None, None)) => {
                let names: Vec<String> = list.split(',').map(str::to_owned).collect();
                if names.len() > IDS_MAX {
                    return Err(invalid("id"));
                }
                Which::Named(names)
            }
            (Some(_), _) => return Err(invalid("date_start")),
            (None, (Some(start), Some(end))) => {
                let start = date(&start).ok_or_else(|| invalid("date_start"))?;
                let end = date(&end).ok_or_else(|| invalid("date_end"))?;
                if end < start || end - start > Duration::DAY {
                    return Err(invalid("date_end"));
                }
                Which::Between(start, end)
            }
            (None, _) => return Err(invalid("id")),
        };
        let to = match get("to") {
            Some(to) => Some(digits(&to).ok_or_else(|| invalid("to"))?),
            None => None,
        };
        Ok(Self {
            api,
            inbound,
            which,
            to,
            cursor: get("cursor"),
        })
    }

    fn shows(&self, view: &View<Details>) -> bool {
        view.details.api == self.api && !self.inbound && self.to.is_none_or(|to| to == view.to)
    }
}

fn product(api: VonageApi) -> &'static str {
    match api {
        VonageApi::Sms => "SMS",
        VonageApi::Messages => "MESSAGES",
    }
}

/// ISO 8601, with an offset in either form or as `Z`.
fn date(text: &str) -> Option<OffsetDateTime> {
    let basic = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second][offset_hour sign:mandatory][offset_minute]"
    );
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, &basic))
        .ok()
}

fn invalid(parameter: &str) -> Box<Response> {
    let detail = format!("The parameter {parameter} is missing or invalid.");
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let answer = problem(
        status,
        "api-errors#invalid-params",
        "Invalid params",
        &detail,
    );
    Box::new(answer)
}
