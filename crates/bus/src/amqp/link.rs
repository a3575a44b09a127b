//! One connection that is kept up. lapin could recover by itself; a new connection instead has no
//! state of the old one to be wrong about: its channels, consumers and delivery tags are simply gone,
//! and whoever used them starts anew on the next *generation*.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use lapin::{Connection, ConnectionProperties, uri::AMQPUri};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    declare, failure,
    reconnect::Pauses,
    settings::AmqpSettings,
    stats::BusStats,
    version::{self, Version},
};
use crate::BusError;

/// A connection's end is told as an event; this often it is looked for as well.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A connection that lived this long proves that connecting works again.
const PROVEN_AFTER: Duration = Duration::from_secs(10);
/// Queues remembered as said.
const SAID_MAX: usize = 10_000;
/// Closing waits this long for the broker's good-bye.
const GOODBYE: Duration = Duration::from_secs(2);

/// A frame on the wire, at most, unless the URL says otherwise. lapin keeps room for 32 of them in each
/// direction and goes round in it: with the broker's own 128 KiB a process with six connections held
/// 48 MiB, all of it too cold for the processor's cache.
const FRAME_BYTES_MAX: u32 = 32 * 1024;

/// The broker as all links of a bus know it.
pub(super) struct Broker {
    pub(super) uri: AMQPUri,
    pub(super) settings: AmqpSettings,
    pub(super) stats: Arc<BusStats>,
    /// Forgotten when a connection is lost: the broker may come back as another version.
    version: Mutex<Option<Version>>,
    /// Queues whose elder arguments were said; with hundreds of them once is enough.
    said: Mutex<HashSet<String>>,
    /// Links declare one after the other; two that create the same queue at once may collide.
    declaring: tokio::sync::Mutex<()>,
}

impl Broker {
    pub(super) fn new(mut uri: AMQPUri, settings: AmqpSettings) -> Arc<Self> {
        uri.query.frame_max.get_or_insert(FRAME_BYTES_MAX);
        Arc::new(Self {
            uri,
            settings,
            stats: Arc::default(),
            version: Mutex::default(),
            said: Mutex::default(),
            declaring: tokio::sync::Mutex::default(),
        })
    }

    /// Whether nothing was said about `queue` yet.
    pub(super) fn is_news(&self, queue: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.len() < SAID_MAX && said.insert(queue.to_owned())
    }

    async fn version(&self) -> Result<Version, BusError> {
        let known = *self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = known {
            return Ok(version);
        }
        let version = version::ask(&self.uri).await?;
        self.remember(Some(version));
        Ok(version)
    }

    fn remember(&self, version: Option<Version>) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }

    async fn connect(&self, purpose: &str) -> Result<(Connection, Version), BusError> {
        // One at a time, and the first one's question about the version serves the others.
        let _turn = self.declaring.lock().await;
        let version = self.version().await?;
        let name = format!("{} ({purpose})", self.settings.connection_name);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = Connection::connect_uri(self.uri.clone(), properties)
            .await
            .map_err(|error| failure::unavailable(&error))?;
        declare::topology(self, &connection, version).await?;
        Ok((connection, version))
    }
}

/// A connection that is up, or was a moment ago.
pub(super) struct Live {
    pub(super) connection: Connection,
    /// Counts connections; what belongs to an elder one is over.
    pub(super) generation: u64,
    pub(super) version: Version,
}

