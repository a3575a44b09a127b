//! Load tests of the fleet: scenarios, a provider that costs nearly nothing, figures per process.
//! What is measured is known by its surfaces only: AMQP, the HTTP API, `/metrics`, processes.
//!
//! - [`scenario`]: what a run is, read from a TOML file;
//! - [`stub`]: the provider;
//! - [`stage`]: services, processes, connections: what a run needs before it begins;
//! - [`work`]: the batches that are handed over;
//! - [`meter`], [`redis`], [`broker`]: CPU and memory of processes, counters of Redis and RabbitMQ;
//! - [`run`]: the runs, one kind a file;
//! - [`outcome`]: the figures, as a table and as JSON;
//! - [`peers`], [`compare`]: others on the same work, in turns with ours;
//! - [`report`]: all figures as a page or as tables.

pub mod all;
pub mod broker;
pub mod callback;
pub mod callbacks;
pub mod compare;
pub mod figures;
pub mod machine;
pub mod meter;
pub mod outcome;
pub mod peers;
pub mod post;
pub mod redis;
pub mod report;
pub mod run;
pub mod scenario;
pub mod stage;
pub mod statistics;
pub mod stub;
pub mod stub_client;
pub mod system_calls;
pub mod work;
