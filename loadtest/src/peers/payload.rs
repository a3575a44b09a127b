//! What peers take from their queue and what they post: own formats, of the size that ours have.

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde::{Deserialize, Serialize};

use anyhow::{Context, ensure};

/// One segment.
pub(super) const TEXT: &str = "Hi Ana, your parcel 4711 arrives today between 14:00 and 16:00. Reply STOP to \
    opt out. Was everything as it should be? https://example.org/s/98967f";

/// Somebody to be texted.
#[derive(Deserialize, Serialize)]
pub(super) struct Recipient<'a> {
    pub(super) id: &'a str,
    pub(super) to: &'a str,
}

/// What one AMQP message holds.
#[derive(Deserialize, Serialize)]
pub(super) struct Batch<'a> {
    pub(super) batch: &'a str,
    pub(super) text: &'a str,
    #[serde(borrow)]
    pub(super) recipients: Vec<Recipient<'a>>,
}

/// What the stub answers to one message.
#[derive(Deserialize)]
pub(super) struct Reply<'a> {
    pub(super) sid: &'a str,
}

/// What it answers to many.
#[derive(Deserialize)]
pub(super) struct BatchReply<'a> {
    #[serde(borrow)]
    pub(super) messages: Vec<Reply<'a>>,
}

/// A number of a recipient.
pub(super) fn number(index: u64) -> String {
    smsfleet_tests::people::number((index % 10_000_000) as u32)
}

/// A form of about 300 bytes.
pub(super) fn form(recipient: &Recipient<'_>, text: &str) -> String {
    let mut form = String::with_capacity(400);
    form.push_str("From=%2B12025550100&To=%2B");
    form.push_str(recipient.to.trim_start_matches('+'));
    form.push_str("&MessagingServiceSid=MG00112233445566778899aabbccddeeff&Body=");
    for character in text.chars() {
        match character {
            ' ' => form.push('+'),
            ':' => form.push_str("%3A"),
            '/' => form.push_str("%2F"),
            other => form.push(other),
        }
    }
    form.push_str("&ClientRef=");
    form.push_str(recipient.id);
    form
}

/// JSON for many messages.
pub(super) fn bulk(batch: &Batch<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(200 + batch.recipients.len() * 64);
    body.extend_from_slice(b"{\"from\":\"+12025550100\",\"text\":\"");
    body.extend_from_slice(batch.text.as_bytes());
    body.extend_from_slice(b"\",\"messages\":[");
    for (index, recipient) in batch.recipients.iter().enumerate() {
        body.extend_from_slice(if index == 0 {
            b"{\"to\":\""
        } else {
            b",{\"to\":\""
        });
        body.extend_from_slice(recipient.to.as_bytes());
        body.extend_from_slice(b"\",\"ref\":\"");
        body.extend_from_slice(recipient.id.as_bytes());
        body.extend_from_slice(b"\"}");
    }
    body.extend_from_slice(b"]}");
    body
}

/// A connection and a channel of it.
pub(super) async fn channel(url: &str) -> anyhow::Result<(Connection, Channel)> {
    let connection = Connection::connect(url, ConnectionProperties::default());
    let connection = connection.await.context("connect to the broker")?;
    let channel = connection.create_channel().await.context("a channel")?;
    Ok((connection, channel))
}

/// Declares a queue and fills it with `messages` recipients, `each` in one AMQP message.
pub(super) async fn fill(url: &str, queue: &str, messages: u64, each: u64) -> anyhow::Result<()> {
    /// Confirms that are awaited together.
    const GROUP: usize = 200;
    let (connection, channel) = channel(url).await?;
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("classic".into()),
    );
    channel
        .queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments)
        .await
        .context("declare a queue")?;
    channel
        .queue_purge(queue.into(), QueuePurgeOptions::default())
        .await
        .context("purge it")?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .context("ask for confirms")?;
    let properties = BasicProperties::default().with_delivery_mode(2);
    let mut awaited = Vec::with_capacity(GROUP);
    let mut first = 0;
    while first < messages {
        let count = each.min(messages - first);
        let people: Vec<(String, String)> = (first..first + count)
            .map(|index| (format!("peer-{index:010}"), number(index)))
            .collect();
        let batch = Batch {
            batch: &format!("b{first}"),
            text: TEXT,
            recipients: people.iter().map(|(id, to)| Recipient { id, to }).collect(),
        };
        let body = serde_json::to_vec(&batch).context("write a batch")?;
        let options = BasicPublishOptions::default();
        let confirm =
            channel.basic_publish("".into(), queue.into(), options, &body, properties.clone());
        awaited.push(confirm.await.context("publish")?);
        first += count;
        if awaited.len() == GROUP || first == messages {
            for confirm in awaited.drain(..) {
                ensure!(
                    confirm.await.context("a confirm")?.is_ack(),
                    "not confirmed"
                );
            }
        }
    }
    connection
        .close(200, "filled".into())
        .await
        .context("close")
}
