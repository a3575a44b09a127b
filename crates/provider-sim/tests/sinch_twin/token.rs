//! The token endpoint, and what the API says to tokens.

use std::time::Duration;

use provider_sim::SinchAccount;
use serde_json::json;

use crate::support::{client, quick, read};
use crate::{APP, CLIENT, PERSON, PROJECT, SECRET, World, account, ask_token, message};

#[tokio::test]
async fn a_token_has_the_documented_fields_and_lets_in() {
    let world = World::start().await;
    let (status, token) = read(ask_token(&world.twin, CLIENT, SECRET).await).await;
    assert_eq!(status, 200);
    assert_eq!(token["expires_in"], 3_600);
    assert_eq!(
        (&token["scope"], &token["token_type"]),
        (&json!(""), &json!("bearer"))
    );
    assert!(token["access_token"].as_str().unwrap().starts_with("eyJ"));
    assert_eq!(world.send(PERSON, "t-1").await.0, 200);
}

#[tokio::test]
async fn every_wrong_way_to_ask_for_a_token_is_refused() {
    let world = World::start().await;
    let url = format!("{}/oauth2/token", world.twin.base_url());
    let form = "application/x-www-form-urlencoded";
    let asked = async |user: Option<(&str, &str)>, kind: &str, body: &'static str| {
        let mut request = client().post(&url).header("content-type", kind);
        if let Some((user, password)) = user {
            request = request.basic_auth(user, Some(password));
        }
        let (status, body) = read(request.body(body).send().await.unwrap()).await;
        (status, body["error"].as_str().unwrap().to_owned())
    };
    let good = "grant_type=client_credentials";
    let right = Some((CLIENT, SECRET));
    let refused = |status, error: &str| (status, error.to_owned());
    for (user, kind, body, wanted) in [
        (None, form, good, refused(401, "invalid_client")),
        (
            Some((CLIENT, "wrong")),
            form,
            good,
            refused(401, "invalid_client"),
        ),
        (
            Some(("stranger", SECRET)),
            form,
            good,
            refused(401, "invalid_client"),
        ),
        (
            right,
            "application/json",
            good,
            refused(400, "invalid_request"),
        ),
        (right, form, "", refused(400, "invalid_request")),
        (
            right,
            form,
            "grant_type=password",
            refused(400, "unsupported_grant_type"),
        ),
    ] {
        assert_eq!(asked(user, kind, body).await, wanted, "{body} as {kind}");
    }
    let get = client().get(&url).send().await.unwrap();
    assert_eq!(get.status(), 405);
}

#[tokio::test]
async fn the_endpoint_gives_thirty_at_once_and_then_no_more_without_saying_when() {
    let world = World::start().await;
    let mut refused = None;
    for _ in 0..80 {
        let answer = ask_token(&world.twin, CLIENT, SECRET).await;
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("80 at once are too many");
    assert!(!refused.headers().contains_key("retry-after"));
    assert_eq!(
        world.send(PERSON, "t-1").await.0,
        200,
        "the API has other limits"
    );
}

#[tokio::test]
async fn a_token_that_is_over_is_refused_with_the_word_and_a_new_one_lets_in() {
    let account = SinchAccount {
        token_ends_after: Some(Duration::from_secs(1)),
        ..account()
    };
    let mut world = World::with(account, quick()).await;
    assert_eq!(world.send(PERSON, "t-1").await.0, 200);
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    let send = async |token: &str| {
        let request = client().post(world.url("messages:send")).bearer_auth(token);
        let request = request.header("content-type", "application/json");
        let answer = request
            .body(message(PERSON, "t-2").to_string())
            .send()
            .await
            .unwrap();
        let challenge = answer.headers().get("www-authenticate").cloned();
        (
            answer.status().as_u16(),
            challenge.map_or(String::new(), |c| c.to_str().unwrap().into()),
        )
    };
    let (status, challenge) = send(&world.token).await;
    assert_eq!(status, 401);
    assert!(challenge.starts_with(r#"Bearer error="invalid_token", error_description="#));
    assert!(challenge.contains("expired"), "{challenge}");
    let (status, challenge) = send("eyJhbGciOiJIUzI1NiJ9.e30.x").await;
    assert_eq!(status, 401);
    assert!(!challenge.contains("expired"), "{challenge}");
    let (_, token) = read(ask_token(&world.twin, CLIENT, SECRET).await).await;
    world.token = token["access_token"].as_str().unwrap().to_owned();
    assert_eq!(world.send(PERSON, "t-2").await.0, 200);
    let totals = world.twin.audit().totals;
    assert_eq!((totals.accepted, totals.refused["UNAUTHENTICATED"]), (2, 2));
}

#[tokio::test]
async fn without_a_bearer_token_nobody_comes_in_and_the_key_opens_its_own_project_only() {
    let stranger = SinchAccount::new("other-project", "OTHERAPP", "other-key", "s");
    let neighbour = SinchAccount::new(PROJECT, "NEIGHBOUR", "third-key", "s");
    let world = World::with_all(vec![account(), stranger, neighbour], quick()).await;
    let body = message(PERSON, "a-1");
    let send =
        async |project: &str,
               app: &str,
               request: fn(reqwest::RequestBuilder, &str) -> reqwest::RequestBuilder| {
            let url = format!(
                "{}/v1/projects/{project}/messages:send",
                world.twin.base_url()
            );
            let mut body = body.clone();
            body["app_id"] = json!(app);
            let post = client()
                .post(url)
                .header("content-type", "application/json");
            let answer = request(post, &world.token)
                .body(body.to_string())
                .send()
                .await
                .unwrap();
            let (status, body) = read(answer).await;
            (
                status,
                body["error"]["status"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            )
        };
    let word = |status, word: &str| (status, word.to_owned());
    let bearer: fn(reqwest::RequestBuilder, &str) -> _ = |post, token| post.bearer_auth(token);
    let basic: fn(reqwest::RequestBuilder, &str) -> _ =
        |post, _| post.basic_auth(CLIENT, Some(SECRET));
    let none: fn(reqwest::RequestBuilder, &str) -> _ = |post, _| post;
    assert_eq!(send(PROJECT, APP, none).await, word(401, "UNAUTHENTICATED"));
    assert_eq!(
        send(PROJECT, APP, basic).await,
        word(401, "UNAUTHENTICATED")
    );
    assert_eq!(send("nowhere", APP, bearer).await, word(404, "NOT_FOUND"));
    assert_eq!(
        send("other-project", "OTHERAPP", bearer).await,
        word(403, "PERMISSION_DENIED")
    );
    assert_eq!(send(PROJECT, "NOAPP", bearer).await, word(404, "NOT_FOUND"));
    assert_eq!(
        send(PROJECT, "NEIGHBOUR", bearer).await,
        word(404, "NOT_FOUND")
    );
    assert_eq!(send(PROJECT, APP, bearer).await, word(200, ""));
    let in_region: fn(reqwest::RequestBuilder, &str) -> _ = |post, token| {
        post.bearer_auth(token)
            .header("host", "us.conversation.api.sinch.com")
    };
    assert_eq!(
        send(PROJECT, APP, in_region).await,
        word(404, "NOT_FOUND"),
        "the app is in the EU"
    );
    let at_home: fn(reqwest::RequestBuilder, &str) -> _ = |post, token| {
        post.bearer_auth(token)
            .header("host", "eu.conversation.api.sinch.com")
    };
    assert_eq!(send(PROJECT, APP, at_home).await, word(200, ""));
}
