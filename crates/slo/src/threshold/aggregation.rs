//! What a threshold compares: one number made of a metric's samples.

use std::fmt;
use std::str::FromStr;

use crate::SyntaxError;
use crate::syntax::excerpt;

/// What a metric's samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Numbers that are added up.
    Counter,
    /// The last of some numbers.
    Gauge,
    /// Yes or no.
    Rate,
    /// Durations in milliseconds, or other numbers, whose distribution counts.
    Trend,
}

/// One number made of a metric's samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregation {
    /// Sum of a counter.
    Count,
    /// Share of "yes" from 0 to 1, or a counter's sum per second.
    Rate,
    /// Last value of a gauge.
    Value,
    /// Arithmetic mean.
    Avg,
    /// The least sample.
    Min,
    /// The greatest sample.
    Max,
    /// Median.
    Med,
    /// The value below which this many percent lie, from 0 to 100.
    Percentile(f64),
}

/// What is wrong with the text of an [`Aggregation`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AggregationProblem {
    /// Nothing was written.
    #[error("expected an aggregation: count, rate, value, avg, min, max, med or p(N)")]
    Missing,
    /// Another word.
    #[error(
        "`{found}` is no aggregation, the nearest is `{nearest}`: use count, rate, value, avg, min, max, med or p(N)"
    )]
    Unknown {
        /// What was written.
        found: String,
        /// The valid one most like it.
        nearest: String,
    },
    /// A percentile that is no number from 0 to 100.
    #[error("expected a percentile from 0 to 100, such as p(95) or p(99.9)")]
    Percentile,
}

const NAMES: [(&str, Aggregation); 7] = [
    ("count", Aggregation::Count),
    ("rate", Aggregation::Rate),
    ("value", Aggregation::Value),
    ("avg", Aggregation::Avg),
    ("min", Aggregation::Min),
    ("max", Aggregation::Max),
    ("med", Aggregation::Med),
];

/// Words for the same from elsewhere, which their letters alone would not lead to.
const SYNONYMS: [(&str, &str); 5] =
    [("mean", "avg"), ("average", "avg"), ("median", "med"), ("last", "value"), ("sum", "count")];

impl MetricKind {
    /// Whether metrics of this kind have the aggregation, as in k6.
    #[must_use]
    pub fn has(self, aggregation: Aggregation) -> bool {
        use Aggregation::{Avg, Count, Max, Med, Min, Percentile, Rate, Value};
        match self {
            Self::Counter => matches!(aggregation, Count | Rate),
            Self::Gauge => matches!(aggregation, Value),
            Self::Rate => matches!(aggregation, Rate),
            Self::Trend => matches!(aggregation, Avg | Min | Max | Med | Percentile(_)),
        }
    }

    pub(super) fn aggregations(self) -> &'static str {
        match self {
            Self::Counter => "count or rate",
            Self::Gauge => "value",
            Self::Rate => "rate",
            Self::Trend => "avg, min, max, med or p(N)",
        }
    }
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Rate => "rate",
            Self::Trend => "trend",
        })
    }
}

impl FromStr for Aggregation {
    type Err = SyntaxError<AggregationProblem>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(SyntaxError::new(AggregationProblem::Missing, text, 0));
        }
        if let Some((_, aggregation)) = NAMES.into_iter().find(|(name, _)| *name == text) {
            return Ok(aggregation);
        }
        match text.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')')) {
            Some(percent) => percentile(percent)
                .map(Self::Percentile)
                .ok_or_else(|| SyntaxError::new(AggregationProblem::Percentile, text, "p(".len())),
            None => {
                let found = excerpt(text);
                let nearest = nearest(&found);
                Err(SyntaxError::new(AggregationProblem::Unknown { found, nearest }, text, 0))
            }
        }
    }
}

fn percentile(text: &str) -> Option<f64> {
    text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))
}

fn nearest(found: &str) -> String {
    let spelled = found.to_lowercase();
    let digits: String = spelled.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    if let Some(percent) = percentile(&digits) {
        return Aggregation::Percentile(percent).to_string();
    }
    let meant = SYNONYMS.into_iter().chain(NAMES.map(|(name, _)| (name, name))).chain([("percentile", "p(95)")]);
    let likeness = |(word, _): &(&str, &str)| strsim::jaro_winkler(&spelled, word);
    let nearest = meant.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    nearest.map_or("avg", |(_, name)| name).to_owned()
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "p({percent})"),
            named => NAMES.iter().filter(|(_, one)| one == named).try_for_each(|(name, _)| f.write_str(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_leads_to_the_nearest_valid_one() {
        for (written, meant) in [
            ("p95", "p(95)"),
            ("p(99.9", "p(99.9)"),
            ("percentile(90)", "p(90)"),
            ("P(50)", "p(50)"),
            ("percentile", "p(95)"),
            ("median", "med"),
            ("mean", "avg"),
            ("average", "avg"),
            ("avrg", "avg"),
            ("maximum", "max"),
            ("Min", "min"),
            ("counts", "count"),
            ("ratio", "rate"),
            ("vaule", "value"),
        ] {
            let error = written.parse::<Aggregation>().expect_err(written);
            let AggregationProblem::Unknown { found, nearest } = error.problem() else { panic!("{error}") };
            assert_eq!((found.as_str(), nearest.as_str()), (written, meant));
        }
    }

    #[test]
    fn a_percentile_is_a_number_from_0_to_100() {
        for (text, percent) in [("p(0)", 0.0), ("p(100)", 100.0), ("p(99.99)", 99.99), ("p(5e1)", 50.0)] {
            assert_eq!(text.parse(), Ok(Aggregation::Percentile(percent)), "{text}");
        }
        for text in ["p()", "p(101)", "p(-1)", "p(nan)", "p(inf)", "p( 95)", "p(95ms)"] {
            let error = text.parse::<Aggregation>().expect_err(text);
            assert_eq!((error.problem(), error.character()), (&AggregationProblem::Percentile, 3), "{text}");
        }
    }
}
