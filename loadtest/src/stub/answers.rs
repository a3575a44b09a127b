//! What the providers answer, put together from prepared parts.

use std::io::Write as _;

use memchr::memmem;
use serde::Serialize;

use super::tally::Tally;
use crate::callback;

/// What is asked, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One message, Twilio's form; also whatever is asked at any other path.
    Twilio,
    /// Many messages, Infobip's form.
    Infobip,
    /// Many messages of the peers.
    Batch,
}

/// Numbers the messages, so that each has an id that nobody else has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sids(u64);

impl Sids {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

const TWILIO_BEFORE: &[u8] = br#"{"account_sid":"AC00112233445566778899aabbccddeeff","api_version":"2010-04-01","body":"Hi, how was it? It takes two minutes to tell us: https://example.org/s","date_created":"Thu, 20 Aug 2026 05:01:45 +0000","date_sent":null,"date_updated":"Thu, 20 Aug 2026 05:01:45 +0000","direction":"outbound-api","error_code":null,"error_message":null,"from":"+12025550100","messaging_service_sid":null,"num_media":"0","num_segments":"1","price":null,"price_unit":null,"sid":"SM"#;
const TWILIO_AFTER: &[u8] =
    br#"","status":"queued","subresource_uris":{"media":null},"to":"+33199000001"}"#;
const SID_DIGITS: usize = 32;

const INFOBIP_ID: &[u8] = b"\"messageId\":\"";
const INFOBIP_AFTER: &[u8] = br#"","status":{"groupId":1,"groupName":"PENDING","id":26,"name":"PENDING_ACCEPTED","description":"Message sent to next instance"},"destination":"33199000001","details":{"messageCount":1}}"#;

const REFERENCE: [&[u8]; 2] = [b"%3Fm%3D", b"ClientRef="];

impl Kind {
    pub(super) fn of(path: &[u8]) -> Self {
        if path.starts_with(b"/sms/3/messages") {
            Self::Infobip
        } else if path.starts_with(b"/batch") {
            Self::Batch
        } else {
            Self::Twilio
        }
    }

    /// Counts what `body` has in it and puts the answer to it into `outbox`.
    pub(super) fn answer(
        self,
        body: &[u8],
        sids: &mut Sids,
        tally: &mut Tally,
        outbox: &mut Vec<u8>,
    ) {
        tally.request();
        match self {
            Self::Twilio => {
                let name = reference(body);
                tally.message(name);
                let length = TWILIO_BEFORE.len() + SID_DIGITS + TWILIO_AFTER.len();
                head(outbox, "201 Created", length);
                outbox.extend_from_slice(TWILIO_BEFORE);
                match parts(name) {
                    Some((batch, row)) => {
                        hex(batch, SID_DIGITS / 2, outbox);
                        hex(row, SID_DIGITS / 2, outbox);
                    }
                    None => hex(sids.next(), SID_DIGITS, outbox),
                }
                outbox.extend_from_slice(TWILIO_AFTER);
            }
            Self::Infobip => entries(outbox, |outbox| {
                let ids = memmem::find_iter(body, INFOBIP_ID);
                for (index, at) in ids.enumerate() {
                    let id = &body[at + INFOBIP_ID.len()..];
                    let id = &id[..memchr::memchr(b'"', id).unwrap_or_default()];
                    tally.message(id);
                    outbox.extend_from_slice(if index == 0 { b"{" } else { b",{" });
                    outbox.extend_from_slice(INFOBIP_ID);
                    outbox.extend_from_slice(id);
                    outbox.extend_from_slice(INFOBIP_AFTER);
                }
            }),
            Self::Batch => entries(outbox, |outbox| {
                for (index, _) in memmem::find_iter(body, b"\"to\":").enumerate() {
                    tally.message(b"");
                    outbox.extend_from_slice(if index == 0 { b"" } else { b"," });
                    outbox.extend_from_slice(b"{\"sid\":\"SM");
                    hex(sids.next(), SID_DIGITS, outbox);
                    outbox.extend_from_slice(b"\",\"status\":\"queued\"}");
                }
            }),
        }
        tally.requested();
    }
}

/// The message's name as it stands in a form: in the URL that is called back, or where peers put it.
fn reference(body: &[u8]) -> &[u8] {
    let found = REFERENCE
        .iter()
        .find_map(|before| memmem::find(body, before).map(|at| &body[at + before.len()..]));
    let Some(rest) = found else {
        return b"";
    };
    let ends = |byte: &u8| !(byte.is_ascii_alphanumeric() || *byte == b'-');
    &rest[..rest.iter().position(ends).unwrap_or(rest.len())]
}

/// `{"messages":[…]}` with a length that is known only afterwards.
fn entries(outbox: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    /// As wide as any length, so that it can be put in later.
    const LENGTH: &[u8] = b"        0";
    outbox.extend_from_slice(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ",
    );
    let length_at = outbox.len();
    outbox.extend_from_slice(LENGTH);
    outbox.extend_from_slice(b"\r\n\r\n");
    let body_at = outbox.len();
    outbox.extend_from_slice(b"{\"messages\":[");
    fill(outbox);
    outbox.extend_from_slice(b"]}");
    let length = format!("{:width$}", outbox.len() - body_at, width = LENGTH.len());
    outbox[length_at..length_at + LENGTH.len()].copy_from_slice(length.as_bytes());
}

fn head(outbox: &mut Vec<u8>, status: &str, length: usize) {
    // Writing to a vector does not fail.
    let _ = write!(
        outbox,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
}

pub(super) fn json(outbox: &mut Vec<u8>, value: &impl Serialize) {
    bytes(outbox, &serde_json::to_vec(value).unwrap_or_default());
}

pub(super) fn bytes(outbox: &mut Vec<u8>, body: &[u8]) {
    head(outbox, "200 OK", body.len());
    outbox.extend_from_slice(body);
}

/// Path and query of the URL that a form wants called back, and the sid that its message gets.
pub(super) fn status_callback(body: &[u8], public_url: &str) -> Option<(String, String)> {
    const FIELD: &[u8] = b"StatusCallback=";
    let from = memmem::find(body, FIELD)? + FIELD.len();
    let rest = &body[from..];
    let value = &rest[..memchr::memchr(b'&', rest).unwrap_or(rest.len())];
    let url = decoded(value)?;
    let target = url.strip_prefix(public_url)?.split('#').next()?.to_owned();
    let (_, name) = target.split_once("?m=")?;
    let sid = callback::sid(name)?;
    Some((target, sid))
}

fn decoded(value: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        bytes.push(match first {
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).ok()?
            }
            b'+' => b' ',
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Batch and row of a name of ours.
fn parts(name: &[u8]) -> Option<(u64, u64)> {
    let (batch, row) = std::str::from_utf8(name).ok()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 36).ok();
    Some((number(batch)?, number(row)?))
}

fn hex(value: u64, digits: usize, outbox: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; SID_DIGITS];
    let text = &mut text[..digits];
    let mut rest = value;
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(rest & 15) as usize];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    outbox.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(kind: Kind, body: &[u8]) -> (String, Tally) {
        let (mut tally, mut outbox) = (Tally::new(true, true), Vec::new());
        kind.answer(body, &mut Sids::default(), &mut tally, &mut outbox);
        (String::from_utf8(outbox).expect("text"), tally)
    }

