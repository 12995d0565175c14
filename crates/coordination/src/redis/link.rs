//! The connection to Redis, and the one place that knows whether it is usable.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, RedisResult};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::place::Place;
use super::throttle::Throttle;
use crate::{CoordinationObserver, RedisSettings};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two looks at a connection that nobody complains about.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// A connection that lived this long starts the backoff afresh.
const STEADY_AFTER: Duration = Duration::from_secs(5);
/// So that a network that drops idle connections silently is noticed on the ones that only listen.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(15);

/// The Redis URL cannot be used. The message does not repeat it: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error(
    "the Redis URL is not valid: write redis://host:6379, rediss://host:6379 for TLS, unix:///path/to/socket, or \
     redis+sentinel://host:26379,host:26379/service"
)]
pub struct InvalidRedisUrl(#[source] Option<RedisError>);

impl InvalidRedisUrl {
    pub(super) const fn because(error: RedisError) -> Self {
        Self(Some(error))
    }

    /// It begins as one of sentinels and does not go on so.
    pub(super) const fn sentinel() -> Self {
        Self(None)
    }
}

/// A connection that answered when last looked at.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) connection: MultiplexedConnection,
    generation: u64,
}

/// The shared connection. Down from the moment that it breaks or stops answering, until a new one has passed a probe.
pub(super) struct Link {
    place: Place,
    probe_key: String,
    /// Longest wait for an answer, unless the caller has a shorter one.
    pub(super) answer_timeout: Duration,
    live: watch::Sender<Option<Live>>,
    suspicion: Notify,
    degraded: AtomicBool,
    observer: Arc<dyn CoordinationObserver>,
    complaints: Throttle,
}

impl Link {
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, InvalidRedisUrl> {
        Ok(Self {
            place: Place::new(settings.url.expose())?,
            probe_key: format!("{}probe", settings.key_prefix),
            answer_timeout: settings.answer_timeout,
            live: watch::Sender::new(None),
            suspicion: Notify::new(),
            degraded: AtomicBool::new(false),
            observer: settings.common.observer.clone(),
            complaints: Throttle::default(),
        })
    }

    /// The connection, or `None` while Redis is lost.
    pub(super) fn live(&self) -> Option<Live> {
        self.live.borrow().clone()
    }

    pub(super) fn is_up(&self) -> bool {
        self.live.borrow().is_some()
    }

    /// Waits until there is a connection.
    pub(super) async fn up(&self) -> Live {
        let mut changes = self.live.subscribe();
        loop {
            if let Some(live) = changes.borrow_and_update().clone() {
                return live;
            }
            // Cannot fail: the sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// Waits until `known` is not the connection any more.
    pub(super) async fn replaced(&self, known: &Live) {
        let mut changes = self.live.subscribe();
        while changes.borrow_and_update().as_ref().is_some_and(|live| live.generation == known.generation) {
            let _ = changes.changed().await;
        }
    }

    /// A command on `live` failed. A broken connection is given up at once; anything else has it probed.
    pub(super) fn report(&self, live: &Live, error: &RedisError) {
        if error.is_connection_dropped() || error.is_unrecoverable_error() {
            self.give_up(live, error);
        } else {
            self.doubt(error);
        }
    }

    /// A command failed on another connection than this one: has this one probed, and logs an answer that was an error.
    pub(super) fn doubt(&self, error: &RedisError) {
        if !error.is_io_error()
            && let Some(n_errors) = self.complaints.count(1)
        {
            warn!(%error, n_errors, "Redis refused a command");
        }
        self.suspect();
    }

    /// Has the connection probed now.
    pub(super) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// A further connection, for commands that block for up to `longest_answer`.
    pub(super) async fn open(&self, longest_answer: Duration) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(longest_answer));
        let connect = async { self.place.client().await?.get_multiplexed_async_connection_with_config(&config).await };
        within(CONNECT_TIMEOUT, connect).await
    }

    /// A further connection that subscribes.
    pub(super) async fn open_subscriber(&self) -> RedisResult<redis::aio::PubSub> {
        within(CONNECT_TIMEOUT, async { self.place.client().await?.get_async_pubsub().await }).await
    }

    /// One attempt to connect, before [`Link::supervise`] runs.
    pub(super) async fn connect_first(&self) {
        if let Err(error) = self.connect(1).await {
            self.say_lost(&error);
        }
    }

    /// Watches the connection and replaces it, for ever.
    pub(super) async fn supervise(self: Arc<Self>) {
        let mut retry = FIRST_RETRY;
        let mut generation = 1;
        loop {
            let since = Instant::now();
            self.watch_over().await;
            if since.elapsed() >= STEADY_AFTER {
                retry = FIRST_RETRY;
            }
            sleep(retry).await;
            retry = (retry * 2).min(LONGEST_RETRY);
            generation += 1;
            match self.connect(generation).await {
                Ok(()) => self.say_recovered(),
                Err(error) => self.say_lost(&error),
            }
        }
    }

    async fn connect(&self, generation: u64) -> RedisResult<()> {
        let connection = self.open(self.answer_timeout).await?;
        let live = Live { connection, generation };
        self.probe(&live).await?;
        self.live.send_replace(Some(live));
        Ok(())
    }

    /// A small write, because a server that only reads (a replica, or one out of memory) is of no use.
    async fn probe(&self, live: &Live) -> RedisResult<()> {
        let mut connection = live.connection.clone();
        let mut command = redis::cmd("SET");
        command.arg(&self.probe_key).arg(1).arg("PX").arg(10_000);
        within(self.answer_timeout, command.exec_async(&mut connection)).await
    }

    /// Returns when there is no connection any more.
    async fn watch_over(&self) {
        let mut changes = self.live.subscribe();
        loop {
            let Some(live) = changes.borrow_and_update().clone() else { return };
            tokio::select! {
                _ = changes.changed() => continue,
                () = self.suspicion.notified() => {}
                () = sleep(PROBE_INTERVAL) => {}
            }
            if let Err(error) = self.probe(&live).await {
                self.give_up(&live, &error);
            }
        }
    }

    fn give_up(&self, live: &Live, error: &RedisError) {
        let given_up = self.live.send_if_modified(|current| {
            let same = current.as_ref().is_some_and(|current| current.generation == live.generation);
            if same {
                *current = None;
            }
            same
        });
        if given_up {
            self.say_lost(error);
        }
    }

    fn say_lost(&self, error: &RedisError) {
        if !self.degraded.swap(true, Ordering::Relaxed) {
            warn!(
                %error,
                "Redis is lost: deliveries go through the database, rate limits are open, caches are local until it is back"
            );
            self.observer.degraded(true);
        }
    }

    fn say_recovered(&self) {
        if self.degraded.swap(false, Ordering::Relaxed) {
            info!("Redis is back");
            self.observer.degraded(false);
        }
    }
}

/// The result of `operation`, or a timeout error when it takes longer than `limit`.
pub(super) async fn within<T>(limit: Duration, operation: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    match timeout(limit, operation).await {
        Ok(result) => result,
        Err(elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, elapsed).into()),
    }
}
