//! What the recorded fixtures (`tests/fixtures.rs`) do not reach: whole tables, limits, credentials.

use std::{collections::BTreeMap, time::Duration};

use message::{ConnectionId, Msisdn, OrganizationId, Secret, Sender};
use serde_json::json;

use super::{
    codes::{Word, failure, status_word},
    *,
};
use crate::{ReceiptStatus, RejectReason::*, Submission};

mod forms;
mod random;

const NOW: Timestamp = Timestamp::from_millis(1_763_037_898_000);

const FIELDS: &[(&str, &str)] = &[
    ("client_id", "3c9f6b1e-58d2-4a07-8e1f-0a9b8c7d6e5f"),
    ("region", "eu"),
    ("project_id", "7d1e5a42-0c3b-4f86-9a57-1b2c3d4e5f60"),
    ("app_id", "01K9Z3QAEX4MPLE7T2W5Y8B0C6"),
];
const SECRETS: &[(&str, &str)] = &[
    ("client_secret", "Qv7.example~client-secret_08"),
    ("webhook_secret", "hook-Token_4vR9+example/Jx"),
];

fn connection(more: &[(&str, &str)]) -> Connection {
    let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect()
    };
    let secrets = owned(SECRETS).into_iter();
    Connection {
        id: ConnectionId::new("conn_1").expect("valid"),
        organization_id: OrganizationId::new("ORG_8mQ2").expect("valid"),
        provider: SLUG.to_owned(),
        name: "Surveys".to_owned(),
        sender: Sender::Number(Msisdn::parse("+442079460958").expect("valid")),
        fields: owned(&[FIELDS, more].concat()),
        secrets: secrets.map(|(k, v)| (k, Secret::new(v))).collect(),
        segments_per_second: 20.0,
        created_at: NOW,
        deleted_at: None,
    }
}

const BATCH: &[(&str, &str)] = &[("mode", "batch")];

fn mt(text: &str) -> MtMessage<'_> {
    MtMessage {
        reference: "3w5e11264sgsf-2s",
        to: Msisdn::parse("+46701740605").expect("valid"),
        text,
        validity: Duration::from_secs(3600),
    }
}

