//! Recorded bytes as the values that a provider is asked with: see `fixtures/README.md`.
#![allow(dead_code, reason = "tests and benchmarks use a part of it each")]

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use message::{Connection, ConnectionId, Msisdn, OrganizationId, Timestamp};
use providers::{CallbackKind, CallbackRefused, MtMessage, Provider, Verified, provider};
use serde::Deserialize;

pub const PUBLIC_URL: &str = "https://sms.example.org";
pub const NOW: Timestamp = Timestamp::from_millis(1_763_037_898_000);

#[derive(Deserialize)]
pub struct FilledForm {
    pub sender: String,
    pub values: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    pub connection: String,
    #[serde(default)]
    pub mode: String,
    pub messages: Vec<Mt>,
}

#[derive(Deserialize)]
pub struct Mt {
    pub reference: String,
    pub to: Msisdn,
    pub text: String,
    pub validity_seconds: u64,
}

impl Mt {
    pub fn sample() -> Self {
        Self {
            reference: "3w5e11264sgsf-2s".to_owned(),
            to: Msisdn::parse("+46701740605").expect("a number"),
            text: "Hi".to_owned(),
            validity_seconds: 3600,
        }
    }

    pub fn borrowed(&self) -> MtMessage<'_> {
        MtMessage {
            reference: &self.reference,
            to: self.to,
            text: &self.text,
            validity: Duration::from_secs(self.validity_seconds),
        }
    }
}

/// `fixtures/<slug>/<kind>/<case>`.
pub fn provider_of(path: &Path) -> &'static dyn Provider {
    let slug = path.ancestors().nth(2).and_then(Path::file_name);
    let slug = slug
        .and_then(|name| name.to_str())
        .expect("a folder of a provider");
    provider(slug).expect("the folder has a provider's slug for its name")
}

pub fn connection_of(path: &Path, name: &str) -> Connection {
    let provider = provider_of(path);
    let file = match name {
        "" => "connection.json".to_owned(),
        name => format!("connection-{name}.json"),
    };
    let file = path
        .ancestors()
        .nth(2)
        .expect("a provider's folder")
        .join(file);
    let form: FilledForm =
        serde_json::from_slice(&fs::read(&file).expect("readable")).expect("a filled form");
    let filled = provider
        .form()
        .fill(&form.sender, &form.values)
        .expect("a form without faults");
    Connection {
        id: ConnectionId::new("conn_1").expect("valid"),
        organization_id: OrganizationId::new("ORG_8mQ2").expect("valid"),
        provider: provider.slug().to_owned(),
        name: "Surveys".to_owned(),
        sender: filled.sender,
        fields: filled.fields,
        secrets: filled.secrets,
        segments_per_second: 10.0,
        created_at: NOW,
        deleted_at: None,
    }
}

/// First line, headers and body.
pub fn parts_of(path: &Path) -> (String, HeaderMap, Bytes) {
    let bytes = fs::read(path).expect("readable");
    let blank = bytes
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .expect("an empty line before the body");
    let head = std::str::from_utf8(&bytes[..blank]).expect("the head is text");
    let body = &bytes[blank + 2..];
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let mut lines = head.lines();
    let first = lines.next().expect("a first line").to_owned();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a header line");
        (
            HeaderName::try_from(name).expect("a header name"),
            HeaderValue::try_from(value.trim()).expect("a header value"),
        )
    });
    (first, headers.collect(), Bytes::copy_from_slice(body))
}

pub fn response_of(path: &Path) -> Response<Bytes> {
    let (first, headers, body) = parts_of(path);
    let status = first.split(' ').nth(1).expect("a status");
    let mut response = Response::builder()
        .status(status)
        .body(body)
        .expect("a response");
    *response.headers_mut() = headers;
    response
}

pub struct Recorded {
    pub connection: Connection,
    pub request: Request<Bytes>,
    pub public_urls: Vec<String>,
    pub kind: CallbackKind,
    pub now: Timestamp,
}

pub fn callback_of(path: &Path) -> Recorded {
    let (first, mut headers, body) = parts_of(path);
    let mut words = first.split(' ');
    let method = words.next().expect("a method");
    let target = words.next().expect("a target");
    let name = taken_off(&mut headers, "fixture-connection");
    let now = match taken_off(&mut headers, "fixture-now").as_str() {
        "" => NOW,
        seconds => Timestamp::from_millis(seconds.parse::<u64>().expect("seconds") * 1000),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .body(body)
        .expect("a request");
    *request.headers_mut() = headers;
    let uri = request.uri();
    let public_url = match (uri.scheme(), uri.authority()) {
        (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
        _ => PUBLIC_URL.to_owned(),
    };
    let kind = if uri.path().contains("/message/") {
        CallbackKind::Message
    } else {
        CallbackKind::Status
    };
    Recorded {
        connection: connection_of(path, &name),
        request,
        public_urls: vec!["https://other.example.org".to_owned(), public_url],
        kind,
        now,
    }
}

impl Recorded {
    /// As the ingress does: the form first, then the origin.
    pub fn verify(&self, provider: &dyn Provider) -> Result<Verified<'_>, CallbackRefused> {
        let Self {
            connection,
            request,
            public_urls,
            now,
            ..
        } = self;
        provider.capabilities().check_callback(
            request.method(),
            request.headers(),
            !request.body().is_empty(),
        )?;
        provider.verify_callback(connection, request, public_urls, *now)
    }
}

/// A header that speaks to the test and is taken off.
pub fn taken_off(headers: &mut HeaderMap, name: &str) -> String {
    headers.remove(name).map_or_else(String::new, |value| {
        value.to_str().expect("text").to_owned()
    })
}
