//! Number authorisation: the account's blacklist, and what it means for a number.
//!
//! A page of the list holds 100 numbers; how the next one is asked for is not documented, so there is only the first.
//! Source: `shared/providers/messagemedia.md`, section 10.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::accounts::{Account, authenticate};
use super::api::Twin;
use super::refusal::{Refusal, answer};
use crate::engine::phone::e164;

const PAGE: usize = 100;
const CALL_MAX: usize = 10;

pub(crate) async fn are_authorised(
    State(twin): State<Twin>,
    Path(numbers): Path<String>,
    headers: HeaderMap,
) -> Response {
    served(&twin, &headers, |account| {
        let numbers = read(numbers.split(','))?;
        let run = twin.messages().run;
        let books = twin.provider.books.open(run);
        let counts = !account.settings.handles_opt_outs_itself;
        let authorised = |&number: &u64| {
            let listed = books.is_blocked(account.number, number);
            json!({ "number": format!("+{number}"), "authorised": !(listed && counts) })
        };
        let numbers: Vec<Value> = numbers.iter().map(authorised).collect();
        Ok((StatusCode::OK, json!({ "numbers": numbers })))
    })
    .await
}

pub(crate) async fn list(State(twin): State<Twin>, headers: HeaderMap) -> Response {
    served(&twin, &headers, |account| {
        let run = twin.messages().run;
        let books = twin.provider.books.open(run);
        let blocked = books.blocked(account.number).take(PAGE);
        let numbers: Vec<String> = blocked.map(|number| format!("+{number}")).collect();
        Ok((StatusCode::OK, json!({ "numbers": numbers })))
    })
    .await
}

pub(crate) async fn add(State(twin): State<Twin>, headers: HeaderMap, body: Bytes) -> Response {
    served(&twin, &headers, |account| {
        let body = serde_json::from_slice::<HashMap<String, Vec<String>>>(&body);
        let given = body.ok().and_then(|mut body| body.remove("numbers"));
        let given = given.ok_or_else(Refusal::unreadable)?;
        let numbers = read(given.iter().map(String::as_str))?;
        let run = twin.messages().run;
        let mut books = twin.provider.books.open(run);
        let new = numbers
            .into_iter()
            .filter(|&number| books.block(account.number, number))
            .count();
        let status = match new {
            0 => StatusCode::OK,
            _ => StatusCode::CREATED,
        };
        Ok((status, json!({ "numbers": given })))
    })
    .await
}

pub(crate) async fn remove(
    State(twin): State<Twin>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Response {
    served(&twin, &headers, |account| {
        let number = e164(&number).ok_or_else(Refusal::not_found)?;
        let run = twin.messages().run;
        let mut books = twin.provider.books.open(run);
        if books.unblock(account.number, number) {
            Ok((StatusCode::OK, json!({})))
        } else {
            Err(Refusal::not_found())
        }
    })
    .await
}

fn read<'a>(numbers: impl Iterator<Item = &'a str>) -> Result<Vec<u64>, Refusal> {
    let numbers: Option<Vec<u64>> = numbers.map(e164).collect();
    let numbers = numbers.filter(|numbers| (1..=CALL_MAX).contains(&numbers.len()));
    numbers.ok_or_else(|| {
        let detail = format!("/numbers: 1 to {CALL_MAX} international numbers");
        Refusal::invalid(vec![detail], Vec::new())
    })
}

async fn served(
    twin: &Twin,
    headers: &HeaderMap,
    decide: impl FnOnce(&Account) -> Result<(StatusCode, Value), Refusal>,
) -> Response {
    let Some(account) = authenticate(&twin.accounts, headers) else {
        return Refusal::unauthenticated().answer();
    };
    let _visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    match decide(account) {
        Ok((status, body)) => answer(status, &body),
        Err(refusal) => refusal.answer(),
    }
}
