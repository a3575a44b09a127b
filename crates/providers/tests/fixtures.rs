//! Every provider, asked with recorded bytes. A new case is a new file: see `fixtures/README.md`.

mod recorded;

use std::{fmt::Write as _, fs, path::Path};

use bytes::Bytes;
use http::{HeaderValue, Request};
use message::Msisdn;
use providers::{
    CallbackRefused, Malformed, PROVIDERS, Reading, Sought, Submission, SubmitMode, Verified,
};
use recorded::{
    Asked, Mt, NOW, PUBLIC_URL, Recorded, callback_of, connection_of, provider_of, response_of,
    taken_off,
};

#[derive(Debug)]
#[expect(dead_code, reason = "read by `Debug` into the snapshot")]
enum Seen {
    Refused(CallbackRefused),
    Verified(Result<Vec<Reading>, Malformed>),
}

fn name_of(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .expect("text")
}

/// Puts a case's expected reading next to the case.
fn beside(path: &Path, assertion: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(path.parent().expect("a folder"));
    settings.set_prepend_module_to_snapshot(false);
    settings.remove_snapshot_suffix();
    settings.set_omit_expression(true);
    settings.remove_input_file();
    settings.bind(assertion);
}

fn mode_of(name: &str, messages: usize) -> SubmitMode {
    match name {
        "" => SubmitMode::of(messages),
        "single" => SubmitMode::Single,
        "batch" => SubmitMode::Batch,
        other => panic!("no mode `{other}`"),
    }
}

fn asked(path: &Path) -> Asked {
    serde_json::from_slice(&fs::read(path).expect("readable")).expect("a submission")
}

#[test]
fn a_request_is_built_as_its_snapshot_says() {
    insta::glob!("../fixtures", "*/request/*.json", |path| {
        let asked = asked(path);
        let messages: Vec<_> = asked.messages.iter().map(Mt::borrowed).collect();
        let connection = connection_of(path, &asked.connection);
        let provider = provider_of(path);
        let mut shown_text = String::new();
        for message in &messages {
            if let Err(refusal) = provider.check_message(&connection, message) {
                let reference = message.reference;
                writeln!(shown_text, "{reference} is refused: {refusal:?}").expect("infallible");
            }
        }
        let built = provider.build_request(
            &connection,
            &Submission {
                messages: &messages,
                mode: mode_of(&asked.mode, messages.len()),
                public_url: PUBLIC_URL,
                access_token: provider.access_tokens().map(|_| "an-access-token"),
                now: NOW,
            },
        );
        match built {
            Ok(request) => shown_text.push_str(&shown(&request)),
            Err(unsendable) => write!(shown_text, "{unsendable:#?}").expect("infallible"),
        }
        beside(path, || insta::assert_snapshot!(name_of(path), shown_text));
    });
}

/// The request as it goes out, a form's parameters one a line beneath it.
fn shown(request: &Request<Bytes>) -> String {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let value = value.to_str().expect("text");
        writeln!(text, "{name}: {value}").expect("infallible");
    }
    let body = std::str::from_utf8(request.body()).expect("text");
    write!(text, "\n{body}\n\n").expect("infallible");
    let content_type = request.headers().get("content-type");
    if content_type.is_some_and(|value| value == "application/x-www-form-urlencoded") {
        for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
            writeln!(text, "{name} = {value:?}").expect("infallible");
        }
    }
    text
}

#[test]
fn a_recorded_response_means_what_its_snapshot_says() {
    insta::glob!("../fixtures", "*/response/*.http", |path| {
        let mut response = response_of(path);
        let file = taken_off(response.headers_mut(), "fixture-messages");
        let mode = taken_off(response.headers_mut(), "fixture-mode");
        let messages = match file.as_str() {
            "" => vec![Mt::sample()],
            file => {
                asked(
                    &path
                        .ancestors()
                        .nth(2)
                        .expect("a folder")
                        .join("request")
                        .join(file),
                )
                .messages
            }
        };
        let messages: Vec<_> = messages.iter().map(Mt::borrowed).collect();
        let mode = mode_of(&mode, messages.len());
        let answer = provider_of(path).read_response(&messages, mode, &response);
        assert_eq!(
            answer.outcomes.len(),
            messages.len(),
            "an outcome for every message"
        );
        beside(path, || {
            insta::assert_debug_snapshot!(name_of(path), answer)
        });
    });
}

