//! Every provider, asked with recorded bytes. A new case is a new file: see `fixtures/README.md`.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use message::{Connection, ConnectionId, Msisdn, OrganizationId, Reference, Timestamp};
use providers::{
    CallbackKind, CallbackRefused, Malformed, MtMessage, PROVIDERS, Provider, Reading, Verified,
    provider,
};
use serde::Deserialize;

const PUBLIC_URL: &str = "https://sms.example.org";
const NOW: Timestamp = Timestamp::from_millis(1_763_037_898_000);

#[derive(Deserialize)]
struct FilledForm {
    sender: String,
    values: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Submission {
    #[serde(default)]
    connection: String,
    messages: Vec<Mt>,
}

#[derive(Deserialize)]
struct Mt {
    reference: Reference,
    to: Msisdn,
    text: String,
    validity_seconds: u64,
}

impl Mt {
    fn borrowed(&self) -> MtMessage<'_> {
        MtMessage {
            reference: self.reference,
            to: self.to,
            text: &self.text,
            validity: Duration::from_secs(self.validity_seconds),
        }
    }
}

/// `fixtures/<slug>/<kind>/<case>`.
fn provider_of(path: &Path) -> &'static dyn Provider {
    let slug = path.ancestors().nth(2).and_then(Path::file_name);
    let slug = slug
        .and_then(|name| name.to_str())
        .expect("a folder of a provider");
    provider(slug).expect("the folder has a provider's slug for its name")
}

fn connection_of(path: &Path, name: &str) -> Connection {
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
fn parts_of(path: &Path) -> (String, HeaderMap, Bytes) {
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

fn response_of(path: &Path) -> Response<Bytes> {
    let (first, headers, body) = parts_of(path);
    let status = first.split(' ').nth(1).expect("a status");
    let mut response = Response::builder()
        .status(status)
        .body(body)
        .expect("a response");
    *response.headers_mut() = headers;
    response
}

struct Recorded {
    connection: Connection,
    request: Request<Bytes>,
    public_urls: Vec<String>,
    kind: CallbackKind,
}

fn callback_of(path: &Path) -> Recorded {
    let (first, mut headers, body) = parts_of(path);
    let mut words = first.split(' ');
    let method = words.next().expect("a method");
    let target = words.next().expect("a target");
    let connection = headers.remove("fixture-connection");
    let name = connection.as_ref().and_then(|name| name.to_str().ok());
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
        connection: connection_of(path, name.unwrap_or_default()),
        request,
        public_urls: vec!["https://other.example.org".to_owned(), public_url],
        kind,
    }
}

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

#[test]
fn a_request_is_built_as_its_snapshot_says() {
    insta::glob!("../fixtures", "*/request/*.json", |path| {
        let submission: Submission =
            serde_json::from_slice(&fs::read(path).expect("readable")).expect("a submission");
        let messages: Vec<_> = submission.messages.iter().map(Mt::borrowed).collect();
        let connection = connection_of(path, &submission.connection);
        let built = provider_of(path).build_request(&connection, &messages, PUBLIC_URL);
        let shown = match built {
            Ok(request) => shown(&request),
            Err(unsendable) => format!("{unsendable:#?}"),
        };
        beside(path, || insta::assert_snapshot!(name_of(path), shown));
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
        let mt = Mt {
            reference: "3w5e11264sgsf-2s".parse().expect("a reference"),
            to: Msisdn::parse("+46701740605").expect("a number"),
            text: "Hi".to_owned(),
            validity_seconds: 3600,
        };
        let outcomes = provider_of(path).read_response(&[mt.borrowed()], &response_of(path));
        assert_eq!(outcomes.len(), 1, "one outcome for one message");
        beside(path, || {
            insta::assert_debug_snapshot!(name_of(path), outcomes[0])
        });
    });
}

#[test]
fn a_recorded_callback_says_what_its_snapshot_says() {
    insta::glob!("../fixtures", "*/callback/*.http", |path| {
        let Recorded {
            connection,
            request,
            public_urls,
            kind,
        } = callback_of(path);
        let provider = provider_of(path);
        let verified = provider.verify_callback(&connection, &request, &public_urls, NOW);
        let rejected = name_of(path).starts_with("rejected_");
        assert_eq!(verified.is_err(), rejected, "{verified:?}");
        let seen = match verified {
            Ok(verified) => Seen::Verified(provider.read_callback(verified, kind)),
            Err(refused) => Seen::Refused(refused),
        };
        beside(path, || insta::assert_debug_snapshot!(name_of(path), seen));
    });
}

/// What is left of a callback on the bus: method, target, content type and body.
#[test]
fn a_callback_reads_the_same_from_the_queue() {
    insta::glob!("../fixtures", "*/callback/*.http", |path| {
        let Recorded { request, kind, .. } = callback_of(path);
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
        let read = |request| provider_of(path).read_callback(Verified::already(request), kind);
        assert_eq!(read(&queued), read(&request));
    });
}

#[test]
fn a_callback_without_its_credentials_is_never_verified() {
    insta::glob!("../fixtures", "*/callback/*.http", |path| {
        let Recorded {
            connection,
            mut request,
            public_urls,
            ..
        } = callback_of(path);
        request.headers_mut().retain_only_content_type();
        let verified = provider_of(path).verify_callback(&connection, &request, &public_urls, NOW);
        assert!(verified.is_err());
    });
}

trait Strip {
    fn retain_only_content_type(&mut self);
}

impl Strip for HeaderMap {
    fn retain_only_content_type(&mut self) {
        let kept = self.remove("content-type");
        self.clear();
        if let Some(content_type) = kept {
            self.insert("content-type", content_type);
        }
    }
}

#[test]
fn a_callback_of_which_one_bit_of_the_body_changed_is_never_verified() {
    insta::glob!("../fixtures", "*/callback/*.http", |path| {
        let Recorded {
            connection,
            request,
            public_urls,
            ..
        } = callback_of(path);
        let length = request.body().len();
        // Every 37th byte: a prime, so that names, values and separators all have their turn.
        for at in (0..length).step_by(37) {
            let mut body = request.body().to_vec();
            body[at] ^= 1;
            let mut forged = request.clone();
            *forged.body_mut() = body.into();
            let verified =
                provider_of(path).verify_callback(&connection, &forged, &public_urls, NOW);
            assert!(verified.is_err(), "byte {at}");
        }
    });
}

#[test]
fn every_provider_has_fixtures_of_every_kind() {
    for provider in PROVIDERS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(provider.slug());
        for kind in ["request", "response", "callback"] {
            let files = fs::read_dir(folder.join(kind)).expect("a folder of fixtures");
            assert!(files.count() > 0, "{} {kind}", provider.slug());
        }
    }
}
