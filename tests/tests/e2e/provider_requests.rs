//! Requests with many messages of which one is bad, and tokens that end.

use serde_json::json;
use smsfleet_tests::people;
use smsfleet_tests::scene::{Options, Scene};

use crate::open;

/// The last of these people is one that the provider can not stand.
const PEOPLE: u32 = 40;

fn bad() -> String {
    people::number(PEOPLE / 3)
}

async fn all_but_one(mut scene: Scene) {
    let people = people::numbers(0..PEOPLE);
    scene
        .mail("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    let verdicts = scene.balance_all().await.expect("the books balance");
    let (provider, verdict) = &verdicts[0];
    let delivered = verdict.figure("ledger: delivered");
    assert_eq!(delivered, u64::from(PEOPLE) - 1, "{provider}: {verdict}");
    assert_eq!(
        verdict.figure("ledger: rejected"),
        1,
        "{provider}: {verdict}"
    );
    let totals = scene.twin().audit_summary().totals;
    assert_eq!(totals.accepted, u64::from(PEOPLE) - 1, "{totals:?}");
    assert_eq!(totals.accepted_references, totals.accepted, "{totals:?}");
    println!("{provider}: {} HTTP requests", totals.http_requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_infobips_schema_forbids_costs_no_other_message() {
    for has_index in [true, false] {
        let prefix = bad().trim_start_matches('+').to_owned();
        let settings = json!({"violating_prefixes": [prefix], "violations_have_index": has_index});
        all_but_one(open!(
            Options::of(&["infobip-sms"]).with_account("infobip-sms", settings)
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_link_refuses_with_its_whole_request_costs_no_other_message() {
    for whole in [true, false] {
        let settings = json!({"submit_codes": {bad(): 2100}, "refuses_whole_requests": whole});
        all_but_one(open!(
            Options::of(&["link-mobility"]).with_account("link-mobility", settings)
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sinch_token_that_ends_before_its_time_is_renewed_and_no_message_is_lost() {
    let mut options = Options {
        segments_per_second: 20.0,
        ..Options::of(&["sinch"])
    };
    options = options.with_account("sinch", json!({"token_ends_after": "1s"}));
    let mut scene = open!(options);
    let people = people::numbers(0..80);
    scene
        .mail("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    let verdicts = scene.balance_all().await.expect("the books balance");
    let verdict = &verdicts[0].1;
    assert_eq!(verdict.figure("ledger: delivered"), 80, "{verdict}");
    let refused = verdict.figure("twin: refused with a code");
    println!("{refused} messages met a token that had ended");
    assert!(refused > 0, "the token never ended: {verdict}");
}
