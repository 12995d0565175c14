//! The evidence of one metric: the mean over its comparisons, step by step.

use serde::{Deserialize, Serialize};

use crate::spec::CompareMetric;

use super::comparison::{Comparison, Matters};
use super::evalue::{Tolerance, Window, ln_mean, ln_sum};
use super::seen::Seen;
use super::steps::{Beginning, Steps};

/// Errors are one comparison; latency is one for each boundary of the histogram. The mean of their e-values is an e-value whatever they
/// have to do with each other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Process {
    /// Seconds; empty for errors.
    boundaries: Vec<f64>,
    comparisons: Vec<Comparison>,
    /// ln of the sum of the finished steps' e-values.
    finished: Option<f64>,
    /// ln of what boundaries that are gone had gathered in this step. It is staked on their successors, so that a change of boundaries
    /// is no second chance.
    carried_roll_back: f64,
    /// The same for the pass test; never above zero, because what was proven of other boundaries proves nothing.
    carried_pass: f64,
    /// Length of the windows that were judged in this step.
    step_ms: u64,
}

impl Process {
    /// Learns what is usual for the live version.
    pub(super) fn learn(&mut self, metric: CompareMetric, seen: &Seen) {
        let Some(live) = &seen.live else { return };
        self.adapt(metric, &seen.boundaries, live.len());
        for (comparison, &live) in self.comparisons.iter_mut().zip(live) {
            comparison.learn(live, seen.window_ms);
        }
    }

    /// Begins a step.
    pub(super) fn begin(&mut self, metric: CompareMetric, beginning: Beginning) {
        if beginning == Beginning::Next {
            let present = self.roll_back(metric);
            self.finished = Some(self.finished.map_or(present, |finished| ln_sum(finished, present)));
            self.carried_roll_back = 0.0;
        }
        self.carried_pass = 0.0;
        self.step_ms = 0;
        for comparison in &mut self.comparisons {
            comparison.begin(metric, beginning != Beginning::Beyond);
        }
    }

    /// Takes a window. Without both slots it says nothing about the candidate, and what it says about the live version is learnt.
    pub(super) fn look(&mut self, metric: CompareMetric, seen: &Seen, tolerance: Tolerance, fast_enough: f64) {
        let (Some(candidate), Some(live)) = (&seen.candidate, &seen.live) else {
            return self.learn(metric, seen);
        };
        self.adapt(metric, &seen.boundaries, live.len());
        let last = self.comparisons.len().saturating_sub(1);
        for (k, ((comparison, &candidate), &live)) in self.comparisons.iter_mut().zip(candidate).zip(live).enumerate() {
            let matters = match self.boundaries.get(k) {
                _ if k == last => Matters::Always,
                Some(&boundary) if boundary < fast_enough => Matters::Never,
                _ => Matters::InTheTail,
            };
            comparison.look(metric, Window { candidate, live }, seen.window_ms, tolerance, matters);
        }
        self.step_ms = self.step_ms.saturating_add(seen.window_ms);
    }

    /// Makes room for other boundaries than before.
    fn adapt(&mut self, metric: CompareMetric, boundaries: &[f64], n_comparisons: usize) {
        if self.boundaries == boundaries && self.comparisons.len() == n_comparisons {
            return;
        }
        self.carried_roll_back = self.roll_back(metric);
        self.carried_pass = self.pass().min(0.0);
        boundaries.clone_into(&mut self.boundaries);
        self.comparisons = vec![Comparison::default(); n_comparisons];
        for comparison in &mut self.comparisons {
            comparison.begin(metric, true);
        }
    }

    /// ln M over all steps.
    pub(super) fn mean_roll_back(&self, metric: CompareMetric, steps: Steps) -> f64 {
        steps.mean(self.finished, self.roll_back(metric))
    }

    /// ln M of this step: of the mean over the comparisons.
    fn roll_back(&self, metric: CompareMetric) -> f64 {
        self.carried_roll_back + ln_mean(self.comparisons.iter().map(|each| (1.0, each.roll_back(metric))))
    }

    /// ln M⁺ of this step: of the comparison that has proven least, because the candidate is too bad when it is at any boundary.
    pub(super) fn pass(&self) -> f64 {
        let least = self.comparisons.iter().filter(|each| each.counts()).map(Comparison::pass).min_by(f64::total_cmp);
        self.carried_pass + least.unwrap_or(0.0)
    }

    /// The comparison that moved most, with its boundary.
    pub(super) fn moved(&self, metric: CompareMetric) -> Option<(Option<f64>, &Comparison)> {
        let values = self.comparisons.iter().enumerate().filter(|(_, each)| each.counts());
        let (k, _) = values.max_by(|(_, a), (_, b)| a.roll_back(metric).total_cmp(&b.roll_back(metric)))?;
        Some((self.boundaries.get(k).copied(), &self.comparisons[k]))
    }

    /// Expected milliseconds until the mean over all steps is at `roll_back_limit`, or every comparison has passed, if windows go on
    /// as in this step. `None` when neither is in sight.
    pub(super) fn expected_ms(
        &self,
        metric: CompareMetric,
        steps: Steps,
        tolerance: Tolerance,
        (roll_back_limit, pass_limit): (f64, f64),
    ) -> Option<f64> {
        if self.step_ms == 0 {
            return None;
        }
        let Some(needed) = steps.needed(self.finished, roll_back_limit) else { return Some(0.0) };
        if self.roll_back(metric) >= needed {
            return Some(0.0);
        }
        let needed = needed - self.carried_roll_back + (self.comparisons.len().max(1) as f64).ln();
        let comparisons = self.comparisons.iter().filter(|each| each.counts());
        let roll_back = comparisons
            .clone()
            .filter_map(|each| each.until_roll_back(metric, needed, self.step_ms))
            .min_by(f64::total_cmp);
        let needed = pass_limit - self.carried_pass;
        let pass = comparisons
            .map(|each| each.until_pass(metric, tolerance, needed, self.step_ms))
            .try_fold(0.0, |longest: f64, each| each.map(|each| longest.max(each)));
        [roll_back, pass.filter(|_| !self.comparisons.is_empty())].into_iter().flatten().min_by(f64::total_cmp)
    }
}
