//! What the nodes of one installation tell each other: the [`ReadyQueue`], the [`RateLimiter`], the [`Cache`] and [`Changes`].
//!
//! Each is a contract with two engines: in this process, and on Redis. Everything that is told here is a hint. Losing it costs
//! latency, never an event: deliveries are leased in the store, limits fail open, caches end with their TTL and configuration is
//! polled as well. So no operation returns an error, and none waits longer for Redis than a fraction of a second, except
//! [`ReadyQueue::pop`], whose purpose is to wait.

mod backlog;
mod cache;
mod changes;
pub mod examination;
mod in_process;
mod observer;
mod rate;
mod ready;
#[cfg(feature = "redis")]
mod redis;
mod settings;
mod slots;

use std::sync::Arc;

pub use cache::{Cache, CacheKind, VALUE_LIMIT_BYTES};
pub use changes::Changes;
pub use observer::CoordinationObserver;
pub use rate::{RateDecision, RateLimiter};
pub use ready::{ReadyQueue, Reservation};
#[cfg(feature = "redis")]
pub use redis::{InvalidRedisUrl, RedisExaminer};
pub use settings::CoordinationSettings;
#[cfg(feature = "redis")]
pub use settings::RedisSettings;
use slots::SlotQueues;
use spillway_model::Slot;
use tokio::sync::Notify;

/// One engine for each contract. Cheap to clone; background tasks end when the last clone of their engine is dropped.
#[derive(Clone)]
pub struct Coordination {
    /// Deliveries on their way from intake to any worker.
    pub ready: Arc<dyn ReadyQueue>,
    /// Limits per source, key or any other text.
    pub rate: Arc<dyn RateLimiter>,
    /// Answers that are cheaper to remember than to ask for again.
    pub cache: Arc<dyn Cache>,
    /// Says that the configuration changed.
    pub changes: Arc<dyn Changes>,
    /// Says within this process that something is due in the store that was not handed over: a worker claims it at once instead of at its
    /// next poll. Other nodes find it by theirs.
    pub due: Arc<Notify>,
    slots: SlotQueues,
}

impl Coordination {
    /// Deliveries on their way to the workers of this slot, while the slots share them; `None` when nothing that is handed over here can
    /// reach them. In a process without Redis the queue of its own slot is [`Coordination::ready`].
    ///
    /// On Redis each slot has a stream of its own, with a bound of its own: one that nobody reads any more does not fill the other's. It costs
    /// nothing before it is asked for. Must be called on a tokio runtime.
    #[must_use]
    pub fn ready_of(&self, slot: Slot) -> Option<Arc<dyn ReadyQueue>> {
        self.slots.get(slot)
    }
}

/// The engines of a single process. They need no runtime until a future of theirs is awaited.
#[must_use]
pub fn in_process(settings: &CoordinationSettings) -> Coordination {
    let ready: Arc<dyn ReadyQueue> = Arc::new(in_process::InProcessReadyQueue::new(settings));
    Coordination {
        slots: SlotQueues::in_process(settings.slot, &ready),
        ready,
        rate: Arc::new(in_process::InProcessRateLimiter::new(settings)),
        cache: Arc::new(in_process::InProcessCache::new(settings)),
        changes: Arc::new(in_process::InProcessChanges::default()),
        due: Arc::default(),
    }
}

/// The engines that share a Redis server (6.2 or later) with other nodes. Must be called on a tokio runtime.
///
/// Returns when the first connection is up or has failed, after about a second at most. A server that cannot be reached is not an
/// error: the engines start degraded, say so in one log line, and recover by themselves.
///
/// # Errors
/// When the URL is not one of `redis://`, `rediss://` (TLS), `redis+sentinel://`, `rediss+sentinel://` or `unix://`.
#[cfg(feature = "redis")]
pub async fn redis(settings: &RedisSettings) -> Result<Coordination, InvalidRedisUrl> {
    redis::connect(settings).await
}
