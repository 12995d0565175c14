//! Numbers and names as people read them.

use std::time::Duration;

use spillway_slo::threshold::{Aggregation, Expression, Selector};

use crate::metrics::{Metric, Unit};
use crate::observe::ObservedUnit;

/// What stands where there is no number.
pub(super) const NONE: &str = "–";

/// A time with three digits and the unit that fits it.
pub(super) fn time(ms: f64) -> String {
    match ms {
        ms if !ms.is_finite() => NONE.to_owned(),
        ms if ms < 0.9995 => format!("{:.0} µs", ms * 1e3),
        ms if ms < 999.5 => format!("{} ms", digits(ms)),
        ms if ms < 99_950.0 => format!("{} s", digits(ms / 1e3)),
        ms => span(ms),
    }
}

/// A time in the unit of the options file (`s`, `ms`, `us`), or in the one that fits it.
pub(super) fn time_in(ms: f64, unit: Option<&str>) -> String {
    match unit {
        Some("s") => format!("{:.3} s", ms / 1e3),
        Some("ms") => format!("{ms:.2} ms"),
        Some("us") => format!("{} µs", count((ms * 1e3).round() as u64)),
        _ => time(ms),
    }
}

/// A time, or what stands for none.
pub(super) fn time_or_none(ms: Option<f64>) -> String {
    ms.map_or_else(|| NONE.to_owned(), time)
}

/// A length of time: whole seconds from ten seconds on, tenths below, milliseconds below one.
pub(super) fn span(ms: f64) -> String {
    let ms = if ms.is_finite() { ms.clamp(0.0, 1e15) } else { 0.0 };
    let rounded = match ms {
        ms if ms >= 9_950.0 => (ms / 1e3).round() * 1e3,
        ms if ms >= 999.5 => return format!("{}s", plain_number((ms / 100.0).round() / 10.0)),
        ms => ms.round(),
    };
    spillway_slo::duration::Timespan(Duration::from_millis(rounded as u64)).to_string()
}

/// A whole number with separators.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun.
pub(super) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A number per second.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        rate if !rate.is_finite() => NONE.to_owned(),
        rate if rate >= 99.95 => format!("{}/s", count(rate.round() as u64)),
        rate => format!("{}/s", digits(rate)),
    }
}

/// A share from 0 to 1 in percent. What is not nothing never reads as nothing, and what is not all never as all.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if !percent.is_finite() => NONE.to_owned(),
        percent if percent > 0.0 && percent < 0.005 => "<0.01 %".to_owned(),
        percent if (99.995..100.0).contains(&percent) => ">99.99 %".to_owned(),
        percent => format!("{} %", plain_number((percent * 100.0).round() / 100.0)),
    }
}

/// Bytes in decimal units.
pub(super) fn bytes(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            return if unit == "B" { format!("{value:.0} B") } else { format!("{} {unit}", digits(value)) };
        }
        value /= 1e3;
    }
    format!("{} PB", digits(value))
}

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

/// A number on an axis: without the zeros that say how exactly something was measured.
pub(super) fn on_axis(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{unit}")
}

/// Text of others on one line: no control characters, which a terminal would obey, and at most `most` characters.
pub(super) fn plain(text: &str, most: usize) -> String {
    let clean = |c: char| {
        let invisible =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || invisible { ' ' } else { c }
    };
    let n = text.chars().take(most.saturating_add(1)).count();
    if n <= most {
        return text.chars().map(clean).collect();
    }
    let kept = most.saturating_sub(1);
    // The end of a URL tells as much as its beginning.
    let tail = if kept >= 12 { kept / 3 } else { 0 };
    let all = text.chars().count();
    let head = text.chars().take(kept - tail).map(clean);
    head.chain(['…']).chain(text.chars().skip(all - tail).map(clean)).collect()
}

/// Three digits: `1.23`, `12.3`, `123`.
fn digits(value: f64) -> String {
    match value.abs() {
        v if v < 9.995 => format!("{value:.2}"),
        v if v < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn plain_number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_the_unit_that_fits() {
        for (ms, text) in [
            (0.0, "0 µs"),
            (0.843, "843 µs"),
            (0.9996, "1.00 ms"),
            (9.996, "10.0 ms"),
            (12.34, "12.3 ms"),
            (999.6, "1.00 s"),
            (61_000.0, "61.0 s"),
            (125_000.0, "2m5s"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(time(ms), text, "{ms}");
        }
        for (share, text) in [
            (0.0, "0 %"),
            (0.000_01, "<0.01 %"),
            (0.0123, "1.23 %"),
            (0.5, "50 %"),
            (0.999_99, ">99.99 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(share), text, "{share}");
        }
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([rate(0.5), rate(99.96), rate(12_345.6)], ["0.50/s", "100/s", "12,346/s"]);
        assert_eq!([bytes(999.0), bytes(1_500.0), bytes(43_000_000.0)], ["999 B", "1.50 kB", "43.0 MB"]);
        assert_eq!([span(1_240.0), span(80_400.0), span(80.0)], ["1.2s", "1m20s", "80ms"]);
    }

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

    #[test]
    fn an_axis_has_bare_numbers() {
        let axis = ["50.0 ms", "1.00 s", "100 ms", "0.00/s", "2.50/s", "1,000/s", "2m", "10 %"].map(on_axis);
        assert_eq!(axis, ["50 ms", "1 s", "100 ms", "0/s", "2.5/s", "1,000/s", "2m", "10 %"]);
    }

    #[test]
    fn text_of_others_cannot_command_a_terminal_and_stays_short() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d", 20), "a [2Jb c d");
        assert_eq!(plain("/a/very/long/path/to/the/end", 16), "/a/very/lo…e/end");
        assert_eq!(plain("short", 5), "short");
        assert_eq!(plain("shorter", 5), "shor…");
    }
}
