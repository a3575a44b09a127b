//! The forms of the providers, for whoever builds a connection.

use axum::Json;
use providers::PROVIDERS;
use serde::Serialize;

use crate::paging::Page;

#[derive(Serialize)]
pub(super) struct ProviderView {
    provider: &'static str,
    name: &'static str,
    sender: SenderView,
    segments_per_second_default: f64,
    fields: Vec<FieldView>,
}

#[derive(Serialize)]
struct SenderView {
    hint: &'static str,
}

#[derive(Serialize)]
struct FieldView {
    key: &'static str,
    label: &'static str,
    secret: bool,
    required: bool,
    hint: &'static str,
}

pub(super) async fn list() -> Json<Page<ProviderView>> {
    let items = PROVIDERS.iter().map(|provider| {
        let form = provider.form();
        ProviderView {
            provider: provider.slug(),
            name: form.provider_name,
            sender: SenderView {
                hint: form.sender_hint,
            },
            segments_per_second_default: provider.capabilities().segments_per_second,
            fields: form
                .fields
                .iter()
                .map(|field| FieldView {
                    key: field.key,
                    label: field.label,
                    secret: field.secret,
                    required: field.required,
                    hint: field.hint,
                })
                .collect(),
        }
    });
    Json(Page::whole(items.collect()))
}
