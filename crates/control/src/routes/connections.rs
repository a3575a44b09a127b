//! Connections: added, listed, deleted. Never changed: a change is a new one. Their rate is in
//! `limits.rs`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Json,
    extract::{Path, Query, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use message::{Connection, ConnectionId, OrganizationId, Timestamp};
use providers::{CallbackKind, Provider, callback_path, form::Filled, provider};
use serde::{Deserialize, Serialize};

use super::{hosts, limits, now};
use crate::{
    App,
    answer::{ApiError, Detail, json},
    audit::{Action, audit},
    paging::{Page, PageQuery},
    tokens::Caller,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewConnection {
    organization_id: OrganizationId,
    provider: String,
    name: String,
    sender: String,
    #[serde(default)]
    segments_per_second: Option<f64>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

#[derive(Serialize)]
pub(super) struct ConnectionView {
    id: ConnectionId,
    organization_id: OrganizationId,
    provider: String,
    name: String,
    sender: String,
    segments_per_second: f64,
    /// Secrets are named, never shown.
    fields: BTreeMap<String, String>,
    active: bool,
    created_at: Timestamp,
    deleted_at: Option<Timestamp>,
    /// To be pasted into the provider's console.
    webhooks: Webhooks,
}

#[derive(Serialize)]
struct Webhooks {
    status: String,
    message: String,
}

const NAME_CHARACTERS_MAX: usize = 100;
const REDACTED: &str = "[redacted]";
const ID_CHARACTERS: usize = 12;

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ConnectionView>>, ApiError> {
    let organization = caller.organization(query.organization_id.as_deref())?;
    let connections = app.ledger.connections(&organization).await?;
    let items = connections.into_iter().map(|it| view(&app, it)).collect();
    Ok(Json(Page::whole(items)))
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let new: NewConnection = json(body)?;
    caller.may_touch(&new.organization_id)?;
    let (provider, filled) = checked(&app, &new).await?;
    let rate = new
        .segments_per_second
        .unwrap_or_else(|| provider.capabilities().default_rate(&filled.sender));
    let connection = Connection {
        id: new_id(),
        organization_id: new.organization_id,
        provider: provider.slug().to_owned(),
        name: new.name.trim().to_owned(),
        sender: filled.sender,
        fields: filled.fields,
        secrets: filled.secrets,
        segments_per_second: rate,
        created_at: now(),
        deleted_at: None,
    };
    app.ledger.add_connection(&connection).await?;
    audit(
        &caller,
        Action::AddConnection,
        Some(&connection.organization_id),
        &connection.id,
    );
    Ok((StatusCode::CREATED, Json(view(&app, connection))).into_response())
}

/// The filled form, or everything that is wrong with it.
async fn checked(
    app: &App,
    new: &NewConnection,
) -> Result<(&'static dyn Provider, Filled), ApiError> {
    let mut faults = Vec::new();
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX {
        let problem = format!("expected 1 to {NAME_CHARACTERS_MAX} characters");
        faults.push(Detail::new("name", problem));
    }
    faults.extend(new.segments_per_second.and_then(limits::fault));
    let known = provider(&new.provider);
    if known.is_none() {
        let problem = "expected a `provider` of /v1/providers";
        faults.push(Detail::new("provider", problem));
    }
    let filled = known.map(|known| known.form().fill(&new.sender, &new.fields));
    if let Some(Err(wrong)) = &filled {
        faults.extend(wrong.iter().map(|fault| {
            let field = match fault.field.as_str() {
                "sender" => "sender".to_owned(),
                key => format!("fields.{key}"),
            };
            Detail::new(&field, fault.expected.clone())
        }));
    }
    let hosts = known.map_or(&[][..], |known| known.form().hosts);
    for key in hosts {
        let field = format!("fields.{key}");
        let value = new.fields.get(*key).map_or("", |url| url.trim());
        if value.is_empty() || faults.iter().any(|fault| fault.field == field) {
            continue;
        }
        let url = if value.contains("://") {
            value.to_owned()
        } else {
            format!("https://{value}")
        };
        if let Some(problem) = hosts::fault(&url, app.settings.allow_private_hosts).await {
            faults.push(Detail::new(&field, problem));
        }
    }
    match (known, filled) {
        (Some(known), Some(Ok(filled))) if faults.is_empty() => Ok((known, filled)),
        _ => {
            let error = ApiError::bad_request("invalid_connection", "the form has faults");
            Err(error.with_details(faults))
        }
    }
}

/// `c` and 12 characters: 62 bits, short enough for every log line.
fn new_id() -> ConnectionId {
    let characters = (0..ID_CHARACTERS).map(|_| fastrand::digit(36));
    let text: String = std::iter::once('c').chain(characters).collect();
    ConnectionId::new(&text).expect("13 lower-case letters and digits are an identifier")
}

#[derive(Serialize)]
pub(super) struct Deleted {
    id: ConnectionId,
    deleted: bool,
}

/// It sends nothing new from now on, and still verifies the callbacks of what it sent.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Deleted>, ApiError> {
    let organization = caller.organization(query.organization_id.as_deref())?;
    let unknown = || {
        let message = "the organisation has no such active connection";
        ApiError::not_found("unknown_connection", message)
    };
    let id = ConnectionId::new(&id).map_err(|_| unknown())?;
    if !app
        .ledger
        .delete_connection(&organization, &id, now())
        .await?
    {
        return Err(unknown());
    }
    audit(&caller, Action::DeleteConnection, Some(&organization), &id);
    Ok(Json(Deleted { id, deleted: true }))
}

fn view(app: &App, connection: Connection) -> ConnectionView {
    let base = app
        .public_urls
        .first()
        .map_or("", |url| url.trim_end_matches('/'));
    let webhook = |kind| {
        let path = callback_path(kind, &connection.provider, &connection.organization_id);
        format!("{base}{path}")
    };
    let secrets = connection
        .secrets
        .keys()
        .map(|key| (key.clone(), REDACTED.to_owned()));
    ConnectionView {
        webhooks: Webhooks {
            status: webhook(CallbackKind::Status),
            message: webhook(CallbackKind::Message),
        },
        active: connection.is_active(),
        sender: connection.sender.key(),
        fields: connection
            .fields
            .clone()
            .into_iter()
            .chain(secrets)
            .collect(),
        id: connection.id,
        organization_id: connection.organization_id,
        provider: connection.provider,
        name: connection.name,
        segments_per_second: connection.segments_per_second,
        created_at: connection.created_at,
        deleted_at: connection.deleted_at,
    }
}
