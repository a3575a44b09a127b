//! The twins: programs that behave like the fleet's providers towards the fleet.
//!
//! A twin speaks a provider's real protocol (paths, authentication, answers, error codes, signed callbacks, limits),
//! takes time over it, misbehaves on request, and keeps an **audit**: per recipient and reference, how many requests it
//! accepted. The audit is what makes a test of the whole fleet worth anything, because it is the only witness that is
//! not the fleet itself: nobody was texted twice if the twin says so.
//!
//! Two rules follow from that role:
//! - A twin shares no code with `crates/providers`, not even the segment counter or the signature. It is written a
//!   second time from the provider's page, so that a misreading has to be made twice before a test stays green.
//! - A decision (does this message fail, does this person reply STOP, is this request answered with a 500) is a hash of
//!   the seed and of the message's own name, never of the order of arrival. A run can be repeated.
//!
//! What the twins share lives here: [`TwinSettings`] and [`TwinBehaviour`], the audit, the rate limit, the schedule of
//! delayed callbacks, the poster that makes them, the server that can cut a connection, and the `engine` that joins them. A
//! provider has a module of its own, such as [`TwilioTwin`]'s; the page of `engine` says how another one is made. Beside
//! the provider's API every twin serves paths of its own under `/_twin/`:
//!
//! | path | does |
//! |---|---|
//! | `GET /_twin/audit` | the audit as JSON; `?summary=1` leaves out the entry per message |
//! | `GET /_twin/idle` | callbacks due and in flight; `?wait_seconds=10` waits so long for both to be 0 |
//! | `POST /_twin/inbound` | `{"from","to","body"}`: a person writes; answers with what the webhook answered |
//! | `GET`, `POST /_twin/behaviour` | reads, or merges JSON into, the behaviour |
//! | `POST /_twin/reset` | forgets messages, opt-outs, audit and due callbacks |

mod audit;
mod behaviour;
mod chance;
mod console;
mod delivery;
// Some of it is for providers whose twins are not written yet.
#[allow(dead_code)]
mod engine;
mod fault;
mod rate;
mod report;
mod running;
mod segments;
mod server;
mod settings;
mod sinch;
mod twilio;
mod webhook;

pub use behaviour::{
    FaultRates, LiveBehaviour, Replies, ReplyScript, SignatureVariant, TwinBehaviour,
};
pub use delivery::Waiting;
pub use report::{AuditEntry, AuditReport, InboundTotals, PostTotals, Second, StopRecord, Totals};
pub use running::RunningTwin;
pub use settings::{AccountLimits, CountedIn, TwinAccount, TwinSettings};
pub use sinch::{SinchAccount, SinchConsent, SinchRegion, SinchTwin};
pub use twilio::{SharedKey, SharedKeyAlgorithm, TwilioAccount, TwilioTwin};

/// Takes a lock whose holder may have panicked. Every critical section here leaves its data whole, and a test that
/// already failed by a panic should not fail a second time, with a worse message, on the lock.
fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
