//! Receipts as they come: in any order, several times, or not ours at all.

mod support;

use std::collections::BTreeSet;

use bus::{Bus, EmbeddedBus, EmbeddedSettings, Outgoing, Route, queue};
use ledger::Ledger;
use message::{MessageState, callback::CallbackGroup, event::Event, opt_out::OptOutKind};
use support::*;

#[tokio::test(start_paused = true)]
async fn receipts_in_any_order_and_any_number_end_in_the_same_state() {
    let all = ["sent", "undelivered", "delivered"];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut world = World::new(1).await;
        let running = world.start();
        for status in order.into_iter().chain(order).map(|at| all[at]) {
            let code = if status == "undelivered" { "30003" } else { "" };
            world.publish(vec![world.receipt(0, status, code)]).await;
        }
        let (mut told, mut ids) = (Vec::new(), BTreeSet::new());
        // Six reports; each is told or outranked, and the last word is `delivered`.
        while !world.bus_is_idle().await {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        while !world.is_empty_of_events().await {
            let (events, _) = world.status_events(1).await;
            ids.extend(events.iter().map(|event| event.event_id.clone()));
            told.extend(events);
        }
        let row = world.row(0).await;
        assert_eq!(row.state, MessageState::Delivered, "{order:?}");
        let last = told
            .iter()
            .max_by_key(|event| event.seq)
            .expect("something was told");
        assert!(last.event_id.ends_with(":delivered"), "{order:?}");
        assert!(ids.len() <= 3, "{ids:?}");
        running.stop().await;
    }
}

#[tokio::test]
async fn many_receipts_are_told_in_few_messages() {
    let mut world = World::new(ROWS).await;
    for row in 0..ROWS {
        world
            .publish(vec![world.receipt(row, "delivered", "")])
            .await;
    }
    let running = world.start();
    let (events, messages) = world.status_events(ROWS as usize).await;
    let rows: BTreeSet<_> = events.iter().map(|event| event.row).collect();
    assert_eq!((events.len(), rows.len()), (ROWS as usize, ROWS as usize));
    assert!(messages <= 8, "{messages} messages for {ROWS} events");
    let event = &events[0];
    assert!(event.to.to_string().starts_with("+353*"), "{}", event.to);
    assert_eq!(
        event.connection_id.as_ref().map(|id| id.as_str()),
        Some("C_1")
    );
    running.stop().await;
    let counts = world.ledger.counts(world.batch).await.expect("embedded");
    assert_eq!(counts.of(MessageState::Delivered), u64::from(ROWS));
    assert_eq!(
        world
            .bus
            .depth(queue::STATUS_CALLBACKS)
            .await
            .expect("fixed"),
        0,
        "all acked"
    );
}

#[tokio::test]
async fn what_was_merged_but_not_told_is_told_after_a_restart_with_the_same_ids() {
    let settings = EmbeddedSettings {
        queue_messages_max: 3,
        ..EmbeddedSettings::default()
    };
    let mut world = World::on(EmbeddedBus::with_settings(settings), 2).await;
    let dead = || Outgoing::new(Route::Dead, "full", "{}");
    world
        .bus
        .publish(vec![dead(), dead(), dead()])
        .await
        .expect("room for three");
    // A receipt beside something that has to go to the dead letters, where there is no room: the
    // round is merged and can not be finished.
    let malformed = callback("", "nothing=here");
    world
        .publish(vec![world.receipt(0, "delivered", ""), malformed])
        .await;
    let first = world.start();
    first
        .until("smsfleet_receipt_waits_total{on=\"bus\"} 1")
        .await;
    assert_eq!(world.row(0).await.state, MessageState::Delivered);
    first.stop().await;
    assert_eq!(
        world
            .bus
            .depth(queue::STATUS_CALLBACKS)
            .await
            .expect("fixed"),
        1,
        "it came back"
    );

    for full in world.taken_from(queue::DEAD, 3).await {
        full.ack().await;
    }
    while !world.is_empty_of_events().await {
        world.event().await;
    }
    let second = world.start();
    let (events, _) = world.status_events(1).await;
    let reference = message::Reference {
        batch: world.batch,
        row: 0,
    };
    assert_eq!(events[0].event_id, format!("{reference}:delivered"));
    let letters = world.taken_from(queue::DEAD, 1).await;
    assert_eq!(letters[0].header("reason"), Some("malformed_callback"));
    second.stop().await;
    assert_eq!(
        world
            .bus
            .depth(queue::STATUS_CALLBACKS)
            .await
            .expect("fixed"),
        0
    );
}

