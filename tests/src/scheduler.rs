//! What a distribution scheduler does: hands batches over and waits for the confirm; hears events
//! and replies from queues of its own. Written against AMQP alone.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde_json::Value;
use tokio::task::JoinHandle;

/// The queue that batches are handed over in.
const BATCHES: &str = "sms.batches";
const PERSISTENT: u8 = 2;
/// An abandoned queue of a test goes away by itself.
const QUEUE_EXPIRES_MS: i64 = 600_000;

/// A connection to the broker, as a scheduler has one.
pub struct Scheduler {
    connection: Connection,
    channel: Channel,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scheduler")
    }
}

/// A message as it was heard.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its topic.
    pub topic: String,
    /// Its body.
    pub body: Value,
}

/// Collects what is published on a topic exchange, from the moment it was made.
#[derive(Debug)]
pub struct Ear {
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ear {
    /// Everything so far, in the order of arrival.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How much that is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether nothing was heard yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bodies.
    #[must_use]
    pub fn bodies(&self) -> Vec<Value> {
        self.heard().into_iter().map(|heard| heard.body).collect()
    }
}

impl Scheduler {
    /// Connects.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let properties =
            ConnectionProperties::default().with_connection_name("e2e scheduler".into());
        let connection = Connection::connect(url, properties)
            .await
            .context("connect to the broker")?;
        let channel = connection
            .create_channel()
            .await
            .context("open a channel")?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .context("ask for confirms")?;
        Ok(Self {
            connection,
            channel,
        })
    }

    /// Hands a batch over and waits until the broker has it.
    ///
    /// # Errors
    /// If it is not confirmed, or the queue is not there.
    pub async fn hand_over(&self, batch: &Value) -> anyhow::Result<()> {
        self.hand_over_bytes(&serde_json::to_vec(batch).context("write a batch")?)
            .await
    }

    /// The same with any bytes.
    ///
    /// # Errors
    /// As [`Self::hand_over`].
    pub async fn hand_over_bytes(&self, body: &[u8]) -> anyhow::Result<()> {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into());
        let confirmation = self
            .channel
            .basic_publish("".into(), BATCHES.into(), options, body, properties)
            .await
            .context("publish a batch")?
            .await
            .context("wait for the confirm of a batch")?;
        match confirmation {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => {
                bail!("a batch was returned: there is no queue {BATCHES}")
            }
            Confirmation::Nack(None) | Confirmation::NotRequested => {
                bail!("a batch was not confirmed")
            }
        }
    }

    /// Takes a message that waits in `queue`, off it for good.
    ///
    /// # Errors
    /// If there is no such queue.
    pub async fn take(&self, queue: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let options = lapin::options::BasicGetOptions { no_ack: true };
        let got = self
            .connection
            .create_channel()
            .await?
            .basic_get(name(queue)?, options)
            .await?;
        Ok(got.map(|message| message.delivery.data))
    }

    /// How many messages wait in `queue`.
    ///
    /// # Errors
    /// If there is no such queue.
    pub async fn depth(&self, queue: &str) -> anyhow::Result<u32> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        // A channel of its own: a queue that is not there closes it.
        let channel = self.connection.create_channel().await?;
        let declared = channel
            .queue_declare(name(queue)?, options, FieldTable::default())
            .await
            .with_context(|| format!("look at {queue}"))?;
        let depth = declared.message_count();
        channel.close(200, "seen".into()).await?;
        Ok(depth)
    }

    /// Listens to every topic of `exchange`, which must be there.
    ///
    /// # Errors
    /// If it is not.
    pub async fn listen(&self, exchange: &str) -> anyhow::Result<Ear> {
        let channel = self.connection.create_channel().await?;
        let queue = format!("e2e.{exchange}.{:08x}", fastrand::u32(..));
        let mut arguments = FieldTable::default();
        arguments.insert("x-expires".into(), AMQPValue::LongLongInt(QUEUE_EXPIRES_MS));
        channel
            .queue_declare(name(&queue)?, QueueDeclareOptions::durable(), arguments)
            .await
            .context("declare a queue of our own")?;
        channel
            .queue_bind(
                name(&queue)?,
                name(exchange)?,
                "#".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .with_context(|| format!("bind to {exchange}"))?;
        let mut deliveries = channel
            .basic_consume(
                name(&queue)?,
                "e2e".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await
            .context("consume")?;
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let kept = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            // The channel lives as long as somebody listens.
            let _channel = channel;
            while let Some(Ok(delivery)) = deliveries.next().await {
                let body = serde_json::from_slice(&delivery.data).unwrap_or(Value::Null);
                let topic = delivery.routing_key.as_str().to_owned();
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Heard { topic, body });
                let _ = delivery.ack(BasicAckOptions::default()).await;
            }
        });
        Ok(Ear { heard, task })
    }
}

fn name(text: &str) -> anyhow::Result<ShortString> {
    ShortString::try_new(text).map_err(|error| anyhow::anyhow!("{text} is no AMQP name: {error}"))
}
