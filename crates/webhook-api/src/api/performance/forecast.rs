//! `/api/v1/performance/forecast`: when something runs out.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use spillway_performance::forecast::{Forecast, ForecastPoint, History, LEVEL, Resource, forecast};
use utoipa::ToSchema;

use super::{at, rounded, sampled_at, tagged};
use crate::api::timestamp::Timestamp;
use crate::gateway::Gateway;

/// A due delivery that waits so long is a critical alert.
const QUEUE_LIMIT_S: f64 = 300.0;

/// When something on this node runs out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForecastsView {
    /// When the last numbers were taken.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The node that answers.
    node: String,
    /// One for each resource.
    data: Vec<ForecastView>,
}

/// What becomes of one resource if it goes on as it did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForecastView {
    /// `disk`, `memory`, `pool`, `queue` or `events`.
    id: &'static str,
    /// In what it is measured.
    unit: &'static str,
    /// `reached`, `expected` (within the horizon), `not_expected`, `never` (it does not grow), `insufficient_data` or `no_limit`.
    status: &'static str,
    /// The same in a sentence.
    text: String,
    /// The last value.
    now: Option<f64>,
    /// The limit.
    limit: Option<f64>,
    /// When the most likely course reaches the limit.
    #[schema(value_type = Option<String>, format = DateTime)]
    reached_at: Option<Timestamp>,
    /// When it may be reached at the earliest.
    #[schema(value_type = Option<String>, format = DateTime)]
    earliest_at: Option<Timestamp>,
    /// When it will have been reached at the latest; null when it may also never be.
    #[schema(value_type = Option<String>, format = DateTime)]
    latest_at: Option<Timestamp>,
    /// How likely the limit is reached within the horizon, 0 to 1.
    probability: Option<f64>,
    /// Share of cases in which the truth lies between `lower` and `upper`, or between `earliest_at` and `latest_at`.
    level: f64,
    /// Seconds of history that it rests on.
    observed_s: i64,
    /// Seconds of a step.
    step_s: i64,
    /// Seconds that are forecast.
    horizon_s: i64,
    /// The model, in the usual notation.
    #[schema(example = "ETS(A,A,N)")]
    model: Option<String>,
    /// The course, at most 60 points.
    points: Vec<ForecastPointView>,
}

/// One point in the future.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForecastPointView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The most likely value.
    value: f64,
    /// It is not below this, with the probability `level`.
    lower: f64,
    /// It is not above this, with the probability `level`.
    upper: f64,
}

/// A resource with all that its forecast needs.
struct Question {
    resource: Resource,
    history: Option<History>,
    limit: Option<f64>,
    /// Why there is no limit, when there is none.
    no_limit: &'static str,
}

/// Show when disk, memory, pool, queue and rate reach their limits if they go on as they did.
#[utoipa::path(get, path = "/api/v1/performance/forecast", tag = "performance", operation_id = "show_forecast",
    responses((status = 200, description = "The forecasts", body = ForecastsView)))]
pub(crate) async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let now_s = sampled_at(&gateway);
    let questions = questions(&gateway, now_s);
    // Fitting searches for parameters, which takes some milliseconds for each resource.
    let answered =
        tokio::task::spawn_blocking(move || questions.iter().map(Question::answer).collect::<Vec<_>>()).await;
    tagged(&ForecastsView {
        at: at(now_s),
        node: gateway.performance.settings.node.clone(),
        data: answered.unwrap_or_default().into_iter().map(ForecastView::from).collect(),
    })
}

fn questions(gateway: &Gateway, now_s: i64) -> Vec<Question> {
    let pool_max = f64::from(gateway.store.pool().max);
    gateway.performance.with(|state| {
        let ask = |resource: Resource| {
            let (limit, no_limit) = match resource {
                Resource::Disk => (
                    state.host.disk.map(|(_, total)| total),
                    "The store is not on a volume of this node: watch the disk of its server.",
                ),
                Resource::Memory => {
                    (state.host.memory_limit, "How much memory this process may use is not known on this system.")
                }
                Resource::Pool => (Some(pool_max), "The store has no pool."),
                Resource::Queue => (Some(QUEUE_LIMIT_S), "Waiting has no limit."),
                Resource::Events => (
                    state.recorder.capacity(now_s),
                    "The most that this node can take is not known: in the last 24 hours its processor was not at least 20 % busy for ten minutes.",
                ),
            };
            Question { resource, history: History::of(&state.recorder, resource.metric(), now_s), limit, no_limit }
        };
        Resource::ALL.map(ask).into()
    })
}

impl Question {
    fn answer(&self) -> Forecast {
        forecast(self.resource, self.history.as_ref(), self.limit, self.no_limit)
    }
}

impl From<Forecast> for ForecastView {
    fn from(told: Forecast) -> Self {
        let point = |point: ForecastPoint| ForecastPointView {
            at: at(point.at_s),
            value: rounded(point.value),
            lower: rounded(point.lower),
            upper: rounded(point.upper),
        };
        Self {
            id: told.resource.as_str(),
            unit: told.resource.unit(),
            status: told.outlook.as_str(),
            text: told.text,
            now: told.now.map(rounded),
            limit: told.limit.map(rounded),
            reached_at: told.reached_s.map(at),
            earliest_at: told.earliest_s.map(at),
            latest_at: told.latest_s.map(at),
            probability: told.probability.map(rounded),
            level: LEVEL,
            observed_s: told.observed_s,
            step_s: told.step_s,
            horizon_s: told.horizon_s,
            model: told.model,
            points: told.points.into_iter().map(point).collect(),
        }
    }
}
