//! A consumer of one queue: brings what the broker hands out, as many as the prefetch allows.

use std::{sync::Arc, time::Duration};

use bus::{BusError, Consumer, Delivery, SendQueue};
use ledger::QueueEntry;
use tokio::{
    sync::mpsc::UnboundedSender,
    time::{sleep, timeout},
};

use crate::{Shared, order::QueueId};

/// What a pump has to say.
pub(crate) enum News {
    Delivery(Delivery),
    /// The consumer has started and the queue seems to be empty.
    Nothing,
}

/// A queue that has something hands it out at once; longer than this nobody waits for it.
const FIRST_DELIVERY: Duration = Duration::from_millis(50);

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// Keeps a consumer on the queue; makes the queue again if it is gone while the list still has it.
/// Ends when nobody listens any more.
pub(crate) async fn run(
    shared: Arc<Shared>,
    entry: QueueEntry,
    id: QueueId,
    prefetch: u16,
    news: UnboundedSender<(QueueId, News)>,
) {
    let queue = SendQueue {
        organization_id: entry.organization_id,
        connection_id: entry.connection_id,
        distribution_id: entry.distribution_id,
        class: entry.class,
    };
    let mut pause = PAUSE_MIN;
    let mut gone = false;
    loop {
        let ended = async {
            if gone {
                shared.bus.declare_send_queue(&queue).await?;
            }
            let mut consumer = shared.bus.consume(&entry.name, prefetch).await?;
            pause = PAUSE_MIN;
            bring(&mut consumer, id, &news).await
        };
        let error = match ended.await {
            Ok(()) | Err(BusError::Closed) => return,
            Err(error) => error,
        };
        tracing::warn!(queue = entry.name, "consumer ended: {error}");
        gone = matches!(error, BusError::NoSuchQueue(_));
        // One that cannot be consumed must not keep its place from those that can.
        if news.send((id, News::Nothing)).is_err() {
            return;
        }
        // Whoever deleted it takes it off the list, and by then this pump has ended with it.
        sleep(pause.mul_f64(1.0 + fastrand::f64())).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn bring(
    consumer: &mut Consumer,
    id: QueueId,
    news: &UnboundedSender<(QueueId, News)>,
) -> Result<(), BusError> {
    let first = match timeout(FIRST_DELIVERY, consumer.next()).await {
        Ok(delivery) => News::Delivery(delivery?),
        Err(_) => News::Nothing,
    };
    if news.send((id, first)).is_err() {
        return Ok(());
    }
    loop {
        let delivery = consumer.next().await?;
        if news.send((id, News::Delivery(delivery))).is_err() {
            return Ok(());
        }
    }
}
