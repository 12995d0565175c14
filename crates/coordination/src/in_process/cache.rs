use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use moka::notification::RemovalCause;
use moka::sync::Cache as Map;
use tokio::time::Instant;

use crate::cache::VALUE_LIMIT_BYTES;
use crate::{Cache, CacheKind, CoordinationObserver, CoordinationSettings};

/// What an entry costs beside its key and value, about.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// The memory of one process; also what stands in front of Redis.
pub(crate) struct LocalCache {
    maps: [Map<Box<str>, Entry>; CacheKind::ALL.len()],
}

#[derive(Clone)]
struct Entry {
    value: Bytes,
    expires_at: Instant,
}

impl LocalCache {
    pub(crate) fn new(settings: &CoordinationSettings) -> Self {
        let share = settings.cache_bytes / CacheKind::ALL.len() as u64;
        let map = |kind| {
            let observer = settings.observer.clone();
            Map::<Box<str>, _>::builder()
                .max_capacity(share)
                .weigher(|key, entry| weigh(key, entry))
                .eviction_listener(move |_, entry: Entry, cause| {
                    if cause == RemovalCause::Size && entry.expires_at > Instant::now() {
                        observer.evicted(kind);
                    }
                })
                .build()
        };
        Self { maps: CacheKind::ALL.map(map) }
    }

    pub(crate) fn get(&self, kind: CacheKind, key: &str) -> Option<Bytes> {
        let map = self.map(kind);
        let entry = map.get(key)?;
        if entry.expires_at > Instant::now() {
            return Some(entry.value);
        }
        map.invalidate(key);
        None
    }

    pub(crate) fn put(&self, kind: CacheKind, key: &str, value: Bytes, ttl: Duration) {
        if value.len() > VALUE_LIMIT_BYTES {
            return self.forget(kind, key);
        }
        self.map(kind).insert(key.into(), Entry { value, expires_at: Instant::now() + ttl });
    }

    pub(crate) fn forget(&self, kind: CacheKind, key: &str) {
        self.map(kind).invalidate(key);
    }

    #[cfg(feature = "redis")]
    pub(crate) fn forget_all(&self) {
        for map in &self.maps {
            map.invalidate_all();
        }
    }

    pub(crate) fn bytes(&self, kind: CacheKind) -> u64 {
        self.map(kind).run_pending_tasks();
        self.map(kind).weighted_size()
    }

    fn map(&self, kind: CacheKind) -> &Map<Box<str>, Entry> {
        &self.maps[kind as usize]
    }
}

fn weigh(key: &str, entry: &Entry) -> u32 {
    u32::try_from(key.len() + entry.value.len() + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
}

/// The cache of a single process.
pub(crate) struct InProcessCache {
    local: LocalCache,
    observer: Arc<dyn CoordinationObserver>,
}

impl InProcessCache {
    pub(crate) fn new(settings: &CoordinationSettings) -> Self {
        Self { local: LocalCache::new(settings), observer: settings.observer.clone() }
    }
}

#[async_trait]
impl Cache for InProcessCache {
    async fn get(&self, kind: CacheKind, key: &str) -> Option<Bytes> {
        let value = self.local.get(kind, key);
        self.observer.cache(kind, value.is_some());
        value
    }

    async fn put(&self, kind: CacheKind, key: &str, value: Bytes) {
        self.local.put(kind, key, value, kind.ttl());
    }

    async fn invalidate(&self, kind: CacheKind, key: &str) {
        self.local.forget(kind, key);
    }

    fn bytes(&self, kind: CacheKind) -> u64 {
        self.local.bytes(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_kind_is_remembered_for_its_ttl_and_no_longer() {
        for kind in CacheKind::ALL {
            let cache = LocalCache::new(&CoordinationSettings::default());
            cache.put(kind, "key", Bytes::from_static(b"value"), kind.ttl());
            tokio::time::advance(kind.ttl() - Duration::from_millis(1)).await;
            assert_eq!(cache.get(kind, "key").as_deref(), Some(&b"value"[..]));
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(cache.get(kind, "key"), None);
        }
    }

    #[derive(Default)]
    struct Evictions(std::sync::atomic::AtomicUsize);

    impl CoordinationObserver for Evictions {
        fn evicted(&self, kind: CacheKind) {
            assert_eq!(kind, CacheKind::Statistics);
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    #[test]
    fn memory_stays_within_its_bound_and_what_made_room_is_told() {
        let evictions = Arc::new(Evictions::default());
        let bounds = CoordinationSettings { cache_bytes: 4 << 20, observer: evictions.clone(), ..Default::default() };
        let cache = LocalCache::new(&bounds);
        for n in 0..200 {
            let value = Bytes::from(vec![0; 100 << 10]);
            cache.put(CacheKind::Statistics, &n.to_string(), value, CacheKind::Statistics.ttl());
        }
        let bytes = cache.bytes(CacheKind::Statistics);
        assert!(bytes <= 1 << 20, "{bytes}");
        assert_eq!(cache.bytes(CacheKind::List), 0);
        let kept = usize::try_from(bytes >> 10).unwrap_or_default() / 100;
        assert_eq!(evictions.0.load(std::sync::atomic::Ordering::SeqCst), 200 - kept);
        cache.forget(CacheKind::Statistics, "199");
        cache.bytes(CacheKind::Statistics);
        assert_eq!(evictions.0.load(std::sync::atomic::Ordering::SeqCst), 200 - kept, "what is forgotten made no room");
    }
}
