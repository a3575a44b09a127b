//! Twilio's webhooks: who signed them, and what they say.
//! Source: `shared/providers/twilio.md`, sections 6 to 8.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Request};
use message::{Connection, Msisdn, event::Keyword, opt_out::OptOutKind};

use super::codes::{OPTED_OUT, VALIDITY_EXPIRED, Word, status_word};
use crate::{
    CallbackKind, CallbackRefused, Inbound, Malformed, OptOutScope, ProviderOptOut, Reading,
    Receipt, ReceiptStatus,
    checks::with_plus,
    parameters::{Parameters, is_form},
    signature::{Algorithm, is_base64_of_all, is_hex_sha256_of},
};

const SIGNATURE: &str = "X-Twilio-Signature";
const SETTINGS: &str = "X-Twilio-Webhooks-Signature-Settings";

// === Verify: section 8 ===

pub(super) fn verify(
    connection: &Connection,
    callback: &Request<Bytes>,
    public_urls: &[String],
) -> Result<(), CallbackRefused> {
    let signature = text_of(callback.headers(), SIGNATURE)
        .filter(|signature| !signature.is_empty())
        .ok_or(CallbackRefused::Unsigned { header: SIGNATURE })?;
    let forged = || CallbackRefused::BadSignature {
        connection: connection.id.clone(),
    };

    let form = is_form(callback.headers()).then(|| Parameters::parse(callback.body()));
    if form.is_none() {
        let query = Parameters::parse(callback.uri().query().unwrap_or_default().as_bytes());
        let hash = query
            .one("bodySHA256")
            .ok()
            .flatten()
            .ok_or(CallbackRefused::Unsigned {
                header: "bodySHA256",
            })?;
        if !is_hex_sha256_of(hash, callback.body()) {
            return Err(forged());
        }
    }
    let (algorithm, keys) = keys(connection, callback.headers())?;
    let parameters = form.as_ref().map(signed_parameters).unwrap_or_default();
    let target = callback
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let genuine = signed_bases(public_urls).any(|base| {
        let signed = [base.as_bytes(), target.as_bytes(), parameters.as_bytes()];
        keys.iter()
            .any(|key| is_base64_of_all(signature, algorithm, key, &signed))
    });
    if !genuine {
        return Err(forged());
    }
    // A parent account's token would sign for every subaccount. Two values are a matter of reading.
    let account_sid = connection.field("account_sid");
    let mut named = form
        .iter()
        .flat_map(|form| form.values("AccountSid"))
        .peekable();
    if named.peek().is_some() && !named.any(|sid| sid.eq_ignore_ascii_case(account_sid)) {
        return Err(forged());
    }
    Ok(())
}

/// The auth tokens, or the shared key if the request says that it is signed with one.
fn keys<'c>(
    connection: &'c Connection,
    headers: &HeaderMap,
) -> Result<(Algorithm, Vec<&'c str>), CallbackRefused> {
    let of = |names: &[&str]| {
        let keys = names.iter().filter_map(|name| connection.secret(name));
        keys.map(|key| key.reveal()).collect::<Vec<_>>()
    };
    let Some(settings) = headers
        .get(SETTINGS)
        .filter(|settings| !settings.is_empty())
    else {
        return Ok((
            Algorithm::HmacSha1,
            of(&["auth_token", "auth_token_secondary"]),
        ));
    };
    let settings = settings.to_str().unwrap_or_default();
    let mut algorithms = settings
        .split(',')
        .filter_map(|setting| setting.trim().strip_prefix("algorithm="));
    let algorithm = match (algorithms.next(), algorithms.next()) {
        (Some("HMAC_SHA1"), None) => Algorithm::HmacSha1,
        (Some("HMAC_SHA256"), None) => Algorithm::HmacSha256,
        _ => {
            return Err(CallbackRefused::UnknownScheme {
                why: "signature algorithm",
            });
        }
    };
    let keys = of(&["webhook_shared_key"]);
    if keys.is_empty() {
        return Err(CallbackRefused::UnknownScheme {
            why: "no webhook shared key",
        });
    }
    Ok((algorithm, keys))
}

/// The beginnings of the URL as Twilio was given it, which the request target follows byte for byte.
/// Twilio is inconsistent about the port, so each goes with and without it.
fn signed_bases(public_urls: &[String]) -> impl Iterator<Item = Cow<'_, str>> {
    public_urls.iter().flat_map(|base| {
        let base = base.trim_end_matches('/');
        let as_it_is = std::iter::once(Cow::Borrowed(base));
        as_it_is.chain(std::iter::once_with(|| Cow::Owned(other_port(base))))
    })
}

