//! The whole tables of section 4, and of section 13 for answers.

use super::*;

fn refused_part(status: i64, text: &str) -> SubmitOutcome {
    let part = serde_json::json!({"status": status.to_string(), "error-text": text});
    answered(200, serde_json::json!({"messages": [part]}).to_string())
}

#[test]
fn every_status_of_a_part_means_its_class() {
    let rejected: &[(RejectReason, &[i64])] = &[
        (InvalidRecipient, &[6, 33]),
        (Blocked, &[7]),
        (TooLong, &[12]),
        (BadSender, &[15]),
        (UnsupportedDestination, &[29]),
        (
            Other,
            &[2, 3, 16, 17, 18, 19, 20, 21, 22, 24, 99, 101, -1, i64::MAX],
        ),
    ];
    for (reason, statuses) in rejected {
        for status in *statuses {
            let class = SubmitClass::Rejected(*reason);
            let expected = SubmitOutcome::new(class, status.to_string());
            assert_eq!(refused_part(*status, ""), expected, "{status}");
        }
    }
    for (class, statuses) in [
        ("account_refused", &[4, 8, 9, 11, 14, 23, 32][..]),
        ("throttled", &[1, 10]),
        ("transient", &[5, 13]),
    ] {
        for status in statuses {
            let outcome = refused_part(*status, "");
            assert_eq!(outcome.class.as_str(), class, "{status}");
            assert_eq!(outcome.code, status.to_string());
        }
    }
}

#[test]
fn an_invalid_parameter_is_the_recipient_or_the_sender_only_where_the_text_names_it() {
    for (text, reason) in [
        ("Invalid to param", InvalidRecipient),
        ("TO PARAM is wrong", InvalidRecipient),
        ("to parameters", InvalidRecipient),
        ("Invalid param: to", InvalidRecipient),
        ("Invalid parameter to", InvalidRecipient),
        ("params:to, ttl", InvalidRecipient),
        ("Invalid from param", BadSender),
        ("Invalid value for parameter:  FROM.", BadSender),
        ("Invalid auto param", Other),
        ("Invalid to_param", Other),
        ("to  param", Other),
        ("Invalid param: token", Other),
        ("Invalid param : to", Other),
        ("Invalid param text to", Other),
        ("fromparam", Other),
        ("too long", Other),
        ("", Other),
    ] {
        let class = SubmitClass::Rejected(reason);
        assert_eq!(refused_part(3, text).class, class, "{text}");
        assert_eq!(
            refused_part(2, text).class,
            SubmitClass::Rejected(Other),
            "{text}"
        );
    }
}

#[test]
fn a_throttled_part_waits_as_long_as_its_text_says() {
    for (text, millis) in [
        (
            "Throughput Rate Exceeded - please wait [ 250 ] and retry",
            250,
        ),
        ("please wait [0]", 0),
        ("please wait [\t70000 ]", 70_000),
        (
            "Exceeded maximum MT throughput[ MAX [ 30 ] INTERVAL [ 1000 ] ]",
            1000,
        ),
        ("please wait [ -5 ]", 1000),
        ("please wait [ +5 ]", 1000),
        ("please wait [  ]", 1000),
        ("please wait [ 250", 1000),
        ("please wait [ 99999999999999999999999 ]", 1000),
        ("", 1000),
    ] {
        let retry_after = Some(std::time::Duration::from_millis(millis));
        let class = SubmitClass::Throttled { retry_after };
        assert_eq!(refused_part(1, text).class, class, "{text}");
    }
}

#[test]
fn every_http_status_means_its_class_outside_and_inside_a_200() {
    for status in 300..=599 {
        let expected = match status {
            401..=403 => "account_refused",
            429 => "throttled",
            408 | 500.. => "in_doubt",
            _ => "rejected",
        };
        assert_eq!(answered(status, "").class.as_str(), expected, "{status}");
        let inside = format!(r#"{{"error-code":"{status}"}}"#);
        assert_eq!(answered(200, inside).class.as_str(), expected, "{status}");
    }
    for status in [0, 1, 99, 100, 200, 202, 299, 600, 70_000, -401] {
        let inside = format!(r#"{{"error-code":{status}}}"#);
        let expected = SubmitOutcome::in_doubt("unreadable_answer");
        assert_eq!(answered(200, inside), expected, "{status}");
    }
}

#[test]
fn every_code_of_the_messages_api_means_its_reason_only_beside_a_422() {
    for (code, reason) in [
        ("1120", BadSender),
        ("1170", InvalidRecipient),
        ("1040", InvalidRecipient),
        ("1050", Blocked),
        ("1240", OptedOut),
        ("1090", TooLong),
        ("1160", UnsupportedDestination),
        ("1000", Other),
        ("invalid", Other),
    ] {
        for body in [
            format!(r##"{{"type":"https://example.org/errors#{code}","title":"Refused"}}"##),
            format!(r#"{{"type":"about:blank","title":"{code}","error-code":"{code}"}}"#),
        ] {
            let expected = SubmitOutcome::new(SubmitClass::Rejected(reason), code);
            assert_eq!(answered(422, body.clone()), expected, "{code}");
            let class = SubmitClass::Rejected(Other);
            assert_eq!(answered(400, body.clone()).class, class, "{code}");
            assert_eq!(answered(503, body).class, SubmitClass::DOUBT, "{code}");
        }
    }
}
