//! What is wrong with a Rollout.

use std::fmt;
use std::time::Duration;

use spillway_slo::duration::Timespan;

/// One thing that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanProblem {
    /// Where, such as `spec.steps[2].weight`; empty when the text is no Rollout at all.
    pub path: String,
    /// What is wrong there, and what to write instead.
    pub problem: String,
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.problem) } else { write!(f, "{}: {}", self.path, self.problem) }
    }
}

impl std::error::Error for PlanProblem {}

/// Everything that was found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<PlanProblem>);

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        self.0.push(PlanProblem { path: path.into(), problem: problem.into() });
    }

    /// The value, if nothing is wrong.
    pub(super) fn or<T>(self, value: T) -> Result<T, Vec<PlanProblem>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }

    /// A duration, or its default, between two limits.
    pub(super) fn span(
        &mut self,
        path: impl Into<String>,
        written: Option<Timespan>,
        default: Duration,
        least: Duration,
        most: Duration,
    ) -> Duration {
        let Some(Timespan(span)) = written else { return default };
        if span < least || span > most {
            let (least, most) = (Timespan(least), Timespan(most));
            self.add(path, format!("is {}: write a duration from {least} to {most}", Timespan(span)));
        }
        span
    }

    /// A number, or its default, between two limits.
    pub(super) fn number(&mut self, path: &str, written: Option<f64>, default: f64, least: f64, most: f64) -> f64 {
        let Some(number) = written else { return default };
        if !(least..=most).contains(&number) {
            self.add(path, format!("is {number}: write a number from {least} to {most}"));
        }
        number
    }

    /// A text that has to say something.
    pub(super) fn filled(&mut self, path: impl Into<String>, text: &str, what: &str) {
        if text.trim().is_empty() {
            self.add(path, format!("is empty: write {what}"));
        }
    }

    pub(super) fn at_most(&mut self, path: &str, have: usize, most: usize) {
        if have > most {
            self.add(path, format!("has {have} entries: at most {most} are allowed"));
        }
    }
}
