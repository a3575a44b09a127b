//! The connection to Redis: one, shared, reconnecting by itself with growing pauses (the redis
//! crate's own; nothing here repeats a command). A call has a deadline, whatever it waits for.

use std::time::Duration;

use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError,
    ServerErrorKind, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
};

use super::{RedisSettings, scripts::Script};
use crate::LedgerError;

/// The connection; clones of what is inside share it.
pub(super) struct Link {
    to: To,
    deadline: Duration,
}

#[derive(Clone)]
enum To {
    Server(ConnectionManager),
    Cluster(ClusterConnection),
}

/// Redirections that a command follows while slots move. Every script may be run twice, so this
/// repeats nothing that would count twice.
const CLUSTER_RETRIES: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(100);

impl Link {
    pub(super) async fn connect(url: &str, settings: &RedisSettings) -> Result<Self, LedgerError> {
        // A peer that vanished without a word is found by the kernel: nothing else would.
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(settings.response_timeout.saturating_mul(2));
        let nodes: Vec<&str> = url.split(',').map(str::trim).collect();
        // A URL holds a password, so no error may repeat it.
        let unusable = |_| {
            LedgerError::Unusable(
                "the Redis URL can not be read: expected redis://[user:password@]host:port".into(),
            )
        };
        let to = if let [node] = nodes[..] {
            let info = node.into_connection_info().map_err(unusable)?;
            let client = Client::open(info.set_tcp_settings(tcp)).map_err(unusable)?;
            let config = ConnectionManagerConfig::new()
                .set_response_timeout(Some(settings.response_timeout))
                .set_connection_timeout(Some(settings.connect_timeout))
                .set_number_of_retries(settings.connect_retries.into())
                .set_min_delay(FIRST_PAUSE)
                .set_max_delay(settings.connect_pause_max);
            let manager = ConnectionManager::new_with_config(client, config);
            To::Server(manager.await.map_err(unavailable)?)
        } else {
            let client = ClusterClientBuilder::new(nodes)
                .retries(CLUSTER_RETRIES)
                .response_timeout(settings.response_timeout)
                .connection_timeout(settings.connect_timeout)
                .tcp_settings(tcp)
                .build()
                .map_err(unusable)?;
            To::Cluster(client.get_async_connection().await.map_err(unavailable)?)
        };
        // A call that finds the connection lost waits for one attempt at a new one, not for all.
        let deadline = settings.response_timeout + settings.connect_timeout;
        Ok(Self { to, deadline })
    }

    /// A ledger that forgets by itself would send twice: refuse it at the door.
    pub(super) async fn require_no_eviction(&self) -> Result<(), LedgerError> {
        let info: Result<Value, _> = self.run(redis::cmd("INFO").arg("memory")).await;
        let mut policies = Vec::new();
        if let Ok(info) = &info {
            collect_policies(info, &mut policies);
        }
        if policies.is_empty() {
            tracing::warn!("Redis does not tell its maxmemory-policy; it must be noeviction");
        }
        match policies.iter().find(|policy| *policy != "noeviction") {
            None => Ok(()),
            Some(policy) => Err(LedgerError::Unusable(format!(
                "Redis has maxmemory-policy {policy} and would forget claims under memory pressure: set it to noeviction"
            ))),
        }
    }

    pub(super) async fn ping(&self) -> Result<(), LedgerError> {
        self.run::<Value>(&redis::cmd("PING")).await.map(drop)
    }

    /// Runs one command.
    pub(super) async fn run<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, LedgerError> {
        self.in_time(self.query(cmd)).await
    }

    /// Runs commands of one slot, together.
    pub(super) async fn pipe<T: FromRedisValue>(&self, pipe: &Pipeline) -> Result<T, LedgerError> {
        self.in_time(async {
            match self.to.clone() {
                To::Server(mut connection) => pipe.query_async(&mut connection).await,
                To::Cluster(mut connection) => pipe.query_async(&mut connection).await,
            }
        })
        .await
    }

    /// Runs a script on keys of one slot; a server that does not know it gets it with the call.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        args: &[impl AsRef<[u8]>],
    ) -> Result<T, LedgerError> {
        let call = |name: &str, code: &str| {
            let mut cmd = redis::cmd(name);
            cmd.arg(code).arg(keys.len()).arg(keys);
            for arg in args {
                cmd.arg(arg.as_ref());
            }
            cmd
        };
        self.in_time(async {
            match self.query(&call("EVALSHA", &script.hash)).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    self.query(&call("EVAL", script.code)).await
                }
                answer => answer,
            }
        })
        .await
    }

    async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, RedisError> {
        match self.to.clone() {
            To::Server(mut connection) => cmd.query_async(&mut connection).await,
            To::Cluster(mut connection) => cmd.query_async(&mut connection).await,
        }
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, LedgerError> {
        match tokio::time::timeout(self.deadline, call).await {
            Ok(answer) => answer.map_err(unavailable),
            Err(_) => Err(LedgerError::Unavailable(
                "no answer from Redis in time".into(),
            )),
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn unavailable(error: RedisError) -> LedgerError {
    LedgerError::Unavailable(error.to_string())
}

/// A cluster answers with a map from node to text, a server with the text.
fn collect_policies(info: &Value, policies: &mut Vec<String>) {
    let mut read = |text: &str| {
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("maxmemory_policy:"));
        policies.extend(lines.map(|policy| policy.trim().to_owned()));
    };
    match info {
        Value::BulkString(bytes) => read(&String::from_utf8_lossy(bytes)),
        Value::VerbatimString { text, .. } => read(text),
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_policies(value, policies)),
        Value::Map(pairs) => pairs
            .iter()
            .for_each(|(_, value)| collect_policies(value, policies)),
        _ => {}
    }
}
