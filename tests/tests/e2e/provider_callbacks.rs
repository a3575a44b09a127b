//! Callbacks that come by other ways, with other secrets, more than once, or in parts.

use std::time::Duration;

use provider_sim::customers::PROVIDERS;
use provider_sim::{SignatureVariant, TwinBehaviour};
use serde_json::{Value, json};
use smsfleet_tests::api::http_client;
use smsfleet_tests::organization::Account;
use smsfleet_tests::people;
use smsfleet_tests::scene::{Options, Scene};
use smsfleet_tests::sink::{Caught, Sink};
use smsfleet_tests::wait;

use crate::open;

const PATH: &str = "/distribution-providers/v1/receive/distribution";

/// Waits for so many replies with this text, and looks a while whether more come.
async fn replies_saying(scene: &Scene, text: &str) -> Vec<Value> {
    let what = format!("a reply that says {text:?}");
    let calm = Duration::from_secs(1);
    let seen = wait::until_calm(&what, calm, Duration::from_secs(20), async || {
        let said = scene.replies.bodies();
        let found: Vec<Value> = said.into_iter().filter(|it| it["text"] == text).collect();
        (!found.is_empty()).then_some(found)
    });
    let heard = seen.await;
    heard.unwrap_or_else(|error| panic!("{error:#}: {:#?}", scene.replies.bodies()))
}

