//! What the recorded fixtures (`tests/fixtures.rs`) do not reach: the whole tables of receipts, and what
//! a connection's fields decide.

use message::{ConnectionId, Msisdn, OrganizationId, Secret, Sender};

use super::{
    codes::{messages_word, sms_word},
    *,
};
use crate::{
    OptOutScope, ReceiptStatus,
    RejectReason::{self, *},
    Sought, Submission, SubmitClass, SubmitOutcome,
};

mod answers;
mod forms;
mod properties;
mod signatures;

const NOW: Timestamp = Timestamp::from_millis(1_763_037_898_000);

fn connection(fields: &[(&str, &str)]) -> Connection {
    let values = [("account_sid", "a1b2c3d4")].into_iter();
    let secrets = [
        ("auth_token", "Zq8Lw2Rt6Yp1"),
        ("signature_secret", "Kx7-vonage-signing-secret-42"),
    ];
    let secret = |text: &str| Secret::new(text.to_owned());
    Connection {
        id: ConnectionId::new("conn_1").expect("valid"),
        organization_id: OrganizationId::new("ORG_8mQ2").expect("valid"),
        provider: SLUG.to_owned(),
        name: "Surveys".to_owned(),
        sender: Sender::Number(Msisdn::parse("+35312345678").expect("valid")),
        fields: values
            .chain(fields.iter().copied())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        secrets: secrets
            .map(|(key, text)| (key.to_owned(), secret(text)))
            .into(),
        segments_per_second: 30.0,
        created_at: NOW,
        deleted_at: None,
    }
}

fn mt(text: &str) -> MtMessage<'_> {
    MtMessage {
        reference: "3w5e11264sgsf-2s",
        to: Msisdn::parse("+46701740605").expect("valid"),
        text,
        validity: std::time::Duration::from_secs(3600),
    }
}

fn built(
    connection: &Connection,
    text: &str,
    public_url: &str,
) -> Result<Request<Bytes>, Unsendable> {
    let submission = Submission {
        messages: &[mt(text)],
        mode: SubmitMode::Single,
        public_url,
        access_token: None,
        now: NOW,
    };
    Vonage.build_request(connection, &submission)
}

fn response(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    let response = Response::builder().status(status).body(body.into());
    response.expect("a response")
}

fn answered(status: u16, body: impl Into<Bytes>) -> SubmitOutcome {
    Vonage
        .read_response(&[mt("Hi")], SubmitMode::Single, &response(status, body))
        .outcomes
        .remove(0)
}

#[test]
fn every_status_word_of_both_apis_is_known() {
    use ReceiptStatus::{Delivered, Expired, Failed, Read, Rejected, Sent, Undelivered};
    for (word, sms, messages) in [
        ("accepted", Some(Sent), None),
        ("buffered", Some(Sent), None),
        ("submitted", None, Some(Sent)),
        ("delivered", Some(Delivered), Some(Delivered)),
        ("expired", Some(Expired), None),
        ("failed", Some(Failed), None),
        ("deleted", Some(Failed), None),
        ("rejected", Some(Rejected), Some(Rejected)),
        ("unknown", Some(Undelivered), None),
        ("undelivered", Some(Undelivered), None),
        ("undeliverable", Some(Undelivered), Some(Failed)),
        ("read", None, Some(Read)),
        ("teleported", None, None),
        (" delivered", None, None),
    ] {
        for word in [word.to_owned(), word.to_uppercase()] {
            assert_eq!(sms_word(&word), sms, "{word}");
            assert_eq!(messages_word(&word, ""), messages, "{word}");
            let late = messages_word(&word, "1360");
            let expired = messages == Some(Rejected);
            assert_eq!(
                late,
                if expired { Some(Expired) } else { messages },
                "{word}"
            );
        }
    }
}