impl Live {
    pub(super) fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    async fn ended(&self) {
        let mut events = std::pin::pin!(self.connection.events_listener().fuse());
        while self.is_connected() {
            tokio::select! {
                Some(_) = events.next() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Returns once the broker has stopped to read from this connection, which it does to those
    /// that publish while it is short of memory or disk.
    pub(super) async fn blocked(&self) {
        while !self.connection.status().blocked() {
            sleep(LOOK_EVERY).await;
        }
    }
}

#[derive(Clone)]
enum State {
    Down(BusError),
    Up(Arc<Live>),
    Closed,
}

/// See the module. Cloned by everybody who needs the connection.
#[derive(Clone)]
pub(super) struct Link {
    state: watch::Receiver<State>,
}

impl Link {
    /// Connects, and connects again, until `stop`.
    pub(super) fn keep_up(
        broker: Arc<Broker>,
        purpose: &'static str,
        stop: CancellationToken,
    ) -> Self {
        let first = State::Down(BusError::Unavailable("not connected yet".into()));
        let (sender, state) = watch::channel(first);
        tokio::spawn(keep_up(broker, purpose, stop, sender));
        Self { state }
    }

    /// The connection, waiting for one as long as it takes.
    pub(super) async fn wait(&self) -> Result<Arc<Live>, BusError> {
        let mut state = self.state.clone();
        loop {
            match &*state.borrow_and_update() {
                // One that has ended unnoticed is not worth trying; the notice is on its way.
                State::Up(live) if live.is_connected() => return Ok(Arc::clone(live)),
                State::Closed => return Err(BusError::Closed),
                State::Up(_) | State::Down(_) => {}
            }
            if state.changed().await.is_err() {
                // The task that kept it up ended with its runtime.
                return Err(BusError::Closed);
            }
        }
    }

    /// The connection, waiting for `patience`; then the reason why there is none.
    pub(super) async fn within(&self, patience: Duration) -> Result<Arc<Live>, BusError> {
        match timeout(patience, self.wait()).await {
            Ok(answer) => answer,
            Err(_) => Err(self.why_down()),
        }
    }

    /// The first connection: like [`within`](Self::within), but what no waiting mends is said at once.
    pub(super) async fn first(&self, patience: Duration) -> Result<(), BusError> {
        let mut state = self.state.clone();
        let decided =
            state.wait_for(|state| !matches!(state, State::Down(BusError::Unavailable(_))));
        match timeout(patience, decided).await {
            Ok(Ok(state)) => match &*state {
                State::Down(why) => Err(why.clone()),
                State::Up(_) => Ok(()),
                State::Closed => Err(BusError::Closed),
            },
            Ok(Err(_)) => Err(BusError::Closed),
            Err(_) => Err(self.why_down()),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(live)
            if live.is_connected() && !live.connection.status().blocked())
    }

    /// Returns when the last good-bye is said.
    pub(super) async fn closed(&self) {
        let mut state = self.state.clone();
        let closed = state.wait_for(|state| matches!(state, State::Closed));
        // An error means that the task is gone, which is as closed as can be.
        let _ = timeout(GOODBYE * 2, closed).await;
    }

    fn why_down(&self) -> BusError {
        match &*self.state.borrow() {
            State::Down(why) => why.clone(),
            State::Up(_) => BusError::Unavailable("the connection was lost".into()),
            State::Closed => BusError::Closed,
        }
    }
}

async fn keep_up(
    broker: Arc<Broker>,
    purpose: &'static str,
    stop: CancellationToken,
    state: watch::Sender<State>,
) {
    let mut pauses = Pauses::up_to(broker.settings.reconnect_pause_max);
    let mut generation = 0;
    while !stop.is_cancelled() {
        let patience = broker.settings.connect_timeout;
        let attempt = tokio::select! {
            () = stop.cancelled() => break,
            attempt = timeout(patience, broker.connect(purpose)) => attempt,
        };
        match attempt.unwrap_or_else(|_| Err(failure::timed_out("the connection attempt"))) {
            Ok((connection, version)) => {
                generation += 1;
                if generation > 1 {
                    broker.stats.add_reconnect();
                }
                tracing::info!(
                    purpose,
                    generation,
                    ?version,
                    "connected to the message broker"
                );
                let live = Arc::new(Live {
                    connection,
                    generation,
                    version,
                });
                state.send_replace(State::Up(Arc::clone(&live)));
                let since = Instant::now();
                tokio::select! {
                    () = stop.cancelled() => {
                        say_goodbye(&live).await;
                        break;
                    }
                    () = live.ended() => {}
                }
                let lost = BusError::Unavailable("the connection was lost".into());
                state.send_replace(State::Down(lost));
                broker.remember(None);
                tracing::warn!(
                    purpose,
                    generation,
                    "lost the connection to the message broker"
                );
                if since.elapsed() >= PROVEN_AFTER {
                    pauses.reset();
                }
            }
            Err(why) => {
                tracing::warn!(purpose, %why, "cannot connect to the message broker");
                state.send_replace(State::Down(why));
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = sleep(pauses.next()) => {}
        }
    }
    state.send_replace(State::Closed);
}

async fn say_goodbye(live: &Live) {
    let close = live.connection.close(200, "closing".into());
    // Ending without an answer loses nothing: what is unacked comes back either way.
    let _ = timeout(GOODBYE, close).await;
}