#[tokio::test]
async fn a_receipt_for_a_message_that_was_never_sent_is_an_alarm_and_changes_nothing() {
    let mut world = World::new(1).await;
    let running = world.start();
    world
        .publish(vec![
            world.receipt(5, "delivered", ""),
            world.receipt(0, "sent", ""),
        ])
        .await;
    let (events, _) = world.status_events(1).await;
    assert_eq!(events[0].row, 0, "its neighbour is told");
    running.until("smsfleet_receipt_never_sent_total 1").await;
    assert_eq!(world.row(5).await.state, MessageState::Queued);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_receipt_for_an_unknown_message_waits_and_is_kept_in_the_end() {
    let world = World::new(1).await;
    let patience = std::time::Duration::from_secs(120);
    let running = world.start_with(|settings| settings.unknown_for = patience);
    world
        .publish(vec![callback("?m=zzz-1", &status_form(1, "delivered", ""))])
        .await;
    let started = tokio::time::Instant::now();
    let letters = world.taken_from(queue::DEAD, 1).await;
    assert!(
        started.elapsed() >= std::time::Duration::from_secs(390),
        "30 s, a minute and five"
    );
    assert_eq!(letters[0].header("reason"), Some("unknown_message"));
    assert_eq!(letters[0].header("queue"), Some(queue::STATUS_CALLBACKS));
    let group: CallbackGroup = serde_json::from_slice(&letters[0].body).expect("a group again");
    assert_eq!(group.callbacks.len(), 1);
    assert!(running.metric("smsfleet_receipt_parked_total 3"));
    running.stop().await;
}

#[tokio::test]
async fn another_organisation_can_not_report_on_our_messages() {
    let mut world = World::new(1).await;
    let running = world.start();
    let mut foreign = world.receipt(0, "failed", "30007");
    foreign.organization_id = organization("ORG_2");
    world.publish(vec![foreign]).await;
    let letters = world.taken_from(queue::DEAD, 1).await;
    assert_eq!(letters[0].header("reason"), Some("foreign_organization"));
    assert_eq!(world.row(0).await.state, MessageState::Accepted);
    assert!(world.is_quiet().await);
    running.stop().await;
}

#[tokio::test]
async fn poison_is_dead_with_its_reason_and_its_neighbours_are_done() {
    let mut world = World::new(1).await;
    world.publish_raw("{").await;
    world.publish_raw(&b"\xff\xfe"[..]).await;
    world
        .publish_raw(r#"{"v":99,"callbacks":{"another":"shape"}}"#)
        .await;
    let mut unknown = world.receipt(0, "sent", "");
    unknown.provider = "acme".into();
    world
        .publish(vec![unknown, callback("?m=", "nothing=here")])
        .await;
    world.publish(vec![world.receipt(0, "delivered", "")]).await;
    let running = world.start();
    world.status_events(1).await;
    let letters = world.taken_from(queue::DEAD, 5).await;
    let mut reasons: Vec<_> = letters
        .iter()
        .filter_map(|one| one.header("reason"))
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            "malformed_callback",
            "unknown_provider",
            "unknown_version",
            "unreadable_group",
            "unreadable_group"
        ]
    );
    assert!(
        letters
            .iter()
            .all(|one| one.header("stage") == Some("receipt-ingest"))
    );
    running.stop().await;
}

