//! Receipts in the SMS API's format: one for each part, in three wire formats, signed by five methods.

use provider_sim::VonageFormat::{Get, Post, PostJson};
use provider_sim::VonageSignature::{Md5, Md5hash, Sha1, Sha256, Sha512};
use provider_sim::{SignatureVariant, TwinBehaviour};

use crate::scene::*;
use crate::support::{Hook, quick};

#[tokio::test]
async fn receipts_come_in_every_format_signed_by_every_method_and_with_all_fields() {
    for (format, method) in [
        (Get, Md5hash),
        (Post, Md5),
        (PostJson, Sha1),
        (Get, Sha256),
        (Post, Sha512),
        (PostJson, Md5hash),
    ] {
        let hook = Hook::start().await;
        let mut account = account(&hook);
        (account.webhook_format, account.signature_method) = (format, method);
        let twin = twin(account, quick()).await;
        let reference = "a&b=c"; // both characters are replaced before signing, and only there
        let callback = format!("{}/mine", hook.url);
        let change = [("client-ref", reference), ("callback", callback.as_str())];
        let (_, answer) = post(&twin, &message(&change)).await;
        twin.idle().await;
        let calls = hook.calls();
        assert_eq!(calls.len(), 2);
        for call in &calls {
            assert!(call.target.starts_with("/mine"));
            assert_eq!(call.target.contains('?'), format == Get);
            assert_eq!(call.body.is_empty(), format == Get);
            assert!(is_signed(method, call), "{format:?} {method:?}");
            let fields = parameters(call);
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            let wanted = "api-key client-ref err-code message-timestamp messageId msisdn network-code nonce price \
                          scts sig status timestamp to";
            assert_eq!(names, wanted.split_whitespace().collect::<Vec<_>>());
            assert_eq!(
                fields["messageId"],
                answer["messages"][0]["message-id"].as_str().unwrap()
            );
            assert_eq!(
                (fields["msisdn"].as_str(), fields["to"].as_str()),
                (PERSON, SENDER)
            );
            assert_eq!(
                (fields["client-ref"].as_str(), fields["err-code"].as_str()),
                (reference, "0")
            );
            assert_eq!(
                (fields["api-key"].as_str(), fields["scts"].len()),
                (KEY, 10)
            );
            assert_eq!(
                fields["message-timestamp"].len(),
                "2025-11-13 12:45:09".len()
            );
            let lower = fields["sig"].chars().all(|c| !c.is_ascii_uppercase());
            assert_eq!(lower, method == Md5hash);
        }
        let statuses = all(&hook, "status");
        assert!(["accepted", "buffered"].contains(&statuses[0].as_str()));
        assert_eq!(statuses[1], "delivered");
    }
}

#[tokio::test]
async fn each_part_has_receipts_of_its_own_under_its_own_id() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let long = "a".repeat(320);
    let (_, answer) = post(&twin, &message(&[("text", &long)])).await;
    twin.idle().await;
    let calls = hook.calls();
    assert_eq!(calls.len(), 6);
    for entry in answer["messages"].as_array().unwrap() {
        let of_part = calls
            .iter()
            .map(parameters)
            .filter(|p| entry["message-id"] == p["messageId"].as_str());
        let statuses: Vec<String> = of_part.map(|p| p["status"].clone()).collect();
        assert_eq!((statuses.len(), statuses[1].as_str()), (2, "delivered"));
    }
    assert_eq!(twin.audit().entries[0].status.as_deref(), Some("delivered"));

    twin.behaviour()
        .change(|b| b.undelivered_rate = 0.5)
        .unwrap();
    for n in 0..6 {
        let reference = format!("p-{n}");
        post(
            &twin,
            &message(&[("text", &long), ("client-ref", &reference)]),
        )
        .await;
    }
    twin.idle().await;
    let entries = twin.audit().entries;
    let ends: Vec<_> = entries.iter().filter_map(|e| e.status.as_deref()).collect();
    assert!(
        ends.contains(&"failed"),
        "{ends:?}: one lost part is enough"
    );
}

#[tokio::test]
async fn bad_ends_have_their_words_and_codes() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let send = async |edit: fn(&mut TwinBehaviour), prefix: &str| {
        twin.behaviour().change(edit).unwrap();
        for n in 0..20 {
            let reference = format!("{prefix}-{n}");
            post(&twin, &message(&[("client-ref", &reference)])).await;
        }
        twin.idle().await;
        let calls = hook.calls.lock().unwrap().split_off(0);
        let ends = calls
            .iter()
            .map(parameters)
            .filter(|p| p["err-code"] != "0");
        ends.map(|p| {
            (
                p["status"].clone(),
                p["err-code"].clone(),
                p["price"].clone(),
            )
        })
        .collect::<Vec<_>>()
    };
    let lost = send(|b| b.undelivered_rate = 1.0, "u").await;
    assert_eq!(lost.len(), 20);
    for (status, code, _) in &lost {
        assert_eq!(status, if code == "1" { "unknown" } else { "failed" });
    }
    let refused = send(|b| (b.undelivered_rate, b.failed_rate) = (0.0, 1.0), "f").await;
    assert_eq!(refused.len(), 20);
    assert!(refused.iter().all(|(status, code, price)| {
        status == "rejected" && code != "9" && price == "0.00000000"
    }));
}

