use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{FromRedisValue, Pipeline, pipe};

use super::SharedTasks;
use super::bus::Bus;
use super::link::{Link, within};
use crate::cache::VALUE_LIMIT_BYTES;
use crate::in_process::LocalCache;
use crate::{Cache, CacheKind, CoordinationObserver, RedisSettings};

/// The front in this process, and what other nodes want forgotten.
pub(super) struct Invalidations {
    front: Arc<LocalCache>,
    /// Raised by each invalidation, so that a value that was on its way meanwhile does not enter the front.
    epoch: AtomicU64,
}

impl Invalidations {
    pub(super) fn new(front: Arc<LocalCache>) -> Self {
        Self { front, epoch: AtomicU64::new(0) }
    }

    /// Forgets what the message names; one that cannot be read comes from a newer version and names a kind unknown here.
    pub(super) fn take(&self, message: &[u8]) {
        let Some((kind, key)) = str::from_utf8(message).ok().and_then(|text| text.split_once(':')) else { return };
        if let Some(kind) = CacheKind::ALL.into_iter().find(|known| known.as_str() == kind) {
            self.forget(kind, key);
        }
    }

    pub(super) fn forget_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.front.forget_all();
    }

    fn forget(&self, kind: CacheKind, key: &str) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.front.forget(kind, key);
    }

    fn remember(&self, epoch: u64, kind: CacheKind, key: &str, value: Bytes, ttl: Duration) {
        if self.epoch.load(Ordering::SeqCst) == epoch {
            self.front.put(kind, key, value, ttl);
        }
    }
}

/// Values on Redis with a front in memory. While Redis is lost, only the front.
pub(super) struct RedisCache {
    link: Arc<Link>,
    key_prefix: String,
    check_timeout: Duration,
    invalidations: Arc<Invalidations>,
    bus: Arc<Bus>,
    observer: Arc<dyn CoordinationObserver>,
    _tasks: SharedTasks,
}

impl RedisCache {
    pub(super) fn new(
        link: Arc<Link>,
        settings: &RedisSettings,
        invalidations: Arc<Invalidations>,
        bus: Arc<Bus>,
        tasks: SharedTasks,
    ) -> Self {
        let key_prefix = format!("{}cache:", settings.key_prefix);
        let observer = settings.common.observer.clone();
        let check_timeout = settings.check_timeout;
        Self { link, key_prefix, check_timeout, invalidations, bus, observer, _tasks: tasks }
    }

    fn redis_key(&self, kind: CacheKind, key: &str) -> String {
        format!("{}{}:{key}", self.key_prefix, kind.as_str())
    }

    /// The answers, or `None` when there are none in time.
    async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Option<T> {
        let live = self.link.live()?;
        let mut connection = live.connection.clone();
        match within(self.check_timeout, commands.query_async(&mut connection)).await {
            Ok(answers) => Some(answers),
            Err(error) => {
                self.link.report(&live, &error);
                None
            }
        }
    }

    async fn find(&self, kind: CacheKind, key: &str) -> Option<Bytes> {
        if let Some(value) = self.invalidations.front.get(kind, key) {
            return Some(value);
        }
        let epoch = self.invalidations.epoch.load(Ordering::SeqCst);
        let redis_key = self.redis_key(kind, key);
        let mut commands = pipe();
        commands.cmd("GET").arg(&redis_key).cmd("PTTL").arg(&redis_key);
        let (value, remaining_ms) = self.ask::<(Option<Bytes>, i64)>(&commands).await?;
        let value = value?;
        let remaining = Duration::from_millis(u64::try_from(remaining_ms).unwrap_or(0)).min(kind.ttl());
        self.invalidations.remember(epoch, kind, key, value.clone(), remaining);
        Some(value)
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, kind: CacheKind, key: &str) -> Option<Bytes> {
        let value = self.find(kind, key).await;
        self.observer.cache(kind, value.is_some());
        value
    }

    async fn put(&self, kind: CacheKind, key: &str, value: Bytes) {
        if value.len() > VALUE_LIMIT_BYTES {
            return self.invalidate(kind, key).await;
        }
        let ttl_ms = u64::try_from(kind.ttl().as_millis()).unwrap_or(u64::MAX);
        let mut commands = pipe();
        commands.cmd("SET").arg(self.redis_key(kind, key)).arg(&value[..]).arg("PX").arg(ttl_ms).ignore();
        self.invalidations.front.put(kind, key, value, kind.ttl());
        self.ask::<()>(&commands).await;
    }

    async fn invalidate(&self, kind: CacheKind, key: &str) {
        self.invalidations.forget(kind, key);
        let mut commands = pipe();
        commands.cmd("DEL").arg(self.redis_key(kind, key)).ignore();
        let message = format!("{}:{key}", kind.as_str());
        commands.cmd("PUBLISH").arg(self.bus.invalidation_channel()).arg(message).ignore();
        self.ask::<()>(&commands).await;
    }

    fn bytes(&self, kind: CacheKind) -> u64 {
        self.invalidations.front.bytes(kind)
    }
}
