//! Who asks: the token, the project, the region, and with a send request the app.

use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use http::header::HOST;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::Sinch;
use super::accounts::Account;
use super::errors::{Refusal, is_of_kind};
use super::token::BadToken;
use crate::engine::{Engine, auth};

/// The apps of a project that a caller may use; at least one.
pub(crate) struct Caller<'e> {
    pub accounts: Vec<&'e Account>,
}

impl<'e> Caller<'e> {
    pub fn app(&self, id: &str) -> Result<&'e Account, Refusal> {
        let found = self
            .accounts
            .iter()
            .find(|account| account.settings.app_id == id);
        found
            .copied()
            .ok_or_else(|| Refusal::not_found("no such app_id in this project and region"))
    }

    pub fn numbers(&self) -> Vec<u16> {
        self.accounts.iter().map(|account| account.number).collect()
    }
}

/// Who asks, and whether the project is theirs. HTTP Basic, which Sinch lets through a few times for tests, is refused: no
/// client in earnest may use it.
pub(crate) fn authenticate<'e>(
    twin: &'e Engine<Sinch>,
    headers: &HeaderMap,
    project: &str,
) -> Result<Caller<'e>, Refusal> {
    let token = auth::credentials(headers, "Bearer");
    let token = token.ok_or_else(|| Refusal::unauthenticated("Bearer"))?;
    let client = twin.provider.tokens.client_of(token, SystemTime::now());
    let client = client.map_err(|bad: BadToken| Refusal::unauthenticated(bad.challenge()))?;
    let region = told_region(headers);
    let here = |account: &&Account| {
        account.settings.project_id == project
            && region.is_none_or(|region| account.settings.region.label() == region)
    };
    let mut accounts: Vec<&Account> = twin.accounts.iter().filter(here).collect();
    if accounts.is_empty() {
        return Err(Refusal::not_found("no such project in this region"));
    }
    accounts.retain(|account| account.settings.client_id == client);
    if accounts.is_empty() {
        let message = "the key has no access to this project";
        return Err(Refusal::new(StatusCode::FORBIDDEN, message));
    }
    Ok(Caller { accounts })
}

/// The region in the host name, if the request was meant for one of Sinch's.
fn told_region(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let (region, rest) = host.split_once('.')?;
    matches!(
        rest,
        "conversation.api.sinch.com" | "conversationbatch.api.sinch.com"
    )
    .then_some(region)
}

/// A send request as far as it is understood before anything is decided.
pub(crate) struct Request<'e> {
    pub account: &'e Account,
    /// `None` if it is no JSON.
    pub json: Option<Value>,
}

impl<'e> Request<'e> {
    /// Finds the app that the request is about; one that names none is anybody's in the project, and refused later.
    pub fn read(
        twin: &'e Engine<Sinch>,
        headers: &HeaderMap,
        project: &str,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self, Refusal> {
        let caller = authenticate(twin, headers, project)?;
        let body = body.map_err(|rejection| {
            let status = rejection.status();
            Refusal::new(status, "the request body is too large or incomplete")
        })?;
        if !is_of_kind(headers, "application/json") {
            let message = "the request body must be application/json";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let app_id = json.as_ref().and_then(|json| json.get("app_id")?.as_str());
        let account = match app_id.filter(|id| !id.is_empty()) {
            Some(id) => Some(caller.app(id)?),
            None => caller.accounts.first().copied(),
        };
        let account = account.ok_or_else(|| Refusal::not_found("no such app_id"))?;
        Ok(Self { account, json })
    }
}
