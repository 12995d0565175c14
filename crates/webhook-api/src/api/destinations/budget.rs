//! Budgets of destinations: what may be set, and what the hour has cost so far.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use spillway_model::{Budget, Destination, DestinationId, InvalidBudget, Name, UnixMillis};
use spillway_store::BudgetUse;
use utoipa::ToSchema;

use crate::api::entry::find;
use crate::api::error::ApiError;
use crate::api::page::{List, PageRequest};
use crate::api::path::PathValue;
use crate::api::query::{ListQuery, Parameters};
use crate::api::timestamp::Timestamp;
use crate::gateway::Gateway;

const HOUR_MS: i64 = 3_600_000;
const MICROS: f64 = 1_000_000.0;

/// What a destination may cost. What is over it waits for the next hour, or for a place; none of it is lost.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetSettings {
    /// Requests in each clock hour (UTC), over all nodes: 1 to 10⁹.
    #[serde(default)]
    #[schema(example = 1000)]
    requests_per_hour: Option<u64>,
    /// Cost in each clock hour, over all nodes, in a currency of your own: above 0, at most 10⁹.
    #[serde(default)]
    #[schema(example = 50.0)]
    cost_per_hour: Option<f64>,
    /// What a request costs, unless its answer says so itself.
    #[serde(default)]
    #[schema(example = 0.03)]
    cost_per_request: Option<f64>,
    /// The header of the answer that says what the request cost, as a decimal number.
    #[serde(default)]
    #[schema(example = "x-request-cost")]
    cost_header: Option<String>,
    /// Requests under way at once, over all nodes: 1 to 65 536.
    #[serde(default)]
    #[schema(example = 10)]
    max_concurrent: Option<u32>,
}

impl From<Budget> for BudgetSettings {
    fn from(budget: Budget) -> Self {
        let Budget { requests_per_hour, cost_per_hour, cost_per_request, cost_header, max_concurrent } = budget;
        Self { requests_per_hour, cost_per_hour, cost_per_request, cost_header, max_concurrent }
    }
}

impl From<BudgetSettings> for Budget {
    fn from(budget: BudgetSettings) -> Self {
        let BudgetSettings { requests_per_hour, cost_per_hour, cost_per_request, cost_header, max_concurrent } = budget;
        Self { requests_per_hour, cost_per_hour, cost_per_request, cost_header, max_concurrent }
    }
}

/// Whether the budget can be kept.
pub(super) fn check_budget(budget: &Budget) -> Result<(), ApiError> {
    budget.check().map_err(|InvalidBudget { field, reason }| {
        let field = match field {
            "requests_per_hour" => "budget.requests_per_hour",
            "cost_per_hour" => "budget.cost_per_hour",
            "cost_per_request" => "budget.cost_per_request",
            "cost_header" => "budget.cost_header",
            "max_concurrent" => "budget.max_concurrent",
            _ => "budget",
        };
        ApiError::invalid(field, reason)
    })
}

/// The budget of a destination in this hour.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BudgetView {
    /// The destination's id.
    #[schema(value_type = String)]
    destination: DestinationId,
    /// The destination's name.
    #[schema(value_type = String, example = "ai")]
    name: Name,
    /// When this clock hour began.
    #[schema(value_type = String, format = DateTime)]
    hour_started_at: Timestamp,
    /// Requests that were granted this hour, over all nodes. A node takes some at a time and gives back what it does not use.
    requests: u64,
    /// Requests in an hour; null for no limit.
    requests_per_hour: Option<u64>,
    /// What this hour's requests cost, as far as is known.
    cost: f64,
    /// Cost in an hour; null for no limit.
    cost_per_hour: Option<f64>,
    /// Requests under way at once; null for no limit.
    max_concurrent: Option<u32>,
    /// The part of the hour's budget that is used, 0 to 1 or a little more; null without an hourly limit.
    used_ratio: Option<f64>,
    /// When deliveries go out again, when the hour's budget is used up; null while something is left.
    #[schema(value_type = Option<String>, format = DateTime)]
    waiting_until: Option<Timestamp>,
}

impl BudgetView {
    fn new(destination: &Destination, used: BudgetUse, now: UnixMillis) -> Self {
        let budget = destination.budget.clone().unwrap_or_default();
        let hour_started_at = now.div_euclid(HOUR_MS) * HOUR_MS;
        let cost = used.cost_micros as f64 / MICROS;
        let parts = [
            budget.requests_per_hour.map(|max| used.requests as f64 / max.max(1) as f64),
            budget.cost_per_hour.map(|max| cost / max),
        ];
        let is_used_up = budget.requests_per_hour.is_some_and(|max| used.requests >= max)
            || budget.max_cost_micros().is_some_and(|max| used.cost_micros + budget.cost_micros_each().max(1) > max);
        Self {
            destination: destination.id,
            name: destination.name.clone(),
            hour_started_at: Timestamp(hour_started_at),
            requests: used.requests,
            requests_per_hour: budget.requests_per_hour,
            cost,
            cost_per_hour: budget.cost_per_hour,
            max_concurrent: budget.max_concurrent,
            used_ratio: parts.into_iter().flatten().reduce(f64::max),
            waiting_until: is_used_up.then_some(Timestamp(hour_started_at + HOUR_MS)),
        }
    }
}

/// Show what a destination has cost this hour, and whether its deliveries wait for the next one.
#[utoipa::path(get, path = "/api/v1/destinations/{destination}/budget", tag = "configuration",
    operation_id = "show_destination_budget", params(("destination" = String, Path, description = "Id or name")),
    responses((status = 200, description = "The budget; without limits when the destination has none", body = BudgetView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Json<BudgetView>, ApiError> {
    let configuration = gateway.routing.load().configuration.clone();
    let destination = find::<Destination>(&configuration, &wanted)?;
    let now = gateway.clock.now();
    let used = match destination.budget {
        Some(_) => gateway.store.budgets(now.div_euclid(HOUR_MS)).await?,
        None => Vec::new(),
    };
    Ok(Json(BudgetView::new(destination, use_of(&used, destination.id), now)))
}

/// List the destinations that have a budget, with what they have cost this hour, the oldest destination first.
#[utoipa::path(get, path = "/api/v1/budgets", tag = "configuration", operation_id = "list_budgets",
    params(ListQuery), responses((status = 200, description = "A page of budgets", body = List<BudgetView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest::of::<BudgetView>(&query)?;
    let configuration = gateway.routing.load().configuration.clone();
    let destinations = configuration.destinations.iter();
    let limited: Vec<Destination> = destinations.filter(|destination| destination.budget.is_some()).cloned().collect();
    let now = gateway.clock.now();
    let used = if limited.is_empty() { Vec::new() } else { gateway.store.budgets(now.div_euclid(HOUR_MS)).await? };
    let rows = page.cut(&limited, |destination| destination.id.to_u128());
    Ok(page.answer(rows, |destination| BudgetView::new(destination, use_of(&used, destination.id), now)))
}

fn use_of(used: &[(DestinationId, BudgetUse)], destination: DestinationId) -> BudgetUse {
    used.iter().find(|(id, _)| *id == destination).map(|(_, used)| *used).unwrap_or_default()
}