fn submission<'a>(messages: &'a [MtMessage<'a>], mode: SubmitMode) -> Submission<'a> {
    Submission {
        messages,
        mode,
        public_url: "https://sms.example.org",
        access_token: Some("an-access-token"),
        now: NOW,
    }
}

fn response(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .body(body.into())
        .expect("a response")
}

fn answered(messages: usize, status: u16, message: &str) -> Answer {
    let body = json!({ "error": { "code": status, "message": message } });
    let messages = vec![mt("Hi"); messages];
    let mode = SubmitMode::of(messages.len());
    Sinch.read_response(&messages, mode, &response(status, body.to_string()))
}

#[test]
fn a_status_decides_alone_unless_it_is_400() {
    for status in 300..600 {
        let expected = match status {
            400 | 413 => continue,
            300..=399 | 401..=407 | 415 => SubmitClass::AccountRefused,
            408 => SubmitClass::DOUBT,
            429 => SubmitClass::Throttled { retry_after: None },
            501 | 503 => SubmitClass::Transient,
            409..=499 => SubmitClass::Rejected(Other),
            _ => SubmitClass::DOUBT,
        };
        let answer = answered(1, status, "The recipient and the sender of app_id");
        let outcome = SubmitOutcome::new(expected, format!("http_{status}"));
        assert_eq!(answer, Answer::all(1, outcome), "{status}");
    }
    let too_long = SubmitOutcome::new(SubmitClass::Rejected(TooLong), "http_413");
    assert_eq!(answered(1, 413, "").outcomes, [too_long]);
}

#[test]
fn a_400_means_what_it_names_first_in_the_order_of_the_page() {
    let account = SubmitClass::AccountRefused;
    let rejected = SubmitClass::Rejected;
    for (message, expected) in [
        ("Bad SMS_SENDER", rejected(BadSender)),
        ("sender", rejected(BadSender)),
        ("the ORIGINATOR", rejected(BadSender)),
        ("identity", rejected(InvalidRecipient)),
        ("Recipient", rejected(InvalidRecipient)),
        ("no phone", rejected(InvalidRecipient)),
        ("MSISDN", rejected(InvalidRecipient)),
        ("app_id", account),
        ("Project", account),
        ("missing Channel Configuration", account),
        ("credentials", account),
        ("", rejected(Other)),
        ("text must not be empty", rejected(Other)),
        ("project, recipient, originator", rejected(BadSender)),
        ("project, recipient", rejected(InvalidRecipient)),
    ] {
        assert_eq!(answered(1, 400, message).outcomes[0].class, expected);
        let several = answered(3, 400, message);
        let (class, hint) = match expected {
            SubmitClass::AccountRefused => (account, None),
            _ => (SubmitClass::Transient, Some(Hint::Split)),
        };
        assert!(several.outcomes.iter().all(|o| o.class == class));
        assert_eq!((several.outcomes.len(), several.hint), (3, hint));
    }
}

#[test]
fn every_status_word_of_the_page_is_known() {
    for (word, expected) in [
        ("QUEUED_ON_CHANNEL", Word::Status(ReceiptStatus::Sent)),
        ("DELIVERED", Word::Status(ReceiptStatus::Delivered)),
        ("READ", Word::Status(ReceiptStatus::Read)),
        ("QUEUED", Word::Status(ReceiptStatus::Accepted)),
        ("SWITCHING_CHANNEL", Word::SwitchingChannel),
        ("FAILED", Word::Failed),
    ] {
        assert_eq!(status_word(word), expected);
        for other in [word.to_lowercase(), format!("{word} "), word[1..].into()] {
            assert_eq!(status_word(&other), Word::Unknown, "{other}");
        }
    }
}

#[test]
fn every_reason_of_the_page_has_its_status() {
    use ReceiptStatus::{Expired, Failed, Rejected, Undelivered};
    let table: &[(ReceiptStatus, bool, &str)] = &[
        (Undelivered, false, "RECIPIENT_NOT_REACHABLE"),
        (
            Expired,
            false,
            "DELIVERY_TIMED_OUT MESSAGE_EXPIRED DELIVERY_REPORT_TIME_OUT",
        ),
        (
            Rejected,
            false,
            "RECIPIENT_INVALID_CHANNEL_IDENTITY NO_CHANNEL_IDENTITY_FOR_CONTACT CONTACT_NOT_FOUND \
             RECIPIENT_NOT_OPTED_IN DELIVERY_REJECTED_DUE_TO_POLICY CHANNEL_REJECT BAD_REQUEST \
             UNSUPPORTED_OPERATION MESSAGE_SPLIT_REQUIRED OUTSIDE_ALLOWED_SENDING_WINDOW \
             MEDIA_TOO_LARGE MEDIA_NOT_FOUND TEMPLATE_NOT_CONFIGURED TEMPLATE_NOT_FOUND",
        ),
        (
            Failed,
            false,
            "RATE_LIMITED CHANNEL_FAILURE INTERNAL_ERROR NO_CHANNELS_LEFT NO_PROFILE_AVAILABLE \
             UNKNOWN NEVER_SEEN MEDIA XTEMPLATE_ rate_limited",
        ),
        (
            Failed,
            true,
            "CHANNEL_BAD_CONFIGURATION CHANNEL_CONFIGURATION_MISSING NO_PERMISSION UNKNOWN_APP \
             INACTIVE_CREDENTIAL",
        ),
    ];
    for (status, account, codes) in table {
        for code in codes.split_ascii_whitespace() {
            let unspecified = failure(code, "UNSPECIFIED_SUB_CODE");
            assert_eq!(unspecified, (*status, *account), "{code}");
            assert_eq!(failure(code, "INACTIVE_SENDER"), (Failed, true), "{code}");
        }
    }
    assert_eq!(failure("", ""), (Failed, false));
}

#[test]
fn only_a_connection_that_says_so_sends_batches() {
    assert_eq!(Sinch.messages_per_request(&connection(&[])), 1);
    let single = connection(&[("mode", "single")]);
    assert_eq!(Sinch.messages_per_request(&single), 1);
    assert_eq!(Sinch.messages_per_request(&connection(BATCH)), 1000);
}

#[test]
fn the_largest_batch_stays_below_one_mebibyte() {
    for letter in ["x", "€", "👍", "\"", "\\", "\u{1}"] {
        let mut text = String::new();
        while !Sinch.goes_alone(&mt(&text)) {
            text.push_str(letter);
        }
        text.truncate(text.len() - letter.len());
        let message = MtMessage {
            reference: "123456789012345678901234567890123456",
            to: Msisdn::parse("+123456789012345").expect("valid"),
            ..mt(&text)
        };
        let messages = vec![message; BATCH_MESSAGES_MAX];
        let request = Sinch
            .build_request(
                &connection(BATCH),
                &submission(&messages, SubmitMode::Batch),
            )
            .expect("a request");
        assert!(request.body().len() < 1 << 20, "{letter:?}");
    }
}

#[test]
fn a_text_that_a_batch_would_change_goes_alone() {
    for (text, expected) in [
        ("It costs ${t}", true),
        ("${", true),
        ("$ {t} $t {t} $$", false),
        ("", false),
    ] {
        assert_eq!(Sinch.goes_alone(&mt(text)), expected, "{text}");
        let messages = [mt("Hi"), mt(text)];
        let batch = submission(&messages, SubmitMode::Batch);
        let built = Sinch.build_request(&connection(BATCH), &batch);
        assert_eq!(built.is_err(), expected, "{text}");
    }
}

#[test]
fn printed_requests_do_not_show_the_credentials() {
    let messages = [mt("Hi")];
    let submit = Sinch
        .build_request(&connection(&[]), &submission(&messages, SubmitMode::Single))
        .expect("a request");
    let token = token::Tokens
        .build_request(&connection(&[]))
        .expect("a request");
    for request in [submit, token] {
        let printed = format!("{request:?}");
        assert!(printed.contains("Sensitive"), "{printed}");
        assert!(!printed.contains("Bearer") && !printed.contains("Basic"));
    }
}

#[test]
fn without_token_secret_or_url_nothing_is_sent() {
    let messages = [mt("Hi")];
    let single = submission(&messages, SubmitMode::Single);
    let without_token = Submission {
        access_token: None,
        now: NOW,
        ..single
    };
    assert!(matches!(
        Sinch.build_request(&connection(&[]), &without_token),
        Err(Unsendable::NoAccessToken { .. })
    ));
    let broken_token = Submission {
        access_token: Some("a\nb"),
        now: NOW,
        ..single
    };
    assert!(
        Sinch
            .build_request(&connection(&[]), &broken_token)
            .is_err()
    );
    let broken_url = connection(&[("base_url", "no url"), ("auth_base_url", "no url")]);
    assert!(Sinch.build_request(&broken_url, &single).is_err());
    assert!(token::Tokens.build_request(&broken_url).is_err());
    let mut without_secret = connection(&[]);
    without_secret.secrets.clear();
    assert!(token::Tokens.build_request(&without_secret).is_err());
}

#[test]
fn tokens_may_come_from_elsewhere() {
    let elsewhere = connection(&[("auth_base_url", "http://127.0.0.1:8080/")]);
    let request = token::Tokens.build_request(&elsewhere).expect("a request");
    assert_eq!(request.uri(), "http://127.0.0.1:8080/oauth2/token");
}

fn signed(body: &[u8], secret: &str, nonce: &str, at: u64) -> Request<Bytes> {
    use base64::{Engine, engine::general_purpose::STANDARD};

    let text = [body, nonce.as_bytes(), at.to_string().as_bytes()].join(&b'.');
    let digest = crate::signature::hmac(
        crate::signature::Algorithm::HmacSha256,
        secret.as_bytes(),
        &text,
    );
    Request::post("/")
        .header("x-sinch-webhook-signature", STANDARD.encode(digest))
        .header("x-sinch-webhook-signature-algorithm", "HmacSHA256")
        .header("x-sinch-webhook-signature-nonce", nonce)
        .header("x-sinch-webhook-signature-timestamp", at.to_string())
        .body(Bytes::copy_from_slice(body))
        .expect("a request")
}

#[test]
fn a_verified_callback_names_its_nonce() {
    let callback = signed(b"{}", "hook-Token_4vR9+example/Jx", "01K9ZB", 1_763_037_890);
    let connection = connection(&[]);
    let verified = Sinch.verify_callback(&connection, &callback, &[], NOW);
    assert_eq!(verified.expect("genuine").nonce(), Some("01K9ZB"));
}

#[test]
fn without_a_webhook_secret_nothing_is_verified() {
    let callback = signed(b"{}", "", "01K9ZB", 1_763_037_890);
    let mut connection = connection(&[]);
    let empty = Secret::new(String::new());
    connection
        .secrets
        .insert("webhook_secret".to_owned(), empty);
    assert!(
        Sinch
            .verify_callback(&connection, &callback, &[], NOW)
            .is_err()
    );
    connection.secrets.clear();
    assert!(
        Sinch
            .verify_callback(&connection, &callback, &[], NOW)
            .is_err()
    );
}
