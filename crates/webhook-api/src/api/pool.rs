//! `/api/v1/monitoring/database/pool`: how full the store's connection pool is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use spillway_performance::Histogram;
use spillway_store::{PoolState, QueryKind, StatementCounts};
use utoipa::ToSchema;

use crate::gateway::Gateway;

/// From which usage on the pool deserves a look, and from which on it is an emergency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolLimits {
    /// Share in use, 0 to 1, that is a warning.
    pub warning_ratio: f64,
    /// Share in use, 0 to 1, that is critical.
    pub critical_ratio: f64,
}

impl Default for PoolLimits {
    /// 0.8 and 0.9.
    fn default() -> Self {
        Self { warning_ratio: 0.8, critical_ratio: 0.9 }
    }
}

impl PoolLimits {
    /// How full this pool is.
    #[must_use]
    pub fn status(self, pool: PoolState) -> PoolLevel {
        self.status_at(usage_ratio(pool))
    }

    fn status_at(self, usage_ratio: f64) -> PoolLevel {
        if usage_ratio >= self.critical_ratio {
            PoolLevel::Critical
        } else if usage_ratio >= self.warning_ratio {
            PoolLevel::Warning
        } else {
            PoolLevel::Ok
        }
    }
}

/// How full a pool is, by its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PoolLevel {
    /// Below both.
    #[default]
    Ok,
    /// From the warning's share on.
    Warning,
    /// From the critical share on.
    Critical,
}

impl PoolLevel {
    /// `ok`, `warning` or `critical`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Share of the most connections that is in use, 0 to 1.
fn usage_ratio(pool: PoolState) -> f64 {
    f64::from(pool.used) / f64::from(pool.max.max(1))
}

/// The store's connection pool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PoolView {
    /// `sqlite` or `postgres`.
    engine: &'static str,
    /// Connections that are open and idle.
    idle: u32,
    /// Connections in use.
    used: u32,
    /// The most there may be.
    max: u32,
    /// Share of the most that is in use, 0 to 1.
    usage_ratio: f64,
    /// `ok`, `warning` from `warning_ratio` on, `critical` from `critical_ratio` on.
    #[schema(example = "ok")]
    status: &'static str,
    /// Usage from which on the status is `warning`.
    warning_ratio: f64,
    /// Usage from which on the status is `critical`.
    critical_ratio: f64,
    /// 95 % of the callers since the start waited no longer for a connection; null where nobody waits for one.
    wait_p95_ms: Option<f64>,
    /// Callers since the start that got none in time, because all were in use.
    exhausted: u64,
    /// SQL statements that this node had the database execute since it started.
    statements: StatementsView,
}

/// SQL statements by what they were for. `BEGIN` and `COMMIT` do not count; of several statements that go to the database in one
/// text each one does.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatementsView {
    /// Storing events with their deliveries and idempotency keys.
    append: u64,
    /// Taking due deliveries.
    claim: u64,
    /// Extending leases.
    renew: u64,
    /// Recording attempts and what follows from them.
    settle: u64,
    /// Reading and changing sources, destinations, connections and keys.
    configuration: u64,
    /// Pages of lists.
    list: u64,
    /// Single rows.
    lookup: u64,
    /// Deliveries tried again on request.
    retry: u64,
    /// Housekeeping.
    maintenance: u64,
}

impl From<&StatementCounts> for StatementsView {
    fn from(counts: &StatementCounts) -> Self {
        Self {
            append: counts.get(QueryKind::Append),
            claim: counts.get(QueryKind::Claim),
            renew: counts.get(QueryKind::Renew),
            settle: counts.get(QueryKind::Settle),
            configuration: counts.get(QueryKind::Configuration),
            list: counts.get(QueryKind::List),
            lookup: counts.get(QueryKind::Lookup),
            retry: counts.get(QueryKind::Retry),
            maintenance: counts.get(QueryKind::Maintenance),
        }
    }
}

/// Show how full the store's connection pool is.
#[utoipa::path(get, path = "/api/v1/monitoring/database/pool", tag = "monitoring", operation_id = "show_database_pool",
    responses((status = 200, description = "The pool as it is now", body = PoolView)))]
pub(crate) async fn show(State(gateway): State<Arc<Gateway>>) -> Json<PoolView> {
    let pool = gateway.store.pool();
    let limits = gateway.api.pool;
    let waits = Histogram { counts: gateway.metrics.store_pool_wait.counts() };
    Json(PoolView {
        engine: gateway.store.engine(),
        idle: pool.idle,
        used: pool.used,
        max: pool.max,
        usage_ratio: usage_ratio(pool),
        status: limits.status(pool).as_str(),
        warning_ratio: limits.warning_ratio,
        critical_ratio: limits.critical_ratio,
        wait_p95_ms: waits.quantile(0.95).map(|seconds| (seconds * 1e6).round() / 1e3),
        exhausted: gateway.metrics.store_pool_exhausted.get(),
        statements: StatementsView::from(&*gateway.statements),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warns_at_80_percent_and_is_critical_at_90() {
        assert_eq!(
            [0.0, 0.79, 0.8, 0.89, 0.9, 1.0].map(|usage| PoolLimits::default().status_at(usage).as_str()),
            ["ok", "ok", "warning", "warning", "critical", "critical"]
        );
    }
}
