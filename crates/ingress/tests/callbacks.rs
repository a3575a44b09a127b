//! What is taken and what is turned away.

mod support;

use std::time::Duration;

use bus::queue::{MESSAGE_CALLBACKS, STATUS_CALLBACKS};
use ledger::Ledger;
use message::{ConnectionId, OrganizationId, Timestamp};
use support::*;

#[tokio::test]
async fn a_signed_receipt_is_on_the_bus_as_it_came_before_it_is_answered() {
    let running = Running::start().await;
    // Vector T1 of the wire specification.
    let headers = [
        ("Content-Type", FORM),
        ("X-Twilio-Signature", "TEDEqIp3sG1NBxmGwfx19ldRfJk="),
    ];
    let path = format!("{}?m=018f3c2e", target("status", ORGANIZATION));
    let answer = running.post(&path, &headers, DELIVERED).await;
    assert_eq!((answer.status(), answer.body()), (204, ""));
    let [callback] = &running.groups(STATUS_CALLBACKS).await.concat()[..] else {
        panic!("one callback")
    };
    assert_eq!(callback.target, path);
    assert_eq!(callback.body, DELIVERED.as_bytes());
    assert_eq!(
        (callback.method.as_str(), callback.content_type.as_str()),
        ("POST", FORM)
    );
    assert_eq!(callback.connection_id.as_str(), "C_1");
    assert!(running.metric(
        "smsfleet_ingress_callbacks_total{kind=\"status\",outcome=\"taken\",provider=\"twilio-sms\"} 1"
    ));
    running.stop().await;
}

