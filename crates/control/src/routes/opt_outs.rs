//! Opt-outs: looked up, added and lifted one number at a time.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Query, State, rejection::BytesRejection},
};
use backing::news;
use bytes::Bytes;
use message::{
    Msisdn, OrganizationId,
    number::normalise,
    opt_out::{OptOutChange, OptOutKind, OptOutSource, Standing},
};
use serde::{Deserialize, Serialize};

use super::now;
use crate::{
    App,
    answer::{ApiError, json, whole},
    audit::{Action, audit},
    paging::PageQuery,
    tokens::Caller,
};

/// The standing of one number. It names the number, because the caller did.
#[derive(Serialize)]
pub(super) struct StandingView {
    organization_id: OrganizationId,
    number: String,
    opted_out: bool,
    /// The latest change with its evidence; nothing if there never was one.
    latest_change: Option<ChangeView>,
}

#[derive(Serialize)]
struct ChangeView {
    kind: OptOutKind,
    at: message::Timestamp,
    source: OptOutSource,
    connection_id: Option<message::ConnectionId>,
    evidence: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Note {
    /// Why, in the operator's words.
    note: String,
}

const NOTE_CHARACTERS_MAX: usize = 200;

pub(super) async fn look_up(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<StandingView>, ApiError> {
    let organization = caller.organization(query.organization_id.as_deref())?;
    let number = read(&app, &organization, &number).await?;
    standing(&app, organization, number).await.map(Json)
}

pub(super) async fn opt_out(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<String>,
    Query(query): Query<PageQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<StandingView>, ApiError> {
    change(&app, &caller, &number, &query, body, OptOutKind::OptOut).await
}

pub(super) async fn opt_in(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<String>,
    Query(query): Query<PageQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<StandingView>, ApiError> {
    change(&app, &caller, &number, &query, body, OptOutKind::OptIn).await
}

async fn change(
    app: &App,
    caller: &Caller,
    number: &str,
    query: &PageQuery,
    body: Result<Bytes, BytesRejection>,
    kind: OptOutKind,
) -> Result<Json<StandingView>, ApiError> {
    let organization = caller.organization(query.organization_id.as_deref())?;
    let number = read(app, &organization, number).await?;
    let body = whole(body)?;
    let Note { note } = if body.is_empty() {
        Note::default()
    } else {
        json(Ok(body))?
    };
    if note.chars().count() > NOTE_CHARACTERS_MAX {
        let problem = format!("at most {NOTE_CHARACTERS_MAX} characters");
        return Err(ApiError::invalid("note", problem));
    }
    let change = OptOutChange {
        sender: None,
        organization_id: organization.clone(),
        number,
        kind,
        at: now(),
        source: OptOutSource::Api,
        connection_id: None,
        evidence: match note.is_empty() {
            true => caller.name.to_string(),
            false => format!("{}: {note}", caller.name),
        },
    };
    app.ledger.change_opt_out(&change).await?;
    // Told even if nothing changed: an earlier request may have died before it could tell.
    // By time and an unguessable-enough number of its own: the name must not contain the recipient,
    // and two changes are never the same news.
    let name = format!("api-{}-{:016x}", change.at.as_millis(), fastrand::u64(..));
    let told = news::opt_out(change, None, Some(&name));
    app.bus.publish(vec![told]).await?;
    let action = match kind {
        OptOutKind::OptOut => Action::OptOut,
        OptOutKind::OptIn => Action::OptIn,
    };
    audit(caller, action, Some(&organization), &number);
    standing(app, organization, number).await.map(Json)
}

async fn read(app: &App, organization: &OrganizationId, text: &str) -> Result<Msisdn, ApiError> {
    let settings = app.ledger.organization(organization).await?;
    normalise(text, settings.default_region.as_deref())
        .map_err(|fault| ApiError::invalid("number", fault.to_string()))
}

async fn standing(
    app: &App,
    organization_id: OrganizationId,
    number: Msisdn,
) -> Result<StandingView, ApiError> {
    let known = app.ledger.standings(&organization_id, &[number]).await?;
    let latest: Option<Standing> = known.into_iter().next().flatten();
    Ok(StandingView {
        organization_id,
        number: number.e164(),
        opted_out: latest
            .as_ref()
            .is_some_and(|change| change.kind == OptOutKind::OptOut),
        latest_change: latest.map(|change| ChangeView {
            kind: change.kind,
            at: change.at,
            source: change.source,
            connection_id: change.connection_id,
            evidence: change.evidence,
        }),
    })
}
