//! `/api/v1/performance/alerts`: what is wrong on this node, and what is watched.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use spillway_performance::alerts::{Alert, Direction, Rule, RuleState, Threshold};
use utoipa::ToSchema;

use super::{at, rounded, sampled_at, tagged};
use crate::api::timestamp::Timestamp;
use crate::gateway::Gateway;
use crate::performance::runbook;

/// The alerts of this node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertsView {
    /// When the rules were looked at.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The node that answers.
    node: String,
    /// Those that are on, the worst first.
    active: Vec<AlertView>,
    /// Everything that is watched.
    rules: Vec<RuleView>,
}

/// An alert that is on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertView {
    /// Which, the label of `spillway_alert_active`.
    #[schema(example = "store_pool")]
    id: &'static str,
    /// `info`, `warning` or `critical`.
    #[schema(example = "warning")]
    severity: &'static str,
    /// What is wrong.
    text: String,
    /// What was seen last; null when that is not known any more.
    value: Option<f64>,
    /// The threshold that was reached.
    threshold: f64,
    /// `ratio`, `seconds`, `days` or `flag`.
    unit: &'static str,
    /// Since when it has been reached.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// The page that says what to do, in the repository of Spillway.
    runbook: String,
}

/// What is watched.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleView {
    /// Which.
    id: &'static str,
    /// What is looked at.
    summary: &'static str,
    /// `ratio`, `seconds`, `days` or `flag`.
    unit: &'static str,
    /// `ok`, `pending` (reached, and not yet for long enough), `active` or `no_data`.
    state: &'static str,
    /// What was seen last.
    value: Option<f64>,
    /// From the mildest to the worst.
    levels: Vec<LevelView>,
    /// The page that says what to do.
    runbook: String,
}

/// One threshold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LevelView {
    /// `info`, `warning` or `critical`.
    severity: &'static str,
    /// From here on it is reached.
    threshold: f64,
    /// Below this it ends; absent where the bad side is below.
    #[serde(skip_serializing_if = "Option::is_none")]
    clears_below: Option<f64>,
    /// Above this it ends; absent where the bad side is above.
    #[serde(skip_serializing_if = "Option::is_none")]
    clears_above: Option<f64>,
    /// Seconds that it must be reached before the alert is on.
    for_s: u32,
}

/// Show the alerts of this node, and what is watched.
#[utoipa::path(get, path = "/api/v1/performance/alerts", tag = "performance", operation_id = "show_alerts",
    responses((status = 200, description = "The alerts", body = AlertsView)))]
pub(crate) async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let (active, rules) = gateway
        .performance
        .with(|state| (state.board.active(), state.board.rules().map(RuleView::from).collect::<Vec<_>>()));
    tagged(&AlertsView {
        at: at(sampled_at(&gateway)),
        node: gateway.performance.settings.node.clone(),
        active: active.into_iter().map(AlertView::from).collect(),
        rules,
    })
}

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id.as_str(),
            severity: alert.severity.as_str(),
            text: alert.text,
            value: alert.value.map(rounded),
            threshold: alert.threshold,
            unit: alert.unit.as_str(),
            since: at(alert.since_s),
            runbook: runbook(alert.id),
        }
    }
}

impl From<(&Rule, RuleState, Option<f64>)> for RuleView {
    fn from((rule, state, value): (&Rule, RuleState, Option<f64>)) -> Self {
        let level = |level: &Threshold| {
            let clears = Some(rounded(level.clears_at));
            let (clears_below, clears_above) = match rule.direction {
                Direction::Above => (clears, None),
                Direction::Below => (None, clears),
            };
            LevelView {
                severity: level.severity.as_str(),
                threshold: level.value,
                clears_below,
                clears_above,
                for_s: level.for_s,
            }
        };
        Self {
            id: rule.id.as_str(),
            summary: rule.summary,
            unit: rule.unit.as_str(),
            state: state.as_str(),
            value: value.map(rounded),
            levels: rule.levels.iter().map(level).collect(),
            runbook: runbook(rule.id),
        }
    }
}
