//! The MessageBird twin over real HTTP: what it takes, refuses and shows, its reports, and what people write.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod bench;
mod inbound;
mod reads;
mod refusals;
mod reports;
mod sending;
#[path = "../support/mod.rs"]
mod support;
