//! What is usual for the live version.

use serde::{Deserialize, Serialize};

use crate::spec::CompareMetric;

use super::evalue::Sample;

/// Windows count half as much after an hour, so that the estimate follows the time of day.
const HALF_LIFE_MS: f64 = 3_600_000.0;
/// Without any history errors are expected in 1 of 1,000 requests, and this expectation weighs as much as 500 requests.
const EXPECTED_ERRORS: Sample = Sample { requests: 500.0, bad: 0.5 };
/// Nothing is expected of latency before this many requests: a boundary can lie anywhere.
const LEAST_TIMED: f64 = 100.0;
const LEAST_RATIO: f64 = 1e-6;

/// The live version's ratio of bad requests, from the windows before the one that is judged.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Past {
    requests: f64,
    bad: f64,
}

impl Past {
    pub(super) fn add(&mut self, sample: Sample, window_ms: u64) {
        let keep = (-(window_ms as f64) / HALF_LIFE_MS).exp2();
        self.requests = self.requests * keep + sample.requests;
        self.bad = self.bad * keep + sample.bad;
    }

    /// q̂, within [1e-6, 0.5] for errors and [1e-6, 1 − 1e-6] for latency; `None` when too little is known to bet on it.
    pub(super) fn ratio(&self, metric: CompareMetric) -> Option<f64> {
        match metric {
            CompareMetric::Errors => {
                let ratio = (self.bad + EXPECTED_ERRORS.bad) / (self.requests + EXPECTED_ERRORS.requests);
                Some(ratio.clamp(LEAST_RATIO, 0.5))
            }
            CompareMetric::Latency => (self.requests >= LEAST_TIMED)
                .then(|| ((self.bad + 0.5) / (self.requests + 1.0)).clamp(LEAST_RATIO, 1.0 - LEAST_RATIO)),
        }
    }
}
