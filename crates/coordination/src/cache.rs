//! Answers that are cheaper to remember than to ask for again.
//!
//! | kind | what | at most | ends earlier |
//! |---|---|---|---|
//! | `api_key` | keys by their hash, for parts without the prepared routing | 60 s | when the key is changed or deleted |
//! | `configuration` | answers about sources, destinations, connections | 5 min | when one of them is changed |
//! | `list` | stored documents and lists of them: reports, trends, rollouts | 60 s | when one of them is written |
//! | `statistics` | counts, groups, percentiles | 10 s | when a person changed what they show |
//!
//! What decides something is never taken from here: intake and the API's keys use a snapshot of the configuration that every node renews when
//! it changes.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// A larger value is not kept.
pub const VALUE_LIMIT_BYTES: usize = 256 << 10;

/// Remembers bytes by kind and key, for the TTL of the kind at most; may forget earlier.
///
/// A reader that read the store before a change and puts its answer after the invalidation leaves a stale value for one TTL:
/// cache only what may be that old.
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// The value, or `None` when it is not known, has expired or does not arrive in time (50 ms by default).
    async fn get(&self, kind: CacheKind, key: &str) -> Option<Bytes>;

    /// Remembers `value`. One over [`VALUE_LIMIT_BYTES`] is not kept, and what was there before is forgotten.
    async fn put(&self, kind: CacheKind, key: &str, value: Bytes);

    /// Forgets the value, here at once and on other nodes when the message reaches them; while Redis is lost, they keep it until
    /// it expires.
    async fn invalidate(&self, kind: CacheKind, key: &str);

    /// Memory that values of this kind take in this process, about.
    fn bytes(&self, kind: CacheKind) -> u64;
}

/// What is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CacheKind {
    /// An API key by its hash. 60 s, so that a revoked key ends within a minute even if the message is lost. Invalidated when
    /// the key is changed or deleted.
    ApiKey,
    /// An answer about sources, destinations or connections. 5 min. Invalidated when one of them changes.
    Configuration,
    /// Counts, groups and percentiles for console and performance API. 10 s. Invalidated when a person changed what they show; otherwise
    /// they age.
    Statistics,
    /// Stored documents and lists of them: reports, trends, rollouts. 60 s. Invalidated when one of them is written.
    List,
}

impl CacheKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::ApiKey, Self::Configuration, Self::Statistics, Self::List];

    /// The longest time a value is remembered.
    #[must_use]
    pub const fn ttl(self) -> Duration {
        match self {
            Self::ApiKey | Self::List => Duration::from_secs(60),
            Self::Configuration => Duration::from_secs(300),
            Self::Statistics => Duration::from_secs(10),
        }
    }

    /// The name in metrics and on Redis.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Configuration => "configuration",
            Self::Statistics => "statistics",
            Self::List => "list",
        }
    }
}
