//! What the store must yet be told about budgets: requests that were not made, costs that were not as expected.

use std::collections::HashMap;

use spillway_model::DestinationId;

/// What the store must be told about one destination and hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Correction {
    pub(crate) destination: DestinationId,
    pub(crate) hour: i64,
    /// To be added to the requests; negative gives them back.
    pub(crate) requests: i64,
    /// To be added to the cost, in millionths.
    pub(crate) cost_micros: i64,
}

/// Corrections that wait, one sum for each destination and hour.
#[derive(Debug, Default)]
pub(crate) struct Books(HashMap<(DestinationId, i64), (i64, i64)>);

impl Books {
    pub(crate) fn add(&mut self, correction: Correction) {
        let Correction { destination, hour, requests, cost_micros } = correction;
        if (requests, cost_micros) != (0, 0) {
            let sums = self.0.entry((destination, hour)).or_default();
            *sums = (sums.0.saturating_add(requests), sums.1.saturating_add(cost_micros));
        }
    }

    /// Gives back `requests` that were expected to cost `cost_micros_each`.
    pub(crate) fn give_back(&mut self, destination: DestinationId, hour: i64, requests: u64, cost_micros_each: u64) {
        let cost_micros = -signed(requests.saturating_mul(cost_micros_each));
        self.add(Correction { destination, hour, requests: -signed(requests), cost_micros });
    }

    /// Notes that a request cost something else than expected.
    pub(crate) fn cost(&mut self, destination: DestinationId, hour: i64, expected_micros: u64, micros: u64) {
        let cost_micros = signed(micros).saturating_sub(signed(expected_micros));
        self.add(Correction { destination, hour, requests: 0, cost_micros });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all of it. What the store does not take is added again.
    pub(crate) fn take(&mut self) -> Vec<Correction> {
        let sums = std::mem::take(&mut self.0).into_iter();
        let correction =
            |((destination, hour), (requests, cost_micros))| Correction { destination, hour, requests, cost_micros };
        sums.map(correction).filter(|one| (one.requests, one.cost_micros) != (0, 0)).collect()
    }

    /// Forgets what nobody looks at any more: hours before the last one.
    pub(crate) fn forget_before(&mut self, hour: i64) {
        self.0.retain(|(_, of), _| *of >= hour - 1);
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
