//! `/api/v1/performance/slos`: what Spillway promises, and how it keeps it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use spillway_slo::budget::Budget;
use utoipa::ToSchema;

use super::{at, rounded, sampled_at, tagged};
use crate::api::timestamp::Timestamp;
use crate::gateway::Gateway;
use crate::performance::{ObjectiveReport, WINDOW_S, objectives};

/// The objectives of this node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlosView {
    /// When the last numbers were taken.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The node that answers.
    node: String,
    /// Seconds of the window of every budget: 30 days.
    window_s: i64,
    /// One for each objective.
    data: Vec<SloView>,
}

/// One objective.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SloView {
    /// `intake_availability`, `acknowledgement`, `delivery` or `api`.
    id: &'static str,
    /// What is promised.
    objective: &'static str,
    /// Share that must be good, 0 to 1.
    target: f64,
    /// The time that counts as good; null when it is not about time.
    threshold_ms: Option<f64>,
    /// What was good in the window.
    good: u64,
    /// All of it.
    total: u64,
    /// Share that was good; null with fewer than 100 of them, as are `met`, and what is said of the budget.
    compliance: Option<f64>,
    /// Whether the promise is kept.
    met: Option<bool>,
    budget: BudgetView,
    burn: BurnView,
}

/// The error budget: what may be bad.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BudgetView {
    /// Share that is spent; 1 is all of it, and it may be more.
    consumed: Option<f64>,
    /// Share that is left; below 0 when more than all is spent.
    left: Option<f64>,
    /// `unknown`, `healthy`, `warning` (90 % spent), `frozen` (all spent) or `emergency` (150 %).
    state: &'static str,
}

/// How many times faster than allowed the budget is spent: 1 spends it in exactly its window. Null where nothing happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BurnView {
    #[serde(rename = "1h")]
    hour: Option<f64>,
    #[serde(rename = "1d")]
    day: Option<f64>,
    #[serde(rename = "7d")]
    week: Option<f64>,
}

/// Show Spillway's own objectives on this node: how they are kept over 30 days, what is left of the error budget, and how fast it burns.
#[utoipa::path(get, path = "/api/v1/performance/slos", tag = "performance", operation_id = "list_slos",
    responses((status = 200, description = "The objectives", body = SlosView)))]
pub(crate) async fn list(State(gateway): State<Arc<Gateway>>) -> Response {
    let now_s = sampled_at(&gateway);
    let reports = gateway.performance.with(|state| objectives(&state.recorder, now_s));
    tagged(&SlosView {
        at: at(now_s),
        node: gateway.performance.settings.node.clone(),
        window_s: WINDOW_S,
        data: reports.iter().map(SloView::from).collect(),
    })
}

impl From<&ObjectiveReport> for SloView {
    fn from(report: &ObjectiveReport) -> Self {
        let known = report.consumed.is_some();
        let compliance = (known && report.total > 0).then(|| report.good as f64 / report.total as f64);
        let [(_, hour), (_, day), (_, week)] = report.burn.map(|(name, burn)| (name, burn.map(rounded)));
        Self {
            id: report.objective.id,
            objective: report.objective.text,
            target: report.objective.target,
            threshold_ms: report.objective.threshold_ms(),
            good: report.good,
            total: report.total,
            compliance,
            met: compliance.map(|compliance| compliance >= report.objective.target),
            budget: BudgetView {
                consumed: report.consumed.map(rounded),
                left: report.consumed.map(|consumed| rounded(1.0 - consumed)),
                state: state(report.budget),
            },
            burn: BurnView { hour, day, week },
        }
    }
}

const fn state(budget: Budget) -> &'static str {
    match budget {
        Budget::Unknown => "unknown",
        Budget::Healthy => "healthy",
        Budget::Warning => "warning",
        Budget::Frozen => "frozen",
        Budget::Emergency => "emergency",
    }
}