    fn body(answer: &str) -> serde_json::Value {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let length = head.split("Content-Length:").nth(1).expect("a length");
        let length: usize = length
            .lines()
            .next()
            .unwrap_or("")
            .trim()
            .parse()
            .expect("a number");
        assert_eq!(body.len(), length);
        serde_json::from_str(body).expect("JSON")
    }

    #[test]
    fn twilio_answers_with_a_sid() {
        let (answer, tally) = answered(Kind::Twilio, b"To=%2B33199000001&StatusCallback=https%3A%2F%2Fexample.org%2Fa%3Fm%3D3w5e11264sgsf-2s%23rc");
        assert!(answer.starts_with("HTTP/1.1 201"));
        let sid = callback::sid("3w5e11264sgsf-2s").expect("a sid");
        assert_eq!(body(&answer)["sid"], sid.as_str());
        assert_eq!(tally.stats().messages, 1);
    }

    #[test]
    fn a_peer_gets_a_sid_that_nobody_else_has() {
        let (answer, _) = answered(Kind::Twilio, b"To=%2B33199000001");
        assert_eq!(body(&answer)["sid"], "SM00000000000000000000000000000001");
    }

    #[test]
    fn the_url_to_call_back_is_found_in_the_form() {
        let form =
            b"To=x&StatusCallback=http%3A%2F%2F127.0.0.1%3A1%2Fa%2FORG%3Fm%3Dz-10%23rc%3D4&V=1";
        let (target, sid) = status_callback(form, "http://127.0.0.1:1").expect("a URL");
        assert_eq!(target, "/a/ORG?m=z-10");
        assert_eq!(sid, callback::sid("z-10").expect("a sid"));
    }

    #[test]
    fn infobip_echoes_every_id() {
        let request = br#"{"messages":[{"destinations":[{"to":"1","messageId":"a-1"}]},{"destinations":[{"to":"2","messageId":"a-2"}]}]}"#;
        let (answer, tally) = answered(Kind::Infobip, request);
        let body = body(&answer);
        assert_eq!(body["messages"][0]["messageId"], "a-1");
        assert_eq!(body["messages"][1]["messageId"], "a-2");
        assert_eq!(body["messages"][1]["status"]["groupId"], 1);
        assert_eq!((tally.stats().requests, tally.stats().messages), (1, 2));
    }

    #[test]
    fn a_batch_of_the_peers_gets_an_entry_for_each_recipient() {
        let (answer, _) = answered(Kind::Batch, br#"{"messages":[{"to":"1"},{"to":"2"}]}"#);
        assert_eq!(body(&answer)["messages"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn the_name_of_a_message_is_found_in_the_form() {
        assert_eq!(reference(b"a=b&S=x%3Fm%3Dkey-2s%23rc"), b"key-2s");
        assert_eq!(reference(b"a=b&ClientRef=run-12"), b"run-12");
        assert_eq!(reference(b"a=b"), b"");
    }
}
