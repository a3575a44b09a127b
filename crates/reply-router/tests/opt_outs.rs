//! What a STOP, a START and a HELP do, once and again.

mod support;

use std::time::Duration;

use bus::{Bus, EmbeddedBus, EmbeddedSettings, Outgoing, Route, queue};
use ledger::Ledger;
use message::{
    Method,
    event::Keyword,
    opt_out::{OptOutKind, OptOutSource},
};
use support::*;

#[tokio::test]
async fn a_stop_holds_and_is_told_and_confirmed_once() {
    let mut world = World::new().await;
    world.text("ORG_1", "d-1", SHORT, ANA).await;
    let running = world.start();
    world.publish(vec![inbound("SM1", SHORT, " Stop. ")]).await;
    let reply = world.reply().await;
    assert_eq!(reply.keyword, Keyword::OptOut);
    assert!(world.is_out("ORG_1", ANA).await);
    let told = world.opt_out().await;
    assert_eq!(
        (told.change.kind, told.change.source),
        (OptOutKind::OptOut, OptOutSource::Keyword)
    );
    assert_eq!(told.event_id, "opt_out:twilio-sms:SM1");
    let [answer] = &world.answers().await[..] else {
        panic!("one confirmation")
    };
    assert!(answer.exempt_from_opt_out);
    assert_eq!(
        answer.connection_id.as_str(),
        "C_short",
        "the sender that was written to"
    );
    assert_eq!(answer.batch.recipients[0].to, ANA);
    assert_eq!(answer.batch.method, Method::Interactive);
    let expiry = answer.batch.expires_at.expect("it expires");
    assert_eq!(expiry, reply.received_at.plus(Duration::from_secs(300)));

    world.publish(vec![inbound("SM2", SHORT, "STOP")]).await;
    assert_eq!(world.reply().await.keyword, Keyword::OptOut);
    assert!(world.is_quiet().await, "a second STOP is no news");
    assert!(
        world.answers().await.is_empty(),
        "and gets no second confirmation"
    );
    running.stop().await;
}

#[tokio::test]
async fn the_provider_that_answers_itself_is_not_answered_over() {
    let mut world = World::new().await;
    world.text("ORG_1", "d-1", LONG, ANA).await;
    let running = world.start();
    world.publish(vec![inbound("SM1", LONG, "STOP")]).await;
    world.reply().await;
    world.opt_out().await;
    // At the same millisecond the opt-out would hold.
    tokio::time::sleep(Duration::from_millis(5)).await;
    // With Twilio's own verdict not even a short code is ours to answer.
    let judged = inbound_with("SM2", ANA, SHORT, "Baja", &[("OptOutType", "START")]);
    world.text("ORG_1", "d-2", SHORT, ANA).await;
    world.publish(vec![judged]).await;
    assert_eq!(world.reply().await.keyword, Keyword::OptIn);
    let told = world.opt_out().await;
    assert_eq!(
        (told.change.kind, told.change.source),
        (OptOutKind::OptIn, OptOutSource::Provider)
    );
    assert!(world.answers().await.is_empty());
    assert!(
        running.metric(
            "smsfleet_reply_answers_total{answer=\"confirm\",outcome=\"provider_answers\"} 1"
        )
    );
    running.stop().await;
}

