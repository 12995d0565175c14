use std::fmt;
use std::sync::Arc;
#[cfg(feature = "redis")]
use std::time::Duration;

use spillway_model::Slot;

use crate::CoordinationObserver;

/// Bounds of the engines, and who watches them.
#[derive(Clone)]
pub struct CoordinationSettings {
    /// Most deliveries that may lie in the ready queue. On Redis this is the bound of each shared stream, over all nodes.
    pub ready_deliveries: usize,
    /// Most bytes that may lie in the ready queue, bodies and headers together.
    pub ready_bytes: usize,
    /// Most keys whose rate is remembered in this process. Beyond it, the key that was used longest ago starts afresh.
    pub rate_keys: u64,
    /// Memory for cached values in this process, shared evenly between the kinds.
    pub cache_bytes: u64,
    /// The slot of this process's worker, if it has one: without Redis no other can be handed anything.
    pub slot: Option<Slot>,
    /// Told about cache hits and about the loss of Redis.
    pub observer: Arc<dyn CoordinationObserver>,
}

impl Default for CoordinationSettings {
    /// 8192 deliveries, 64 MiB, 50 000 rate keys, 16 MiB of cache, no slot, and nobody watching.
    fn default() -> Self {
        Self {
            ready_deliveries: 8192,
            ready_bytes: 64 << 20,
            rate_keys: 50_000,
            cache_bytes: 16 << 20,
            slot: None,
            observer: Arc::new(()),
        }
    }
}

impl fmt::Debug for CoordinationSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoordinationSettings")
            .field("ready_deliveries", &self.ready_deliveries)
            .field("ready_bytes", &self.ready_bytes)
            .field("rate_keys", &self.rate_keys)
            .field("cache_bytes", &self.cache_bytes)
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

/// Where Redis is, beside the bounds that every engine has.
#[cfg(feature = "redis")]
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS against the system's roots, `unix://path`, or the sentinels that
    /// know the current master: `redis+sentinel://[user:password@]host[:port],…/service[/database]`, `rediss+sentinel://…` for TLS.
    pub url: spillway_model::Secret,
    /// What every key and channel begins with; keeps installations that share a server apart. Usually `spillway:`.
    pub key_prefix: String,
    /// Longest wait for an answer before the connection is probed and, if that takes as long again, given up.
    pub answer_timeout: Duration,
    /// Longest wait where a request waits too: a rate check, which then lets it pass, and each use of the cache.
    pub check_timeout: Duration,
    /// Bounds and observer.
    pub common: CoordinationSettings,
}

#[cfg(feature = "redis")]
impl RedisSettings {
    /// The server at `url` with the prefix `spillway:`, 250 ms for answers, 50 ms for checks, and default bounds.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: spillway_model::Secret::new(url),
            key_prefix: "spillway:".to_owned(),
            answer_timeout: Duration::from_millis(250),
            check_timeout: Duration::from_millis(50),
            common: CoordinationSettings::default(),
        }
    }
}
