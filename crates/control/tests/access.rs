//! Who may do what, and what strangers hear.

mod support;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use support::{Bench, LIMITED, OPS, batch_body};

/// Every route with a method that it has.
const ROUTES: [(Method, &str); 19] = [
    (Method::POST, "/v1/batches"),
    (Method::GET, "/v1/batches/b1"),
    (Method::GET, "/v1/refused-batches"),
    (Method::GET, "/v1/distributions"),
    (Method::GET, "/v1/distributions/d"),
    (Method::POST, "/v1/distributions/d/pause"),
    (Method::POST, "/v1/distributions/d/resume"),
    (Method::POST, "/v1/distributions/d/cancel"),
    (Method::GET, "/v1/distributions/d/messages"),
    (Method::GET, "/v1/opt-outs/+33612000000"),
    (Method::PUT, "/v1/opt-outs/+33612000000"),
    (Method::DELETE, "/v1/opt-outs/+33612000000"),
    (Method::GET, "/v1/connections"),
    (Method::POST, "/v1/connections"),
    (Method::DELETE, "/v1/connections/c"),
    (Method::GET, "/v1/providers"),
    (Method::PUT, "/v1/organizations/ORG_1"),
    (Method::GET, "/v1/dead-letters"),
    (Method::POST, "/v1/dead-letters/redrive"),
];

#[tokio::test]
async fn nothing_is_answered_without_a_token() {
    let bench = Bench::new();
    for (method, path) in ROUTES {
        for token in ["", "wrong", &OPS[1..], &format!("{OPS}x")] {
            let answer = bench.ask(method.clone(), path, token, Body::empty()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(answer.code(), "unauthorized");
        }
    }
    let answer = bench
        .ask(Method::GET, "/nothing", "wrong", Body::empty())
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    for scheme in [
        OPS.to_owned(),
        format!("Basic {OPS}"),
        format!("Bearer{OPS}"),
    ] {
        let request = Request::get("/v1/providers")
            .header(header::AUTHORIZATION, scheme)
            .body(Body::empty())
            .expect("a request");
        assert_eq!(bench.send(request).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_token_for_one_organisation_touches_no_other() {
    let bench = Bench::new();
    let other = "?organization_id=ORG_2";
    for (method, path) in ROUTES
        .iter()
        .filter(|(_, path)| !path.contains("dead-letters"))
    {
        if matches!(
            *path,
            "/v1/providers" | "/v1/batches" | "/v1/organizations/ORG_1"
        ) {
            continue;
        }
        if *method == Method::POST && *path == "/v1/connections" {
            continue;
        }
        let answer = bench
            .ask(
                method.clone(),
                &format!("{path}{other}"),
                LIMITED,
                Body::empty(),
            )
            .await;
        assert_eq!(
            answer.status,
            StatusCode::FORBIDDEN,
            "{method} {path} {}",
            answer.body
        );
        assert_eq!(answer.code(), "forbidden_organization");
    }
    let mut batch = batch_body();
    batch["organization_id"] = "ORG_2".into();
    let answer = bench
        .ask(Method::POST, "/v1/batches", LIMITED, batch.to_string())
        .await;
    assert_eq!(answer.code(), "forbidden_organization");
    let mut connection = support::connection_body();
    connection["organization_id"] = "ORG_2".into();
    let answer = bench
        .ask(
            Method::POST,
            "/v1/connections",
            LIMITED,
            connection.to_string(),
        )
        .await;
    assert_eq!(answer.code(), "forbidden_organization");
    let answer = bench
        .ask(
            Method::GET,
            "/v1/organizations/ORG_2",
            LIMITED,
            Body::empty(),
        )
        .await;
    assert_eq!(answer.code(), "forbidden_organization");
    for (method, path) in [
        (Method::GET, "/v1/dead-letters"),
        (Method::POST, "/v1/dead-letters/redrive"),
    ] {
        let answer = bench.ask(method, path, LIMITED, "{\"limit\":1}").await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::FORBIDDEN, "operators_only")
        );
    }
}

#[tokio::test]
async fn a_token_for_one_organisation_need_not_name_it_and_any_other_must() {
    let bench = Bench::new();
    let own = bench
        .ask(Method::GET, "/v1/distributions", LIMITED, Body::empty())
        .await;
    assert_eq!(own.ok()["items"], serde_json::json!([]));
    let answer = bench.get("/v1/distributions").await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "organization_required")
    );
}

#[tokio::test]
async fn whatever_is_wrong_is_said_in_json() {
    let bench = Bench::new();
    let q = "?organization_id=ORG_1";
    for (path, status, code) in [
        ("/v2", StatusCode::NOT_FOUND, "unknown_route"),
        (
            "/v1/distributions/redrive/x/y",
            StatusCode::NOT_FOUND,
            "unknown_route",
        ),
        (
            "/v1/dead-letters/redrive",
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (
            "/v1/distributions?organization_id=a/b",
            StatusCode::BAD_REQUEST,
            "invalid_parameter",
        ),
        (
            &format!("/v1/distributions{q}&limit=0"),
            StatusCode::BAD_REQUEST,
            "invalid_parameter",
        ),
        (
            &format!("/v1/distributions{q}&limit=1001"),
            StatusCode::BAD_REQUEST,
            "invalid_parameter",
        ),
        (
            &format!("/v1/distributions{q}&cursor=x"),
            StatusCode::BAD_REQUEST,
            "invalid_parameter",
        ),
        (
            &format!("/v1/distributions{q}&limit=1&limit=2"),
            StatusCode::BAD_REQUEST,
            "malformed_request",
        ),
        (
            &format!("/v1/distributions/%ff{q}"),
            StatusCode::BAD_REQUEST,
            "malformed_request",
        ),
        (
            &format!("/v1/distributions/none{q}"),
            StatusCode::NOT_FOUND,
            "unknown_distribution",
        ),
        (
            &format!("/v1/batches/none{q}"),
            StatusCode::NOT_FOUND,
            "unknown_batch",
        ),
        (
            &format!("/v1/opt-outs/12{q}"),
            StatusCode::BAD_REQUEST,
            "invalid_parameter",
        ),
    ] {
        let answer = bench.get(path).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path}");
    }
}

#[tokio::test]
async fn more_requests_than_places_are_turned_away() {
    let bench = Bench::with(support::settings(&[("control.requests_at_once", 1)]));
    // A body that never ends keeps the only place.
    let endless = Body::from_stream(futures_util::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let slow = bench.ask(Method::POST, "/v1/batches", OPS, endless);
    let quick = async {
        tokio::task::yield_now().await;
        bench.get("/v1/providers").await
    };
    tokio::pin!(slow);
    let answer = tokio::select! {
        biased;
        _ = &mut slow => panic!("it has no end"),
        answer = quick => answer,
    };
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "overloaded")
    );
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
}
