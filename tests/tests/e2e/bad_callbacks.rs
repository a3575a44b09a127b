//! Callbacks that must not be believed, and paths that customers paste wrongly.

use provider_sim::SignatureVariant;
use reqwest::Method;
use smsfleet_tests::api::http_client;
use smsfleet_tests::fleet::Service;
use smsfleet_tests::people;
use smsfleet_tests::scene::{ORGANIZATION, Options, SENDER};
use smsfleet_tests::wait;

use crate::open;

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_unsigned_receipts_and_replies_are_refused_and_change_nothing() {
    let mut scene = open!(Options::default().with("log.filter", "\"debug\""));
    scene
        .twin()
        .behaviour()
        .change(|twin| twin.signature = SignatureVariant::Forged)
        .expect("valid");
    let people = people::numbers(0..20);
    scene
        .mail("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    wait::until(
        "all forged receipts are refused",
        wait::PATIENCE,
        async || {
            let totals = scene.twin().audit_summary().totals;
            (totals.callbacks.failed.get("403") == Some(&40)).then_some(())
        },
    )
    .await
    .unwrap_or_else(|error| panic!("{error:#}: {:?}", scene.twin().audit_summary().totals));
    let person = people::number(3);
    let forged = scene.twin().send_inbound(&person, SENDER, "STOP").await;
    assert_eq!(forged.expect("an answer"), 403);
    scene
        .twin()
        .behaviour()
        .change(|twin| twin.signature = SignatureVariant::Missing)
        .expect("valid");
    let unsigned = scene.twin().send_inbound(&person, SENDER, "STOP").await;
    assert_eq!(unsigned.expect("an answer"), 403);

    let counts = scene.api().counts("spring").await.expect("counts");
    assert_eq!(
        counts.get("accepted"),
        Some(&20),
        "no forged receipt is believed: {counts:?}"
    );
    assert!(scene.replies.is_empty());
    // The forged STOP stopped nobody.
    scene
        .twin()
        .behaviour()
        .change(|twin| twin.signature = SignatureVariant::default())
        .expect("valid");
    scene.twin().reset();
    scene
        .mail("autumn", "autumn-1", &people)
        .await
        .expect("confirmed");
    wait::until(
        "the next mailing is delivered to all",
        wait::PATIENCE,
        async || {
            let counts = scene.api().counts("autumn").await.ok()?;
            (counts.get("delivered") == Some(&20)).then_some(())
        },
    )
    .await
    .expect("nobody is suppressed");
    let leaks = scene.leaks().await.expect("metrics");
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_callback_is_answered_with_what_is_wrong_about_it() {
    let scene = open!(Options::default().with("ingress.body_bytes_max", "65536"));
    let client = http_client().expect("a client");
    let base = scene.fleet.url("ingress.listen");
    let path = |kind: &str, provider: &str, organization: &str| {
        format!(
            "{base}/distribution-providers/v1/receive/distribution/{kind}/{provider}/{organization}"
        )
    };
    let ours = path("status", "twilio-sms", ORGANIZATION);
    let large = "x".repeat(65_537);
    let cases = [
        (
            "an unknown organisation",
            path("status", "twilio-sms", "ORG_none"),
            Method::POST,
            FORM,
            "a=1",
            404,
        ),
        (
            "an unknown provider",
            path("status", "carrier-pigeon", ORGANIZATION),
            Method::POST,
            FORM,
            "a=1",
            404,
        ),
        (
            "an unknown path",
            format!("{base}/"),
            Method::POST,
            FORM,
            "a=1",
            404,
        ),
        (
            "a wrong method",
            ours.clone(),
            Method::PUT,
            FORM,
            "a=1",
            405,
        ),
        (
            "a wrong type",
            ours.clone(),
            Method::POST,
            "text/xml",
            "<a/>",
            415,
        ),
        (
            "a body that is too large",
            ours.clone(),
            Method::POST,
            FORM,
            large.as_str(),
            413,
        ),
        (
            "no signature",
            ours.clone(),
            Method::POST,
            FORM,
            "MessageStatus=delivered",
            403,
        ),
    ];
    for (what, url, method, content_type, body, status) in cases {
        let answer = client
            .request(method, url)
            .header("content-type", content_type)
            .body(body.to_owned())
            .send()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(answer.status().as_u16(), status, "{what}");
    }
    // A browser that translates pages has translated the path that was pasted.
    let translated = format!(
        "{base}/proveedores-de-distribucion/v1/recibir/distribution/status/twilio-sms/{ORGANIZATION}"
    );
    let answer = client
        .post(translated)
        .header("content-type", FORM)
        .body("a=1")
        .send()
        .await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 404);
    let meant =
        format!("/distribution-providers/v1/receive/distribution/status/twilio-sms/{ORGANIZATION}");
    wait::until(
        "the log names the path that was meant",
        wait::PATIENCE,
        async || {
            scene
                .fleet
                .log(Service::Ingress)
                .contains(&meant)
                .then_some(())
        },
    )
    .await
    .expect("it does");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_wants_a_token_and_says_nothing_without_it() {
    let scene = open!(Options::default());
    let client = http_client().expect("a client");
    let base = scene.fleet.url("control.listen");
    for path in [
        "/v1/distributions",
        "/v1/connections",
        "/v1/batches/x",
        "/v1/opt-outs/+33600000000",
    ] {
        let url = format!("{base}{path}?organization_id={ORGANIZATION}");
        let none = client.get(&url).send().await.expect("an answer");
        assert_eq!(none.status().as_u16(), 401, "{path} without a token");
        let wrong = client
            .get(&url)
            .bearer_auth("a-wrong-token-of-some-length")
            .send()
            .await;
        assert_eq!(
            wrong.expect("an answer").status().as_u16(),
            401,
            "{path} with a wrong one"
        );
    }
}
