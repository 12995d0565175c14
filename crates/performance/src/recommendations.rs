//! What to change, and the numbers that say so.

mod rules;

use crate::metric::LatencyMetric;

/// What a load needs: connections of the store's pool below each rate of events.
const POOL_BY_LOAD: [(f64, u32); 2] = [(100.0, 50), (500.0, 150)];
const POOL_BEYOND: u32 = 300;
/// Minutes that must have been observed before anything is said about an hour.
pub const MINUTES_NEEDED: u32 = 30;
/// Minutes before a size is recommended for a machine or a container.
pub const MINUTES_FOR_SIZES: u32 = 60;

/// What recommendations are made from. `None` is not known, and nothing is said about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Minutes of the last hour that were observed.
    pub observed_minutes: u32,
    /// Minutes of the last 24 hours that were observed.
    pub observed_minutes_of_day: u32,
    /// Events received a second, mean of the last hour.
    pub events_per_second: Option<f64>,
    /// The most connections the store's pool may have; `None` where no server limits them.
    pub pool_max: Option<u32>,
    /// Share of the pool in use, mean of the last hour.
    pub pool_ratio: Option<f64>,
    /// Share of the processor time in use, mean of the last hour.
    pub cpu_ratio: Option<f64>,
    /// Processors this process may use.
    pub cpu_cores: Option<f64>,
    /// Processors in use: the 95th percentile of the minutes of the last 24 hours.
    pub cpu_cores_used: Option<f64>,
    /// Share of the memory in use, mean of the last hour.
    pub memory_ratio: Option<f64>,
    /// Bytes this process may use.
    pub memory_limit: Option<f64>,
    /// Bytes in use: the 95th percentile of the minutes of the last 24 hours.
    pub memory_used: Option<f64>,
    /// 95th percentile of API requests over the last hour, in seconds, and how many there were.
    pub api_latency: Option<(f64, u64)>,
    /// Share of requests that failed by our fault over the last hour, and how many requests there were.
    pub platform_errors: Option<(f64, u64)>,
    /// Caches: name, look-ups of the last hour, and those that the cache answered.
    pub caches: Vec<(&'static str, u64, u64)>,
    /// Kinds of work on the store: 95th percentile over the last hour in seconds, and how often.
    pub queries: Vec<(LatencyMetric, f64, u64)>,
}

/// How soon it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Worth doing at the next occasion.
    Advice,
    /// Worth doing now.
    Soon,
}

impl Urgency {
    /// `advice` or `soon`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Soon => "soon",
        }
    }
}

/// What to change.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// Stable: the same advice has the same id at every look.
    pub id: String,
    /// How soon.
    pub urgency: Urgency,
    /// A sentence with the numbers that led to it.
    pub text: String,
    /// The setting to change, if one does it.
    pub setting: Option<&'static str>,
    /// What is in force.
    pub current: Option<f64>,
    /// What to set.
    pub recommended: Option<f64>,
    /// In what both are.
    pub unit: Option<&'static str>,
    /// The numbers, by name.
    pub evidence: Vec<(&'static str, f64)>,
}

/// Advice that cannot be given yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The id it would have.
    pub id: &'static str,
    /// What is missing.
    pub reason: String,
}

/// All advice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Advice {
    /// What to change, the most urgent first.
    pub recommendations: Vec<Recommendation>,
    /// What is not known well enough.
    pub waiting: Vec<Waiting>,
}

/// The connections that a pool should have at this rate of events: 50 below 100/s, 150 up to 500/s, 300 beyond.
#[must_use]
pub fn pool_for(events_per_second: f64) -> u32 {
    let [(low, few), (high, some)] = POOL_BY_LOAD;
    match events_per_second {
        rate if rate < low => few,
        rate if rate <= high => some,
        _ => POOL_BEYOND,
    }
}

/// What follows from the facts. Nothing without enough of them.
#[must_use]
pub fn recommend(facts: &Facts) -> Advice {
    let mut advice = Advice::default();
    rules::pool_size(facts, &mut advice);
    rules::scale_out(facts, &mut advice);
    rules::sizes(facts, &mut advice);
    rules::caches(facts, &mut advice);
    rules::slow_queries(facts, &mut advice);
    advice.recommendations.sort_by_key(|recommendation| recommendation.urgency != Urgency::Soon);
    advice
}

#[cfg(test)]
mod tests;
