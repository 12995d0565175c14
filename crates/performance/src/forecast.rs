//! When a limit is reached if things go on as they did, and how sure that is.
//!
//! The model is chosen and fitted by `augurs-ets`: exponential smoothing with additive errors, with or without a trend, damped or not, by
//! the corrected information criterion of Akaike (Hyndman et al., *Forecasting with Exponential Smoothing*, 2008). It has no seasons, so two
//! weeks and more are forecast by whole days, in which the course of a day is a mean. Nothing is forecast further than twice the time that
//! was observed.

mod fit;
mod history;

pub use history::History;

use crate::wording;
use fit::{Crossing, Fitted};

/// The share of cases in which the truth lies within the interval.
pub const LEVEL: f64 = 0.95;
/// Most points of the forecast that are handed out.
pub const MAX_POINTS: usize = 60;

/// What can run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The volume that holds the store.
    Disk,
    /// The memory that the process may use.
    Memory,
    /// The store's connection pool.
    Pool,
    /// Deliveries that wait longer than they should.
    Queue,
    /// Events received a second, against the most that the node can take.
    Events,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Disk, Self::Memory, Self::Pool, Self::Queue, Self::Events];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Pool => "pool",
            Self::Queue => "queue",
            Self::Events => "events",
        }
    }

    /// In what it is measured.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Disk | Self::Memory => "bytes",
            Self::Pool => "connections",
            Self::Queue => "seconds",
            Self::Events => "events/s",
        }
    }

    /// The series that it is forecast from.
    #[must_use]
    pub const fn metric(self) -> &'static str {
        match self {
            Self::Disk => "disk_used_bytes",
            Self::Memory => "memory_bytes",
            Self::Pool => "pool_used",
            Self::Queue => "oldest_due_seconds",
            Self::Events => "intake_received",
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Disk => "Use of the volume that holds the store",
            Self::Memory => "Use of memory",
            Self::Pool => "Use of the store's connection pool",
            Self::Queue => "The longest wait of a due delivery",
            Self::Events => "The rate of events",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Disk | Self::Memory => wording::bytes(value),
            Self::Pool => format!("{} connections", wording::number(value)),
            Self::Queue => wording::seconds(value),
            Self::Events => format!("{}/s", wording::number(value)),
        }
    }
}

/// What the forecast says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// The limit is reached already.
    Reached,
    /// It will be, within the horizon.
    Expected,
    /// It will not be, within the horizon.
    NotExpected,
    /// What is used does not grow.
    Never,
    /// Too little was observed.
    InsufficientData,
    /// There is no limit, or none is known.
    NoLimit,
}

impl Outlook {
    /// As in the API, such as `not_expected`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Expected => "expected",
            Self::NotExpected => "not_expected",
            Self::Never => "never",
            Self::InsufficientData => "insufficient_data",
            Self::NoLimit => "no_limit",
        }
    }
}

/// One point in the future.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForecastPoint {
    /// When, in seconds.
    pub at_s: i64,
    /// The most likely value.
    pub value: f64,
    /// What the value is not below, with the probability of the interval.
    pub lower: f64,
    /// What the value is not above, with the probability of the interval.
    pub upper: f64,
}

/// What becomes of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Which.
    pub resource: Resource,
    /// What it comes to.
    pub outlook: Outlook,
    /// The same in a sentence.
    pub text: String,
    /// The last value.
    pub now: Option<f64>,
    /// The limit.
    pub limit: Option<f64>,
    /// When the most likely course reaches the limit.
    pub reached_s: Option<i64>,
    /// When it may be reached at the earliest.
    pub earliest_s: Option<i64>,
    /// When it will have been reached at the latest; `None` when it may also never be.
    pub latest_s: Option<i64>,
    /// How likely the limit is reached within the horizon, 0 to 1.
    pub probability: Option<f64>,
    /// Seconds of history that it rests on.
    pub observed_s: i64,
    /// Length of a step.
    pub step_s: i64,
    /// Seconds that are forecast.
    pub horizon_s: i64,
    /// The model that was chosen, in the usual notation, such as `ETS(A,A,N)`.
    pub model: Option<String>,
    /// The course, at most [`MAX_POINTS`].
    pub points: Vec<ForecastPoint>,
}

