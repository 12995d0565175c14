//! `/api/v1/performance/record-business-metric`: numbers of the users' own business, beside those of the gateway.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use spillway_performance::{BusinessError, BusinessKind, MAX_BUSINESS_METRICS};
use utoipa::ToSchema;

use crate::api::body::JsonBody;
use crate::api::error::ApiError;
use crate::api::timestamp::Timestamp;
use crate::gateway::Gateway;

/// A number of a user's business. There are no labels: a name stands for one series.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BusinessRecord {
    /// A small letter, and up to 63 small letters, digits and underscores. At most 1,000 names at once.
    #[schema(example = "orders", pattern = "^[a-z][a-z0-9_]{0,63}$")]
    name: String,
    /// What to add to a counter, or what a gauge stands at.
    #[schema(example = 3.0)]
    value: f64,
    kind: RecordKind,
    /// What it counts or is measured in: up to 20 letters, digits, `/`, `%` and underscores. It may change.
    #[serde(default)]
    #[schema(example = "orders")]
    unit: String,
}

/// What a number is.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordKind {
    /// Adds up: the value is not below 0.
    Counter,
    /// The last value counts.
    Gauge,
}

/// What was recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BusinessRecorded {
    name: String,
    /// `counter` or `gauge`.
    kind: &'static str,
    unit: String,
    /// What was sent.
    value: f64,
    /// The sum of a counter on this node since it started; null for a gauge.
    total: Option<f64>,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Record a number of your own business: orders, sign-ups, revenue. It appears among the trends, and as `spillway_business_metric`.
#[utoipa::path(post, path = "/api/v1/performance/record-business-metric", tag = "performance",
    operation_id = "record_business_metric", request_body = BusinessRecord,
    responses((status = 200, description = "It is recorded", body = BusinessRecorded)))]
pub(crate) async fn record(
    State(gateway): State<Arc<Gateway>>,
    JsonBody(record): JsonBody<BusinessRecord>,
) -> Result<Json<BusinessRecorded>, ApiError> {
    let now = gateway.clock.now();
    let kind = match record.kind {
        RecordKind::Counter => BusinessKind::Counter,
        RecordKind::Gauge => BusinessKind::Gauge,
    };
    let recorded = gateway.performance.with(|state| {
        let business = state.recorder.business_mut();
        let n_before = business.len();
        let total = business.record(&record.name, kind, &record.unit, now.div_euclid(1_000), record.value)?;
        // Names that nothing was recorded under for long made room: they are not exported any more.
        if n_before >= MAX_BUSINESS_METRICS && business.len() < n_before {
            gateway.metrics.business_metrics.retain(|name| business.has(name));
        }
        Ok(total)
    });
    let total = recorded.map_err(refusal)?;
    gateway.metrics.business_metrics.set(&record.name, total.value);
    Ok(Json(BusinessRecorded {
        name: record.name,
        kind: kind.as_str(),
        unit: record.unit,
        value: record.value,
        total: (kind == BusinessKind::Counter).then_some(total.value),
        at: Timestamp(now),
    }))
}

/// What to tell about a number that was not recorded.
fn refusal(error: BusinessError) -> ApiError {
    let reason = error.to_string();
    match error {
        BusinessError::Name | BusinessError::Reserved => ApiError::invalid("name", reason),
        BusinessError::Unit => ApiError::invalid("unit", reason),
        BusinessError::Value(_) => ApiError::invalid("value", reason),
        BusinessError::Kind(is) => ApiError::Conflict {
            code: "business_metric_kind",
            reason: format!("This name is a {}, and stays one: use another name for the other kind.", is.as_str()),
        },
        BusinessError::Full => ApiError::Conflict {
            code: "business_metrics_full",
            reason: format!(
                "There are {MAX_BUSINESS_METRICS} names already, as many as are kept: record under one of them. A name makes room when \
                 nothing was recorded under it for 30 days."
            ),
        },
    }
}
