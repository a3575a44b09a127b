//! The Twilio twin's API over real HTTP: what it accepts, refuses, limits, shows, and how it fails on request.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod support;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use provider_sim::{FaultRates, TwilioAccount, TwilioTwin, TwinBehaviour, TwinSettings};
use serde_json::Value;
use support::*;

#[tokio::test]
async fn an_accepted_message_is_answered_with_the_documented_object() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let response = post(
        &twin,
        &[("To", PERSON), ("From", SENDER), ("Body", "Ça va ?")],
    )
    .await
    .unwrap();
    assert_eq!(response.headers()["twilio-concurrent-requests"], "1");
    let (status, message) = read(response).await;
    assert_eq!(status, 201);
    assert_eq!(message["status"], "queued");
    assert_eq!(message["from"], SENDER);
    assert_eq!(message["body"], "Ça va ?");
    assert_eq!(message["num_segments"], "1");
    assert_eq!(message["error_code"], Value::Null);
    let sid = message["sid"].as_str().unwrap();
    assert!(sid.len() == 34 && sid.starts_with("SM"), "{sid}");
    let (status, read) = get(&format!(
        "{}{}",
        twin.base_url(),
        message["uri"].as_str().unwrap()
    ))
    .await;
    assert_eq!((status, &read["sid"]), (200, &message["sid"]));
    twin.stop().await;
}

#[tokio::test]
async fn a_services_message_is_accepted_without_a_number_until_it_is_sent() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.senders = vec![SERVICE.into(), SENDER.into()];
    let twin = twin(account, quick()).await;
    let pairs = [
        ("To", PERSON),
        ("MessagingServiceSid", SERVICE),
        ("Body", "Bonjour"),
    ];
    let (_, message) = read(post(&twin, &pairs).await.unwrap()).await;
    assert_eq!(message["status"], "accepted");
    assert_eq!(
        (&message["from"], &message["num_segments"]),
        (&Value::Null, &"0".into())
    );
    assert_eq!(message["messaging_service_sid"], SERVICE);
    twin.idle().await;
    let (_, message) = get(&format!(
        "{}{}",
        twin.base_url(),
        message["uri"].as_str().unwrap()
    ))
    .await;
    assert_eq!(
        (&message["from"], &message["num_segments"]),
        (&SENDER.into(), &"1".into())
    );
    assert_eq!(message["status"], "delivered");
    assert!(message["date_sent"].is_string());
}

#[tokio::test]
async fn every_request_that_is_no_submission_has_its_own_refusal() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let url = messages_url(&twin);
    let http = client();
    let code = async |request: reqwest::RequestBuilder| {
        let (status, body) = read(request.send().await.unwrap()).await;
        assert_eq!(body["status"], status, "{body}");
        (status, body["code"].as_u64().unwrap())
    };
    assert_eq!(code(http.post(&url)).await, (401, 20003));
    assert_eq!(
        code(http.post(&url).basic_auth(SID, Some("wrong"))).await,
        (401, 20003)
    );
    let other = url.replace(SID, "AC00000000000000000000000000000000");
    assert_eq!(
        code(http.post(&other).basic_auth(SID, Some(TOKEN))).await,
        (404, 20404)
    );
    let json = http
        .post(&url)
        .basic_auth(SID, Some(TOKEN))
        .header("content-type", "application/json");
    assert_eq!(code(json.body("{}")).await, (415, 19056));
    let bare = http.post(&url).basic_auth(SID, Some(TOKEN));
    assert_eq!(
        code(bare.header("content-type", "application/x-www-form-urlencoded")).await,
        (400, 21604)
    );
    assert_eq!(
        code(http.delete(&url).basic_auth(SID, Some(TOKEN))).await,
        (405, 20004)
    );
    let nowhere = format!("{}/2010-04-01/Accounts/{SID}/Calls.json", twin.base_url());
    assert_eq!(code(http.post(nowhere)).await, (404, 20404));
    let unknown = url.replace(".json", "/SM00000000000000000000000000000000.json");
    assert_eq!(
        code(http.get(unknown).basic_auth(SID, Some(TOKEN))).await,
        (404, 20404)
    );
    let totals = twin.audit().totals;
    assert_eq!((totals.requests, totals.accepted), (5, 0));
    assert_eq!(totals.refused.values().sum::<u64>(), 5);
}

