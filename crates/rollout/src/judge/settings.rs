//! The judge's numbers.

use serde::{Deserialize, Serialize};

use crate::spec::CompareMetric;

use super::evalue::Tolerance;

/// The judge's numbers. A number that makes no sense is replaced by the nearest one that does, or by its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgeSettings {
    /// What is compared; empty when the plan has no comparison.
    pub metrics: Vec<CompareMetric>,
    /// Chance of rolling back an equally good version, over the whole rollout and all metrics.
    pub alpha: f64,
    /// Chance that a worse version passes a step early.
    pub beta: f64,
    /// The pass test's ρ.
    pub tolerated_ratio: f64,
    /// The pass test's ε.
    pub tolerated_difference: f64,
    /// Latency boundaries below this many seconds do not count. Zero lets all count.
    #[serde(default)]
    pub fast_enough: f64,
    /// Steps that α is shared by: those at which both slots take requests. The first step fixes it for the rollout; steps beyond it go
    /// on with the evidence of the last one. Zero is taken for 1.
    #[serde(default = "one_step")]
    pub n_steps: u32,
}

impl Default for JudgeSettings {
    /// Errors and latency; α 0.01, β 0.05, ρ 1.5, ε 0.001, one step.
    fn default() -> Self {
        Self {
            metrics: vec![CompareMetric::Errors, CompareMetric::Latency],
            alpha: ALPHA,
            beta: BETA,
            tolerated_ratio: 1.5,
            tolerated_difference: 0.001,
            fast_enough: 0.0,
            n_steps: one_step(),
        }
    }
}

const ALPHA: f64 = 0.01;
const BETA: f64 = 0.05;

const fn one_step() -> u32 {
    1
}

impl JudgeSettings {
    /// ln(m/α), where m counts different metrics.
    pub(super) fn roll_back_limit(&self) -> f64 {
        let n_metrics =
            [CompareMetric::Errors, CompareMetric::Latency].iter().filter(|each| self.metrics.contains(each)).count();
        (n_metrics.max(1) as f64 / probability(self.alpha, ALPHA)).ln()
    }

    /// ln(1/β).
    pub(super) fn pass_limit(&self) -> f64 {
        -probability(self.beta, BETA).ln()
    }

    pub(super) fn tolerance(&self) -> Tolerance {
        let or = |value: f64, otherwise: f64| if value.is_finite() { value } else { otherwise };
        Tolerance {
            ratio: or(self.tolerated_ratio, 1.5).clamp(1.0, 1e6),
            difference: or(self.tolerated_difference, 0.001).clamp(0.0, 0.5),
        }
    }
}

/// A chance of being wrong that leaves a limit above no evidence at all.
fn probability(value: f64, otherwise: f64) -> f64 {
    if value.is_finite() { value.clamp(1e-12, 0.5) } else { otherwise }
}
