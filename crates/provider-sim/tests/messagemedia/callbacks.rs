//! Delivery reports: their order, fields, codes, signatures and repetition.

use provider_sim::{MessageMediaDigest, SignatureVariant};

use super::*;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |&(status, code): &(&str, &str)| (status.to_owned(), code.to_owned());
    pairs.iter().map(owned).collect()
}

#[tokio::test]
async fn reports_come_signed_in_order_with_every_field() {
    let world = World::start(|account, _| account.tells_billing_units = true).await;
    let id = world.send_one(PERSON, "r-1").await;
    world.twin.idle().await;
    let statuses: Vec<String> = world.reports().into_iter().map(|(word, _)| word).collect();
    assert_eq!(statuses, ["enroute", "submitted", "delivered"]);
    let mut ids = Vec::new();
    for call in world.hook.calls() {
        assert_eq!(call.target, "/status/messagemedia/org_1");
        assert_eq!(call.headers["content-type"], "application/json");
        assert_eq!(call.headers["x-messagemedia-digest-type"], "SHA256");
        assert_eq!(call.headers["x-messagemedia-cipher-type"], "RSA");
        let key = call.headers["x-messagemedia-key-id"].to_str().unwrap();
        assert_eq!(key.len(), 36);
        assert!(is_signed(&call));
        let told = body(&call);
        assert_eq!(told["message_id"], json!(id));
        assert_eq!(told["source_number"], PERSON, "addresses are inverted");
        assert_eq!(
            told["original_text"],
            "How was your visit? https://ex.am/q1"
        );
        assert_eq!(told["metadata"], json!({"ref": "r-1"}));
        assert_eq!(told["callback_url"], json!(world.callback_url()));
        assert_eq!(
            (&told["delay"], &told["billing_units"]),
            (&json!(0), &json!(1))
        );
        let vendor = json!({"vendor_id": "MessageMedia", "account_id": "AcmeSurveys"});
        assert_eq!(told["vendor_account_id"], vendor);
        for field in ["date_received", "submitted_date"] {
            let date = told[field].as_str().unwrap();
            assert!(date.len() == 24 && date.ends_with('Z'), "{date}");
        }
        ids.push(told["delivery_report_id"].as_str().unwrap().to_owned());
        let code = told["error_code"].as_str().unwrap();
        assert!(code.len() == 3 && "12".contains(&code[..1]), "{code}");
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|one| one.len() == 36 && *one != id));
    let report = world.twin.audit();
    assert_eq!(report.totals.callbacks.ok, 3);
    assert_eq!(report.entries[0].status.as_deref(), Some("delivered"));
}

#[tokio::test]
async fn without_the_flag_or_a_url_nothing_is_pushed_and_a_query_is_signed() {
    let world = World::start(|_, _| {}).await;
    let mut quiet = world.message(PERSON, "r-1");
    quiet["delivery_report"] = json!(false);
    let mut nowhere = world.message(PERSON, "r-2");
    nowhere.as_object_mut().unwrap().remove("callback_url");
    world.send(&[quiet, nowhere]).await;
    world.twin.idle().await;
    assert!(world.told().is_empty());
    assert_eq!(
        world.twin.audit().totals.statuses.get("delivered"),
        Some(&2)
    );

    let mut queried = world.message(PERSON, "r-3");
    queried["callback_url"] = json!(format!("{}?c=7&x=a%20b", world.callback_url()));
    world.send(&[queried]).await;
    world.twin.idle().await;
    let calls = world.hook.calls();
    assert_eq!(calls[0].target, "/status/messagemedia/org_1?c=7&x=a%20b");
    assert!(calls.iter().all(is_signed));
}

