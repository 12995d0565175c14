//! What destinations may cost, shared between nodes.

use spillway_model::DestinationId;

/// Use of a destination's budget in one clock hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BudgetUse {
    /// Requests that were granted.
    pub requests: u64,
    /// Cost in millionths of the currency: granted in advance, and corrected by what answers said.
    pub cost_micros: u64,
}

/// A wish for a part of a budget: nodes ask for some requests at a time, so that the store is asked seldom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetRequest {
    /// Whose budget.
    pub destination: DestinationId,
    /// The clock hour: Unix time divided by an hour.
    pub hour: i64,
    /// Requests wanted.
    pub requests: u64,
    /// What one request is expected to cost, in millionths.
    pub cost_micros_each: u64,
    /// The limit of requests; `None` is none.
    pub max_requests: Option<u64>,
    /// The limit of cost, in millionths; `None` is none.
    pub max_cost_micros: Option<u64>,
}

/// Places at a destination that one holder wants to occupy until its lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacesRequest {
    /// Where.
    pub destination: DestinationId,
    /// Who: a random number of the process.
    pub holder: i64,
    /// How many it wants in all, those it has included; zero gives all back.
    pub wanted: u32,
    /// How many there are, over all holders.
    pub max: u32,
    /// Now, by the caller's clock: whoever's lease ends at or before it holds nothing.
    pub now: spillway_model::UnixMillis,
    /// Until when it keeps what it gets.
    pub lease_until: spillway_model::UnixMillis,
}

/// Hours whose use is kept after they are over; [`crate::Store::maintain`] removes older ones.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const HOURS_KEPT: i64 = 48;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const HOUR_MS: i64 = 3_600_000;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl BudgetRequest {
    /// How many of the requests fit beside what is used, whole ones only.
    pub(crate) fn fitting(&self, used: BudgetUse) -> u64 {
        let by_requests = self.max_requests.map_or(u64::MAX, |max| max.saturating_sub(used.requests));
        let by_cost = match (self.max_cost_micros, self.cost_micros_each) {
            (None, _) => u64::MAX,
            (Some(max), 0) if used.cost_micros < max => u64::MAX,
            (Some(_), 0) => 0,
            (Some(max), each) => max.saturating_sub(used.cost_micros) / each,
        };
        self.requests.min(by_requests).min(by_cost)
    }

    /// The use when so many are granted.
    pub(crate) const fn granted(&self, used: BudgetUse, requests: u64) -> BudgetUse {
        BudgetUse {
            requests: used.requests.saturating_add(requests),
            cost_micros: used.cost_micros.saturating_add(requests.saturating_mul(self.cost_micros_each)),
        }
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl BudgetUse {
    /// The use with both added; never below zero.
    pub(crate) const fn corrected(self, requests: i64, cost_micros: i64) -> Self {
        Self {
            requests: self.requests.saturating_add_signed(requests),
            cost_micros: self.cost_micros.saturating_add_signed(cost_micros),
        }
    }

    /// As a database keeps it. What does not fit is as much as fits.
    pub(crate) fn to_columns(self) -> (i64, i64) {
        let column = |value| i64::try_from(value).unwrap_or(i64::MAX);
        (column(self.requests), column(self.cost_micros))
    }

    pub(crate) fn of_columns(requests: i64, cost_micros: i64) -> Self {
        let value = |column| u64::try_from(column).unwrap_or_default();
        Self { requests: value(requests), cost_micros: value(cost_micros) }
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl PlacesRequest {
    /// How many the holder gets beside what others hold.
    pub(crate) fn fitting(&self, held_by_others: i64) -> u32 {
        let held = u32::try_from(held_by_others).unwrap_or(u32::MAX);
        self.wanted.min(self.max.saturating_sub(held))
    }
}

#[cfg(all(test, any(feature = "postgres", feature = "sqlite")))]
mod tests {
    use super::*;

    fn request(requests: u64, each: u64, max_requests: Option<u64>, max_cost_micros: Option<u64>) -> BudgetRequest {
        let destination = DestinationId::from_u128(1);
        BudgetRequest { destination, hour: 1, requests, cost_micros_each: each, max_requests, max_cost_micros }
    }

    #[test]
    fn what_fits_is_the_least_of_what_is_wanted_and_what_both_limits_leave() {
        let used = |requests, cost_micros| BudgetUse { requests, cost_micros };
        for (wish, used, fits) in [
            (request(10, 0, None, None), used(u64::MAX, u64::MAX), 10),
            (request(10, 0, Some(12), None), used(5, 0), 7),
            (request(10, 0, Some(12), None), used(20, 0), 0),
            (request(10, 300, None, Some(1_000)), used(0, 0), 3),
            (request(10, 300, Some(2), Some(1_000)), used(0, 0), 2),
            (request(10, 1_001, None, Some(1_000)), used(0, 0), 0),
            (request(10, 0, None, Some(1_000)), used(0, 999), 10),
            (request(10, 0, None, Some(1_000)), used(0, 1_000), 0),
            (request(10, 0, Some(0), None), used(0, 0), 0),
        ] {
            assert_eq!(wish.fitting(used), fits, "{wish:?} beside {used:?}");
        }
    }

    #[test]
    fn use_stays_between_zero_and_what_a_database_can_hold() {
        let used = BudgetUse { requests: 3, cost_micros: 5 };
        assert_eq!(used.corrected(-10, 2), BudgetUse { requests: 0, cost_micros: 7 });
        let most = request(u64::MAX, u64::MAX, None, None).granted(used, u64::MAX);
        assert_eq!(most.to_columns(), (i64::MAX, i64::MAX));
    }
}
