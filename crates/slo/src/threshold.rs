//! Conditions on measurements in k6's grammar, such as `http_req_duration{scenario:burst}` with `p(95)<500 over 30s`.

use std::time::Duration;

use serde::Deserialize;

mod aggregation;
mod expression;
mod selector;
mod written;

pub use aggregation::{Aggregation, AggregationProblem, MetricKind};
pub use expression::{Comparison, Expression, ExpressionProblem};
pub use selector::{Selector, SelectorProblem};
pub use written::Thresholds;

/// A condition that a metric must meet for the run to pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The metric, and the tags that its samples must have.
    pub selector: Selector,
    /// What must hold.
    pub expression: Expression,
    /// Whether a failure ends the run. Default: no.
    pub abort_on_fail: bool,
    /// Time from the start of the run before a failure may end it. Default: zero.
    pub delay_abort_eval: Duration,
    /// What it means that there are no samples. Default: failure.
    pub no_samples: NoSamples,
}

/// What a threshold says of a metric without samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoSamples {
    /// It fails: what was not measured was not met.
    #[default]
    Fail,
    /// It passes.
    Pass,
}

/// How a threshold stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The value that was compared; none without samples.
    pub value: Option<f64>,
    /// Whether the threshold holds.
    pub passed: bool,
}

/// An aggregation that the kind of the metric does not have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{metric}` is a {kind} and has no `{aggregation}`: use {}", kind.aggregations())]
pub struct WrongAggregation {
    /// The metric's name.
    pub metric: String,
    /// Its kind.
    pub kind: MetricKind,
    /// What was asked of it.
    pub aggregation: Aggregation,
}

impl Threshold {
    /// A threshold that ends no run early and fails without samples.
    #[must_use]
    pub fn new(selector: Selector, expression: Expression) -> Self {
        let no_samples = NoSamples::default();
        Self { selector, expression, abort_on_fail: false, delay_abort_eval: Duration::ZERO, no_samples }
    }

    /// Whether a metric of this kind has the aggregation.
    ///
    /// # Errors
    /// When it has not; the error names those it has.
    pub fn check(&self, kind: MetricKind) -> Result<(), WrongAggregation> {
        let aggregation = self.expression.aggregation;
        if kind.has(aggregation) {
            return Ok(());
        }
        Err(WrongAggregation { metric: self.selector.metric.clone(), kind, aggregation })
    }

    /// Compares the aggregated value with the limit; none, or not a number, is a metric without samples.
    ///
    /// Trends are in milliseconds, rates from 0 to 1, the rate of a counter per second.
    #[must_use]
    pub fn judge(&self, value: Option<f64>) -> Verdict {
        let value = value.filter(|value| !value.is_nan());
        let passed = match value {
            Some(value) => self.expression.comparison.holds(value, self.expression.limit),
            None => self.no_samples == NoSamples::Pass,
        };
        Verdict { value, passed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threshold(selector: &str, expression: &str) -> Threshold {
        Threshold::new(selector.parse().expect(selector), expression.parse().expect(expression))
    }

    #[test]
    fn each_comparison_decides_at_its_limit() {
        for (expression, below, at, above) in [
            ("avg<500", true, false, false),
            ("avg<=500", true, true, false),
            ("avg>500", false, false, true),
            ("avg>=500", false, true, true),
            ("avg==500", false, true, false),
            ("avg===500", false, true, false),
            ("avg!=500", true, false, true),
        ] {
            let passes = |value| threshold("http_req_duration", expression).judge(Some(value)).passed;
            assert_eq!((passes(499.9), passes(500.0), passes(500.1)), (below, at, above), "{expression}");
        }
    }

    #[test]
    fn without_samples_it_fails_unless_it_says_otherwise() {
        let failing = threshold("http_req_failed", "rate!=1");
        let passing = Threshold { no_samples: NoSamples::Pass, ..failing.clone() };
        for value in [None, Some(f64::NAN)] {
            assert_eq!(failing.judge(value), Verdict { value: None, passed: false });
            assert_eq!(passing.judge(value), Verdict { value: None, passed: true });
        }
        assert!(!passing.judge(Some(1.0)).passed, "samples decide where there are some");
    }

    #[test]
    fn each_kind_has_its_aggregations_and_the_error_names_them() {
        let of = |kind| {
            let names = ["count", "rate", "value", "avg", "min", "max", "med", "p(95)"];
            names.map(|name| u8::from(threshold("m", &format!("{name}<1")).check(kind).is_ok()))
        };
        assert_eq!(of(MetricKind::Counter), [1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(of(MetricKind::Gauge), [0, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(of(MetricKind::Rate), [0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(of(MetricKind::Trend), [0, 0, 0, 1, 1, 1, 1, 1]);

        let error = threshold("http_reqs{name:x}", "p(95)<1").check(MetricKind::Counter).expect_err("no percentiles");
        assert_eq!(error.to_string(), "`http_reqs` is a counter and has no `p(95)`: use count or rate");
    }
}
