//! STOP and START, without and with consent management.

use provider_sim::{SinchAccount, SinchConsent};
use serde_json::json;

use crate::support::quick;
use crate::{PERSON, SENDER, World, account};

async fn with(consent: Option<SinchConsent>) -> World {
    World::with(
        SinchAccount {
            consent,
            ..account()
        },
        quick(),
    )
    .await
}

#[tokio::test]
async fn without_consent_management_a_stop_is_a_text_and_blocks_nothing() {
    let world = with(None).await;
    world
        .twin
        .send_inbound(PERSON, SENDER, "STOP")
        .await
        .unwrap();
    assert_eq!(world.events().len(), 1);
    world.send(PERSON, "s-1").await;
    world.twin.idle().await;
    assert_eq!(world.reports().pop().unwrap().0, "DELIVERED");
    let totals = world.twin.audit().totals;
    assert_eq!(
        (totals.inbound.keywords["STOP"], totals.requests_after_stop),
        (1, 1)
    );
}

#[tokio::test]
async fn primary_mode_tells_the_opt_out_and_fails_later_messages_until_the_opt_in() {
    let world = with(Some(SinchConsent::Primary)).await;
    world
        .twin
        .send_inbound(PERSON, SENDER, "stop")
        .await
        .unwrap();
    let events = world.events();
    assert_eq!(
        events[0]["message"]["contact_message"]["text_message"]["text"],
        "stop"
    );
    let told = &events[1]["opt_out_notification"];
    assert_eq!(
        (&told["status"], &told["channel"]),
        (&json!("OPT_OUT_SUCCEEDED"), &json!("SMS"))
    );
    assert_eq!(
        told["identity"].as_str().unwrap().trim_start_matches('+'),
        &PERSON[1..]
    );
    assert!(told["request_id"].is_string() && told["error_details"]["description"].is_string());

    assert_eq!(world.send(PERSON, "p-1").await.0, 200);
    world.twin.idle().await;
    let blocked = (
        "FAILED".to_owned(),
        Some("RECIPIENT_NOT_OPTED_IN".to_owned()),
    );
    assert_eq!(world.reports(), [blocked]);
    assert_eq!(world.twin.audit().totals.requests_after_stop, 1);

    world
        .twin
        .send_inbound(PERSON, SENDER, "START")
        .await
        .unwrap();
    let told = &world.events().pop().unwrap()["opt_in_notification"];
    assert_eq!(told["status"], "OPT_IN_SUCCEEDED");
    world.send(PERSON, "p-2").await;
    world.twin.idle().await;
    assert_eq!(world.reports().pop().unwrap().0, "DELIVERED");
    assert_eq!(world.twin.audit().totals.inbound.answered_by_provider, 2);
}

#[tokio::test]
async fn secondary_mode_only_tells() {
    let world = with(Some(SinchConsent::Secondary)).await;
    world
        .twin
        .send_inbound(PERSON, SENDER, "Detener")
        .await
        .unwrap();
    assert_eq!(
        world.events()[1]["opt_out_notification"]["status"],
        "OPT_OUT_SUCCEEDED"
    );
    world.send(PERSON, "s-1").await;
    world.twin.idle().await;
    assert_eq!(world.reports().pop().unwrap().0, "DELIVERED");
    assert_eq!(world.twin.audit().totals.inbound.answered_by_provider, 0);
}

#[tokio::test]
async fn consent_management_compares_the_whole_text() {
    let world = with(Some(SinchConsent::Primary)).await;
    for text in ["STOP ", "please stop", "Stop!", "HELP"] {
        world.twin.send_inbound(PERSON, SENDER, text).await.unwrap();
    }
    let events = world.events();
    assert!(events.len() == 4 && events.iter().all(|event| event["message"].is_object()));
    world.send(PERSON, "w-1").await;
    world.twin.idle().await;
    assert_eq!(world.reports().pop().unwrap().0, "DELIVERED");
}