#[tokio::test]
async fn bad_ends_have_the_codes_of_their_kind() {
    let world = World::start(|_, _| {}).await;
    let behaviour = world.twin.behaviour();
    behaviour.change(|b| b.undelivered_rate = 1.0).unwrap();
    world.send_one(PERSON, "r-1").await;
    world.twin.idle().await;
    let (word, code) = world.reports().pop().unwrap();
    assert!(word == "failed" && code.starts_with('4'), "{word} {code}");
    behaviour
        .change(|b| (b.undelivered_rate, b.failed_rate) = (0.0, 1.0))
        .unwrap();
    world.send_one(PERSON, "r-2").await;
    world.twin.idle().await;
    let (word, code) = world.reports().pop().unwrap();
    assert!(word == "failed" && code.starts_with("33"), "{word} {code}");
    let mut late = world.message(PERSON, "r-3");
    late["message_expiry_timestamp"] = json!("2026-03-02T09:15:29.007Z");
    world.send(&[late]).await;
    world.twin.idle().await;
    let words: Vec<_> = world.reports().into_iter().skip(5).collect();
    let expired = words.iter().find(|(word, _)| word == "expired").unwrap();
    assert!(["320", "401"].contains(&expired.1.as_str()));
    assert!(words.iter().all(|(word, _)| word != "delivered"));
}

#[tokio::test]
async fn a_foreign_sender_is_taken_and_rejected_later() {
    let world = World::start(|account, _| account.senders = vec!["+61491570159".into()]).await;
    let id = world.send_one(PERSON, "r-1").await;
    world.twin.idle().await;
    assert_eq!(world.reports()[1..], pairs(&[("rejected", "303")]));
    let (_, found) = world.get(&format!("/v1/messages/{id}")).await;
    assert_eq!(found["status"], "rejected");
}

#[tokio::test]
async fn with_de_duplication_the_same_text_to_the_same_number_is_withheld() {
    let world = World::start(|account, _| account.de_duplication = true).await;
    let twice = [PERSON, "+61491570157", PERSON].map(|to| world.message(to, "r"));
    assert_eq!(world.send(&twice).await.0, 202);
    let mut other = world.message(PERSON, "r");
    other["content"] = json!("Another text");
    world.send(&[other]).await;
    world.twin.idle().await;
    let ends = |wanted: &str| {
        let reports = world.reports().into_iter();
        reports
            .filter(|(word, _)| word == wanted)
            .collect::<Vec<_>>()
    };
    assert_eq!(ends("rejected"), pairs(&[("rejected", "305")]));
    assert_eq!(ends("delivered").len(), 3);
}

#[tokio::test]
async fn beyond_the_usage_threshold_everything_is_rejected() {
    let world = World::start(|account, _| account.usage_max = Some(1)).await;
    world.send_one(PERSON, "r-1").await;
    world.send_one(PERSON, "r-2").await;
    world.twin.idle().await;
    let rejected = pairs(&[("rejected", "301")]);
    assert!(world.reports().contains(&rejected[0]));
    let statuses = world.twin.audit().totals.statuses;
    assert_eq!(statuses.get("delivered"), Some(&1));
    assert_eq!(statuses.get("rejected"), Some(&1));
}

#[tokio::test]
async fn every_answer_but_a_2xx_is_followed_by_another_attempt() {
    let world = World::start(|_, _| {}).await;
    world.hook.answers.lock().unwrap().extend([401, 503, 404]);
    world.send_one(PERSON, "r-1").await;
    world.twin.idle().await;
    let callbacks = world.twin.audit().totals.callbacks;
    assert_eq!((callbacks.ok, callbacks.retries), (3, 3));
    assert!(world.hook.calls().iter().all(is_signed));
}

#[tokio::test]
async fn reports_are_doubled_with_the_same_id_and_out_of_order_on_request() {
    let behaviour = TwinBehaviour {
        duplicate_receipt_rate: 1.0,
        reorder_rate: 1.0,
        ..quick()
    };
    let world = World::behaving(|_, _| {}, behaviour).await;
    world.send_one(PERSON, "r-1").await;
    world.twin.idle().await;
    let of = |wanted: &str| {
        let told = world.told().into_iter().enumerate();
        let mine = told.filter(|(_, body)| body["status"] == wanted);
        mine.map(|(at, body)| (at, body["delivery_report_id"].clone()))
            .collect::<Vec<_>>()
    };
    for word in ["enroute", "submitted", "delivered"] {
        let both = of(word);
        assert_eq!(both.len(), 2, "{word}");
        assert_eq!(both[0].1, both[1].1);
    }
    assert!(of("delivered")[0].0 < of("submitted")[0].0);
}

