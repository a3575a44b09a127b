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
    can: CanView,
    fields: Vec<FieldView>,
}

/// What the fleet decides by.
#[derive(Serialize)]
struct CanView {
    messages_per_request: usize,
    receipts_per_part: bool,
    repeat_is_safe: bool,
    status_look_up: bool,
    answers_keywords: bool,
    lifts_opt_outs: bool,
    callback_methods: &'static [&'static str],
    callback_content_types: &'static [&'static str],
    callback_paths: &'static [&'static str],
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
        let can = provider.capabilities();
        ProviderView {
            provider: provider.slug(),
            name: form.provider_name,
            sender: SenderView {
                hint: form.sender_hint,
            },
            segments_per_second_default: can.segments_per_second,
            can: CanView {
                messages_per_request: can.messages_per_request,
                receipts_per_part: can.receipts_per_part,
                repeat_is_safe: can.repeat_is_safe,
                status_look_up: can.status_look_up,
                answers_keywords: can.answers_keywords,
                lifts_opt_outs: can.lifts_opt_outs,
                callback_methods: can.callback_methods,
                callback_content_types: can.callback_content_types,
                callback_paths: can.callback_slugs,
            },
            fields: form
                .fields()
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
