//! Where a peer is measured: a corner of the broker and of Redis, a stub, a meter.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis as client;
use anyhow::Context;
use smsfleet_tests::site::Site;

use super::Arguments;
use super::handshake::Running;
use crate::broker;
use crate::machine::Machine;
use crate::meter::{Meter, Sample};
use crate::outcome::Outcome;
use crate::redis::{Counter, Counters};
use crate::stub_client::{self, StubClient, StubProcess, Wanted};
use crate::system_calls::Counting;

/// People who opted out: a set of a usual size.
const OPT_OUTS: u64 = 100_000;
/// What the peer's processes are called among the figures.
pub(super) const PEER: &str = "peer";

/// See the module.
#[derive(Debug)]
pub(super) struct Ring {
    _stub_process: StubProcess,
    pub(super) stub: StubClient,
    pub(super) stub_port: u16,
    pub(super) meter: Meter,
    pub(super) redis: Counter,
    pub(super) site: Site,
}

/// What had been counted at the beginning.
pub(super) struct Mark {
    usage: Sample,
    redis: Counters,
    broker: Option<broker::Counters>,
}

impl Ring {
    pub(super) async fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let site = Site::open()?.context("RabbitMQ and Redis are needed")?;
        let wanted = Wanted {
            latency: arguments.latency.into(),
            ..Wanted::default()
        };
        let started = stub_client::start(&wanted).await?;
        let meter = Meter::default();
        meter.watch("stub", started.process.id());
        let mut redis = Counter::connect(site.redis_url())?;
        if let Some(id) = redis.process_id()? {
            meter.watch("redis", id);
        }
        if let Some(id) = broker::process_id() {
            meter.watch("rabbitmq", id);
        }
        Ok(Self {
            _stub_process: started.process,
            stub: started.client,
            stub_port: started.port,
            meter,
            redis,
            site,
        })
    }

    /// Fills the set of those who opted out.
    pub(super) fn fill_opt_outs(&self) -> anyhow::Result<()> {
        const EACH: u64 = 5_000;
        let opened = client::Client::open(self.site.redis_url()).context("Redis' URL")?;
        let mut connection = opened.get_connection().context("connect to Redis")?;
        for first in (0..OPT_OUTS).step_by(EACH as usize) {
            let mut command = client::cmd("SADD");
            command.arg(format!("{}optout", self.site.key_prefix()));
            for index in first..first + EACH {
                command.arg(format!("+33199{index:06}"));
            }
            let _: u64 = command
                .query(&mut connection)
                .context("fill the opt-outs")?;
        }
        Ok(())
    }

    /// This program as a peer's process.
    pub(super) fn worker(&self, name: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(program()?);
        command.args(["peer-worker", name]);
        command.args(["--amqp", self.site.amqp_url()]);
        command.args(["--redis", self.site.redis_url()]);
        command.args(["--key-prefix", self.site.key_prefix()]);
        command.args(["--stub-port", &self.stub_port.to_string()]);
        Ok(command)
    }

    pub(super) fn mark(&mut self) -> anyhow::Result<Mark> {
        Ok(Mark {
            broker: broker::counters()?,
            redis: self.redis.now()?,
            usage: self.meter.now(),
        })
    }

    /// Lets a peer's process do its work and measures that.
    pub(super) async fn measure(
        &mut self,
        running: &mut Running,
        arguments: &Arguments,
    ) -> anyhow::Result<Outcome> {
        self.meter.watch(PEER, running.id());
        let counting = if arguments.system_calls {
            Some(Counting::start(running.id()).await?)
        } else {
            None
        };
        let mark = self.mark()?;
        running.go()?;
        running.until_done()?;
        let mut outcome = self.outcome(mark, arguments.messages).await?;
        if let Some(counting) = counting {
            outcome.system_calls(&counting.finish()?, arguments.messages);
        }
        Ok(outcome)
    }

    /// Waits until the stub has had so many messages.
    pub(super) async fn sent(&self, messages: u64) -> anyhow::Result<()> {
        while self.stub.stats().await?.messages < messages {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The figures since `mark`; the time is that from the stub's first request to its last.
    pub(super) async fn outcome(&mut self, mark: Mark, messages: u64) -> anyhow::Result<Outcome> {
        let usage = self.meter.now();
        let redis = self.redis.now()?;
        let broker_after = broker::counters()?;
        let stats = self.stub.stats().await?;
        let seconds = stats.last_us.saturating_sub(stats.first_us) as f64 / 1e6;
        let mut outcome = Outcome {
            samples: self.meter.between(&mark.usage, &usage),
            throughput: self.stub.histogram().await?,
            ..Outcome::default()
        };
        outcome.measured(messages, seconds);
        outcome.used(&mark.usage, &usage, messages);
        outcome.redis(&mark.redis, &redis, messages);
        if let (Some(before), Some(after)) = (mark.broker, broker_after) {
            outcome.broker(&before, &after, messages);
        }
        if stats.messages < messages {
            let fault = format!("{messages} handed over, {} at the provider", stats.messages);
            outcome.faults.push(fault);
        }
        Ok(outcome)
    }

    pub(super) fn label(
        &mut self,
        outcome: &mut Outcome,
        arguments: &Arguments,
    ) -> anyhow::Result<()> {
        outcome.scenario = format!("peer-{}", arguments.peer.name());
        outcome.about = "a peer on the same work".to_owned();
        outcome.command = format!(
            "load peer {} --messages {} --latency {} --connections {}",
            arguments.peer.name(),
            arguments.messages,
            arguments.latency,
            arguments.connections,
        );
        let rabbitmq = broker::version().unwrap_or_else(|| "not ours".to_owned());
        outcome.machine = Machine::this(rabbitmq, self.redis.version()?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        outcome.ended_at = now.unwrap_or_default().as_secs();
        Ok(())
    }
}

/// This very program.
pub(super) fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program's own path")
}
