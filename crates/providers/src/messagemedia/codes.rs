//! MessageMedia's words and numbers. Source: `shared/providers/messagemedia.md`, sections 4 and 6.

use crate::ReceiptStatus;

/// Which field of a message a 400 names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Culprit {
    pub(super) field: Named,
    /// The code of an outcome. The vendor has none here, only sentences.
    pub(super) code: &'static str,
}

/// What the field says about the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Recipient,
    Text,
    Sender,
    CallbackUrl,
    /// One that we fill alike for everybody, or do not send at all.
    Ours,
}

/// The field may have its JSON name or its Java property's: `callback_url`, `callbackUrl`.
pub(super) fn culprit(field: &str) -> Culprit {
    let name: String = field
        .chars()
        .filter(|c| *c != '_')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let (field, code) = match name.as_str() {
        "destinationnumber" => (Named::Recipient, "invalid_destination_number"),
        "content" => (Named::Text, "invalid_content"),
        "sourcenumber" => (Named::Sender, "invalid_source_number"),
        "sourcenumbertype" => (Named::Sender, "invalid_source_number_type"),
        "callbackurl" => (Named::CallbackUrl, "invalid_callback_url"),
        "metadata" => (Named::Ours, "invalid_metadata"),
        "scheduled" => (Named::Ours, "invalid_scheduled"),
        "messageexpirytimestamp" => (Named::Ours, "invalid_message_expiry_timestamp"),
        "format" => (Named::Ours, "invalid_format"),
        "media" => (Named::Ours, "invalid_media"),
        "subject" => (Named::Ours, "invalid_subject"),
        // Whatever else the vendor may come to name.
        _ => (Named::Ours, "invalid_field"),
    };
    Culprit { field, code }
}

impl Named {
    /// Whether it is the connection's and the same in all its messages.
    pub(super) const fn is_configuration(self) -> bool {
        match self {
            Self::Sender | Self::CallbackUrl => true,
            Self::Recipient | Self::Text | Self::Ours => false,
        }
    }
}

/// What a status word says together with the error code beside it; nothing for unknown words.
pub(super) fn status(word: &str, error_code: &str) -> Option<ReceiptStatus> {
    Some(match word.to_ascii_lowercase().as_str() {
        "undefined" | "queued" | "processing" | "processed" | "scheduled" | "held" | "enroute" => {
            ReceiptStatus::Accepted
        }
        "submitted" => ReceiptStatus::Sent,
        "delivered" => ReceiptStatus::Delivered,
        "read" => ReceiptStatus::Read,
        "expired" => ReceiptStatus::Expired,
        "rejected" => ReceiptStatus::Rejected,
        "cancelled" => ReceiptStatus::Failed,
        "failed" if is_downstream(error_code) => ReceiptStatus::Undelivered,
        "failed" => ReceiptStatus::Failed,
        "undeliverable" => ReceiptStatus::Undelivered,
        _ => return None,
    })
}

/// 4xx is what came of it behind the vendor's gateway, 3xx what the gateway itself did.
fn is_downstream(error_code: &str) -> bool {
    error_code.len() == 3 && error_code.starts_with('4')
}

/// Codes are kept beside every message, so what is no code is not.
pub(super) fn is_code(text: &str) -> bool {
    (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// The account's limit or credit is used up.
pub(super) const USAGE_THRESHOLD: &str = "301";

/// The number is on the account's own blacklist, which opt-outs fill.
pub(super) const DESTINATION_BLOCKED: &str = "302";
