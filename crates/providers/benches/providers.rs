//! What happens to every request, answer and callback: `cargo bench -p providers`. All figures are
//! for one message, however many a request carries.

#[path = "../tests/recorded/mod.rs"]
mod recorded;

use std::{fs, hint::black_box, path::PathBuf, time::Duration};

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};
use http::Response;
use message::Msisdn;
use providers::{MtMessage, PROVIDERS, Provider, Submission, SubmitMode, provider};
use recorded::{NOW, PUBLIC_URL, Recorded, callback_of, connection_of};
use serde_json::{Value, json};

const TEXT: &str = "Hi Zoé, how was your visit? Your answers help us: https://s.example.org/1f4 \
    Reply STOP to end these messages.";
const MANY: usize = 100;

fn main() {
    divan::main();
}

fn slugs() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().map(|provider| provider.slug())
}

fn found(slug: &str) -> &'static dyn Provider {
    provider(slug).expect("its own slug")
}

/// Any path below a provider's folder names the provider.
fn below(slug: &str) -> PathBuf {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    fixtures.join(slug).join("callback").join("any")
}

fn references(count: usize) -> Vec<String> {
    (0..count)
        .map(|row| format!("3w5e11264sgsf-{row:x}"))
        .collect()
}

fn messages(references: &[String]) -> Vec<MtMessage<'_>> {
    let number = |row: u64| Msisdn::from_u64(33_639_980_000 + row).expect("a number");
    (0..)
        .zip(references)
        .map(|(row, reference)| MtMessage {
            reference,
            to: number(row),
            text: TEXT,
            validity: Duration::from_secs(3600),
        })
        .collect()
}

fn build(bencher: Bencher<'_, '_>, slug: &str, count: usize) {
    let (provider, connection) = (found(slug), connection_of(&below(slug), ""));
    let prepared = provider
        .prepare(&connection, PUBLIC_URL)
        .expect("a connection");
    let references = references(count);
    let messages = messages(&references);
    let submission = Submission {
        messages: &messages,
        mode: SubmitMode::of(count),
        public_url: PUBLIC_URL,
        access_token: Some("an-access-token"),
        now: NOW,
    };
    bencher.counter(ItemsCount::new(count)).bench(|| {
        prepared
            .build_request(black_box(&submission))
            .expect("a request")
    });
}

#[divan::bench(args = slugs())]
fn request_of_one(bencher: Bencher<'_, '_>, slug: &str) {
    build(bencher, slug, 1);
}

#[divan::bench(args = ["infobip-sms", "link-mobility", "messagemedia", "sinch"])]
fn request_of_100(bencher: Bencher<'_, '_>, slug: &str) {
    build(bencher, slug, MANY);
}

#[divan::bench(args = ["twilio-sms", "infobip-sms"])]
fn request_unprepared(bencher: Bencher<'_, '_>, slug: &str) {
    let (provider, connection) = (found(slug), connection_of(&below(slug), ""));
    let references = references(1);
    let messages = messages(&references);
    let submission = Submission {
        messages: &messages,
        mode: SubmitMode::Single,
        public_url: PUBLIC_URL,
        access_token: None,
        now: NOW,
    };
    bencher.bench(|| {
        provider
            .build_request(&connection, black_box(&submission))
            .expect("a request")
    });
}

