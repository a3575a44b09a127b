//! The part of a run that counts: everything is read at its beginning and at its end.

use smsfleet_tests::fleet::Service;

use crate::broker;
use crate::meter::Sample;
use crate::outcome::Outcome;
use crate::redis::Counters;
use crate::stage::Stage;
use crate::system_calls::Counting;

/// What had been counted when the window opened.
#[derive(Debug)]
pub(super) struct Window {
    broker: Option<broker::Counters>,
    redis: Counters,
    usage: Sample,
    messages: u64,
    requests: u64,
    counting: Option<Counting>,
}

impl Window {
    /// Opens it. The broker is asked first, because that takes long.
    pub(super) async fn open(stage: &mut Stage) -> anyhow::Result<Self> {
        let counting = match stage.members(Service::SendWorker).first() {
            Some(name) if stage.system_calls => match stage.id(name) {
                Some(id) => Some(Counting::start(id).await?),
                None => None,
            },
            _ => None,
        };
        let broker = broker::counters()?;
        let stats = stage.stub.stats().await?;
        Ok(Self {
            counting,
            broker,
            messages: stats.messages,
            requests: stats.requests,
            redis: stage.redis.now()?,
            usage: stage.meter.now(),
        })
    }

    /// Closes it: figures per message of everything that was counted in between. `seconds` is how long
    /// the messages took.
    pub(super) async fn close(
        self,
        stage: &mut Stage,
        messages: u64,
        seconds: f64,
    ) -> anyhow::Result<Outcome> {
        let usage = stage.meter.now();
        let redis = stage.redis.now()?;
        let stats = stage.stub.stats().await?;
        let broker_after = broker::counters()?;
        let mut outcome = Outcome {
            samples: stage.meter.between(&self.usage, &usage),
            throughput: stage.stub.histogram().await?,
            ..Outcome::default()
        };
        outcome.measured(messages, seconds);
        outcome.used(&self.usage, &usage, messages);
        outcome.redis(&self.redis, &redis, messages);
        if let (Some(before), Some(after)) = (&self.broker, &broker_after) {
            outcome.broker(before, after, messages);
        }
        if let Some(counting) = self.counting {
            outcome.system_calls(&counting.finish()?, messages);
        }
        outcome.set("stub.requests", (stats.requests - self.requests) as f64);
        outcome.set("stub.messages", (stats.messages - self.messages) as f64);
        outcome.set("stub.connections", stats.connections as f64);
        outcome.set("stub.handshakes", stats.handshakes as f64);
        Ok(outcome)
    }
}