/// Forecasts one resource. `history` is `None` when too little was observed, `limit` when there is none or it is not known, which
/// `no_limit` explains then.
#[must_use]
pub fn forecast(resource: Resource, history: Option<&History>, limit: Option<f64>, no_limit: &str) -> Forecast {
    let Some(limit) = limit.filter(|limit| limit.is_finite() && *limit > 0.0) else {
        return without(resource, Outlook::NoLimit, no_limit.to_owned(), history, None);
    };
    let Some(history) = history else {
        let text = format!("{} cannot be forecast yet: {}.", resource.subject(), History::NEEDED);
        return without(resource, Outlook::InsufficientData, text, None, Some(limit));
    };
    let now = history.last();
    if now >= limit {
        let text =
            format!("{} is {}, and the limit is {}.", resource.subject(), resource.show(now), resource.show(limit));
        return without(resource, Outlook::Reached, text, Some(history), Some(limit));
    }
    match fit::fit(history, LEVEL) {
        Some(fitted) => with(resource, history, limit, &fitted),
        None => {
            let text = format!("{} follows no course that can be forecast.", resource.subject());
            without(resource, Outlook::InsufficientData, text, Some(history), Some(limit))
        }
    }
}

fn without(
    resource: Resource,
    outlook: Outlook,
    text: String,
    history: Option<&History>,
    limit: Option<f64>,
) -> Forecast {
    Forecast {
        resource,
        outlook,
        text,
        now: history.map(History::last),
        limit,
        reached_s: None,
        earliest_s: None,
        latest_s: None,
        probability: None,
        observed_s: history.map_or(0, History::observed_s),
        step_s: history.map_or(0, History::step_s),
        horizon_s: 0,
        model: None,
        points: Vec::new(),
    }
}

fn with(resource: Resource, history: &History, limit: f64, fitted: &Fitted) -> Forecast {
    let crossing = fitted.crossing(limit);
    let at = |steps: Option<f64>| steps.map(|steps| history.end_s() + (steps * history.step_s() as f64).round() as i64);
    let outlook = match &crossing {
        Crossing { likely: Some(_), .. } => Outlook::Expected,
        Crossing { earliest: None, .. } if !fitted.grows() => Outlook::Never,
        Crossing { .. } => Outlook::NotExpected,
    };
    let horizon_s = fitted.horizon() as i64 * history.step_s();
    let mut forecast = without(resource, outlook, String::new(), Some(history), Some(limit));
    forecast.reached_s = at(crossing.likely);
    forecast.earliest_s = at(crossing.earliest);
    forecast.latest_s = at(crossing.likely.and(crossing.latest));
    forecast.probability = Some(crossing.probability);
    forecast.horizon_s = horizon_s;
    forecast.model = Some(fitted.model.clone());
    forecast.points = fitted.points(history, MAX_POINTS);
    forecast.text = sentence(&forecast, history, limit);
    forecast
}

fn sentence(forecast: &Forecast, history: &History, limit: f64) -> String {
    let resource = forecast.resource;
    let (subject, shown) = (resource.subject(), resource.show(limit));
    let span = |at_s: Option<i64>| at_s.map(|at_s| wording::seconds((at_s - history.end_s()).max(0) as f64));
    let observed = wording::seconds(history.observed_s() as f64);
    let probability = wording::percent(forecast.probability.unwrap_or_default());
    match forecast.outlook {
        Outlook::Expected => {
            let between = match (span(forecast.earliest_s), span(forecast.latest_s)) {
                (Some(earliest), Some(latest)) => format!("between {earliest} and {latest}"),
                (Some(earliest), None) => format!("{earliest} at the earliest, perhaps never"),
                _ => "open".to_owned(),
            };
            let likely = span(forecast.reached_s).unwrap_or_default();
            format!(
                "{subject} reaches {shown} in {likely} if it goes on as in the last {observed} (95 %: {between}; {probability} within {}).",
                wording::seconds(forecast.horizon_s as f64)
            )
        }
        Outlook::Never => format!("{subject} does not grow: in the last {observed} it came no nearer to {shown}."),
        _ => format!(
            "{subject} does not reach {shown} within {} if it goes on as in the last {observed} ({probability} that it does).",
            wording::seconds(forecast.horizon_s as f64)
        ),
    }
}

#[cfg(test)]
mod tests;