#[test]
fn every_error_code_of_a_receipt_is_kept_and_only_9_is_an_opt_out() {
    let codes = (1..=16).chain(50..=54).chain([95, 99]);
    for code in codes {
        for status in ["failed", "rejected", "undelivered", "expired", "delivered"] {
            let url =
                format!("/?messageId=0C00&status={status}&err-code={code}&msisdn=46701740605");
            let callback = Request::get(url).body(Bytes::new()).expect("a request");
            let verified = Verified::already(&callback, None);
            let readings = Vonage
                .read_callback(verified, CallbackKind::Status)
                .expect("readable");
            let Some(Reading::Receipt(receipt)) = readings.first() else {
                panic!("no receipt: {readings:?}");
            };
            assert_eq!(receipt.error_code, code.to_string());
            let opted_out = code == 9 && matches!(status, "failed" | "rejected");
            let signal = matches!(
                &readings[1..],
                [Reading::OptOut(signal)] if signal.scope == OptOutScope::Sender && signal.code == "9"
            );
            assert_eq!((readings.len() == 2, signal), (opted_out, opted_out));
        }
    }
}

#[test]
fn the_body_of_a_get_says_nothing() {
    let callback = Request::get("/?messageId=0C00&status=delivered").body("status=failed".into());
    let callback = callback.expect("a request");
    let readings = Vonage
        .read_callback(Verified::already(&callback, None), CallbackKind::Status)
        .expect("readable");
    assert!(
        matches!(&readings[..], [Reading::Receipt(receipt)] if receipt.status == ReceiptStatus::Delivered)
    );
}

#[test]
fn a_callback_url_is_named_only_if_vonage_takes_it() {
    // 66 characters of path and 8 of the organisation's id.
    let url = |host: &str| format!("https://{host}");
    let names_it = |public_url: &str| {
        let request = built(&connection(&[]), "Hi", public_url).expect("a request");
        form_urlencoded::parse(request.body()).any(|(name, _)| name == "callback")
    };
    assert!(names_it(&url(&"h".repeat(18))), "100 characters");
    assert!(!names_it(&url(&"h".repeat(19))), "101 characters");
    assert!(names_it("http://127.0.0.1:8080"));
    assert!(!names_it("https://sms_1.example.org"));
    let messages = connection(&[("api", "messages")]);
    let request = built(&messages, "Hi", &url(&"h".repeat(60))).expect("a request");
    let body = std::str::from_utf8(request.body()).expect("text");
    assert!(body.contains(r#""webhook_url":"https://hhh"#), "{body}");
}

#[test]
fn status_look_ups_cost_money_and_are_off_until_they_are_switched_on() {
    let sought = [Sought {
        reference: "3w5e11264sgsf-2s",
        provider_message_id: "0C00",
        to: Msisdn::parse("+46701740605").expect("valid"),
    }];
    let request = |fields: &[(&str, &str)]| {
        let look_up = Vonage.status_look_up().expect("there is one");
        look_up.build_request(&connection(fields), &sought)
    };
    assert!(request(&[]).is_err());
    assert!(request(&[("reports_api", "off")]).is_err());
    assert!(request(&[("reports_api", "on"), ("api", "messages")]).is_err());
    let base = ("reports_base_url", "http://127.0.0.1:8080/");
    let request = request(&[("reports_api", "on"), base]).expect("a request");
    assert_eq!(
        request.uri(),
        "http://127.0.0.1:8080/v2/reports/records?account_id=a1b2c3d4&product=SMS\
         &direction=outbound&id=0C00"
    );
}

#[test]
fn a_printed_request_does_not_show_the_credentials() {
    for api in ["sms", "messages"] {
        let request = built(&connection(&[("api", api)]), "Hi", "https://example.org");
        let printed = format!("{:?}", request.expect("a request").headers());
        assert!(printed.contains("Sensitive"), "{printed}");
        assert!(!printed.contains("Basic"), "{printed}");
    }
}

#[test]
fn a_connection_without_token_or_with_a_broken_url_sends_nothing() {
    let mut without_token = connection(&[]);
    without_token.secrets.clear();
    for connection in [
        without_token,
        connection(&[("base_url", "not a url")]),
        connection(&[("api", "messages"), ("messages_base_url", "not a url")]),
    ] {
        let built = built(&connection, "Hi", "https://example.org");
        assert!(
            matches!(built, Err(Unsendable::Connection { .. })),
            "{built:?}"
        );
    }
}
