//! The process that posts callbacks for messages that were sent: everything is built and signed before
//! the word to go, so that it is cheap while it is measured.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::callback;
use crate::peers::handshake::{await_go, done};
use crate::post::{Outbox, address};
use crate::scenario::Work;
use crate::work::organization;

/// Which messages, and where to.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[arg(long)]
    ingress: String,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    messages: u64,
    #[arg(long)]
    batch: u32,
    #[arg(long)]
    distributions: u32,
    #[arg(long)]
    organizations: u32,
}

/// Posts them all and stays until it may go.
///
/// # Errors
/// If nobody listens for its word.
pub fn main(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a runtime")?;
    tokio::task::LocalSet::new().block_on(&runtime, post(arguments))
}

async fn post(arguments: &Arguments) -> anyhow::Result<()> {
    let outbox = Rc::<Outbox>::default();
    for order in work(arguments).orders() {
        let path = callback::path(&organization(order.organization));
        for row in 0..order.count {
            let reference = order.reference(row);
            let sid = callback::sid(&reference).context("a name of ours")?;
            let target = format!("{path}?m={reference}");
            let request = callback::request(&arguments.ingress, &target, &sid, "delivered");
            outbox.push(request);
        }
    }
    await_go()?;
    outbox.post_to(address(&arguments.ingress)?, arguments.connections);
    while outbox.counts().taken < arguments.messages {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    done()
}

fn work(arguments: &Arguments) -> Work {
    Work {
        messages: arguments.messages,
        batch: arguments.batch,
        distributions: arguments.distributions,
        organizations: arguments.organizations,
        ..Work::default()
    }
}
