//! Reads the inbound messages that the ingress verified: an opt-out takes effect before anything else
//! happens, the reply finds the message that it answers, and both are told to the platform. A person
//! who opts out or asks for help gets one answer, unless the provider has answered already.
//!
//! A message whose parts come one by one is one message: what is said of it is said once it is whole,
//! or when its parts have waited for the others in vain.
//!
//! An inbound message is marked as seen last, when everything about it is confirmed. Whatever happens
//! before, it is simply done again: the events have the same ids, the answer the same batch id.

mod answers;
mod events;
mod group;
mod inbound;
mod metrics;
mod parts;
mod router;
mod settings;
mod signals;
mod standing;

pub use metrics::ReplyMetrics;
pub use router::ReplyRouter;
pub use settings::Settings;
