//! The gate API, as far as a customer looks at the own gate with it.
//!
//! Source: `shared/providers/link-mobility.md`, section 9. Of its errors only the range 1030xx to 1034xx is known, so the
//! numbers here stand for any of it; the HTTP statuses tell what is wrong.

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::accounts::{self, Account, LinkMobilityAccount};
use super::api::{self, Twin};
use super::codes::{Refusal, json_answer};
use crate::engine::Trouble;

const NO_GATE: u32 = 103_000;
const NO_PARTNER: u32 = 103_100;
const NOT_PERMITTED: u32 = 103_400;

pub(crate) async fn list(
    State(twin): State<Twin>,
    Path((platform, partner)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    look(&twin, &headers, &platform, &partner, |account| {
        let has_one = !account.gate_id.is_empty();
        Ok(has_one.then(|| gate(account)).into_iter().collect())
    })
    .await
}

pub(crate) async fn read(
    State(twin): State<Twin>,
    Path((platform, partner, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    look(&twin, &headers, &platform, &partner, |account| {
        if account.gate_id == id {
            Ok(gate(account))
        } else {
            Err(Refusal::with(
                StatusCode::NOT_FOUND,
                NO_GATE,
                "No such gate",
            ))
        }
    })
    .await
}

async fn look(
    twin: &Twin,
    headers: &HeaderMap,
    platform: &str,
    partner: &str,
    show: impl FnOnce(&LinkMobilityAccount) -> Result<Value, Refusal>,
) -> Response {
    let Some(account) = accounts::authenticate(&twin.accounts, headers) else {
        return Refusal::new(106_100).answer();
    };
    let visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    if api::is_crowded(account, visit.at_once) {
        return api::trouble(account, Trouble::Throttled);
    }
    match permitted(account, platform, partner).and_then(show) {
        Ok(json) => json_answer(StatusCode::OK, &json),
        Err(refusal) => refusal.answer(),
    }
}

fn permitted<'a>(
    account: &'a Account,
    platform: &str,
    partner: &str,
) -> Result<&'a LinkMobilityAccount, Refusal> {
    let account = &account.settings;
    if account.gate_api_denied {
        let about = "No permission for gates";
        return Err(Refusal::with(StatusCode::FORBIDDEN, NOT_PERMITTED, about));
    }
    if (platform, partner) != (&account.platform_id, &account.platform_partner_id) {
        let about = "No such partner";
        return Err(Refusal::with(StatusCode::NOT_FOUND, NO_PARTNER, about));
    }
    Ok(account)
}

/// The account's gate. Passwords are shown, as by LINK: whoever logs this answer logs them.
fn gate(account: &LinkMobilityAccount) -> Value {
    let mut urls: Vec<&String> = [&account.status_url, &account.message_url]
        .into_iter()
        .flatten()
        .collect();
    urls.dedup();
    let destination = |url: &String| {
        json!({
            "url": url,
            "contentType": "application/json",
            "username": account.username,
            "password": account.password,
            "customParameters": {},
        })
    };
    let destinations: Vec<Value> = urls.into_iter().map(destination).collect();
    json!({
        "type": "PARTNER_GATE",
        "id": account.gate_id,
        "refId": "receipts and replies",
        "platformId": account.platform_id,
        "platformPartnerId": account.platform_partner_id,
        "destinations": destinations,
        "gateType": "ALL",
        // The unit is not documented; milliseconds, as for the validity of messages.
        "ttl": u64::try_from(account.ttl().as_millis()).unwrap_or(u64::MAX),
        "acknowledge": account.acknowledge,
        "throttle": null,
        "customParameters": {},
    })
}
