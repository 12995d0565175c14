//! Lets the store and coordination report to the metrics without knowing them.

use std::sync::Arc;
use std::time::Duration;

use spillway_coordination::{Cache, CacheKind, CoordinationObserver};
use spillway_store::{QueryKind, StatementCounts, Store, StoreObserver};
use spillway_telemetry::{CacheName, CacheResult, Metrics, PoolState, StoreQuery};

pub(crate) struct StoreReports {
    pub(crate) metrics: Metrics,
    pub(crate) statements: Arc<StatementCounts>,
}

impl StoreObserver for StoreReports {
    fn query(&self, kind: QueryKind, elapsed: Duration, statements: u32, _rows: usize) {
        let query = match kind {
            QueryKind::Append => StoreQuery::Append,
            QueryKind::Claim => StoreQuery::Claim,
            QueryKind::Renew => StoreQuery::Renew,
            QueryKind::Settle => StoreQuery::Settle,
            QueryKind::Configuration => StoreQuery::Configuration,
            QueryKind::List => StoreQuery::Lists,
            QueryKind::Lookup => StoreQuery::Lookup,
            QueryKind::Retry => StoreQuery::Replay,
            QueryKind::Maintenance => StoreQuery::Maintenance,
        };
        self.metrics.store_query.get(query).observe(elapsed);
        self.statements.add(kind, statements);
    }

    fn pool_wait(&self, elapsed: Duration) {
        self.metrics.store_pool_wait.observe(elapsed);
    }

    fn pool_exhausted(&self) {
        self.metrics.store_pool_exhausted.inc();
    }
}

pub(crate) struct CoordinationReports(pub(crate) Metrics);

impl CoordinationObserver for CoordinationReports {
    fn cache(&self, kind: CacheKind, hit: bool) {
        let result = if hit { CacheResult::Hit } else { CacheResult::Miss };
        self.0.cache_requests.get((cache_name(kind), result)).inc();
    }

    fn evicted(&self, kind: CacheKind) {
        self.0.cache_evictions.get(cache_name(kind)).inc();
    }

    fn degraded(&self, degraded: bool) {
        self.0.coordination_degraded.set(f64::from(u8::from(degraded)));
    }
}

const fn cache_name(kind: CacheKind) -> CacheName {
    match kind {
        CacheKind::ApiKey => CacheName::Keys,
        CacheKind::Configuration => CacheName::Configuration,
        CacheKind::Statistics => CacheName::Analytics,
        CacheKind::List => CacheName::Lists,
    }
}

/// Reads the size of the cache whenever metrics are asked for.
pub(crate) fn sample_cache(metrics: &Metrics, cache: &Arc<dyn Cache>) {
    for kind in CacheKind::ALL {
        let cache = cache.clone();
        metrics.cache_bytes.get(cache_name(kind)).sample_with(move || Some(cache.bytes(kind) as f64));
    }
}

/// Reads the pool's state whenever metrics are asked for.
pub(crate) fn sample_pool(metrics: &Metrics, store: &Arc<dyn Store>) {
    for state in [PoolState::Idle, PoolState::Used, PoolState::Max] {
        let store = store.clone();
        metrics.store_pool_connections.get(state).sample_with(move || {
            let pool = store.pool();
            Some(f64::from(match state {
                PoolState::Idle => pool.idle,
                PoolState::Used => pool.used,
                PoolState::Max => pool.max,
            }))
        });
    }
}
