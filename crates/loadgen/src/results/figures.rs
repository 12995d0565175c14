//! The numbers that are said of a metric.

use std::collections::BTreeMap;
use std::time::Duration;

use spillway_slo::threshold::Aggregation;

use crate::metrics::Values;

/// What is said of a trend beside its count.
const TREND: [Aggregation; 8] = [
    Aggregation::Avg,
    Aggregation::Min,
    Aggregation::Med,
    Aggregation::Max,
    Aggregation::Percentile(90.0),
    Aggregation::Percentile(95.0),
    Aggregation::Percentile(99.0),
    Aggregation::Percentile(99.9),
];

/// Every number of a metric by its name: times in milliseconds, shares from 0 to 1, rates per second. Numbers without samples are left out.
pub(super) fn figures(values: &Values, elapsed: Duration, wanted: &[String]) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    match values {
        Values::Counter(sum) => {
            figures.insert("count".to_owned(), *sum as f64);
            if let Some(rate) = values.aggregate(Aggregation::Rate, elapsed) {
                figures.insert("rate".to_owned(), rate);
            }
        }
        Values::Gauge { value, min, max } => {
            for (name, number) in [("value", value), ("min", min), ("max", max)] {
                figures.insert(name.to_owned(), *number as f64);
            }
        }
        Values::Rate { passes, total } => {
            figures.insert("passes".to_owned(), *passes as f64);
            figures.insert("fails".to_owned(), total.saturating_sub(*passes) as f64);
            if let Some(rate) = values.aggregate(Aggregation::Rate, elapsed) {
                figures.insert("rate".to_owned(), rate);
            }
        }
        Values::Trend(trend) => {
            figures.insert("count".to_owned(), trend.count() as f64);
            let own = TREND.into_iter().chain(wanted.iter().filter_map(|name| name.parse().ok()));
            for aggregation in own {
                if let Some(value) = values.aggregate(aggregation, elapsed) {
                    figures.insert(aggregation.to_string(), value);
                }
            }
        }
    }
    figures
}

/// A percentile of a trend in milliseconds.
pub(super) fn percentile(values: Option<&Values>, percent: f64) -> Option<f64> {
    values?.aggregate(Aggregation::Percentile(percent), Duration::ZERO)
}