#[tokio::test]
async fn a_status_that_nobody_knows_is_counted_and_kept_and_guessed_at_never() {
    let world = World::new(1).await;
    let running = world.start();
    world
        .publish(vec![world.receipt(0, "teleported", "")])
        .await;
    let letters = world.taken_from(queue::DEAD, 1).await;
    assert_eq!(letters[0].header("reason"), Some("unrecognised_status"));
    assert_eq!(world.row(0).await.state, MessageState::Accepted);
    assert!(running.metric("smsfleet_receipt_unrecognised_total{provider=\"twilio-sms\"} 1"));
    running.stop().await;
}

#[tokio::test]
async fn an_opt_out_that_the_provider_reports_holds_from_then_on_and_is_told_once() {
    let mut world = World::new(1).await;
    let running = world.start();
    // MessageBird's refusals are about the originator; Twilio's 21610 is about the organisation.
    let mut refused = callback("", "");
    refused.provider = "messagebird".to_owned();
    let (reference, recipient) = (world.reference(0), number(0).digits());
    refused.body = format!(
        "id=8d2f4b6a&reference={reference}&recipient={recipient}&status=delivery_failed&statusErrorCode=103"
    )
    .into();
    world.publish(vec![refused.clone()]).await;
    world.publish(vec![refused]).await;
    let (mut failed, mut opted_out) = (0, Vec::new());
    while failed < 1 || opted_out.is_empty() {
        match world.event().await {
            Event::Status(_) => failed += 1,
            Event::OptOut(event) => opted_out.push(event.change),
            other @ Event::Refused(_) => panic!("{other:?}"),
        }
    }
    running.stop().await;
    assert_eq!(opted_out.len(), 1);
    // It is known of the sender that was refused, and of no other.
    let (owner, numbers) = (organization("ORG_1"), [number(0)]);
    let towards_all = world.ledger.standings(&owner, &numbers).await;
    assert_eq!(towards_all.expect("embedded"), [None]);
    let known = world.ledger.sender_standings(&owner, number(0)).await;
    let known = known.expect("embedded");
    assert_eq!(known, opted_out);
    assert_eq!(known[0].kind, OptOutKind::OptOut);
    assert_eq!(known[0].sender.as_deref(), Some(SENDER));
    assert_eq!(world.row(0).await.state, MessageState::Rejected);
}

#[tokio::test]
async fn a_receipt_that_does_not_name_its_message_finds_it_by_the_providers_id() {
    let mut world = World::new(3).await;
    // Its account may be that of several connections, and another one have verified it.
    let twin = connection("C_0", "ORG_1");
    world.ledger.add_connection(&twin).await.expect("embedded");
    let running = world.start();
    let mut verified_by_another = callback("", &status_form(1, "delivered", ""));
    verified_by_another.connection_id = twin.id.clone();
    let another_systems = callback("?m=order_4711", &status_form(2, "delivered", ""));
    world
        .publish(vec![
            callback("", &status_form(0, "delivered", "")),
            verified_by_another,
            another_systems,
        ])
        .await;
    let (events, _) = world.status_events(3).await;
    let rows: BTreeSet<_> = events.iter().map(|event| event.row).collect();
    assert_eq!(rows, BTreeSet::from([0, 1, 2]));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_id_that_becomes_known_later_is_found_then_and_its_opt_out_told_once() {
    let mut world = World::new(1).await;
    let running = world.start();
    let early = callback("", &status_form(50, "failed", "21610"));
    world.publish(vec![early]).await;
    running.until("smsfleet_receipt_parked_total 1").await;
    assert!(running.metric(
        "smsfleet_receipt_sought_by_id_total{outcome=\"unknown\",provider=\"twilio-sms\"} 1"
    ));
    let Event::OptOut(told) = world.event().await else {
        panic!("the opt-out does not wait")
    };
    assert_eq!(
        told.change.sender, None,
        "the person told Twilio, for this organisation"
    );
    world.send(&[50]).await;
    running.until("smsfleet_receipt_groups_total 2").await;
    let (events, _) = world.status_events(1).await;
    assert_eq!(events[0].row, 50);
    assert!(world.is_quiet().await, "nothing is told twice");
    running.stop().await;
}
