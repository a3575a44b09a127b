//! Who listens to which topic.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::{
    EmbeddedSettings,
    queue::{Limits, Message, Queue, Source},
};
use crate::{BusError, Delivery, DeliverySource, Topic, pattern::topic_matches};

/// Deliveries that a listener may hold unacked.
const LISTENER_PREFETCH: u16 = 256;

#[derive(Default)]
pub(super) struct Topics {
    bindings: Arc<RwLock<Vec<Binding>>>,
}

struct Binding {
    topic: Topic,
    pattern: String,
    queue: Arc<Queue>,
}

impl Topics {
    pub(super) fn publish(&self, topic: Topic, key: &str, message: &Message) {
        let bindings = self.bindings.read().unwrap_or_else(PoisonError::into_inner);
        for binding in bindings.iter() {
            if binding.topic == topic && topic_matches(&binding.pattern, key) {
                // Fails only if the listener ended just now: then nobody is listening.
                let _ = binding.queue.push(message.clone());
            }
        }
    }

    pub(super) fn subscribe(
        &self,
        topic: Topic,
        pattern: &str,
        settings: &EmbeddedSettings,
    ) -> Result<Listener, BusError> {
        let queue = Queue::new(pattern, None, Limits::forget(settings));
        let source = queue.attach(LISTENER_PREFETCH)?;
        self.bindings
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Binding {
                topic,
                pattern: pattern.to_owned(),
                queue: Arc::clone(&queue),
            });
        Ok(Listener {
            source,
            queue,
            bindings: Arc::clone(&self.bindings),
        })
    }

    pub(super) fn end(&self) {
        let mut bindings = self
            .bindings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for binding in bindings.drain(..) {
            binding.queue.end(BusError::Closed);
        }
    }
}

/// A consumer whose queue ends with it.
pub(super) struct Listener {
    source: Source,
    queue: Arc<Queue>,
    bindings: Arc<RwLock<Vec<Binding>>>,
}

#[async_trait]
impl DeliverySource for Listener {
    async fn next(&mut self) -> Result<Delivery, BusError> {
        self.source.next().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.bindings
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|binding| !Arc::ptr_eq(&binding.queue, &self.queue));
    }
}
