//! End-to-end tests of the fleet: real processes, a real RabbitMQ, a real Redis, and a provider's
//! twin that misbehaves on request. They know the fleet by its surfaces only (AMQP, HTTP, signals,
//! exit codes, logs), so what they prove holds for whoever runs the binaries.
//!
//! - [`site`]: a corner of the broker and of Redis that nobody else uses;
//! - [`process`], [`fleet`]: the binaries as processes, with their logs, killed when dropped;
//! - [`proxy`]: a TCP proxy that can be cut, stalled and healed;
//! - [`scheduler`]: what a distribution scheduler does over AMQP, and the events it hears;
//! - [`api`]: the control API's client;
//! - [`organization`]: an account at a provider's twin, its connection, its mailings;
//! - [`scene`]: all of that put together, ready for a mailing;
//! - [`checker`]: the history checker, pure functions over what all witnesses say.

pub mod api;
pub mod checker;
pub mod fleet;
pub mod organization;
pub mod people;
pub mod process;
pub mod proxy;
pub mod scene;
pub mod scheduler;
pub mod site;
pub mod wait;
