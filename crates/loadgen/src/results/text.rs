//! Numbers of a run as people read them.

use spillway_slo::threshold::{Aggregation, Expression, Selector};

pub(super) use spillway_report::text::{
    NONE, bytes, count, counted, digits, percent, plain, plain_number, rate, span, time, time_in, time_or_none,
};

use crate::metrics::{Metric, Unit};
use crate::observe::ObservedUnit;

/// The value of a threshold in the unit of its metric; without what is needed to know that, the bare number.
pub(super) fn threshold_value(selector: &str, expression: &str, value: Option<f64>) -> String {
    let Some(value) = value else { return "no samples".to_owned() };
    let metric = selector.parse::<Selector>().ok().and_then(|selector| selector.metric.parse::<Metric>().ok());
    let aggregation = expression.parse::<Expression>().ok().map(|expression| expression.aggregation);
    match (metric.map(Metric::unit), aggregation) {
        (Some(Unit::Time), _) => time(value),
        (Some(Unit::Share), _) => percent(value),
        (Some(Unit::Bytes), Some(Aggregation::Rate)) => format!("{}/s", bytes(value)),
        (Some(Unit::Bytes), _) => bytes(value),
        (Some(Unit::Count), Some(Aggregation::Rate)) => rate(value),
        (Some(Unit::Count), _) => count(value.max(0.0).round() as u64),
        (None, _) => plain_number(value),
    }
}

/// A measurement of the target.
pub(super) fn quantity(value: f64, unit: ObservedUnit) -> String {
    match unit {
        ObservedUnit::Percent => format!("{} %", plain_number((value * 10.0).round() / 10.0)),
        ObservedUnit::Bytes => bytes(value),
        ObservedUnit::BytesPerSecond => format!("{}/s", bytes(value)),
        ObservedUnit::Count if value.fract() == 0.0 && value >= 0.0 => count(value as u64),
        ObservedUnit::Count => digits(value),
        ObservedUnit::PerSecond => rate(value),
        ObservedUnit::Milliseconds => time(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thresholds_value_has_the_unit_of_its_metric() {
        for (selector, expression, value, text) in [
            ("http_req_duration", "p(95)<500", Some(43.21), "43.2 ms"),
            ("http_req_failed{scenario:a}", "rate<0.01", Some(0.012), "1.2 %"),
            ("http_reqs", "count>5", Some(1_234.0), "1,234"),
            ("http_reqs", "rate>5", Some(1_234.0), "1,234/s"),
            ("data_sent", "rate<5", Some(1_500.0), "1.50 kB/s"),
            ("http_req_duration", "p(95)<500", None, "no samples"),
            ("unknown", "p(95)<500", Some(1.5), "1.5"),
        ] {
            assert_eq!(threshold_value(selector, expression, value), text, "{selector}");
        }
    }
}
