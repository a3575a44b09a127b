//! Random bytes, and random JSON under Sinch's names.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// JSON with Sinch's names in all the wrong places, beside random bytes.
fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "(SMS|FAILED|TO_APP|OPT_OUT_SUCCEEDED|46701740605|2025-11-13T12:44:57Z|\\{\"ref\":\"a\"\\}|.{0,8})"
            .prop_map(Value::from),
    ];
    let names = "(message_delivery_report|message|opt_out_notification|opt_in_notification|status|\
        reason|code|sub_code|metadata|channel_identity|channel|identity|contact_message|id|\
        text_message|text|message_id|batch_id|error|access_token|expires_in|accept_time|sender_id)";
    let tree = leaf.prop_recursive(4, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..8)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        tree.prop_map(|value| value.to_string().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn no_answer_makes_the_readers_panic_or_forget_a_message(
        status in 100u16..1000,
        body in json_like(),
        count in 0usize..4,
    ) {
        let messages = vec![mt("Hi"); count];
        let response = response(status, body);
        for mode in [SubmitMode::Single, SubmitMode::Batch] {
            let answer = Sinch.read_response(&messages, mode, &response);
            prop_assert_eq!(answer.outcomes.len(), count);
        }
        let _ = token::Tokens.read_response(&response);
    }

    #[test]
    fn no_callback_makes_the_reader_panic_or_is_verified_by_chance(
        body in json_like(),
        secret in "[a-z]{0,12}",
        nonce in "[a-z0-9]{0,12}",
        at in 1_763_037_800u64..1_763_037_900,
    ) {
        let callback = signed(&body, &secret, &nonce, at);
        prop_assert!(Sinch.verify_callback(&connection(&[]), &callback, &[], NOW).is_err());
        for kind in [CallbackKind::Status, CallbackKind::Message] {
            let _ = Sinch.read_callback(Verified::already(&callback, None), kind);
        }
    }

    #[test]
    fn a_text_arrives_in_the_request_as_it_is(text: String) {
        let messages = [mt(&text)];
        let body = |mode| -> Option<Value> {
            let request = Sinch.build_request(&connection(BATCH), &submission(&messages, mode));
            Some(serde_json::from_slice(request.ok()?.body()).expect("JSON"))
        };
        let single = body(SubmitMode::Single).expect("a request");
        prop_assert_eq!(&single["message"]["text_message"]["text"], &text);
        match body(SubmitMode::Batch) {
            Some(batch) => prop_assert_eq!(&batch["recipient_and_params"][0]["parameters"]["t"], &text),
            None => prop_assert!(Sinch.goes_alone(&messages[0])),
        }
    }
}
