//! Limits that the candidate has to keep, such as `p99=500ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use spillway_report::text;
use spillway_slo::duration::Timespan;

use super::{LEAST_REQUESTS, Side};

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitMetric {
    /// Share of requests that failed.
    Errors,
    /// Median of latency.
    P50,
    /// 95th percentile of latency.
    P95,
    /// 99th percentile of latency.
    P99,
}

/// A limit, and what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// What it is about.
    pub metric: LimitMetric,
    /// The largest value that is good: a share from 0 to 1, or seconds.
    pub max: f64,
    /// What was measured; `None` before there were enough answers.
    pub value: Option<f64>,
}

impl LimitMetric {
    const ALL: [Self; 4] = [Self::Errors, Self::P50, Self::P95, Self::P99];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    fn text(self, value: f64) -> String {
        if self == Self::Errors { text::percent(value) } else { text::time(value * 1e3) }
    }
}

impl Limit {
    pub(super) fn measure(&mut self, side: &Side) {
        let value = match self.metric {
            LimitMetric::Errors => side.error_ratio(),
            LimitMetric::P50 => side.percentile(50.0),
            LimitMetric::P95 => side.percentile(95.0),
            LimitMetric::P99 => side.percentile(99.0),
        };
        self.value = value.filter(|_| side.requests >= LEAST_REQUESTS);
    }

    /// Whether what was measured is beyond it.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.value.is_some_and(|value| value > self.max)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.map_or_else(|| text::NONE.to_owned(), |value| self.metric.text(value));
        write!(f, "{} is {value}, at most {} is good", self.metric.name(), self.metric.text(self.max))
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = "write errors=1%, p50=100ms, p95=250ms or p99=500ms";
        let (name, limit) = text.split_once('=').ok_or(usage)?;
        let metric = LimitMetric::ALL.into_iter().find(|metric| metric.name() == name.trim()).ok_or(usage)?;
        let limit = limit.trim();
        let max = if metric == LimitMetric::Errors {
            let (number, unit) = limit.strip_suffix('%').map_or((limit, 1.0), |percent| (percent, 100.0));
            let share = number.trim().parse::<f64>().map_err(|_| usage)? / unit;
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("{limit} is no share: write 0.01 or 1%"));
            }
            share
        } else {
            let Timespan(duration) = limit.parse().map_err(|error| format!("{error}"))?;
            if duration == Duration::ZERO {
                return Err(format!("{limit} would never be kept"));
            }
            duration.as_secs_f64()
        };
        Ok(Self { metric, max, value: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shares_and_durations() {
        let max = |text: &str| text.parse::<Limit>().map(|limit| limit.max);
        for (text, wanted) in [("errors=1%", 0.01), ("errors=0.005", 0.005), ("p99=500ms", 0.5), ("p50=1s", 1.0)] {
            assert_eq!(max(text), Ok(wanted), "{text}");
        }
        for wrong in ["errors", "p90=1s", "errors=2", "errors=x", "p99=0s", "p99=fast", "p99"] {
            assert!(max(wrong).is_err(), "{wrong}");
        }
    }
}