/// Without its port, or with the port that it means.
fn other_port(base: &str) -> String {
    let authority = base.find("://").map_or(0, |scheme| scheme + "://".len());
    let end = base[authority..]
        .find('/')
        .map_or(base.len(), |path| authority + path);
    let (origin, path) = base.split_at(end);
    let port = origin[authority..]
        .rsplit_once(':')
        .filter(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    match port {
        Some((host, _)) => format!("{}{host}{path}", &base[..authority]),
        None if base.starts_with("http://") => format!("{origin}:80{path}"),
        None => format!("{origin}:443{path}"),
    }
}

/// Every name and value, one behind the other.
fn signed_parameters(form: &Parameters<'_>) -> String {
    let length = form.iter().map(|(name, value)| name.len() + value.len());
    let mut text = String::with_capacity(length.sum());
    for (name, value) in form.iter() {
        text.push_str(name);
        text.push_str(value);
    }
    text
}

fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

// === Read: sections 6 and 7 ===

/// Uses the method, target, content type and body only: callbacks are read again from the queue,
/// where nothing else of them is left.
pub(super) fn read(
    callback: &Request<Bytes>,
    kind: CallbackKind,
) -> Result<Vec<Reading>, Malformed> {
    if !is_form(callback.headers()) {
        // Signed JSON is not about messages.
        return Ok(vec![Reading::Ignored]);
    }
    let form = Parameters::parse(callback.body());
    form.one("AccountSid")?;
    match kind {
        CallbackKind::Message if !is_receipt(&form) => Ok(vec![Reading::Inbound(inbound(&form)?)]),
        CallbackKind::Status | CallbackKind::Message => {
            let query = Parameters::parse(callback.uri().query().unwrap_or_default().as_bytes());
            receipt(&form, &query)
        }
    }
}

/// Customers paste URLs into the wrong field. A receipt read as an inbound message would be an
/// empty reply from our own number.
fn is_receipt(form: &Parameters<'_>) -> bool {
    let outbound = |word| matches!(status_word(word), Word::Status(_));
    form.values("MessageStatus").any(outbound) && form.values("Body").next().is_none()
}

fn receipt(form: &Parameters<'_>, query: &Parameters<'_>) -> Result<Vec<Reading>, Malformed> {
    let provider_message_id = message_sid(form)?;
    let word = match form.one("MessageStatus")? {
        Some(word) => word,
        None => form.one("SmsStatus")?.ok_or(Malformed {
            why: "no MessageStatus",
        })?,
    };
    let code = form
        .one("ErrorCode")?
        .filter(|code| is_code(code))
        .unwrap_or_default();
    let reference = query.one("m")?.map(str::to_owned);
    let status = match status_word(word) {
        Word::Status(ReceiptStatus::Failed) if code == VALIDITY_EXPIRED && word == "failed" => {
            ReceiptStatus::Expired
        }
        Word::Status(status) => status,
        Word::Inbound => return Ok(vec![Reading::Ignored]),
        Word::Unknown => {
            let status = word.chars().take(WORD_CHARS_MAX).collect();
            return Ok(vec![Reading::Unrecognised { status }]);
        }
    };
    let mut readings = vec![Reading::Receipt(Receipt {
        reference,
        provider_message_id: Some(provider_message_id.to_owned()),
        status,
        error_code: code.to_owned(),
        part: None,
        parts: None,
        account_fault: false,
        about_repetition: false,
    })];
    if code == OPTED_OUT {
        let number = form.one("To")?.map(with_plus);
        if let Some(number) = number.and_then(|to| Msisdn::parse(&to).ok()) {
            readings.push(Reading::OptOut(ProviderOptOut {
                number,
                kind: OptOutKind::OptOut,
                scope: OptOutScope::Organization,
                code: code.to_owned(),
            }));
        }
    }
    Ok(readings)
}

fn inbound(form: &Parameters<'_>) -> Result<Inbound, Malformed> {
    let count = |name, least: u8| -> Result<u8, Malformed> {
        let value = form.one(name)?.and_then(|count| count.parse().ok());
        Ok(value.unwrap_or(least).max(least))
    };
    Ok(Inbound {
        provider_message_id: message_sid(form)?.to_owned(),
        from: with_plus(form.one("From")?.ok_or(Malformed { why: "no From" })?),
        to: form.one("To")?.map(with_plus),
        service: form.one("MessagingServiceSid")?.map(str::to_owned),
        text: form.one("Body")?.unwrap_or_default().to_owned(),
        parts: count("NumSegments", 1)?,
        part: None,
        answers: None,
        received_at: None,
        media: count("NumMedia", 0)?,
        provider_verdict: match form.one("OptOutType")? {
            Some("STOP") => Some(Keyword::OptOut),
            Some("START") => Some(Keyword::OptIn),
            Some("HELP") => Some(Keyword::Help),
            _ => None,
        },
    })
}

/// The other two are aliases from older versions of the API.
fn message_sid<'f>(form: &'f Parameters<'_>) -> Result<&'f str, Malformed> {
    for name in ["MessageSid", "SmsSid", "SmsMessageSid"] {
        if let Some(sid) = form.one(name)? {
            return Ok(sid);
        }
    }
    Err(Malformed {
        why: "no MessageSid",
    })
}

/// Codes are kept beside every message, so what is no code is not.
fn is_code(code: &str) -> bool {
    code.len() <= 6 && code.bytes().all(|b| b.is_ascii_digit())
}

/// An unknown word is counted and logged; the longest known one has 19 letters.
const WORD_CHARS_MAX: usize = 40;
