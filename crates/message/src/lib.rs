//! The vocabulary of smsfleet: what a number, a sender, a batch, a reference, a status and an event
//! are, and the rules that need nothing but the values themselves. No I/O, no clock, no logging.

pub mod address;
pub mod batch;
pub mod callback;
pub mod chunk;
pub mod connection;
pub mod event;
pub mod fields;
pub mod id;
pub mod keywords;
pub mod msisdn;
pub mod number;
pub mod opt_out;
pub mod reference;
pub mod secret;
pub mod segments;
pub mod sender;
pub mod state;
pub mod template;
mod text;
pub mod timestamp;
pub mod weight;

pub use batch::{Batch, DoubtPolicy, Method, Recipient, Refusal, Rule};
pub use chunk::{Chunk, Class};
pub use connection::Connection;
pub use fields::Fields;
pub use id::{BatchId, ConnectionId, DistributionId, OrganizationId};
pub use msisdn::{MaskedMsisdn, Msisdn};
pub use reference::{BatchKey, Reference};
pub use secret::Secret;
pub use sender::Sender;
pub use state::MessageState;
pub use timestamp::Timestamp;
pub use weight::Weight;