#[tokio::test]
async fn over_the_rate_the_answer_is_429_with_the_wait_that_the_settings_name() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.limits.per_second = NonZeroU32::new(5);
    account.limits.retry_after = Some(Duration::from_millis(1_500));
    let twin = twin(account, quick()).await;
    let mut throttled = 0;
    for n in 0..10 {
        let reference = format!("a-{n}");
        let callback = hook.status_url(&reference);
        let pairs = [
            ("To", PERSON),
            ("From", SENDER),
            ("Body", "x"),
            ("StatusCallback", &callback),
        ];
        let response = post(&twin, &pairs).await.unwrap();
        if response.status() == 429 {
            throttled += 1;
            assert_eq!(response.headers()["retry-after"], "2");
            assert_eq!(read(response).await.1["code"], 20429);
        }
    }
    assert!(
        (1..=5).contains(&throttled),
        "{throttled} of 10 at once were throttled at 5/s"
    );
    let totals = twin.audit().totals;
    assert_eq!(
        (totals.throttled, totals.accepted),
        (throttled, 10 - throttled)
    );
}

#[tokio::test]
async fn too_many_requests_at_once_are_throttled_and_the_count_is_in_the_header() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.limits.max_concurrent = NonZeroU32::new(2);
    let behaviour = TwinBehaviour {
        latency: Duration::from_millis(500),
        ..quick()
    };
    let twin = twin(account, behaviour).await;
    let request = || post(&twin, &[("To", PERSON), ("From", SENDER), ("Body", "x")]);
    let (a, b, c) = tokio::join!(request(), request(), request());
    let mut statuses = [a, b, c].map(|response| response.unwrap().status().as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 429]);
}

#[tokio::test]
async fn latency_is_kept_and_faults_do_to_the_message_what_they_say() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let faulty = |fault_rates: FaultRates| {
        twin.behaviour()
            .change(|b| b.fault_rates = fault_rates)
            .unwrap()
    };
    let none = FaultRates::default;

    faulty(FaultRates {
        http_500: 1.0,
        ..none()
    });
    let (status, body) = send(&twin, &hook, PERSON, "f-1").await;
    assert_eq!((status, body["code"].as_u64()), (500, Some(20500)));
    faulty(FaultRates {
        http_500_but_taken: 1.0,
        ..none()
    });
    assert_eq!(send(&twin, &hook, PERSON, "f-2").await.0, 500);
    faulty(FaultRates {
        transient_503: 1.0,
        ..none()
    });
    assert_eq!(send(&twin, &hook, PERSON, "f-3").await.0, 503);
    faulty(FaultRates {
        throttle_429: 1.0,
        ..none()
    });
    assert_eq!(send(&twin, &hook, PERSON, "f-4").await.0, 429);

    for (taken_share, reference) in [(1.0, "f-5"), (0.0, "f-6")] {
        faulty(FaultRates {
            reset: 1.0,
            taken_share,
            ..none()
        });
        let callback = hook.status_url(reference);
        let pairs = [
            ("To", PERSON),
            ("From", SENDER),
            ("Body", "x"),
            ("StatusCallback", &callback),
        ];
        let error = post(&twin, &pairs)
            .await
            .expect_err("the connection is cut");
        assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    }
    faulty(FaultRates {
        hang: 1.0,
        taken_share: 1.0,
        ..none()
    });
    let callback = hook.status_url("f-7");
    let pairs = [
        ("To", PERSON),
        ("From", SENDER),
        ("Body", "x"),
        ("StatusCallback", &callback),
    ];
    let waited = tokio::time::timeout(Duration::from_secs(1), post(&twin, &pairs)).await;
    assert!(waited.is_err(), "a hanging request has no answer");

    faulty(none());
    twin.behaviour()
        .change(|b| b.latency = Duration::from_millis(80))
        .unwrap();
    let start = Instant::now();
    assert_eq!(send(&twin, &hook, PERSON, "f-8").await.0, 201);
    assert!(start.elapsed() >= Duration::from_millis(80));

    twin.idle().await;
    let report = twin.audit();
    let taken: Vec<_> = report
        .entries
        .iter()
        .map(|e| (e.reference.as_str(), e.accepted))
        .collect();
    let wanted = [
        ("f-1", 0),
        ("f-2", 1),
        ("f-3", 0),
        ("f-4", 0),
        ("f-5", 1),
        ("f-6", 0),
        ("f-7", 1),
        ("f-8", 1),
    ];
    assert_eq!(taken, wanted);
    let totals = report.totals;
    assert_eq!(
        (
            totals.ambiguous_taken,
            totals.ambiguous_not_taken,
            totals.throttled
        ),
        (3, 3, 1)
    );
    assert_eq!(
        totals.requests,
        totals.accepted + totals.throttled + totals.ambiguous_not_taken
    );
    assert_eq!(
        totals.statuses.get("delivered"),
        Some(&4),
        "what was taken is delivered, whatever was answered"
    );
}

