//! The Vonage twin, as its customers see it.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod inbound;
mod limits;
mod messages;
mod receipts;
mod reports;
mod scene;
mod sending;
#[path = "../support/mod.rs"]
mod support;
