//! `/sms/json` over its limits, and when it fails.

use std::num::NonZeroU32;
use std::time::Duration;

use provider_sim::{FaultRates, TwinBehaviour};

use crate::scene::*;
use crate::support::{Hook, quick, read};

#[tokio::test]
async fn over_the_rate_the_status_is_1_with_the_wait_and_nothing_is_sent() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.limits.per_second = NonZeroU32::new(2);
    let twin = twin(account, quick()).await;
    let mut waits = Vec::new();
    for n in 0..6 {
        let reference = format!("t-{n}");
        let (status, answer) = post(&twin, &message(&[("client-ref", &reference)])).await;
        assert_eq!(status, 200);
        if statuses(&answer) == ["1"] {
            let text = answer["messages"][0]["error-text"].as_str().unwrap();
            let wait = text
                .strip_prefix("Throughput Rate Exceeded - please wait [ ")
                .unwrap();
            let wait = wait.strip_suffix(" ] and retry").unwrap();
            waits.push(wait.parse::<u64>().unwrap());
        }
    }
    assert!((1..=4).contains(&waits.len()), "{waits:?}");
    assert!(
        waits.iter().all(|wait| (1..=501).contains(wait)),
        "{waits:?}"
    );
    let last = *waits.last().unwrap();
    tokio::time::sleep(Duration::from_millis(last)).await;
    let (_, answer) = post(&twin, &message(&[("client-ref", "t-6")])).await;
    assert_eq!(statuses(&answer), ["0"], "the wait was long enough");
    let totals = twin.audit().totals;
    assert_eq!(totals.throttled, waits.len() as u64);
    assert_eq!(totals.accepted + totals.throttled, 7);
}

#[tokio::test]
async fn too_many_requests_at_once_are_status_10() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.limits.max_concurrent = NonZeroU32::new(2);
    let behaviour = TwinBehaviour {
        latency: Duration::from_millis(500),
        ..quick()
    };
    let twin = twin(account, behaviour).await;
    let pairs = message(&[]);
    let (a, b, c) = tokio::join!(
        post(&twin, &pairs),
        post(&twin, &pairs),
        post(&twin, &pairs)
    );
    let mut all = [&a, &b, &c].map(|(_, answer)| statuses(answer)[0].to_owned());
    all.sort_unstable();
    assert_eq!(all, ["0", "0", "10"]);
}

#[tokio::test]
async fn faults_are_answers_of_http_and_do_to_the_message_what_they_say() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.limits.retry_after = Some(Duration::from_millis(1_500));
    let twin = twin(account, quick()).await;
    let none = FaultRates::default;
    for (rates, wanted, reference) in [
        (
            FaultRates {
                http_500: 1.0,
                ..none()
            },
            Some(500),
            "f-1",
        ),
        (
            FaultRates {
                http_500_but_taken: 1.0,
                ..none()
            },
            Some(500),
            "f-2",
        ),
        (
            FaultRates {
                transient_503: 1.0,
                ..none()
            },
            Some(503),
            "f-3",
        ),
        (
            FaultRates {
                throttle_429: 1.0,
                ..none()
            },
            Some(429),
            "f-4",
        ),
        (
            FaultRates {
                reset: 1.0,
                taken_share: 1.0,
                ..none()
            },
            None,
            "f-5",
        ),
    ] {
        twin.behaviour().change(|b| b.fault_rates = rates).unwrap();
        let answer = try_post(&twin, &message(&[("client-ref", reference)])).await;
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        assert_eq!(status, wanted, "{reference}");
        if status == Some(429) {
            let answer = answer.unwrap();
            assert_eq!(answer.headers()["retry-after"], "2");
            assert!(
                read(answer).await.1["type"]
                    .as_str()
                    .unwrap()
                    .ends_with("#throttled")
            );
        }
    }
    twin.behaviour().change(|b| b.fault_rates = none()).unwrap();
    assert_eq!(
        statuses(&post(&twin, &message(&[("client-ref", "f-6")])).await.1),
        ["0"]
    );
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
        ("f-6", 1),
    ];
    assert_eq!(taken, wanted);
    let totals = report.totals;
    let ambiguous = (
        totals.ambiguous_taken,
        totals.ambiguous_not_taken,
        totals.throttled,
    );
    assert_eq!(ambiguous, (2, 2, 1));
}
