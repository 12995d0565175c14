//! `/api/v1/monitoring/database/pool`: how full the store's connection pool is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
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
    fn status(self, usage_ratio: f64) -> &'static str {
        if usage_ratio >= self.critical_ratio {
            "critical"
        } else if usage_ratio >= self.warning_ratio {
            "warning"
        } else {
            "ok"
        }
    }
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
}

/// Show how full the store's connection pool is.
#[utoipa::path(get, path = "/api/v1/monitoring/database/pool", tag = "monitoring", operation_id = "show_database_pool",
    responses((status = 200, description = "The pool as it is now", body = PoolView)))]
pub(crate) async fn show(State(gateway): State<Arc<Gateway>>) -> Json<PoolView> {
    let pool = gateway.store.pool();
    let limits = gateway.api.pool;
    let usage_ratio = f64::from(pool.used) / f64::from(pool.max.max(1));
    Json(PoolView {
        engine: gateway.store.engine(),
        idle: pool.idle,
        used: pool.used,
        max: pool.max,
        usage_ratio,
        status: limits.status(usage_ratio),
        warning_ratio: limits.warning_ratio,
        critical_ratio: limits.critical_ratio,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warns_at_80_percent_and_is_critical_at_90() {
        assert_eq!(
            [0.0, 0.79, 0.8, 0.89, 0.9, 1.0].map(|usage| PoolLimits::default().status(usage)),
            ["ok", "ok", "warning", "warning", "critical", "critical"]
        );
    }
}
