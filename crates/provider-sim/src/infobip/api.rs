//! The API: its routes, sending, the logs, the preview.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::accounts::{Account, authenticate};
use super::answers::{Refusal, answer, names};
use super::fields::{Fields, Place};
use super::request::{self, Request, Version};
use super::{Infobip, logs, send, v2, v3};
use crate::engine::{Call, Engine, Trouble};
use crate::segments;

/// No maximum is documented; this one only saves the twin's memory.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Characters of one message.
const ALONE_MAX: usize = 160;

type Twin = Arc<Engine<Infobip>>;

pub(crate) fn routes(twin: Twin) -> Router {
    let wrong = async |headers: HeaderMap| Refusal::new(405).answer(Version::V3, &headers);
    let nothing = async |headers: HeaderMap| Refusal::new(404).answer(Version::V3, &headers);
    Router::new()
        .route("/sms/3/messages", post(send_v3).fallback(wrong))
        .route("/sms/2/text/advanced", post(send_v2).fallback(wrong))
        .route("/sms/3/logs", get(read_logs).fallback(wrong))
        .route("/sms/1/preview", post(preview).fallback(wrong))
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(twin)
}

/// The form of the older version is not used here, because the engine does not say which version was asked.
pub(crate) fn trouble(account: &Account, trouble: Trouble) -> Response {
    let json = HeaderMap::from_iter([(
        http::header::ACCEPT,
        http::HeaderValue::from_static("application/json"),
    )]);
    let retry_after = account.settings.limits.retry_after_seconds();
    let refusal = match trouble {
        Trouble::Throttled => Refusal {
            retry_after,
            ..Refusal::new(429)
        },
        Trouble::Error500 => Refusal::new(500),
        Trouble::Unavailable => Refusal {
            retry_after,
            ..Refusal::new(503)
        },
    };
    refusal.answer(Version::V3, &json)
}

async fn send_v3(State(twin): State<Twin>, headers: HeaderMap, body: Bytes) -> Response {
    send(&twin, Version::V3, v3::read, &headers, &body).await
}

async fn send_v2(State(twin): State<Twin>, headers: HeaderMap, body: Bytes) -> Response {
    send(&twin, Version::V2, v2::read, &headers, &body).await
}

async fn send(
    twin: &Engine<Infobip>,
    version: Version,
    read: fn(&Value) -> Request,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let Some(account) = authenticate(&twin.accounts, headers) else {
        let refusal = Refusal::new(401);
        twin.refuse_stranger(&refusal.code());
        return refusal.answer(version, headers);
    };
    let is_json = names(headers, CONTENT_TYPE, "application/json");
    let request = request::json(body).filter(|_| is_json);
    let request = request.as_ref().map(read);
    let asked = request.as_ref().map(Request::asked).unwrap_or_default();
    let decide = |call: &mut Call<'_, Infobip>| match send::check(call, is_json, request) {
        Ok(request) => answer(200, headers, &send::decide(call, request)),
        Err(refusal) => {
            call.refuse_all(&refusal.code());
            refusal.answer(version, headers)
        }
    };
    twin.serve(account, asked, decide).await
}

async fn read_logs(
    State(twin): State<Twin>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let visit = visit(&twin, &headers, |account| {
        logs::read(&twin, account, query.as_deref().unwrap_or_default())
    });
    visit.await
}

async fn preview(State(twin): State<Twin>, headers: HeaderMap, body: Bytes) -> Response {
    let is_json = names(&headers, CONTENT_TYPE, "application/json");
    let visit = visit(&twin, &headers, |_| {
        if !is_json {
            return Err(Refusal::new(415));
        }
        let body = request::json(&body).ok_or_else(|| Refusal::violating(Vec::new()))?;
        let mut fields = Fields::default();
        let root = Place::root(&body);
        let text = fields.unlimited(&root, "text");
        match fields.required(&root, "text", text) {
            Some(text) => Ok(previewed(&text)),
            None => Err(Refusal::violating(fields.violations)),
        }
    });
    visit.await
}

/// A call that sends nothing.
async fn visit(
    twin: &Engine<Infobip>,
    headers: &HeaderMap,
    decide: impl FnOnce(&Account) -> Result<Value, Refusal>,
) -> Response {
    let Some(account) = authenticate(&twin.accounts, headers) else {
        return Refusal::new(401).answer(Version::V3, headers);
    };
    let _place = match twin.visit(account).await {
        Ok(place) => place,
        Err(too_many) => return *too_many,
    };
    match decide(account) {
        Ok(body) => answer(200, headers, &body),
        Err(refusal) => refusal.answer(Version::V3, headers),
    }
}

fn previewed(text: &str) -> Value {
    let count = segments::count(text);
    let fits = |more: &usize| segments::count(&format!("{text}{}", "x".repeat(*more))) == count;
    let remaining = (1..=ALONE_MAX).take_while(fits).count();
    json!({
        "originalText": text,
        "previews": [{
            "textPreview": text,
            "messageCount": count,
            "charactersRemaining": remaining,
            "configuration": {},
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_tells_how_much_more_fits() {
        let one = previewed("abc");
        assert_eq!(one["previews"][0]["messageCount"], 1);
        assert_eq!(one["previews"][0]["charactersRemaining"], 157);
        let two = previewed(&"ж".repeat(71));
        assert_eq!(two["previews"][0]["messageCount"], 2);
        assert_eq!(two["previews"][0]["charactersRemaining"], 63);
    }
}
