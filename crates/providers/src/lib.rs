//! What each provider's wire says: build a request, read an answer, verify a callback, read it.
//! Pure functions over bytes: no socket, no clock, no logging, no Redis. Adding a provider is one
//! module with its form, one fixture folder and one line in [`PROVIDERS`].

pub mod form;
pub mod infobip;
pub mod link_mobility;
pub mod messagebird;
pub mod messagemedia;
pub mod sinch;
pub mod twilio;
pub mod vonage;

mod basic;
mod callback;
mod capabilities;
mod checks;
mod json;
mod jwt;
mod lenient;
mod look_up;
mod outcome;
mod parameters;
mod prepared;
mod provider;
mod retry_after;
mod sender_limit;
mod signature;
mod token;

pub use callback::{
    CallbackAnswer, CallbackKind, CallbackRefused, Inbound, InboundPart, Malformed, OptOutScope,
    ProviderOptOut, Reading, Receipt, ReceiptStatus, Verified, callback_path,
};
pub use capabilities::{AnswersBy, Capabilities, Echo, RefusedCallback};
pub use form::{Field, FieldFault, Filled, Form, REQUESTS_IN_FLIGHT};
pub use look_up::{Found, Sought, StatusLookUp};
pub use outcome::{
    Answer, Hint, LocalRefusal, RejectReason, SubmitClass, SubmitOutcome, Unsendable,
};
pub use prepared::Prepared;
pub use provider::{MtMessage, Provider, Submission, SubmitMode, check_message};
pub use retry_after::date_if_missing;
pub use sender_limit::{SenderClass, SenderLimit};
pub use token::{AccessToken, AccessTokens};

/// Every provider the fleet knows.
pub static PROVIDERS: &[&dyn Provider] = &[
    &infobip::Infobip,
    &link_mobility::LinkMobility,
    &messagebird::MessageBird,
    &messagemedia::MessageMedia,
    &sinch::Sinch,
    &twilio::Twilio,
    &vonage::Vonage,
];

/// The provider with this slug.
#[must_use]
pub fn provider(slug: &str) -> Option<&'static dyn Provider> {
    PROVIDERS
        .iter()
        .copied()
        .find(|provider| provider.slug() == slug)
}
