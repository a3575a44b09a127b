//! The upper bound: 100 recipients in an AMQP message, one Redis call for the opt-outs and claims of
//! all, POSTs over a fixed set of bare connections, one call for the results, one ack. One thread, no
//! limit, no rendering, no events, no retry: nothing that a product needs.

use std::sync::Arc;

use ::redis as client;
use anyhow::{Context, ensure};
use bytes::Bytes;
use client::aio::MultiplexedConnection;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use super::handshake as agree;
use super::payload::{self, Batch, BatchReply, Reply};
use super::ring::Ring;
use crate::outcome::Outcome;

/// Recipients in an AMQP message and in a bulk POST.
const EACH: u64 = 100;
/// AMQP messages in hand.
const WINDOW: u16 = 8;
/// Connections of bulk POSTs: fewer, because a request holds more.
const BULK_CONNECTIONS: usize = 16;
const QUEUE: &str = "peer-ideal";
const AUTHORIZATION: &str =
    "Basic QUMwMDExMjIzMzQ0NTU2Njc3ODg5OWFhYmJjY2RkZWVmZjp0b2tlbnRva2VudG9rZW4=";

/// For each recipient 0 if they are claimed now, 1 if they were before, 2 if they opted out.
const CLAIM: &str = r"
local out = {}
for i = 2, #ARGV, 2 do
  if redis.call('SISMEMBER', KEYS[1], ARGV[i + 1]) == 1 then out[#out + 1] = 2
  elseif redis.call('SET', ARGV[1] .. ARGV[i], '1', 'NX', 'EX', 86400) then out[#out + 1] = 0
  else out[#out + 1] = 1 end
end
return out";

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
    connections: usize,
    #[arg(long)]
    bulk: bool,
    #[arg(long)]
    bitmap: bool,
}

/// Fills the queue and measures the peer's process.
pub(super) async fn drain(
    ring: &mut Ring,
    arguments: &super::Arguments,
    bulk: bool,
    bitmap: bool,
) -> anyhow::Result<Outcome> {
    let messages = arguments.messages;
    ring.fill_opt_outs()?;
    payload::fill(ring.site.amqp_url(), QUEUE, messages, EACH).await?;
    let mut command = ring.worker("ideal")?;
    let connections = if bulk {
        BULK_CONNECTIONS
    } else {
        arguments.connections
    };
    command.args(["--messages", &messages.to_string()]);
    command.args(["--connections", &connections.to_string()]);
    let flags = [("--bulk", bulk), ("--bitmap", bitmap)];
    command.args(
        flags
            .into_iter()
            .filter(|(_, on)| *on)
            .map(|(flag, _)| flag),
    );
    let mut running = agree::Running::start(command)?;
    ring.measure(&mut running, arguments).await
}

type Sender = SendRequest<Full<Bytes>>;

/// Connections that are not in use, and a place for each.
struct Pool {
    free: Mutex<Vec<Sender>>,
    places: Semaphore,
}

impl Pool {
    async fn open(port: u16, connections: usize) -> anyhow::Result<Self> {
        let mut free = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = TcpStream::connect(("127.0.0.1", port))
                .await
                .context("the stub")?;
            stream.set_nodelay(true).context("no delay")?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await.context("HTTP")?;
            tokio::spawn(connection);
            free.push(sender);
        }
        Ok(Self {
            free: Mutex::new(free),
            places: Semaphore::new(connections),
        })
    }

    async fn post(&self, path: &str, kind: &str, body: Vec<u8>) -> anyhow::Result<Bytes> {
        let _place = self.places.acquire().await.context("a place")?;
        let free = self.free.lock().await.pop();
        let mut sender = free.context("a place is a connection")?;
        sender.ready().await.context("the connection")?;
        let request = http::Request::post(path)
            .header("host", "localhost")
            .header("authorization", AUTHORIZATION)
            .header("content-type", kind)
            .body(Full::new(Bytes::from(body)))
            .context("a request")?;
        let answer = sender.send_request(request).await.context("send")?;
        ensure!(answer.status().is_success(), "answered {}", answer.status());
        let body = answer.into_body().collect().await.context("the answer")?;
        self.free.lock().await.push(sender);
        Ok(body.to_bytes())
    }
}

struct Shared {
    redis: MultiplexedConnection,
    claim: client::Script,
    pool: Pool,
    key_prefix: String,
    bulk: bool,
    bitmap: bool,
}

/// Is the peer's process.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (connection, channel) = payload::channel(&arguments.amqp).await?;
    channel
        .basic_qos(WINDOW + 2, BasicQosOptions::default())
        .await
        .context("qos")?;
    let opened = client::Client::open(arguments.redis.as_str()).context("Redis' URL")?;
    let redis = opened
        .get_multiplexed_async_connection()
        .await
        .context("Redis")?;
    let claim = client::Script::new(CLAIM);
    claim
        .prepare_invoke()
        .load_async(&mut redis.clone())
        .await
        .context("load the script")?;
    let shared = Arc::new(Shared {
        redis,
        claim,
        pool: Pool::open(arguments.stub_port, arguments.connections).await?,
        key_prefix: arguments.key_prefix.clone(),
        bulk: arguments.bulk,
        bitmap: arguments.bitmap,
    });
    agree::await_go()?;
    let options = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume(QUEUE.into(), "ideal".into(), options, FieldTable::default());
    let mut consumer = consumer.await.context("consume")?;
    let (mut taken, mut in_hand) = (0, JoinSet::new());
    while taken < arguments.messages {
        if in_hand.len() >= usize::from(WINDOW) {
            in_hand.join_next().await.context("one in hand")???;
        }
        let delivery = consumer
            .next()
            .await
            .context("the queue ended")?
            .context("a delivery")?;
        taken += EACH;
        in_hand.spawn(handled(Arc::clone(&shared), delivery));
    }
    while let Some(done) = in_hand.join_next().await {
        done??;
    }
    agree::done()?;
    connection.close(200, "done".into()).await.context("close")
}

