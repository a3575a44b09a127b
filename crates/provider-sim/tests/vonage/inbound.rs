//! Inbound messages in the SMS API's format.

use provider_sim::VonageFormat::{Get, Post, PostJson};
use provider_sim::{SignatureVariant, TwinBehaviour, VonageSignature};

use crate::scene::*;
use crate::support::{Hook, quick};

const FROM: &str = "+353861234567";

#[tokio::test]
async fn a_short_text_is_one_signed_webhook_with_all_fields_in_every_format() {
    for format in [Get, Post, PostJson] {
        let hook = Hook::start().await;
        let mut account = account(&hook);
        account.webhook_format = format;
        let twin = twin(account, quick()).await;
        let text = "Où & quand = 5€ ?\n👍";
        assert_eq!(twin.send_inbound(FROM, SENDER, text).await.unwrap(), 200);
        let call = hook.calls().pop().unwrap();
        assert!(call.target.starts_with("/message"));
        assert!(is_signed(VonageSignature::Md5hash, &call));
        let fields = parameters(&call);
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        let wanted =
            "api-key keyword message-timestamp messageId msisdn nonce sig text timestamp to type";
        assert_eq!(names, wanted.split_whitespace().collect::<Vec<_>>());
        assert_eq!(
            (fields["msisdn"].as_str(), fields["to"].as_str()),
            (PERSON, SENDER)
        );
        assert_eq!(
            (fields["text"].as_str(), fields["type"].as_str()),
            (text, "unicode")
        );
        assert_eq!(
            (fields["keyword"].as_str(), fields["messageId"].len()),
            ("OÙ", 16)
        );
    }
}

#[tokio::test]
async fn a_long_text_comes_in_parts_that_have_ids_and_signatures_of_their_own() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let text = format!("{}€{}", "a".repeat(152), "b".repeat(200));
    let plain = ["1", "2", "3"];
    for (reorder, order) in [(0.0, plain), (1.0, ["3", "2", "1"])] {
        hook.calls.lock().unwrap().clear();
        twin.behaviour()
            .change(|b| b.reorder_rate = reorder)
            .unwrap();
        assert_eq!(twin.send_inbound(FROM, SENDER, &text).await.unwrap(), 200);
        assert_eq!(all(&hook, "concat-part"), order);
        let mut parts: Vec<_> = hook.calls().iter().map(parameters).collect();
        assert!(
            hook.calls()
                .iter()
                .all(|call| is_signed(VonageSignature::Md5hash, call))
        );
        assert!(
            parts
                .iter()
                .all(|part| part["concat"] == "true" && part["concat-total"] == "3")
        );
        assert!(
            parts
                .iter()
                .all(|part| part["concat-ref"] == parts[0]["concat-ref"])
        );
        parts.sort_by_key(|part| part["concat-part"].clone());
        let joined: String = parts.iter().map(|part| part["text"].as_str()).collect();
        assert_eq!(joined, text);
        assert!(
            parts[0]["messageId"] != parts[1]["messageId"]
                && parts[1]["messageId"] != parts[2]["messageId"]
        );
        assert!(parts[0]["keyword"].starts_with("AAA") && parts[2]["keyword"].starts_with("BBB"));
    }
    twin.behaviour()
        .change(|b| {
            *b = TwinBehaviour {
                duplicate_receipt_rate: 1.0,
                ..quick()
            }
        })
        .unwrap();
    hook.calls.lock().unwrap().clear();
    twin.send_inbound(FROM, SENDER, &text).await.unwrap();
    assert_eq!(all(&hook, "concat-part"), ["1", "1", "2", "2", "3", "3"]);
}

#[tokio::test]
async fn an_empty_text_is_signed_with_its_blanks_or_without_them() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    twin.send_inbound(FROM, SENDER, "").await.unwrap();
    let call = hook.calls().pop().unwrap();
    assert!(is_signed(VonageSignature::Md5hash, &call));
    let variant = SignatureVariant::variant("blanks_left_out");
    twin.behaviour().change(|b| b.signature = variant).unwrap();
    twin.send_inbound(FROM, SENDER, "").await.unwrap();
    let call = hook.calls().pop().unwrap();
    assert!(!is_signed(VonageSignature::Md5hash, &call));
    let mut fields = parameters(&call);
    assert_eq!(
        (fields["text"].as_str(), fields["keyword"].as_str()),
        ("", "")
    );
    fields.retain(|_, value| !value.is_empty());
    assert_eq!(
        fields["sig"],
        expected_sig(VonageSignature::Md5hash, &fields)
    );
}

#[tokio::test]
async fn nobody_writes_to_a_name_and_a_sender_may_be_one() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    assert!(twin.send_inbound(FROM, "Acme", "hello").await.is_err());
    assert_eq!(
        twin.send_inbound("Operator", SENDER, "hello")
            .await
            .unwrap(),
        200
    );
    assert_eq!(all(&hook, "msisdn"), ["Operator"]);
}

#[tokio::test]
async fn people_of_the_script_write_back_and_without_opt_out_assist_nobody_is_blocked() {
    let hook = Hook::start().await;
    let mut behaviour = quick();
    behaviour.replies.stop.count = Some(1);
    let twin = twin(account(&hook), behaviour).await;
    post(&twin, &message(&[])).await;
    twin.idle().await;
    post(&twin, &message(&[("client-ref", "r-2")])).await;
    twin.idle().await;
    let report = twin.audit();
    assert_eq!(
        (report.stops.len(), report.totals.requests_after_stop),
        (1, 1)
    );
    assert_eq!(report.totals.statuses["delivered"], 2);
    let words = all(&hook, "keyword");
    assert!(
        words.len() == 1 && ["STOP", "UNSUBSCRIBE"].contains(&words[0].as_str()),
        "{words:?}"
    );
}