/// What a provider answers to messages of these references.
fn answer(slug: &str, references: &[String]) -> (u16, Value) {
    let each = |entry: fn((usize, &String)) -> Value| -> Vec<Value> {
        references.iter().enumerate().map(entry).collect()
    };
    match slug {
        "infobip-sms" => {
            let messages = each(|(row, reference)| {
                json!({
                    "messageId": reference, "destination": format!("{}", 33_639_980_000 + row as u64),
                    "status": {"groupId": 1, "groupName": "PENDING", "id": 26,
                        "name": "PENDING_ACCEPTED", "description": "Message sent to next instance"},
                })
            });
            (
                200,
                json!({"bulkId": "2034072219640523072", "messages": messages}),
            )
        }
        "link-mobility" => {
            let entries = each(|(row, reference)| {
                json!({
                    "messageId": format!("Dcshuhod0PMAAAFQ+/PbnR{row:x}"), "refId": reference,
                    "resultCode": 1005, "message": "Queued", "smsCount": 1,
                })
            });
            (200, Value::Array(entries))
        }
        "messagemedia" => {
            let messages = each(|(row, reference)| {
                json!({
                    "message_id": format!("877c19ef-fa2e-4cec-827a-{row:012x}"),
                    "status": "queued", "content": TEXT, "format": "SMS",
                    "destination_number": format!("+{}", 33_639_980_000 + row as u64),
                    "delivery_report": true, "metadata": {"ref": reference},
                })
            });
            (202, json!({"messages": messages}))
        }
        "sinch" => (200, json!({"batch_id": "01K9Z3QAEX4MPLE7T2W5Y8B0C6"})),
        _ => unreachable!("no bulk provider"),
    }
}

#[divan::bench(args = ["infobip-sms", "link-mobility", "messagemedia", "sinch"])]
fn answer_of_100(bencher: Bencher<'_, '_>, slug: &str) {
    let references = references(MANY);
    let messages = messages(&references);
    let (status, body) = answer(slug, &references);
    let response = Response::builder()
        .status(status)
        .body(Bytes::from(body.to_string()))
        .expect("a response");
    let provider = found(slug);
    let read = || provider.read_response(&messages, SubmitMode::Batch, black_box(&response));
    let accepted = read();
    assert!(
        accepted
            .outcomes
            .iter()
            .all(|outcome| outcome.class == providers::SubmitClass::Accepted),
        "{accepted:?}"
    );
    bencher.counter(ItemsCount::new(MANY)).bench(read);
}

#[divan::bench]
fn answer_of_twilio(bencher: Bencher<'_, '_>) {
    let body = json!({
        "account_sid": "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e", "api_version": "2010-04-01",
        "body": TEXT, "date_created": "Thu, 13 Nov 2025 12:44:58 +0000", "direction": "outbound-api",
        "error_code": null, "from": "+12025550123", "num_segments": "1", "price": null,
        "sid": "SM5b1f0c7e9a2d4b36815ce0f4a7d9023e", "status": "queued", "to": "+12025550199",
    });
    let response = Response::builder()
        .status(201)
        .body(Bytes::from(body.to_string()))
        .expect("a response");
    let references = references(1);
    let messages = messages(&references);
    let provider = found("twilio-sms");
    bencher.bench(|| provider.read_response(&messages, SubmitMode::Single, black_box(&response)));
}

/// The provider's first recorded callback of a delivery, or else the first that is genuine.
fn callback(slug: &str) -> Recorded {
    let folder = below(slug);
    let folder = folder.parent().expect("a folder");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("fixtures")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "http")
        })
        .collect();
    files.sort();
    let is_delivery = |path: &&PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("status_delivered"))
    };
    let is_genuine = |path: &&PathBuf| {
        let recorded = callback_of(path);
        !recorded.request.body().is_empty() && recorded.verify(found(slug)).is_ok()
    };
    let file = files.iter().find(is_delivery);
    callback_of(
        file.or_else(|| files.iter().find(is_genuine))
            .expect("a callback"),
    )
}

#[divan::bench(args = slugs())]
fn callback_is_verified(bencher: Bencher<'_, '_>, slug: &str) {
    let (provider, recorded) = (found(slug), callback(slug));
    bencher.bench(|| black_box(&recorded).verify(provider).is_ok());
}

#[divan::bench(args = slugs())]
fn callback_is_read(bencher: Bencher<'_, '_>, slug: &str) {
    let (provider, recorded) = (found(slug), callback(slug));
    let verified = recorded.verify(provider).expect("genuine");
    bencher.bench(|| provider.read_callback(black_box(verified.clone()), recorded.kind));
}
