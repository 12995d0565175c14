//! A destination's budget as it is counted.

use http::HeaderName;
use spillway_model::Budget;

/// At most this part of an hour's budget is taken at once.
const CHUNKS: u64 = 20;

/// A destination's budget as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Requests in an hour.
    pub(crate) max_requests: Option<u64>,
    /// Cost in an hour, in millionths.
    pub(crate) max_cost_micros: Option<u64>,
    /// What a request is expected to cost, in millionths.
    pub(crate) cost_micros_each: u64,
    /// Where answers say what they cost.
    pub(crate) cost_header: Option<HeaderName>,
    /// Requests under way at once.
    pub(crate) max_places: Option<u32>,
}

impl Limits {
    pub(crate) fn of(budget: &Budget) -> Self {
        let cost_header = budget.cost_header.as_ref().filter(|_| budget.cost_per_hour.is_some());
        Self {
            max_requests: budget.requests_per_hour,
            max_cost_micros: budget.max_cost_micros(),
            cost_micros_each: budget.cost_micros_each(),
            cost_header: cost_header.and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok()),
            max_places: budget.max_concurrent,
        }
    }

    /// Whether an hour's requests or cost are limited.
    pub(crate) fn is_metered(&self) -> bool {
        self.max_requests.is_some() || self.max_cost_micros.is_some()
    }

    /// Requests to take at once at most, at least one. One alone while nobody knows what requests cost before they are answered.
    pub(crate) fn chunk(&self) -> u64 {
        let by_cost = self.max_cost_micros.map(|max| max.checked_div(self.cost_micros_each).unwrap_or(1));
        let requests = [self.max_requests, by_cost].into_iter().flatten().min().unwrap_or(u64::MAX);
        (requests / CHUNKS).max(1)
    }
}