#[test]
fn a_recorded_answer_to_a_look_up_means_what_its_snapshot_says() {
    insta::glob!("../fixtures", "*/look_up/*.http", |path| {
        let look_up = provider_of(path)
            .status_look_up()
            .expect("a provider with fixtures of look-ups looks up");
        let mut response = response_of(path);
        let ids = taken_off(response.headers_mut(), "fixture-ids");
        let references = taken_off(response.headers_mut(), "fixture-references");
        let sought: Vec<_> = ids
            .split(',')
            .zip(
                references
                    .split(',')
                    .chain(std::iter::repeat("3w5e11264sgsf-2s")),
            )
            .map(|(id, reference)| Sought {
                reference,
                provider_message_id: id,
                to: Msisdn::parse("+46701740605").expect("a number"),
            })
            .collect();
        let connection = connection_of(path, "");
        let request = look_up
            .build_request(&connection, &sought)
            .map(|request| shown(&request));
        let found = look_up.read_response(&sought, &response);
        if let Ok(found) = &found {
            assert_eq!(found.len(), sought.len(), "one for every message");
        }
        beside(path, || {
            insta::assert_debug_snapshot!(name_of(path), (request, found))
        });
    });
}

#[test]
fn a_recorded_answer_of_a_token_endpoint_means_what_its_snapshot_says() {
    insta::glob!("../fixtures", "*/token/*.http", |path| {
        let tokens = provider_of(path)
            .access_tokens()
            .expect("a provider with fixtures of tokens has some");
        let request = tokens
            .build_request(&connection_of(path, ""))
            .map(|request| shown(&request));
        let read = tokens.read_response(&response_of(path));
        beside(path, || {
            insta::assert_debug_snapshot!(name_of(path), (request, read))
        });
    });
}

#[test]
fn a_recorded_callback_says_what_its_snapshot_says() {
    insta::glob!("../fixtures", "*/callback/*.http", |path| {
        let recorded = callback_of(path);
        let provider = provider_of(path);
        let verified = recorded.verify(provider);
        let rejected = name_of(path).starts_with("rejected_");
        assert_eq!(verified.is_err(), rejected, "{verified:?}");
        let seen = match verified {
            Ok(verified) => Seen::Verified(provider.read_callback(verified, recorded.kind)),
            Err(refused) => Seen::Refused(refused),
        };
        beside(path, || insta::assert_debug_snapshot!(name_of(path), seen));
    });
}

/// What is left of a callback on the bus: method, target, content type and body.
#[test]
fn a_callback_reads_the_same_from_the_queue() {
    insta::glob!("../fixtures", "*/callback/*.http", |path| {
        let Recorded {
            request,
            kind,
            connection,
            ..
        } = callback_of(path);
        let mut queued = Request::builder()
            .method(request.method().clone())
            .uri(request.uri().path_and_query().expect("a target").as_str())
            .body(request.body().clone())
            .expect("a request");
        if let Some(content_type) = request.headers().get("content-type") {
            queued
                .headers_mut()
                .insert("content-type", content_type.clone());
        }
        let sender = Some(&connection.sender);
        let read =
            |request| provider_of(path).read_callback(Verified::already(request, sender), kind);
        assert_eq!(read(&queued), read(&request));
    });
}

/// Whose signature is one of the parameters, and so is not taken off with the headers.
const SIGNED_IN_THE_PARAMETERS: &[&str] = &["vonage-sms"];
/// Who proves nothing but that they know a password.
const BODY_IS_NOT_SIGNED: &[&str] = &["link-mobility", "infobip-sms"];

/// A callback without anything in it, which a provider sends to try a URL.
fn is_a_trial(path: &Path) -> bool {
    name_of(path).starts_with("trial_")
}

#[test]
fn a_callback_without_its_credentials_is_never_verified() {
    insta::glob!("../fixtures", "*/callback/*.http", |path| {
        let provider = provider_of(path);
        if is_a_trial(path) || SIGNED_IN_THE_PARAMETERS.contains(&provider.slug()) {
            return;
        }
        let mut recorded = callback_of(path);
        let headers = recorded.request.headers_mut();
        let content_type = headers.remove("content-type");
        headers.clear();
        headers.extend(content_type.map(|value| (http::header::CONTENT_TYPE, value)));
        assert!(recorded.verify(provider).is_err());
    });
}

