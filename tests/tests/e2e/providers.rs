//! All seven providers side by side, an organisation each: what holds for one holds for every one.

use std::time::Duration;

use provider_sim::customers::PROVIDERS;
use provider_sim::{Replies, ReplyScript, SignatureVariant};
use serde_json::Value;
use smsfleet_tests::people;
use smsfleet_tests::scene::{Options, Scene};
use smsfleet_tests::wait;

use crate::open;

fn replies_of<'a>(replies: &'a [Value], organization: &str) -> Vec<&'a Value> {
    let ours = |reply: &&Value| reply["organization_id"] == organization;
    replies.iter().filter(ours).collect()
}

fn exactly(count: u64) -> Replies {
    Replies {
        fraction: 0.0,
        count: Some(count),
        words: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_providers_message_is_delivered_answered_and_its_stop_obeyed() {
    let mut scene = open!(Options::of(&PROVIDERS));
    let people = people::numbers(0..5);
    scene
        .mail_all("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    for (provider, verdict) in scene.balance_all().await.expect("the books balance") {
        assert_eq!(
            verdict.figure("ledger: delivered"),
            5,
            "{provider}: {verdict}"
        );
    }
    for organization in &scene.organizations {
        for (person, text) in [(0, "STOP"), (1, "It was fine, thanks")] {
            let written = organization.hears(&people[person], text).await;
            let status = written.unwrap_or_else(|error| panic!("{}: {error:#}", organization.id));
            assert!(
                (200..300).contains(&status),
                "{}: {status}",
                organization.id
            );
        }
    }
    let what = "everybody's opt-out and answer are heard";
    let heard = wait::until(what, wait::PATIENCE, async || {
        let replies = scene.replies.bodies();
        let all = scene.organizations.iter().all(|it| {
            let ours = replies_of(&replies, &it.id);
            let said = |keyword: &str| ours.iter().any(|reply| reply["keyword"] == keyword);
            said("opt_out") && said("none")
        });
        all.then_some(replies)
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}: {:#?}", scene.replies.bodies()));
    for organization in &scene.organizations {
        let ours = replies_of(&heard, &organization.id);
        for (keyword, from) in [("opt_out", &people[0]), ("none", &people[1])] {
            let reply = ours.iter().find(|reply| reply["keyword"] == keyword);
            let reply = reply.expect("it was heard");
            assert_eq!(reply["from"], from.as_str(), "{}: {reply}", organization.id);
            let answers = &reply["in_reply_to"]["distribution_id"];
            assert_eq!(answers, "spring", "{}: {reply}", organization.id);
        }
    }
    scene
        .mail_all("autumn", "autumn-1", &people)
        .await
        .expect("confirmed");
    for (provider, verdict) in scene.balance_all().await.expect("the books balance") {
        let suppressed = verdict.figure("suppressed in the ledger");
        assert_eq!(suppressed, 1, "{provider}: {verdict}");
        assert_eq!(
            verdict.figure("ledger: delivered"),
            9,
            "{provider}: {verdict}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_of_a_small_mailing_with_faults_balance_for_every_provider() {
    let mut options = Options::of(&PROVIDERS).with("send_worker.throttled_rest", "\"200ms\"");
    let twin = &mut options.twin;
    twin.seed = 7;
    twin.undelivered_rate = 0.1;
    twin.failed_rate = 0.05;
    twin.duplicate_receipt_rate = 0.1;
    twin.reorder_rate = 0.1;
    twin.fault_rates.http_500 = 0.05;
    twin.fault_rates.http_500_but_taken = 0.05;
    twin.fault_rates.reset = 0.05;
    twin.fault_rates.throttle_429 = 0.05;
    twin.replies = ReplyScript {
        stop: exactly(2),
        text: exactly(3),
        ..ReplyScript::default()
    };
    let mut scene = open!(options);
    // Several batches, so that providers with a thousand messages in a request are asked more than once.
    for number in 0..6_u32 {
        let people = people::numbers(number * 10..(number + 1) * 10);
        let id = format!("spring-{number}");
        scene
            .mail_all("spring", &id, &people)
            .await
            .expect("confirmed");
    }
    for (provider, verdict) in scene.balance_all().await.expect("the books balance") {
        println!("{provider}\n{verdict}");
        assert_eq!(verdict.figure("attempted: rows of those"), 60, "{provider}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_unsigned_callbacks_of_every_provider_are_refused_and_change_nothing() {
    let mut options = Options::of(&PROVIDERS);
    // Some providers repeat what was refused, with growing pauses.
    options.twin.callback_retry_pause = Duration::from_millis(5);
    let mut scene = open!(options);
    sign(&scene, SignatureVariant::Forged);
    let people = people::numbers(0..3);
    scene
        .mail_all("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    for organization in &scene.organizations {
        let provider = organization.provider();
        let status = refusal(provider);
        let forged = organization.hears(&people[0], "STOP").await;
        assert_eq!(forged.expect("an answer"), status, "{provider}, forged");
    }
    let what = "every forged receipt was refused";
    wait::until(what, wait::PATIENCE, async || {
        let refused = |totals: &provider_sim::Totals| {
            let failed = &totals.callbacks.failed;
            failed.values().sum::<u64>() >= 3 && totals.callbacks.ok == 0
        };
        let all = scene.organizations.iter().all(|organization| {
            let waiting = organization.twin().waiting();
            let totals = organization.twin().audit_summary().totals;
            refused(&totals) && waiting.due + waiting.in_flight == 0
        });
        all.then_some(())
    })
    .await
    .unwrap_or_else(|error| {
        let totals = scene.organizations.iter().map(|organization| {
            let callbacks = organization.twin().audit_summary().totals.callbacks;
            format!("{}: {callbacks:?}", organization.id)
        });
        panic!("{error:#}: {:#?}", totals.collect::<Vec<_>>())
    });
    sign(&scene, SignatureVariant::Missing);
    for organization in &scene.organizations {
        let provider = organization.provider();
        let status = refusal(provider);
        let unsigned = organization.hears(&people[0], "STOP").await;
        assert_eq!(unsigned.expect("an answer"), status, "{provider}, unsigned");
        let counts = organization.counts().await.expect("counts");
        assert_eq!(counts.get("accepted"), Some(&3), "{provider}: {counts:?}");
    }
    assert!(scene.replies.is_empty(), "{:?}", scene.replies.bodies());
    // The forged STOP stopped nobody.
    sign(&scene, SignatureVariant::default());
    for organization in &scene.organizations {
        // Some providers keep opt-outs themselves, and theirs was genuine.
        organization.twin().reset();
    }
    scene
        .mail_all("autumn", "autumn-1", &people)
        .await
        .expect("confirmed");
    for organization in &scene.organizations {
        let what = format!("{}: the next mailing is delivered to all", organization.id);
        wait::until(&what, wait::PATIENCE, async || {
            let counts = organization.api.counts("autumn").await.ok()?;
            (counts.get("delivered") == Some(&3)).then_some(())
        })
        .await
        .expect("nobody is suppressed");
    }
}

/// What a callback that is not proven is answered. MessageBird calls under Twilio's path, and hears Twilio's status.
fn refusal(provider: &str) -> u16 {
    match provider {
        "twilio-sms" | "messagebird" => 403,
        _ => 401,
    }
}

fn sign(scene: &Scene, signature: SignatureVariant) {
    for organization in &scene.organizations {
        let behaviour = organization.twin().behaviour();
        let changed = behaviour.change(|twin| twin.signature = signature.clone());
        changed.expect("every twin can do that");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_full_number_of_any_provider_is_in_a_log_however_much_is_logged() {
    let mut scene = open!(Options::of(&PROVIDERS).with("log.filter", "\"trace\""));
    let people = people::numbers(0..5);
    scene
        .mail_all("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    for organization in &scene.organizations {
        let written = organization
            .hears(&people[0], "Ça va ? STOP is no stop here")
            .await;
        assert!(written.is_ok(), "{}: {written:?}", organization.id);
    }
    sign(&scene, SignatureVariant::Forged);
    for organization in &scene.organizations {
        let written = organization.hears(&people[1], "STOP").await;
        assert!(written.is_ok(), "{}: {written:?}", organization.id);
    }
    scene.settle(wait::PATIENCE).await.expect("all is over");
    let leaks = scene.leaks().await.expect("metrics");
    assert!(leaks.is_empty(), "{leaks:#?}");
}