#[tokio::test(flavor = "multi_thread")]
async fn on_twilios_path_messagebird_verifies_by_its_own_key_and_twilio_by_its_own() {
    let mut scene = open!(Options::of(&["messagebird"]));
    let people = people::numbers(0..3);
    scene
        .mail("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    let ingress = scene.fleet.url("ingress.listen");
    let ours = scene.first();
    let behaviour = TwinBehaviour::default();
    let twilio = Account::open(
        "twilio-sms",
        &ours.id,
        &ingress,
        behaviour,
        serde_json::Map::new(),
    );
    let twilio = twilio.await.expect("an account");
    let id = ours
        .api
        .add_connection(&twilio.form, 100.0)
        .await
        .expect("a second connection");
    let number = twilio.form.number.clone();

    let by_bird = ours.hears(&people[0], "by the bird").await;
    assert_eq!(by_bird.expect("an answer"), 200);
    let by_twilio = async |text| {
        wait::until(
            "ingress knows Twilio's connection",
            wait::PATIENCE,
            async || {
                let status = twilio.twin.send_inbound(&people[1], &number, text).await;
                (status.ok()? == 200).then_some(())
            },
        )
        .await
    };
    by_twilio("by Twilio").await.expect("it is taken");
    let bird = replies_saying(&scene, "by the bird").await;
    assert_eq!(
        bird[0]["connection_id"],
        ours.connection_id.as_str(),
        "{bird:?}"
    );
    let other = replies_saying(&scene, "by Twilio").await;
    assert_eq!(other[0]["connection_id"], id.as_str(), "{other:?}");

    for twin in [ours.twin(), &twilio.twin] {
        let forge = |twin: &mut TwinBehaviour| twin.signature = SignatureVariant::Forged;
        twin.behaviour().change(forge).expect("valid");
    }
    let forged = ours.hears(&people[0], "forged").await.expect("an answer");
    assert!([401, 403].contains(&forged), "{forged}");
    let forged = twilio
        .twin
        .send_inbound(&people[1], &number, "forged")
        .await;
    assert_eq!(forged.expect("an answer"), 403);
    let genuine = |twin: &mut TwinBehaviour| twin.signature = SignatureVariant::default();
    ours.twin().behaviour().change(genuine).expect("valid");
    scene.settle(wait::PATIENCE).await.expect("it settles");
    let counts = scene.first().counts().await.expect("counts");
    assert_eq!(counts.get("delivered"), Some(&3), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_on_the_url_of_replies_and_replies_on_that_of_receipts_are_read_all_the_same() {
    let url = |kind: &str| format!("{{ingress}}{PATH}/{kind}/link-mobility/ORG_e2e_link-mobility");
    let mut scene = open!(
        Options::of(&["link-mobility", "messagemedia"]).with_account(
            "link-mobility",
            json!({"status_url": url("message"), "message_url": url("status")}),
        )
    );
    let people = people::numbers(0..3);
    scene
        .mail_all("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    for (provider, verdict) in scene.balance_all().await.expect("the books balance") {
        assert_eq!(
            verdict.figure("ledger: delivered"),
            3,
            "{provider}: {verdict}"
        );
    }
    for organization in &scene.organizations {
        // MessageMedia posts what answers a message to the URL of its receipts.
        let text = format!("to {}", organization.provider());
        let status = organization.hears(&people[0], &text).await;
        assert!((200..300).contains(&status.expect("an answer")));
        let heard = replies_saying(&scene, &text).await;
        assert_eq!(heard[0]["from"], people[0].as_str(), "{heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_signed_with_the_old_secret_verify_after_every_connection_was_replaced() {
    let mut options = Options::of(&PROVIDERS);
    options.twin.receipt_delay = Duration::from_secs(4);
    let mut scene = open!(options);
    let people = people::numbers(0..3);
    scene
        .mail_all("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    let taken = |scene: &Scene| {
        let all = scene.organizations.iter();
        all.map(|it| it.twin().audit_summary().totals.accepted)
            .sum::<u64>()
    };
    wait::until("everything is taken", wait::PATIENCE, async || {
        (taken(&scene) == 21).then_some(())
    })
    .await
    .expect("taken");
    let ingress = scene.fleet.url("ingress.listen");
    let mut news = Vec::new();
    for old in &scene.organizations {
        let behaviour = TwinBehaviour::default();
        let new = Account::open(
            old.provider(),
            &old.id,
            &ingress,
            behaviour,
            serde_json::Map::new(),
        );
        let new = new.await.expect("a new account");
        old.api
            .remove_connection(&old.connection_id)
            .await
            .expect("removed");
        old.api
            .add_connection(&new.form, 100.0)
            .await
            .expect("added");
        news.push(new);
    }
    for (provider, verdict) in scene.balance_all().await.expect("the books balance") {
        assert_eq!(
            verdict.figure("ledger: delivered"),
            3,
            "{provider}: {verdict}"
        );
    }
    for (old, new) in scene.organizations.iter().zip(&news) {
        let by_old = old
            .hears(&people[0], "to the old one")
            .await
            .expect("an answer");
        assert!((200..300).contains(&by_old), "{}: {by_old}", old.id);
        let by_new = new
            .twin
            .send_inbound(&people[1], &new.form.number, "to the new one");
        let by_new = by_new.await.expect("an answer");
        assert!((200..300).contains(&by_new), "{}: {by_new}", old.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vonage_message_of_three_parts_is_delivered_when_all_are_and_lost_when_one_is() {
    let mut options = Options::of(&["vonage-sms"]);
    options.twin.undelivered_rate = 0.2;
    let mut scene = open!(options);
    let people = people::numbers(0..20);
    let mut json = scene.first().batch("spring", "spring-1", &people);
    json["text"] = json!("Three parts are one message. ".repeat(13));
    scene.hand_over(0, &json).await.expect("confirmed");
    let verdicts = scene.balance_all().await.expect("the books balance");
    let verdict = &verdicts[0].1;
    let (delivered, lost) = (
        verdict.figure("ledger: delivered"),
        ["failed", "undelivered", "rejected"]
            .map(|state| verdict.figure(&format!("ledger: {state}")))
            .iter()
            .sum::<u64>(),
    );
    assert!(
        delivered > 0 && lost > 0 && delivered + lost == 20,
        "{verdict}"
    );
    let audit = scene.twin().audit();
    let totals = &audit.totals;
    assert_eq!(
        totals.accepted_segments, 60,
        "each has three parts: {totals:?}"
    );
    let whole = totals.statuses.get("delivered").copied();
    assert_eq!(whole, Some(delivered), "{totals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_vonage_reply_that_comes_in_parts_is_heard_as_one() {
    let scene = open!(Options::of(&["vonage-sms"]));
    let text = "A long answer has several parts, and each comes alone. ".repeat(8);
    let text = text.trim();
    let status = scene.first().hears(&people::number(0), text).await;
    assert_eq!(status.expect("an answer"), 200);
    let heard = replies_saying(&scene, text).await;
    assert_eq!(heard.len(), 1, "{heard:#?}");
    assert_eq!(heard[0]["parts"], 3, "{heard:#?}");
    assert_eq!(scene.replies.len(), 1, "{:#?}", scene.replies.bodies());
}

/// Posts a callback to the ingress as if the provider had.
async fn post(scene: &Scene, caught: &Caught, body: String) -> u16 {
    let url = format!("{}{}", scene.fleet.url("ingress.listen"), caught.target);
    let client = http_client().expect("a client");
    let request = client.post(url).headers(caught.headers.clone()).body(body);
    request.send().await.expect("an answer").status().as_u16()
}

async fn one_caught(sink: &Sink, which: impl Fn(&Caught) -> bool) -> Caught {
    wait::until("the callback is caught", wait::PATIENCE, async || {
        sink.caught().into_iter().find(|one| which(one))
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}: {:#?}", sink.caught()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_sinch_callback_is_answered_and_tells_nothing() {
    let sink = Sink::open().await.expect("a sink");
    let url = format!("{}{PATH}/message/sinch/ORG_e2e_sinch", sink.url());
    let scene =
        open!(Options::of(&["sinch"]).with_account("sinch", json!({"inbound_webhook": url})));
    let written = scene.first().hears(&people::number(0), "only once").await;
    assert_eq!(written.expect("the sink answers"), 200);
    let caught = one_caught(&sink, |one| one.body.contains("only once")).await;
    for turn in 1..=3 {
        let status = post(&scene, &caught, caught.body.clone()).await;
        assert!((200..300).contains(&status), "turn {turn}: {status}");
    }
    let heard = replies_saying(&scene, "only once").await;
    assert_eq!(heard.len(), 1, "{heard:#?}");
    // Its signature is no other body's.
    let other = caught.body.replace("only once", "STOP");
    assert_eq!(post(&scene, &caught, other).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_without_our_reference_finds_its_message_by_the_providers_id() {
    let sink = Sink::open().await.expect("a sink");
    let url = format!(
        "{}{PATH}/status/link-mobility/ORG_e2e_link-mobility",
        sink.url()
    );
    let mut scene = open!(
        Options::of(&["link-mobility"]).with_account("link-mobility", json!({"status_url": url}))
    );
    let people = people::numbers(0..1);
    scene
        .mail("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    let caught = one_caught(&sink, |one| one.body.contains("1001")).await;
    let mut body: Value = serde_json::from_str(&caught.body).expect("JSON");
    let reference = body.as_object_mut().expect("an object").remove("refId");
    assert!(reference.is_some(), "{body}");
    let status = post(&scene, &caught, body.to_string()).await;
    assert!((200..300).contains(&status), "{status}");
    wait::until(
        "the message is delivered",
        Duration::from_secs(20),
        async || {
            let counts = scene.first().counts().await?;
            (counts.get("delivered") == Some(&1)).then_some(())
        },
    )
    .await
    .unwrap_or_else(|error| panic!("{error:#}: {body}"));
}