#[tokio::test]
async fn receipts_go_to_the_accounts_url_only_if_asked_for_and_unsigned_without_a_secret() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.signature_secret = None;
    let twin = twin(account, quick()).await;
    for asked in ["", "0", "false"] {
        post(&twin, &message(&[("status-report-req", asked)])).await;
    }
    twin.idle().await;
    assert!(hook.calls().is_empty());
    post(&twin, &message(&[("status-report-req", "True")])).await;
    twin.idle().await;
    let calls = hook.calls();
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert_eq!(call.target, "/status");
        let fields = parameters(call);
        assert!(
            ["sig", "nonce", "timestamp"]
                .iter()
                .all(|name| !fields.contains_key(*name))
        );
    }
}

#[tokio::test]
async fn receipts_are_doubled_reordered_lost_forged_and_unsigned_on_request() {
    let hook = Hook::start().await;
    let behaviour = TwinBehaviour {
        duplicate_receipt_rate: 1.0,
        reorder_rate: 1.0,
        ..quick()
    };
    let twin = twin(account(&hook), behaviour).await;
    post(&twin, &message(&[])).await;
    twin.idle().await;
    let statuses = all(&hook, "status");
    assert_eq!(
        (statuses[0].as_str(), statuses[1].as_str(), statuses.len()),
        ("delivered", "delivered", 4)
    );

    for (variant, signed) in [
        (SignatureVariant::Forged, true),
        (SignatureVariant::Missing, false),
    ] {
        hook.calls.lock().unwrap().clear();
        let edit = |b: &mut TwinBehaviour| {
            *b = TwinBehaviour {
                signature: variant,
                ..quick()
            }
        };
        twin.behaviour().change(edit).unwrap();
        post(&twin, &message(&[])).await;
        twin.idle().await;
        for call in hook.calls() {
            assert_eq!(parameters(&call).contains_key("sig"), signed);
            assert!(!signed || !is_signed(Md5hash, &call));
        }
        assert_eq!(hook.calls().len(), 2);
    }
    twin.behaviour()
        .change(|b| b.lose_receipt_rate = 1.0)
        .unwrap();
    post(&twin, &message(&[])).await;
    twin.idle().await;
    assert_eq!(hook.calls().len(), 2);
    assert_eq!(twin.audit().totals.callbacks.lost, 2);
    assert_eq!(twin.audit().totals.statuses["delivered"], 4);
}

#[tokio::test]
async fn a_429_or_5xx_is_repeated_unchanged_with_growing_pauses_and_a_4xx_is_not() {
    let hook = Hook::start().await;
    let behaviour = TwinBehaviour {
        callback_retry_pause: std::time::Duration::from_millis(10),
        ..quick()
    };
    let twin = twin(account(&hook), behaviour).await;
    hook.answers.lock().unwrap().extend([503, 429, 204, 401]);
    post(&twin, &message(&[])).await;
    twin.idle().await;
    let sigs = all(&hook, "sig");
    assert_eq!(sigs.len(), 4);
    assert!(sigs[0] == sigs[1] && sigs[1] == sigs[2] && sigs[2] != sigs[3]);
    let callbacks = twin.audit().totals.callbacks;
    assert_eq!(
        (callbacks.retries, callbacks.ok, callbacks.failed["401"]),
        (2, 1, 1)
    );
}

#[tokio::test]
async fn with_opt_out_assist_a_stop_is_told_only_by_the_receipt_of_the_next_message() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.opt_out_assist = true;
    let twin = twin(account, quick()).await;
    let from = format!("+{PERSON}");
    post(&twin, &message(&[])).await;
    twin.idle().await;
    assert_eq!(twin.send_inbound(&from, SENDER, "Quit").await.unwrap(), 200);
    let told = parameters(&hook.calls().pop().unwrap());
    assert_eq!(
        (told["keyword"].as_str(), told["text"].as_str()),
        ("QUIT", "Quit")
    );
    hook.calls.lock().unwrap().clear();

    let (status, answer) = post(&twin, &message(&[("client-ref", "o-1")])).await;
    assert_eq!(
        (status, answer["messages"][0]["status"].as_str()),
        (200, Some("0"))
    );
    let other = [
        ("from", "35312345679"),
        ("client-ref", "o-2"),
        ("status-report-req", "0"),
    ];
    post(&twin, &message(&other)).await;
    twin.idle().await;
    assert_eq!(all(&hook, "status"), ["rejected"]);
    assert_eq!(all(&hook, "err-code"), ["9"]);
    let entries = twin.audit().entries;
    let end = |n: usize| {
        (
            entries[n].status.as_deref(),
            entries[n].error_code.as_deref(),
        )
    };
    assert_eq!(end(1), (Some("rejected"), Some("9")));
    assert_eq!(
        end(2),
        (Some("delivered"), None),
        "another number is not blocked"
    );

    twin.send_inbound(&from, SENDER, "join").await.unwrap();
    post(&twin, &message(&[("client-ref", "o-3")])).await;
    twin.idle().await;
    assert_eq!(all(&hook, "status").pop().as_deref(), Some("delivered"));
    let totals = twin.audit().totals;
    assert_eq!(
        (
            totals.requests_after_stop,
            totals.inbound.answered_by_provider
        ),
        (2, 0)
    );
}
