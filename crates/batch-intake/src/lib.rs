//! batch-intake: takes batches from schedulers, names everything that is wrong with them, and turns
//! what is right into rows of the ledger and chunks for the workers.
//!
//! The order of the steps is the promise. A batch is registered before its rows, its rows before
//! their chunks, its chunks are confirmed and their queue has settled before the batch counts as
//! published, and only then it is acked. Whoever dies on the way leaves a batch that comes back, is
//! recognised by its digest, and is finished with the connection that was chosen first. Chunks that
//! went out twice on that way are inert: a worker's claim finds their rows decided.
//!
//! Organisations take turns. Each may have a share of the batches in hand; what it has beyond that
//! is laid aside into other queues ([`aside`]), and who waits for work is given it round ([`turns`]).

mod aside;
mod cancelled;
mod checks;
mod chunking;
mod connection;
mod decide;
mod digest;
mod hand_on;
mod in_hand;
mod members;
mod metrics;
mod patience;
mod peek;
mod reading;
mod refusals;
mod refuse;
mod rows;
mod service;
mod settings;
mod syntax;
mod turns;

pub use metrics::IntakeMetrics;
pub use service::BatchIntake;
pub use settings::Settings;
