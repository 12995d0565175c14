//! What the judge shows.

use serde::{Deserialize, Serialize};

use crate::spec::CompareMetric;

/// How one comparison stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// What is compared.
    pub metric: CompareMetric,
    /// ln of the e-value against "no worse", averaged over the rollout's steps: rolls back at `roll_back_limit`.
    pub roll_back: f64,
    /// ln(m/α).
    pub roll_back_limit: f64,
    /// ln of the e-value against "worse than tolerated", in this step: passes at `pass_limit`. For latency: of the boundary that has
    /// proven least.
    pub pass: f64,
    /// ln(1/β).
    pub pass_limit: f64,
    /// The candidate's ratio of bad requests in this step; `None` without requests. For latency: at `boundary`.
    pub candidate_ratio: Option<f64>,
    /// The live version's.
    pub live_ratio: Option<f64>,
    /// For latency: the boundary that moved most, seconds; `None` before a histogram was judged in this step.
    pub boundary: Option<f64>,
    /// Requests of the candidate that were judged in this step.
    pub candidate_requests: u64,
    /// Overdispersion φ that the evidence is divided by. For latency: at `boundary`.
    pub dispersion: f64,
    /// Expected milliseconds until either limit is reached, at this step's rates; `None` when it cannot be told, or is more than a week.
    pub expected_ms: Option<u64>,
}
