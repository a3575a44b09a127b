//! The Infobip twin over real HTTP.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod infobip;
mod support;