#[tokio::test]
async fn a_start_lifts_the_stop_and_is_welcomed() {
    let mut world = World::new().await;
    world.text("ORG_1", "d-1", SHORT, ANA).await;
    let running = world.start();
    world.publish(vec![inbound("SM1", SHORT, "STOP")]).await;
    world.reply().await;
    world.opt_out().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.publish(vec![inbound("SM2", SHORT, "START")]).await;
    assert_eq!(world.reply().await.keyword, Keyword::OptIn);
    assert_eq!(world.opt_out().await.change.kind, OptOutKind::OptIn);
    assert!(!world.is_out("ORG_1", ANA).await);
    let names: Vec<_> = world
        .answers()
        .await
        .into_iter()
        .map(|one| one.batch.batch_id.to_string())
        .collect();
    assert!(
        names[0].starts_with("confirm-") && names[1].starts_with("welcome-"),
        "{names:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_stop_that_is_older_than_the_start_changes_nothing() {
    let mut world = World::new().await;
    world.text("ORG_1", "d-1", SHORT, ANA).await;
    let running = world.start();
    let early = inbound("SM1", SHORT, "STOP");
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.publish(vec![inbound("SM2", SHORT, "START")]).await;
    world.reply().await;
    world.publish(vec![early]).await;
    assert_eq!(world.reply().await.keyword, Keyword::OptOut);
    assert!(!world.is_out("ORG_1", ANA).await);
    assert!(world.is_quiet().await);
    assert!(world.answers().await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn help_is_answered_and_changes_nothing_even_for_who_opted_out() {
    let mut world = World::new().await;
    world.text("ORG_1", "d-1", SHORT, ANA).await;
    let mut settings = world
        .ledger
        .organization(&organization("ORG_1"))
        .await
        .expect("embedded");
    settings.brand = Some("{{Acme}}".into());
    world
        .ledger
        .set_organization(&organization("ORG_1"), &settings)
        .await
        .expect("embedded");
    let running = world.start();
    world.publish(vec![inbound("SM1", SHORT, "STOP")]).await;
    world.reply().await;
    world.opt_out().await;
    let before = world.standing("ORG_1", ANA).await;
    world.publish(vec![inbound("SM2", SHORT, "HELP")]).await;
    assert_eq!(world.reply().await.keyword, Keyword::Help);
    assert_eq!(world.standing("ORG_1", ANA).await, before);
    let answers = world.answers().await;
    let help = &answers[1];
    assert!(
        help.exempt_from_opt_out && help.batch.text.contains("Acme"),
        "{}",
        help.batch.text
    );
    assert!(!help.batch.text.contains('{'));
    assert!(world.is_quiet().await);
    running.stop().await;
}

#[tokio::test]
async fn an_inbound_message_that_comes_again_changes_nothing() {
    let mut world = World::new().await;
    world.text("ORG_1", "d-1", SHORT, ANA).await;
    let running = world.start();
    let stop = inbound("SM1", SHORT, "STOP");
    // Twice in one group, as over two URLs, and once more behind it.
    world.publish(vec![stop.clone(), stop.clone()]).await;
    world.reply().await;
    world.opt_out().await;
    running
        .until("smsfleet_reply_inbound_total{outcome=\"duplicate\",provider=\"twilio-sms\"} 1")
        .await;
    world.answers().await;
    // The mark is set behind the last confirm; a repetition may come before it.
    while !world
        .ledger
        .was_seen(&organization("ORG_1"), "twilio-sms:SM1")
        .await
        .expect("embedded")
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.publish(vec![inbound("SM2", SHORT, "START")]).await;
    world.reply().await;
    world.opt_out().await;
    world.answers().await;
    world.publish(vec![stop]).await;
    running
        .until("smsfleet_reply_inbound_total{outcome=\"duplicate\",provider=\"twilio-sms\"} 2")
        .await;
    assert!(
        !world.is_out("ORG_1", ANA).await,
        "the replayed STOP does not undo the START"
    );
    assert!(world.is_quiet().await);
    assert!(world.answers().await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_stop_that_could_not_be_told_holds_and_is_told_and_confirmed_after_a_restart() {
    let settings = EmbeddedSettings {
        queue_messages_max: 2,
        ..EmbeddedSettings::default()
    };
    let mut world = World::on(EmbeddedBus::with_settings(settings)).await;
    world.text("ORG_1", "d-1", SHORT, ANA).await;
    let full = || Outgoing::new(Route::Queue(queue::INTERNAL_BATCHES.into()), "full", "{}");
    world
        .bus
        .publish(vec![full(), full()])
        .await
        .expect("room for two");
    world.publish(vec![inbound("SM1", SHORT, "STOP")]).await;
    let first = world.start();
    first
        .until("smsfleet_reply_waits_total{on=\"bus\"} 1")
        .await;
    assert!(
        world.is_out("ORG_1", ANA).await,
        "the opt-out does not wait for the broker"
    );
    first.stop().await;

    world
        .bus
        .purge(queue::INTERNAL_BATCHES)
        .await
        .expect("fixed");
    let second = world.start();
    world.reply().await;
    assert_eq!(world.opt_out().await.event_id, "opt_out:twilio-sms:SM1");
    second
        .until("smsfleet_reply_answers_total{answer=\"confirm\",outcome=\"sent\"} 1")
        .await;
    let mut answers = world.answers().await;
    while answers.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        answers = world.answers().await;
    }
    assert_eq!(answers.len(), 1);
    second.stop().await;
    assert_eq!(
        world
            .bus
            .depth(queue::MESSAGE_CALLBACKS)
            .await
            .expect("fixed"),
        0
    );
}

#[tokio::test]
async fn an_opt_out_over_the_default_connection_is_towards_whose_message_it_was() {
    let mut world = World::new().await;
    world.text("ORG_guest", "d-9", SHORT, ANA).await;
    let running = world.start();
    world.publish(vec![inbound("SM1", SHORT, "STOP")]).await;
    assert_eq!(
        world.reply().await.organization_id,
        organization("ORG_guest")
    );
    assert_eq!(
        world.opt_out().await.change.organization_id,
        organization("ORG_guest")
    );
    assert!(world.is_out("ORG_guest", ANA).await);
    assert!(!world.is_out("ORG_1", ANA).await);
    let [answer] = &world.answers().await[..] else {
        panic!("one confirmation")
    };
    assert_eq!(answer.batch.organization_id, organization("ORG_guest"));
    running.stop().await;
}
