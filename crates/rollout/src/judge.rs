//! The judge: anytime-valid comparison of candidate and live version.
//!
//! It may look after every window and keeps its error rates, because its evidence is an e-process: under the hypothesis that it speaks against,
//! its value stays 1 in expectation at any time, so it ever exceeds 1/α with a chance of at most α (Ville).
//!
//! - **Rollback** speaks against "the candidate is no worse". Each window is a bet on several ratios of bad requests
//!   ([`comparison`]) by the arithmetic of [`evalue`]; the mean over the bets counts. For latency it is the mean over the histogram's
//!   boundaries too, and the boundary that moved most is reported. Boundaries that more than half of the live requests exceed do not count.
//! - **Pass** speaks against "the candidate is worse than tolerated", at any boundary.
//! - **Bursts** are not independent requests: all evidence is divided by the overdispersion φ of the live version ([`dispersion`]),
//!   known from the windows before the step.
//! - **Steps** of the rollout share α ([`steps`]).
//!
//! Any input is taken: counts that contradict each other are corrected, windows that cannot be compared are skipped, memory is bounded.

mod comparison;
mod dispersion;
mod evalue;
mod evidence;
mod past;
mod process;
mod seen;
mod settings;
mod steps;
pub mod synthetic;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use evidence::Evidence;
pub use settings::JudgeSettings;

use crate::observed::Block;
use crate::spec::CompareMetric;
use process::Process;
use seen::Seen;
use steps::Steps;

/// A limit that is further away than this is not in sight: a week.
const IN_SIGHT_MS: f64 = 7.0 * 24.0 * 3_600_000.0;

/// The judge's evidence over a rollout; saved with the state, so that a restarted controller goes on where it stopped, to the last bit.
///
/// Its size is bounded: at most 64 boundaries of a histogram are compared.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Judge {
    steps: Steps,
    errors: Process,
    latency: Process,
}

impl Judge {
    /// Learns what is usual for the live version, and how much errors come in bursts, from its past windows. Only before the first step; ignored
    /// afterwards.
    ///
    /// An hour of windows of 15 s is plenty. With less than ten minutes φ is not frozen yet: it begins at 2 and follows the live slot's
    /// windows until ten minutes are known. Errors in bursts then cause more false rollbacks than α: 2 % instead of 1 % in a simulation with
    /// bursts of 5.
    pub fn learn(&mut self, settings: &JudgeSettings, block: &Block) {
        if self.steps.have_begun() {
            return;
        }
        for (metric, process) in self.compared(settings) {
            process.learn(metric, &Seen::new(metric, block));
        }
    }

    /// Freezes what was learnt, in the live slot's windows of earlier steps too, and starts fresh evidence for a step with another weight.
    pub fn begin_step(&mut self, settings: &JudgeSettings) {
        let beginning = self.steps.begin(settings.n_steps);
        self.errors.begin(CompareMetric::Errors, beginning);
        self.latency.begin(CompareMetric::Latency, beginning);
    }

    /// Takes a window. One without requests of both slots is skipped. Before the first step was begun it begins.
    pub fn look(&mut self, settings: &JudgeSettings, block: &Block) {
        if !self.steps.have_begun() {
            self.begin_step(settings);
        }
        let tolerance = settings.tolerance();
        for (metric, process) in self.compared(settings) {
            process.look(metric, &Seen::new(metric, block), tolerance, settings.fast_enough);
        }
    }

    /// How each comparison of the settings stands, in their order.
    #[must_use]
    pub fn evidence(&self, settings: &JudgeSettings) -> Vec<Evidence> {
        settings.metrics.iter().map(|&metric| self.evidence_of(metric, settings)).collect()
    }

    /// The comparison that says roll back, if one does.
    #[must_use]
    pub fn rolls_back(&self, settings: &JudgeSettings) -> Option<Evidence> {
        let limit = settings.roll_back_limit();
        let metric = settings
            .metrics
            .iter()
            .find(|&&metric| self.process(metric).mean_roll_back(metric, self.steps) >= limit)?;
        Some(self.evidence_of(*metric, settings))
    }

    /// Whether every comparison has proven the candidate no worse than tolerated, in this step. Without comparisons never.
    #[must_use]
    pub fn passes(&self, settings: &JudgeSettings) -> bool {
        let limit = settings.pass_limit();
        !settings.metrics.is_empty() && settings.metrics.iter().all(|&metric| self.process(metric).pass() >= limit)
    }

    fn evidence_of(&self, metric: CompareMetric, settings: &JudgeSettings) -> Evidence {
        let process = self.process(metric);
        let limits = (settings.roll_back_limit(), settings.pass_limit());
        let moved = process.moved(metric);
        let (candidate, live) =
            moved.map(|(_, comparison)| (comparison.candidate(), comparison.live())).unwrap_or_default();
        let expected_ms = process
            .expected_ms(metric, self.steps, settings.tolerance(), limits)
            .filter(|expected| *expected <= IN_SIGHT_MS);
        Evidence {
            metric,
            roll_back: process.mean_roll_back(metric, self.steps),
            roll_back_limit: limits.0,
            pass: process.pass(),
            pass_limit: limits.1,
            candidate_ratio: candidate.ratio(),
            live_ratio: live.ratio(),
            boundary: moved.and_then(|(boundary, _)| boundary).filter(|_| candidate.requests > 0),
            candidate_requests: candidate.requests,
            dispersion: moved.map_or(1.0, |(_, comparison)| comparison.dispersion()),
            expected_ms: expected_ms.map(|expected| expected.round() as u64),
        }
    }

    fn process(&self, metric: CompareMetric) -> &Process {
        match metric {
            CompareMetric::Errors => &self.errors,
            CompareMetric::Latency => &self.latency,
        }
    }

    /// What the settings compare, each once.
    fn compared(&mut self, settings: &JudgeSettings) -> impl Iterator<Item = (CompareMetric, &mut Process)> {
        [(CompareMetric::Errors, &mut self.errors), (CompareMetric::Latency, &mut self.latency)]
            .into_iter()
            .filter(|(metric, _)| settings.metrics.contains(metric))
    }
}
