//! What one writes without much thought: one message in an AMQP message, a task for each, and every
//! step awaited by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::redis as client;
use anyhow::{Context, ensure};
use client::AsyncCommands;
use client::aio::ConnectionManager;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use serde::Deserialize;
use tokio::sync::Notify;

use super::handshake as agree;
use super::payload::{self, Batch};
use super::ring::Ring;
use crate::outcome::Outcome;

const QUEUE: &str = "peer-naive";

/// The peer's own process.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    #[arg(long)]
    amqp: String,
    #[arg(long)]
    redis: String,
    #[arg(long)]
    key_prefix: String,
    #[arg(long)]
    stub_port: u16,
    #[arg(long)]
    messages: u64,
    #[arg(long)]
    prefetch: u16,
}

/// Fills the queue and measures the peer's process.
pub(super) async fn drain(
    ring: &mut Ring,
    arguments: &super::Arguments,
) -> anyhow::Result<Outcome> {
    let messages = arguments.messages;
    ring.fill_opt_outs()?;
    payload::fill(ring.site.amqp_url(), QUEUE, messages, 1).await?;
    let mut command = ring.worker("naive")?;
    command.args(["--messages", &messages.to_string()]);
    // With a slow provider as many as are to be in flight.
    let prefetch = arguments.connections.clamp(100, 65_535);
    command.args(["--prefetch", &prefetch.to_string()]);
    let mut running = agree::Running::start(command)?;
    ring.measure(&mut running, arguments).await
}

#[derive(Deserialize)]
struct Reply {
    sid: String,
    status: String,
}

struct Shared {
    redis: ConnectionManager,
    http: reqwest::Client,
    url: String,
    key_prefix: String,
    messages: u64,
    done: AtomicU64,
    end: Notify,
}

/// Is the peer's process.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (connection, channel) = payload::channel(&arguments.amqp).await?;
    channel
        .basic_qos(arguments.prefetch, BasicQosOptions::default())
        .await
        .context("qos")?;
    let opened = client::Client::open(arguments.redis.as_str()).context("Redis' URL")?;
    let shared = Arc::new(Shared {
        redis: opened.get_connection_manager().await.context("Redis")?,
        http: reqwest::Client::builder()
            .no_proxy()
            .build()
            .context("an HTTP client")?,
        url: format!(
            "http://127.0.0.1:{}/2010-04-01/Accounts/AC00112233445566778899aabbccddeeff/Messages.json",
            arguments.stub_port
        ),
        key_prefix: arguments.key_prefix.clone(),
        messages: arguments.messages,
        done: AtomicU64::new(0),
        end: Notify::new(),
    });
    agree::await_go()?;
    let options = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume(QUEUE.into(), "naive".into(), options, FieldTable::default());
    let mut consumer = consumer.await.context("consume")?;
    loop {
        let delivery = tokio::select! {
            delivery = consumer.next() => delivery.context("the queue ended")?.context("a delivery")?,
            () = shared.end.notified() => break,
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if let Err(error) = shared.handle(delivery).await {
                eprintln!("naive: {error:#}");
            }
        });
    }
    agree::done()?;
    connection.close(200, "done".into()).await.context("close")
}

impl Shared {
    async fn handle(&self, delivery: Delivery) -> anyhow::Result<()> {
        let batch: Batch<'_> = serde_json::from_slice(&delivery.data).context("a batch")?;
        let mut redis = self.redis.clone();
        for recipient in &batch.recipients {
            let opt_outs = format!("{}optout", self.key_prefix);
            let opted_out: bool = redis
                .sismember(opt_outs, recipient.to)
                .await
                .context("look")?;
            let claim: Option<String> = client::cmd("SET")
                .arg(format!("{}claim:{}", self.key_prefix, recipient.id))
                .arg("1")
                .arg("NX")
                .arg("EX")
                .arg(86400)
                .query_async(&mut redis)
                .await
                .context("claim")?;
            ensure!(!opted_out && claim.is_some(), "not to be sent");
            let form = [
                ("From", "+12025550100"),
                ("To", recipient.to),
                ("MessagingServiceSid", "MG00112233445566778899aabbccddeeff"),
                ("Body", batch.text),
                ("ClientRef", recipient.id),
            ];
            let post = self.http.post(&self.url).form(&form);
            let post = post.basic_auth(
                "AC00112233445566778899aabbccddeeff",
                Some("tokentokentoken"),
            );
            let answer = post.send().await.context("post")?;
            ensure!(answer.status().is_success(), "answered {}", answer.status());
            let reply: Reply = answer.json().await.context("the answer")?;
            let results = format!("{}res", self.key_prefix);
            let result = format!("{}:{}", reply.status, reply.sid);
            let _: u64 = redis
                .hset(results, recipient.id, result)
                .await
                .context("result")?;
        }
        delivery
            .acker
            .ack(BasicAckOptions::default())
            .await
            .context("ack")?;
        let done = self
            .done
            .fetch_add(batch.recipients.len() as u64, Ordering::Relaxed);
        if done + batch.recipients.len() as u64 == self.messages {
            self.end.notify_one();
        }
        Ok(())
    }
}
