//! What was decided about an organisation.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::BytesRejection},
};
use bytes::Bytes;
use message::{
    connection::OrganizationSettings,
    number::{NumberFault, normalise},
};
use serde::Serialize;

use crate::{
    App,
    answer::{ApiError, Detail, json},
    audit::{Action, audit},
    tokens::Caller,
};

#[derive(Serialize)]
pub(super) struct OrganizationView {
    organization_id: String,
    #[serde(flatten)]
    settings: OrganizationSettings,
}

const BRAND_CHARACTERS_MAX: usize = 40;

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<OrganizationView>, ApiError> {
    let organization = caller.organization(Some(&id))?;
    let settings = app.ledger.organization(&organization).await?;
    Ok(Json(OrganizationView {
        organization_id: organization.to_string(),
        settings,
    }))
}

pub(super) async fn set(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<OrganizationView>, ApiError> {
    let organization = caller.organization(Some(&id))?;
    let settings: OrganizationSettings = json(body)?;
    let faults = faults(&settings);
    if !faults.is_empty() {
        let error = ApiError::bad_request("invalid_settings", "the settings can not be used");
        return Err(error.with_details(faults));
    }
    app.ledger
        .set_organization(&organization, &settings)
        .await?;
    audit(
        &caller,
        Action::SetOrganization,
        Some(&organization),
        &organization,
    );
    Ok(Json(OrganizationView {
        organization_id: organization.to_string(),
        settings,
    }))
}

fn faults(settings: &OrganizationSettings) -> Vec<Detail> {
    let mut faults = Vec::new();
    if let Some(region) = &settings.default_region
        // Any national form asks for the region's plan, and this one is wrong everywhere.
        && normalise("0", Some(region)) == Err(NumberFault::UnknownRegion)
    {
        let problem = "expected an ISO 3166 alpha-2 code of a region with a numbering plan";
        faults.push(Detail::new("default_region", problem));
    }
    if let Some(brand) = &settings.brand
        && (brand.trim().is_empty() || brand.chars().count() > BRAND_CHARACTERS_MAX)
    {
        let problem = format!("expected 1 to {BRAND_CHARACTERS_MAX} characters");
        faults.push(Detail::new("brand", problem));
    }
    faults
}
