//! A delivery report as Twilio posts it, signed with the account's token. Source:
//! `shared/providers/twilio.md`, sections 6 to 8.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The account of all connections to the stub.
pub const ACCOUNT_SID: &str = "AC00112233445566778899aabbccddeeff";
/// Its token: nobody checks it when messages are sent, and callbacks are signed with it.
pub const AUTH_TOKEN: &str = "load-auth-token-0123456789abcdef";
/// Who messages are from.
pub const SENDER: &str = "12025550100";
const RECIPIENT: &str = "33199000001";

/// The path at the ingress of an organisation's status callbacks.
#[must_use]
pub fn path(organization: &str) -> String {
    format!("/distribution-providers/v1/receive/distribution/status/twilio-sms/{organization}")
}

/// The sid that the stub gives a message: the batch's key and the row. So whoever knows the one knows
/// the other.
#[must_use]
pub fn sid(reference: &str) -> Option<String> {
    let (key, row) = reference.split_once('-')?;
    let key = u64::from_str_radix(key, 36).ok()?;
    let row = u64::from_str_radix(row, 36).ok()?;
    Some(format!("SM{key:016x}{row:016x}"))
}

/// A whole HTTP request; `target` is path and query as the provider was told them.
#[must_use]
pub fn request(public_url: &str, target: &str, sid: &str, status: &str) -> Vec<u8> {
    // In the order of their names, as they are signed.
    let parameters = [
        ("AccountSid", ACCOUNT_SID),
        ("ApiVersion", "2010-04-01"),
        ("From", concat!("+", "12025550100")),
        ("MessageSid", sid),
        ("MessageStatus", status),
        ("SmsSid", sid),
        ("SmsStatus", status),
        ("To", &format!("+{RECIPIENT}")),
    ];
    let mut body = String::with_capacity(320);
    let mut mac =
        Hmac::<Sha1>::new_from_slice(AUTH_TOKEN.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(public_url.as_bytes());
    mac.update(target.as_bytes());
    for (index, (name, value)) in parameters.into_iter().enumerate() {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
        body.push_str(if index == 0 { "" } else { "&" });
        body.push_str(name);
        body.push('=');
        body.push_str(&value.replace('+', "%2B"));
    }
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let mut request = String::with_capacity(800);
    // Writing to a string does not fail.
    let _ = write!(
        request,
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n\
         X-Twilio-Signature: {signature}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    request.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_the_batch_and_the_row() {
        assert_eq!(
            sid("z-10").as_deref(),
            Some("SM00000000000000230000000000000024")
        );
        assert_eq!(sid("none"), None);
    }

    #[test]
    fn a_request_is_whole_and_signed() {
        let target = format!("{}?m=z-10", path("ORG_a"));
        let request = request("https://sms.example.org", &target, "SM0", "delivered");
        let text = String::from_utf8(request).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("POST /distribution-providers/v1/receive/distribution/status/"));
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        assert!(body.contains("&MessageStatus=delivered&"));
        let signature = head
            .split("X-Twilio-Signature: ")
            .nth(1)
            .expect("a signature");
        assert_eq!(signature.lines().next().map(str::len), Some(28));
    }
}
