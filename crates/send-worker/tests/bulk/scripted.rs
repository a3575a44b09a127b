//! A provider that answers as a test tells it, whatever the provider.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{OriginalUri, State},
    http::{HeaderMap, Response, StatusCode},
};
use message::{Connection, ConnectionId, OrganizationId, Secret};
use tokio::net::TcpListener;

use crate::world::{World, now};

/// A request as the script sees it.
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

/// Status, headers and body; status 0 cuts the connection.
pub type Told = (u16, Vec<(&'static str, String)>, String);

type Script = Arc<Mutex<dyn FnMut(Asked) -> Told + Send>>;

/// A world with a connection of `slug` to a provider that does what `script` says.
pub async fn world(
    slug: &str,
    sender: &str,
    fields: &[(&str, &str)],
    hosts: &[&str],
    script: impl FnMut(Asked) -> Told + Send + 'static,
) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base_url = format!("http://{}", listener.local_addr().expect("bound"));
    let script: Script = Arc::new(Mutex::new(script));
    let router = Router::new().fallback(answer).with_state(script);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut values: BTreeMap<String, String> = fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    values.extend(
        hosts
            .iter()
            .map(|host| ((*host).to_owned(), base_url.clone())),
    );
    let provider = providers::provider(slug).expect("a provider");
    let filled = provider.form().fill(sender, &values).expect("a good form");
    let connection = Connection {
        id: ConnectionId::new("c1").expect("valid"),
        organization_id: OrganizationId::new("ORG_1").expect("valid"),
        provider: slug.to_owned(),
        name: "Test".to_owned(),
        sender: filled.sender,
        fields: filled.fields,
        secrets: filled
            .secrets
            .into_iter()
            .map(|(key, secret)| (key, Secret::new(secret.reveal().to_owned())))
            .collect(),
        segments_per_second: 1e6,
        created_at: now(),
        deleted_at: None,
    };
    World::of(connection, Arc::default()).await
}

async fn answer(
    State(script): State<Script>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<axum::body::Body> {
    let asked = Asked {
        path: uri.to_string(),
        headers,
        body: String::from_utf8(body.to_vec()).expect("text"),
    };
    let (status, headers, body) = (script.lock().expect("no panic in a script"))(asked);
    let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(body.into()).expect("a response")
}