#[test]
fn a_callback_of_which_one_bit_of_the_body_changed_is_never_verified() {
    insta::glob!("../fixtures", "*/callback/*.http", |path| {
        let provider = provider_of(path);
        if is_a_trial(path) || BODY_IS_NOT_SIGNED.contains(&provider.slug()) {
            return;
        }
        let mut recorded = callback_of(path);
        let genuine = recorded.request.body().clone();
        // Every 37th byte: a prime, so that names, values and separators all have their turn.
        for at in (0..genuine.len()).step_by(37) {
            let mut body = genuine.to_vec();
            body[at] ^= 1;
            *recorded.request.body_mut() = body.into();
            assert!(recorded.verify(provider).is_err(), "byte {at}");
        }
    });
}

/// The organisation's other account, or anybody's.
#[test]
fn a_callback_of_one_account_never_verifies_for_another() {
    insta::glob!("../fixtures", "*/callback/*.http", |path| {
        let provider = provider_of(path);
        if is_a_trial(path) {
            return;
        }
        let mut recorded = callback_of(path);
        recorded.connection = connection_of(path, "stranger");
        assert!(recorded.verify(provider).is_err());
    });
}

#[test]
fn a_callback_by_a_method_or_of_a_type_that_the_provider_does_not_use_is_turned_away() {
    insta::glob!("../fixtures", "*/callback/*.http", |path| {
        let provider = provider_of(path);
        let capabilities = provider.capabilities();
        let mut recorded = callback_of(path);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] {
            if !capabilities.callback_methods.contains(&method) {
                *recorded.request.method_mut() = method.parse().expect("a method");
                assert!(recorded.verify(provider).is_err(), "{method}");
            }
        }
        *recorded.request.method_mut() = http::Method::POST;
        for wrong in [
            "application/xml",
            "application/octet-stream",
            "multipart/form-data",
            "",
        ] {
            let value = HeaderValue::from_static(wrong);
            recorded.request.headers_mut().insert("content-type", value);
            assert!(recorded.verify(provider).is_err(), "{wrong}");
        }
    });
}

/// The cases that are hard for everybody. A provider whose wire has no such thing says so here.
#[test]
fn every_provider_has_fixtures_of_every_hard_case() {
    const HARD: &[(&str, &[&str])] = &[
        (
            "callback",
            &[
                "vector",
                "unicode",
                "multi_part",
                "many_reports",
                "rejected_forged",
                "rejected_unsigned",
                "replayed",
                "rejected_expired",
                "truncated",
                "duplicate_fields",
                "unknown_status",
                "empty",
                "opt_out",
                "inbound",
                "status_",
            ],
        ),
        ("request", &["one_message", "several_messages", "unicode"]),
        (
            "response",
            &[
                "accepted",
                "rejected",
                "account",
                "throttled",
                "transient",
                "in_doubt",
                "truncated",
                "empty",
                "html",
            ],
        ),
        ("look_up", &["delivered", "unknown"]),
    ];
    let hole = |slug: &str, case: &str| match case {
        // One report, one callback.
        "many_reports" => slug != "infobip-sms",
        // Basic credentials have no time, Twilio's and MessageMedia's signatures neither.
        "rejected_expired" => !matches!(slug, "sinch" | "vonage-sms" | "messagebird"),
        // Nobody says so, or nobody knows how.
        "opt_out" => slug == "link-mobility",
        // Twilio's answer is never both certain and passing.
        "transient" => matches!(slug, "twilio-sms" | "messagebird"),
        "delivered" | "unknown" => matches!(slug, "link-mobility" | "sinch"),
        // Nothing is documented that would be throttled in its own words, but 429 is.
        _ => false,
    };
    let mut missing = String::new();
    for provider in PROVIDERS {
        let slug = provider.slug();
        for (folder, cases) in HARD {
            let folder_path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("fixtures")
                .join(slug)
                .join(folder);
            let names: Vec<String> = fs::read_dir(&folder_path)
                .map(|files| {
                    files
                        .flatten()
                        .map(|file| file.file_name().to_string_lossy().into_owned())
                        .collect()
                })
                .unwrap_or_default();
            for case in cases.iter().filter(|case| !hole(slug, case)) {
                if !names
                    .iter()
                    .any(|name| name.contains(case) && !name.ends_with(".snap"))
                {
                    writeln!(missing, "{slug}/{folder}: {case}").expect("infallible");
                }
            }
        }
    }
    assert!(missing.is_empty(), "no fixture of:\n{missing}");
}
