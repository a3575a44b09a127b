//! The requests of `messages:send` and of the Batch API. Source: `shared/providers/sinch.md`,
//! sections 2.2 and 3.2.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use message::{Connection, ConnectionId, Sender};

use super::{CAPABILITIES, unsendable};
use crate::{
    MtMessage, Prepared, Submission, SubmitMode, Unsendable, basic,
    prepared::{Envelope, Put},
};

/// What a text may take up in the JSON of a batch. A thousand entries of this size stay below the
/// page's cap of 1 MiB for the whole body (section 3.2); the names around a text take some 200 bytes.
const BATCHED_TEXT_BYTES_MAX: usize = 800;

/// How long a message may be worth sending, at least: whole seconds are written.
const TTL_MIN: Duration = Duration::from_secs(3);

/// The requests of one connection. Of each message only number, text and reference differ; what
/// stands between them is kept as it is written.
#[derive(Debug)]
pub(super) struct Messages {
    connection_id: ConnectionId,
    /// Their `Authorization` is left open: it changes every hour.
    single: Envelope,
    batch: Envelope,
    /// `{"app_id":…`.
    app_id: Vec<u8>,
    /// `,"channel_priority_order":…,"channel_properties":…`.
    channel: Vec<u8>,
}

impl Messages {
    pub(super) fn of(connection: &Connection) -> Result<Self, Unsendable> {
        let json = HeaderValue::from_static("application/json");
        let envelope = |host, own, rest| {
            let headers = [
                (header::AUTHORIZATION, HeaderValue::from_static("")),
                (header::CONTENT_TYPE, json.clone()),
                (header::ACCEPT, json.clone()),
            ];
            let url = project_url(connection, host, own, rest);
            Envelope::post(url, headers).ok_or_else(|| {
                unsendable(connection, "its base URL or project ID does not make a URL")
            })
        };
        let mut app_id = Vec::new();
        app_id.put(br#"{"app_id":"#);
        app_id.put_json(connection.field("app_id"));
        let mut channel = Vec::new();
        channel.put(br#","channel_priority_order":["SMS"],"channel_properties":{"SMS_SENDER":"#);
        channel.put_json(&sender_of(connection));
        channel.put(b"}");
        Ok(Self {
            connection_id: connection.id.clone(),
            single: envelope("conversation", "base_url", "messages:send")?,
            batch: envelope("conversationbatch", "batch_base_url", "messages")?,
            app_id,
            channel,
        })
    }

    /// The body of `messages:send`.
    fn one(&self, message: &MtMessage<'_>) -> Vec<u8> {
        let fixed = self.app_id.len() + self.channel.len() + 320;
        let mut body = Vec::with_capacity(fixed + message.text.len() * 9 / 8);
        body.put(&self.app_id);
        body.put(b",");
        put_recipient(&mut body, message);
        body.put(br#","message":{"text_message":{"text":"#);
        body.put_json(message.text);
        body.put(b"}}");
        body.put(&self.channel);
        body.put(br#","message_metadata":"#);
        body.put_json(message.reference);
        put_ttl(&mut body, message.validity);
        body.put(b"}");
        body
    }

    /// The body of a batch, whose whole text is a parameter. It has one validity for all: the
    /// shortest, so that no message arrives when it is worth nothing any more.
    fn many(&self, messages: &[MtMessage<'_>]) -> Vec<u8> {
        let texts = messages.iter().map(|message| message.text.len() * 9 / 8);
        let mut body = Vec::with_capacity(texts.sum::<usize>() + 256 * messages.len() + 512);
        body.put(&self.app_id);
        body.put(br#","message":{"text_message":{"text":"${t}"}},"recipient_and_params":["#);
        for (at, message) in messages.iter().enumerate() {
            body.put(if at == 0 { b"{" } else { b",{" });
            put_recipient(&mut body, message);
            body.put(br#","parameters":{"t":"#);
            body.put_json(message.text);
            body.put(br#"},"message_metadata":{"ref":"#);
            body.put_json(message.reference);
            body.put(b"}}");
        }
        body.put(b"]");
        body.put(&self.channel);
        let shortest = messages.iter().map(|message| message.validity).min();
        put_ttl(&mut body, shortest.unwrap_or(TTL_MIN));
        body.put(b"}");
        body
    }
}

impl Prepared for Messages {
    fn build_request(&self, submission: &Submission<'_>) -> Result<Request<Bytes>, Unsendable> {
        let (messages, mode) = (submission.messages, submission.mode);
        let max = match mode {
            SubmitMode::Single => 1,
            SubmitMode::Batch => CAPABILITIES.messages_per_request,
        };
        let given = messages.len();
        if given == 0 || given > max {
            return Err(Unsendable::Count { given, max });
        }
        let unsendable = |why| Unsendable::Connection {
            connection: self.connection_id.clone(),
            why,
        };
        let any_alone = || messages.iter().any(|message| goes_alone(message.text));
        if mode == SubmitMode::Batch && any_alone() {
            return Err(unsendable("a text in the batch has to go alone"));
        }
        let access_token = submission
            .access_token
            .ok_or_else(|| Unsendable::NoAccessToken {
                connection: self.connection_id.clone(),
            })?;
        let authorization = basic::sensitive(&format!("Bearer {access_token}"))
            .ok_or_else(|| unsendable("its access token does not make a header"))?;
        let mut request = match mode {
            SubmitMode::Single => self.single.around(self.one(&messages[0])),
            SubmitMode::Batch => self.batch.around(self.many(messages)),
        };
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, authorization);
        Ok(request)
    }
}

/// The number with its plus.
fn put_recipient(body: &mut Vec<u8>, message: &MtMessage<'_>) {
    body.put(
        br#""recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":"+"#,
    );
    body.put_digits(message.to);
    body.put(br#""}]}}"#);
}

/// Whole seconds and `s`.
fn put_ttl(body: &mut Vec<u8>, validity: Duration) {
    body.put(br#","ttl":""#);
    body.put_number(validity.max(TTL_MIN).as_secs());
    body.put(br#"s""#);
}

/// Whether a text can not be a parameter of a batch.
pub(super) fn goes_alone(text: &str) -> bool {
    text.contains("${") || bytes_in_json(text) > BATCHED_TEXT_BYTES_MAX
}

/// What `text` takes up between the quotes of a JSON string.
fn bytes_in_json(text: &str) -> usize {
    let escaped = |byte| match byte {
        0..=0x1f => 6, // `\u0000`, the longest
        b'"' | b'\\' => 2,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

/// `host` is the API's name before Sinch's domain, `own` the field that overrides it. Without its
/// own override the Batch API follows that of `messages:send`, so that a connection that was led
/// elsewhere, to a test say, does not send half of its messages to Sinch.
fn project_url(connection: &Connection, host: &str, own: &str, rest: &str) -> String {
    let overrides = [connection.field(own), connection.field("base_url")];
    let base = match overrides.into_iter().find(|base| !base.is_empty()) {
        Some(base) => Cow::Borrowed(base.trim_end_matches('/')),
        None => {
            let region = connection.field("region").to_ascii_lowercase();
            Cow::Owned(format!("https://{region}.{host}.api.sinch.com"))
        }
    };
    let project_id = connection.field("project_id");
    format!("{base}/v1/projects/{project_id}/{rest}")
}

/// The sender as Sinch has it: a number is written without its plus (section 1.1).
fn sender_of(connection: &Connection) -> Cow<'_, str> {
    match &connection.sender {
        Sender::Number(number) => Cow::Owned(number.digits()),
        Sender::ShortCode(text) | Sender::Alphanumeric(text) | Sender::Service(text) => {
            Cow::Borrowed(text)
        }
    }
}