async fn handled(shared: Arc<Shared>, delivery: Delivery) -> anyhow::Result<()> {
    let batch: Batch<'_> = serde_json::from_slice(&delivery.data).context("a batch")?;
    let mut redis = shared.redis.clone();
    let claims = if shared.bitmap {
        claims_in_a_bitmap(&shared, &mut redis, &batch).await?
    } else {
        claims_by_script(&shared, &mut redis, &batch).await?
    };
    ensure!(
        claims.iter().all(|claim| *claim == 0),
        "somebody was claimed before"
    );
    let mut results = client::cmd("HSET");
    results.arg(format!("{}res:{}", shared.key_prefix, batch.batch));
    if shared.bulk {
        let body = shared
            .pool
            .post("/batch", "application/json", payload::bulk(&batch))
            .await?;
        let reply: BatchReply<'_> = serde_json::from_slice(&body).context("the answer")?;
        ensure!(
            reply.messages.len() == batch.recipients.len(),
            "answers are missing"
        );
        for (recipient, reply) in batch.recipients.iter().zip(&reply.messages) {
            results.arg(recipient.id).arg(reply.sid);
        }
    } else {
        const PATH: &str = "/2010-04-01/Accounts/AC00112233445566778899aabbccddeeff/Messages.json";
        let mut posts: FuturesUnordered<_> = batch
            .recipients
            .iter()
            .map(|recipient| {
                let body = payload::form(recipient, batch.text).into_bytes();
                let post = shared
                    .pool
                    .post(PATH, "application/x-www-form-urlencoded", body);
                async move { (recipient.id, post.await) }
            })
            .collect();
        while let Some((id, body)) = posts.next().await {
            let body = body?;
            let reply: Reply<'_> = serde_json::from_slice(&body).context("the answer")?;
            results.arg(id).arg(reply.sid);
        }
    }
    let _: u64 = results.query_async(&mut redis).await.context("results")?;
    delivery
        .acker
        .ack(BasicAckOptions::default())
        .await
        .context("ack")?;
    Ok(())
}

async fn claims_by_script(
    shared: &Shared,
    redis: &mut MultiplexedConnection,
    batch: &Batch<'_>,
) -> anyhow::Result<Vec<u8>> {
    let mut call = shared.claim.key(format!("{}optout", shared.key_prefix));
    call.arg(format!("{}claim:", shared.key_prefix));
    for recipient in &batch.recipients {
        call.arg(recipient.id).arg(recipient.to);
    }
    call.invoke_async(redis).await.context("claim")
}

async fn claims_in_a_bitmap(
    shared: &Shared,
    redis: &mut MultiplexedConnection,
    batch: &Batch<'_>,
) -> anyhow::Result<Vec<u8>> {
    let key = format!("{}claim:{}", shared.key_prefix, batch.batch);
    let mut pipe = client::pipe();
    pipe.cmd("SMISMEMBER")
        .arg(format!("{}optout", shared.key_prefix));
    for recipient in &batch.recipients {
        pipe.arg(recipient.to);
    }
    pipe.cmd("BITFIELD").arg(&key);
    for row in 0..batch.recipients.len() {
        pipe.arg("SET").arg("u1").arg(row).arg(1);
    }
    pipe.cmd("EXPIRE").arg(&key).arg(86400);
    let (opted_out, claimed, _): (Vec<u8>, Vec<u8>, u8) =
        pipe.query_async(redis).await.context("claim")?;
    let both = opted_out.iter().zip(&claimed);
    Ok(both
        .map(|(opted_out, claimed)| opted_out * 2 + claimed)
        .collect())
}
