//! The tables of answers.

use super::*;

#[test]
fn every_code_of_the_page_means_its_class() {
    for code in [2, 20, 25, 98] {
        for status in [400, 401, 402, 403, 404, 422] {
            let expected = SubmitOutcome::new(SubmitClass::AccountRefused, code.to_string());
            assert_eq!(refused(status, code, ""), expected, "{status} {code}");
        }
    }
    for status in [400, 401, 404, 422] {
        assert_eq!(refused(status, 99, ""), SubmitOutcome::in_doubt("99"));
    }
    for (parameter, reason) in [
        ("recipients", InvalidRecipient),
        ("recipient", InvalidRecipient),
        ("Recipients", InvalidRecipient),
        ("originator", BadSender),
        ("ORIGINATOR", BadSender),
        ("body", Other),
        ("reference", Other),
        ("", Other),
    ] {
        for code in [9, 10, 21] {
            let expected = SubmitOutcome::new(SubmitClass::Rejected(reason), code.to_string());
            assert_eq!(refused(422, code, parameter), expected, "{code}");
            assert_eq!(refused(400, code, parameter), expected, "{code}");
        }
    }
}

#[test]
fn only_no_balance_and_no_access_outrank_a_status_that_leaves_a_doubt() {
    for code in [2, 9, 10, 20, 21, 25, 77, 98, 99] {
        for status in [408, 429, 500, 502, 503, 504, 599] {
            let expected = match (code, status) {
                (2 | 25, _) => "account_refused",
                (_, 429) => "throttled",
                _ => "in_doubt",
            };
            let class = refused(status, code, "originator").class;
            assert_eq!(class.as_str(), expected, "{status} {code}");
        }
    }
}

#[test]
fn a_status_without_a_known_code_decides_by_itself() {
    for status in 300..600 {
        let expected = match status {
            401..=405 => "account_refused",
            408 => "in_doubt",
            429 => "throttled",
            400..=499 => "rejected",
            _ => "in_doubt",
        };
        for outcome in [answered(status, ""), refused(status, 77, "originator")] {
            assert_eq!(outcome.class.as_str(), expected, "{status}");
        }
    }
}

#[test]
fn a_failure_within_a_201_is_rejected_by_its_code() {
    for (reason, codes) in FAILURES {
        for code in *codes {
            let item = json!({
                "recipient": 46_701_740_605_u64,
                "status": "delivery_failed",
                "statusErrorCode": code,
            });
            let body = json!({"id": "9f3a", "recipients": {"items": [item]}});
            let expected = SubmitOutcome::new(SubmitClass::Rejected(*reason), code.to_string());
            assert_eq!(answered(201, body.to_string()), expected.with_id("9f3a"));
        }
    }
}

#[test]
fn no_message_is_forgotten_in_an_answer() {
    for messages in [&[][..], &[mt("a"), mt("b")]] {
        for status in [201, 429] {
            for body in ["", r#"{"id":"9f3a","recipients":{"items":[]}}"#] {
                let response = response(status, body);
                let answer = MessageBird.read_response(messages, SubmitMode::Batch, &response);
                assert_eq!(answer.outcomes.len(), messages.len());
            }
        }
    }
}
