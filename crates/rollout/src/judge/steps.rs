//! How the steps of a rollout share α.

use serde::{Deserialize, Serialize};

use super::evalue::ln_sum;

/// Each step has evidence of its own, and what counts is the mean over all steps of the rollout, where those to come have an e-value of 1.
/// As the number of steps is fixed before the first, the mean is an e-process again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Steps {
    /// Fixed by the first step.
    planned: u32,
    /// At most `planned`.
    begun: u32,
}

/// What a step that begins does with the evidence so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// It is the first: there is none.
    First,
    /// It is put by, to be averaged.
    Next,
    /// More steps than planned: this one goes on with it, because no share of α is left.
    Beyond,
}

impl Steps {
    pub(super) fn begin(&mut self, n_steps: u32) -> Beginning {
        if self.begun == 0 {
            *self = Self { planned: n_steps.max(1), begun: 1 };
            return Beginning::First;
        }
        if self.begun >= self.planned {
            return Beginning::Beyond;
        }
        self.begun += 1;
        Beginning::Next
    }

    pub(super) fn have_begun(self) -> bool {
        self.begun > 0
    }

    /// ln of the mean e-value: `finished` is ln of the sum over finished steps, `present` ln of the step under way.
    pub(super) fn mean(self, finished: Option<f64>, present: f64) -> f64 {
        if !self.have_begun() {
            return 0.0;
        }
        let sum = self.others(finished).map_or(present, |others| ln_sum(others, present));
        sum - f64::from(self.planned).ln()
    }

    /// What the step under way has to reach so that the mean is at `limit`; `None` when it is without.
    pub(super) fn needed(self, finished: Option<f64>, limit: f64) -> Option<f64> {
        let sum = limit + f64::from(self.planned.max(1)).ln();
        match self.others(finished) {
            None => Some(sum),
            Some(others) if others < sum => Some(sum + (-(others - sum).exp()).ln_1p()),
            Some(_) => None,
        }
    }

    /// ln of the sum over all steps but the one under way.
    fn others(self, finished: Option<f64>) -> Option<f64> {
        let to_come = self.planned.saturating_sub(self.begun);
        let to_come = (to_come > 0).then(|| f64::from(to_come).ln());
        match (finished, to_come) {
            (Some(finished), Some(to_come)) => Some(ln_sum(finished, to_come)),
            (finished, to_come) => finished.or(to_come),
        }
    }
}
