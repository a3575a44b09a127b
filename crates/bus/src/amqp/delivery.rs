//! From lapin's deliveries to ours, and their acknowledgements.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::{
    BasicProperties, Channel,
    options::{BasicAckOptions, BasicNackOptions},
    types::AMQPValue,
};
use tokio::runtime::Handle;

use super::seats::SharedChannel;
use crate::{Acker, Delivery};

/// A delivery of a consumer.
pub(super) fn consumed(
    delivery: lapin::message::Delivery,
    channel: Arc<SharedChannel>,
    runtime: Handle,
) -> Delivery {
    ours(delivery, runtime, Kept::Shared(channel))
}

/// A delivery that was asked for, on a channel of its own.
pub(super) fn taken(
    delivery: lapin::message::Delivery,
    channel: Channel,
    runtime: Handle,
) -> Delivery {
    ours(delivery, runtime, Kept::Own(channel))
}

fn ours(delivery: lapin::message::Delivery, runtime: Handle, channel: Kept) -> Delivery {
    let message_id = delivery
        .properties
        .message_id()
        .as_ref()
        .map(|id| id.as_str().to_owned())
        .unwrap_or_default();
    let headers = headers(&delivery.properties);
    let acker = Box::new(AmqpAcker {
        acker: delivery.acker,
        runtime,
        channel,
    });
    Delivery::new(
        delivery.data.into(),
        message_id,
        headers,
        delivery.redelivered,
        acker,
    )
}

/// Those with a plain value. The broker adds lists (`x-death`), whose essence it also says plainly:
/// `x-first-death-queue`, `x-first-death-reason`, `x-delivery-count`.
fn headers(properties: &BasicProperties) -> Vec<(String, String)> {
    let Some(table) = properties.headers() else {
        return Vec::new();
    };
    table
        .into_iter()
        .filter_map(|(name, value)| {
            let value = match value {
                AMQPValue::LongString(text) => text.to_string(),
                AMQPValue::ShortString(text) => text.to_string(),
                AMQPValue::Boolean(flag) => flag.to_string(),
                AMQPValue::ShortShortInt(number) => number.to_string(),
                AMQPValue::ShortInt(number) => number.to_string(),
                AMQPValue::LongInt(number) => number.to_string(),
                AMQPValue::LongLongInt(number) => number.to_string(),
                _ => return None,
            };
            Some((name.as_str().to_owned(), value))
        })
        .collect()
}

struct AmqpAcker {
    /// Bound to its channel's connection; lapin makes it inert when that ends.
    acker: lapin::Acker,
    runtime: Handle,
    channel: Kept,
}

/// The channel of the delivery, which must outlive it: a channel that ends gives everything back.
enum Kept {
    Shared(Arc<SharedChannel>),
    Own(Channel),
}

#[async_trait]
impl Acker for AmqpAcker {
    async fn ack(self: Box<Self>) {
        let Self { acker, channel, .. } = *self;
        if let Err(why) = acker.ack(BasicAckOptions::default()).await {
            tracing::debug!(%why, "an ack was lost with its connection");
        }
        match channel {
            Kept::Shared(shared) => drop(shared),
            // Acks sent right before a channel closes can be lost; the close that is answered
            // came after this one.
            Kept::Own(channel) => {
                let _ = channel.close(200, "done".into()).await;
            }
        }
    }

    fn give_back(self: Box<Self>) {
        let Self {
            acker,
            runtime,
            channel,
        } = *self;
        // With its runtime gone the connection is too, and that gives back as well.
        runtime.spawn(async move {
            let requeue = BasicNackOptions {
                requeue: true,
                ..BasicNackOptions::default()
            };
            let _ = acker.nack(requeue).await;
            drop(channel);
        });
    }
}
