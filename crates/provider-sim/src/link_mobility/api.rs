//! The SMS REST API: its routes, and the taking of one message or a thousand.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::accounts::{self, Account, BODY_BYTES_MAX};
use super::codes::{self, QUEUED, Refusal, THROTTLED, json_answer};
use super::content::Sms;
use super::request::{Form, Request, Submission};
use super::{Details, IDS, LinkMobility, gates};
use crate::engine::{Call, Engine, NewMessage, Phase, Trouble};

pub(crate) type Twin = Arc<Engine<LinkMobility>>;

pub(crate) fn routes(twin: Twin) -> Router {
    let gates = "/gate/partnergate/platform/{platform}/partner/{partner}";
    Router::new()
        .route("/sms/send", post(single))
        .route("/sms/sendbatch", post(batch))
        .route(gates, get(gates::list))
        .route(&format!("{gates}/id/{{gate}}"), get(gates::read))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX as usize))
        .with_state(twin)
}

type Body = Result<Bytes, BytesRejection>;

async fn single(State(twin): State<Twin>, headers: HeaderMap, body: Body) -> Response {
    send(&twin, &headers, body, Form::Single).await
}

async fn batch(State(twin): State<Twin>, headers: HeaderMap, body: Body) -> Response {
    send(&twin, &headers, body, Form::Batch).await
}

async fn send(twin: &Twin, headers: &HeaderMap, body: Body, form: Form) -> Response {
    let stranger = |refusal: Refusal| {
        twin.refuse_stranger(&refusal.booked());
        refusal.answer()
    };
    let Some(account) = accounts::authenticate(&twin.accounts, headers) else {
        return stranger(Refusal::new(106_100));
    };
    let Ok(body) = body else {
        return stranger(Refusal::bare(StatusCode::PAYLOAD_TOO_LARGE));
    };
    let request = Request::read(&body, form);
    let asked = request.asked();
    let count = asked.len();
    let decide = |call: &mut Call<'_, LinkMobility>| {
        if is_crowded(account, call.at_once) {
            (0..count).for_each(|index| call.throttled(index));
            return trouble(account, Trouble::Throttled);
        }
        let submission = if body.len() > account.settings.body_bytes_max() as usize {
            Err(Refusal::bare(StatusCode::PAYLOAD_TOO_LARGE))
        } else if !is_json(headers) {
            Err(Refusal::bare(StatusCode::UNSUPPORTED_MEDIA_TYPE))
        } else {
            request.check(account, call.at)
        };
        match submission.and_then(|submission| take_all(call, submission, form)) {
            Ok(answer) => answer,
            Err(refusal) => {
                call.refuse_all(&refusal.booked());
                refusal.answer()
            }
        }
    };
    twin.serve(account, asked, decide).await
}

/// Takes each message that is in order. The answer has an object for each.
fn take_all(
    call: &mut Call<'_, LinkMobility>,
    submission: Submission,
    form: Form,
) -> Result<Response, Refusal> {
    let account = call.account;
    let ignore_response = submission.ignore_response;
    let details = |reported| Details { reported };
    let (reported, validity) = (submission.reported, submission.validity);
    let overriding = submission.custom_parameters;
    let checked: Vec<_> = submission
        .messages
        .into_iter()
        .map(|mut message| {
            if overriding.is_some() {
                message.custom_parameters.clone_from(&overriding);
            }
            let reference = message.ref_id.clone();
            (reference, message.check(account))
        })
        .collect();
    if account.settings.refuses_whole_requests
        && let Some(&code) = checked.iter().find_map(|(_, sms)| sms.as_ref().err())
    {
        return Err(Refusal::with(
            StatusCode::BAD_REQUEST,
            code,
            codes::sentence(code),
        ));
    }
    let run = call.engine.messages().run;
    let allowance = call.engine.provider.throttle.admit(account, run);
    let mut answers = Vec::with_capacity(checked.len());
    for (index, (reference, sms)) in checked.into_iter().enumerate() {
        let outcome = match sms {
            Err(code) => {
                call.refuse(index, &code.to_string());
                Outcome::refused(code)
            }
            Ok(sms) if !allowance.lets_through(sms.segments) => {
                call.throttled(index);
                Outcome::refused(THROTTLED)
            }
            Ok(sms) => {
                let sms_count = sms.counted.then_some(sms.segments);
                match call.take(index, new_message(sms, details(reported), validity)) {
                    Some(view) => Outcome {
                        id: Some(IDS.write(view.number)),
                        code: QUEUED,
                        sms_count,
                    },
                    None => Outcome::refused(2106),
                }
            }
        };
        answers.push(outcome.json(form, reference.as_deref()));
    }
    if account.settings.answers_backwards {
        answers.reverse();
    }
    Ok(match form {
        _ if ignore_response => StatusCode::NO_CONTENT.into_response(),
        Form::Single => json_answer(StatusCode::OK, answers.first().unwrap_or(&Value::Null)),
        Form::Batch => json_answer(StatusCode::OK, &Value::Array(answers)),
    })
}

fn new_message(sms: Sms, details: Details, validity: std::time::Duration) -> NewMessage<Details> {
    NewMessage {
        to: sms.to,
        sender: sms.source,
        text: sms.text,
        segments: sms.segments,
        details,
        validity: Some(validity),
        first: Phase::Queued,
        end: sms.end,
        dry: false,
    }
}

/// What became of one message.
struct Outcome {
    /// `null` for a message that was not taken.
    id: Option<String>,
    code: u32,
    sms_count: Option<u32>,
}

impl Outcome {
    fn refused(code: u32) -> Self {
        Self {
            id: None,
            code,
            sms_count: None,
        }
    }

    /// The sentence is called `description` in a single answer and `message` in a batch, which repeats the reference too.
    fn json(self, form: Form, reference: Option<&str>) -> Value {
        let mut json = json!({ "messageId": self.id, "resultCode": self.code });
        let sentence = codes::sentence(self.code);
        match form {
            Form::Single => json["description"] = sentence.into(),
            Form::Batch => {
                json["refId"] = reference.into();
                json["message"] = sentence.into();
            }
        }
        if let Some(count) = self.sms_count {
            json["smsCount"] = count.into();
        }
        json
    }
}

/// JSON in UTF-8, which is also what no charset means.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let mut pieces = kind.unwrap_or_default().split(';').map(str::trim);
    let json = |kind: &str| kind.eq_ignore_ascii_case("application/json");
    let utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => charset
            .trim()
            .trim_matches('"')
            .eq_ignore_ascii_case("utf-8"),
        _ => true,
    };
    pieces.next().is_some_and(json) && pieces.all(utf8)
}

/// Whether so many requests at once are too many.
pub(crate) fn is_crowded(account: &Account, at_once: u32) -> bool {
    let max = account.settings.limits.max_concurrent;
    max.is_some_and(|max| at_once > max.get())
}

/// LINK's answer to a request that is throttled or fails. The 503 has no body: with an "unknown error" in it nobody could
/// know that nothing was taken.
pub(crate) fn trouble(account: &Account, trouble: Trouble) -> Response {
    let refusal = match trouble {
        Trouble::Throttled => Refusal::new(THROTTLED),
        Trouble::Error500 => Refusal::new(106_000),
        Trouble::Unavailable => Refusal::bare(StatusCode::SERVICE_UNAVAILABLE),
    };
    let mut response = refusal.answer();
    let wait = account.settings.limits.retry_after_seconds();
    if let Some(seconds) = wait.filter(|_| trouble == Trouble::Throttled) {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