#[tokio::test]
async fn the_list_finds_a_message_by_its_recipient_and_pages_through_the_rest() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    for n in 0..5 {
        send(&twin, &hook, &format!("+3363998000{n}"), &format!("l-{n}")).await;
    }
    send(&twin, &hook, "+33639980002", "l-5").await;
    let today = time::OffsetDateTime::now_utc().date();
    let url = messages_url(&twin);
    let (_, page) = get(&format!(
        "{url}?To=%2B33639980002&DateSent%3E={today}&PageSize=1000"
    ))
    .await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 2);
    assert_eq!(page["next_page_uri"], Value::Null);
    assert_eq!(page["messages"][0]["direction"], "outbound-api");
    let (_, none) = get(&format!("{url}?To=%2B33639980002&DateSent%3C=2020-01-01")).await;
    assert!(none["messages"].as_array().unwrap().is_empty());
    let (_, none) = get(&format!("{url}?From=%2B12025550199")).await;
    assert!(none["messages"].as_array().unwrap().is_empty());

    let mut seen = Vec::new();
    let mut next = Some(format!(
        "/2010-04-01/Accounts/{SID}/Messages.json?From=%2B12025550101&PageSize=4"
    ));
    while let Some(path) = next {
        let (_, page) = get(&format!("{}{path}", twin.base_url())).await;
        let messages = page["messages"].as_array().unwrap();
        seen.extend(
            messages
                .iter()
                .map(|message| message["to"].as_str().unwrap().to_owned()),
        );
        next = page["next_page_uri"].as_str().map(str::to_owned);
    }
    let newest_first = ["2", "4", "3", "2", "1", "0"].map(|n| format!("+3363998000{n}"));
    assert_eq!(seen, newest_first);
}

#[tokio::test]
async fn test_credentials_send_nothing_and_take_only_the_magic_sender() {
    let hook = Hook::start().await;
    let twin = twin(
        TwilioAccount {
            test_credentials: true,
            ..account(&hook)
        },
        quick(),
    )
    .await;
    assert_eq!(send(&twin, &hook, PERSON, "t-1").await.1["code"], 21606);
    let callback = hook.status_url("t-2");
    let pairs = [
        ("To", PERSON),
        ("From", "+15005550006"),
        ("Body", "x"),
        ("StatusCallback", &callback),
    ];
    assert_eq!(post(&twin, &pairs).await.unwrap().status(), 201);
    twin.idle().await;
    assert!(hook.calls().is_empty());
}

#[tokio::test]
async fn two_runs_with_one_seed_decide_alike_whatever_the_order() {
    let hook = Hook::start().await;
    let mut fates = Vec::new();
    for backwards in [false, true] {
        let behaviour = TwinBehaviour {
            undelivered_rate: 0.3,
            failed_rate: 0.3,
            seed: 42,
            ..quick()
        };
        let twin = twin(account(&hook), behaviour).await;
        let mut numbers: Vec<u32> = (0..20).collect();
        if backwards {
            numbers.reverse();
        }
        for n in numbers {
            send(
                &twin,
                &hook,
                &format!("+336399801{n:02}"),
                &format!("s-{n}"),
            )
            .await;
        }
        twin.idle().await;
        let mut entries: Vec<_> = twin
            .audit()
            .entries
            .into_iter()
            .map(|e| (e.reference, e.status, e.error_code))
            .collect();
        entries.sort();
        fates.push(entries);
    }
    assert_eq!(fates[0], fates[1]);
    assert!(
        fates[0]
            .iter()
            .any(|(_, status, _)| status.as_deref() == Some("failed"))
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_it() {
    let first = TwilioTwin::start(TwinSettings::default()).await.unwrap();
    let listen = first
        .base_url()
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let error = TwilioTwin::start(TwinSettings {
        listen,
        ..TwinSettings::default()
    })
    .await;
    let error = format!("{:#}", error.expect_err("the port is taken"));
    assert!(error.contains(&listen.to_string()), "{error}");
    // Without an account nobody may send.
    let response = post(&first, &[("To", PERSON)]).await.unwrap();
    assert_eq!(response.status(), 401);
}