#[tokio::test]
async fn the_signature_can_be_forged_missing_or_named_with_a_dash() {
    let world = World::start(|_, _| {}).await;
    world.send_one(PERSON, "r-1").await;
    world.twin.idle().await;
    let say = async |variant: SignatureVariant| {
        let behaviour = world.twin.behaviour();
        behaviour.change(|b| b.signature = variant).unwrap();
        world.twin.send_inbound(PERSON, SENDER, "hi").await.unwrap();
        world.hook.calls().pop().unwrap()
    };
    let forged = say(SignatureVariant::Forged).await;
    assert!(forged.headers.contains_key("x-messagemedia-signature"));
    assert!(!is_signed(&forged));
    let missing = say(SignatureVariant::Missing).await;
    assert!(!missing.headers.contains_key("x-messagemedia-signature"));
    let dashed = say(SignatureVariant::variant("dashed_digest")).await;
    assert_eq!(dashed.headers["x-messagemedia-digest-type"], "SHA-256");
    assert!(is_signed(&dashed));
    let unknown = SignatureVariant::variant("line_feeds");
    let behaviour = world.twin.behaviour();
    assert!(behaviour.change(|b| b.signature = unknown).is_err());
}

#[tokio::test]
async fn a_key_is_made_at_the_start_read_by_the_api_and_replaced() {
    let world = World::start(|account, _| account.webhook_private_key = None).await;
    let enabled = "/v1/iam/signature_keys/enabled";
    let (status, first) = world.get(enabled).await;
    assert_eq!(status, 200);
    let public = first["public_key"].as_str().unwrap();
    assert!(public.starts_with("MIIBIjANBgkqh"));
    assert_eq!(
        (&first["digest"], &first["cipher"]),
        (&json!("SHA256"), &json!("RSA"))
    );
    world.send_one(PERSON, "r-1").await;
    world.twin.idle().await;
    assert!(
        world
            .hook
            .calls()
            .iter()
            .all(|call| is_signed_by(public, call))
    );

    let wanted = json!({"digest": "SHA256", "cipher": "RSA"});
    let (status, second) = world.post("/v1/iam/signature_keys", &wanted).await;
    assert_eq!(status, 201);
    assert_eq!(world.get(enabled).await.1, first, "not yet enabled");
    let patch = async |id: &Value| {
        let body = json!({ "key_id": id });
        let method = reqwest::Method::PATCH;
        world.request(method, enabled, Some(&body)).await
    };
    assert_eq!(patch(&json!("nobody's")).await.0, 404);
    assert_eq!(patch(&second["key_id"]).await, (200, second.clone()));
    world.twin.send_inbound(PERSON, SENDER, "hi").await.unwrap();
    let call = world.hook.calls().pop().unwrap();
    assert!(!is_signed_by(public, &call));
    assert!(is_signed_by(second["public_key"].as_str().unwrap(), &call));
    assert_eq!(
        call.headers["x-messagemedia-key-id"],
        second["key_id"].as_str().unwrap()
    );

    let unknown = json!({"digest": "SHA224", "cipher": "RSA"});
    assert_eq!(world.post("/v1/iam/signature_keys", &unknown).await.0, 400);
}

#[tokio::test]
async fn the_other_digest_is_named_in_the_header() {
    let world =
        World::start(|account, _| account.webhook_digest = MessageMediaDigest::Sha512).await;
    world.send_one(PERSON, "r-1").await;
    world.twin.idle().await;
    let calls = world.hook.calls();
    assert_eq!(calls[0].headers["x-messagemedia-digest-type"], "SHA512");
    assert!(!is_signed(&calls[0]), "it is no signature with SHA-256");
}