#[tokio::test]
async fn an_inbound_message_is_answered_with_empty_twiml() {
    let running = Running::start().await;
    // Vector T2.
    let headers = [
        ("Content-Type", FORM),
        ("X-Twilio-Signature", "RQ5VjpYRGKQe5CXUkRU6jLp66IE="),
    ];
    let answer = running
        .post(&target("message", ORGANIZATION), &headers, INBOUND)
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type"), Some("text/xml"));
    assert!(answer.body().ends_with("<Response/>"));
    assert_eq!(running.groups(MESSAGE_CALLBACKS).await.concat().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_forged_or_unsigned_callback_is_403_with_an_empty_body_and_changes_nothing() {
    let running = Running::start().await;
    let path = format!("{}?m=018f3c2e", target("status", ORGANIZATION));
    for signature in [
        "58dq5IW8sDwStHrwAJVJopEG+FQ=", // another status signed
        "V09ZEhrFEceOD+PWu2wGeaKCbAQ=", // a trailing slash signed
        "BB8tU8XyjnwFE1IVHV3Hl5yTV1E=", // http signed
        "yDZQ2gdapGJ0FAQCP2HLxnAOebs=", // the query left out
        "",
        "=",
        "TEDEqIp3sG1NBxmGwfx19ldRfJk",
    ] {
        let headers = [("Content-Type", FORM), ("X-Twilio-Signature", signature)];
        let answer = running.post(&path, &headers, DELIVERED).await;
        assert_eq!((answer.status(), answer.body()), (403, ""), "{signature}");
    }
    let unsigned = running
        .post(&path, &[("Content-Type", FORM)], DELIVERED)
        .await;
    assert_eq!((unsigned.status(), unsigned.body()), (403, ""));
    assert!(running.groups(STATUS_CALLBACKS).await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn another_organisations_secret_does_not_open_this_organisations_door() {
    let running = Running::start().await;
    let other = connection("C_2", "ORG_other", "ffffffffffffffffffffffffffffffff");
    running
        .ledger
        .add_connection(&other)
        .await
        .expect("embedded");
    let path = target("status", ORGANIZATION);
    let forged = sign(
        "ffffffffffffffffffffffffffffffff",
        &format!("{PUBLIC}{path}"),
        DELIVERED,
    );
    let headers = [("Content-Type", FORM), ("X-Twilio-Signature", &*forged)];
    assert_eq!(running.post(&path, &headers, DELIVERED).await.status(), 403);
    // And a genuine signature for the one path does not fit the other.
    let genuine = sign(TOKEN, &format!("{PUBLIC}{path}"), DELIVERED);
    let headers = [("Content-Type", FORM), ("X-Twilio-Signature", &*genuine)];
    assert_eq!(
        running
            .post(&target("status", "ORG_other"), &headers, DELIVERED)
            .await
            .status(),
        403
    );
    assert_eq!(
        running
            .post(&target("message", ORGANIZATION), &headers, DELIVERED)
            .await
            .status(),
        403
    );
    running.stop().await;
}

#[tokio::test]
async fn a_deleted_connection_still_verifies_what_it_sent() {
    let running = Running::start().await;
    let (organization, id) = (
        OrganizationId::new(ORGANIZATION).expect("valid"),
        ConnectionId::new("C_1").expect("valid"),
    );
    let deleted = running
        .ledger
        .delete_connection(&organization, &id, Timestamp::from_millis(2));
    assert!(deleted.await.expect("embedded"));
    let newer = connection("C_2", ORGANIZATION, "ffffffffffffffffffffffffffffffff");
    running
        .ledger
        .add_connection(&newer)
        .await
        .expect("embedded");
    assert_eq!(
        running.signed("status", "?m=1", DELIVERED).await.status(),
        204
    );
    let [callback] = &running.groups(STATUS_CALLBACKS).await.concat()[..] else {
        panic!("one callback")
    };
    assert_eq!(callback.connection_id.as_str(), "C_1");
    running.stop().await;
}

#[tokio::test]
async fn an_unknown_organisation_and_an_unknown_path_are_404() {
    let running = Running::start().await;
    let headers = [("Content-Type", FORM)];
    for path in [
        target("status", "ORG_nobody"),
        format!("{}/", target("status", ORGANIZATION)),
        target("statut", ORGANIZATION),
        target("status", "ORG%20x"),
        "/distribution-providers/v1/receive/distribution/status/acme/ORG_8mQ2".into(),
        "/".into(),
    ] {
        assert_eq!(
            running.post(&path, &headers, "").await.status(),
            404,
            "{path}"
        );
    }
    assert!(running.metric("smsfleet_ingress_unknown_paths_total{near_miss=\"true\"} 4"));
    assert!(running.metric("smsfleet_ingress_unknown_paths_total{near_miss=\"false\"} 1"));
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_method_is_405_and_a_wrong_type_415() {
    let running = Running::start().await;
    let path = target("status", ORGANIZATION);
    let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = running.raw(get.as_bytes()).await;
    assert_eq!(
        (answer.status(), answer.header("allow")),
        (405, Some("POST"))
    );
    for headers in [
        &[("Content-Type", "text/xml")][..],
        &[],
        &[("Content-Type", FORM), ("Content-Encoding", "gzip")],
    ] {
        assert_eq!(
            running.post(&path, headers, DELIVERED).await.status(),
            415,
            "{headers:?}"
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_announced_or_not() {
    let running = Running::start().await;
    let path = target("status", ORGANIZATION);
    let max = settings().body_bytes_max;
    let answer = running
        .post(&path, &[("Content-Type", FORM)], &"a".repeat(max + 1))
        .await;
    assert_eq!(answer.status(), 413);
    let chunk = format!("{:x}\r\n{}\r\n", 1024, "a".repeat(1024));
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(max / 1024 + 1)
    );
    assert_eq!(running.raw(chunked.as_bytes()).await.status(), 413);
    running.stop().await;
}

#[tokio::test]
async fn a_slow_body_is_408_and_slow_headers_end_the_connection() {
    let mut impatient = settings();
    impatient.body_timeout = Duration::from_millis(50);
    impatient.header_timeout = Duration::from_millis(50);
    let running = Running::start_with(impatient, bus::EmbeddedBus::new()).await;
    let path = target("status", ORGANIZATION);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 100\r\n\r\nSmsSid="
    );
    assert_eq!(running.raw(head.as_bytes()).await.status(), 408);
    let endless = format!("POST {path} HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    assert!(matches!(
        running.raw(endless.as_bytes()).await.status(),
        0 | 408
    ));
    running.stop().await;
}

#[tokio::test]
async fn ten_thousand_headers_are_refused_and_the_next_caller_is_served() {
    let running = Running::start().await;
    let path = target("status", ORGANIZATION);
    let headers: String = (0..10_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    // 431, or cut while still writing.
    assert!(matches!(
        running.raw(request.as_bytes()).await.status(),
        0 | 431
    ));
    let headers: String = (0..101).map(|n| format!("x-{n}: y\r\n")).collect();
    let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    assert_eq!(running.raw(request.as_bytes()).await.status(), 431);
    for garbage in [
        "\u{16}\u{3}\u{1}",
        "GET\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ] {
        assert!(
            matches!(running.raw(garbage.as_bytes()).await.status(), 0 | 400),
            "{garbage:?}"
        );
    }
    assert_eq!(
        running.signed("status", "?m=1", DELIVERED).await.status(),
        204
    );
    running.stop().await;
}
