//! Numbers, times and names as people read them.

use std::time::Duration;

/// What stands where there is no number.
pub const NONE: &str = "–";

/// A time with three digits and the unit that fits it.
#[must_use]
pub fn time(ms: f64) -> String {
    match ms {
        ms if !ms.is_finite() => NONE.to_owned(),
        ms if ms < 0.9995 => format!("{:.0} µs", ms * 1e3),
        ms if ms < 999.5 => format!("{} ms", digits(ms)),
        ms if ms < 99_950.0 => format!("{} s", digits(ms / 1e3)),
        ms => span(ms),
    }
}

/// A time in the unit of the options file (`s`, `ms`, `us`), or in the one that fits it.
#[must_use]
pub fn time_in(ms: f64, unit: Option<&str>) -> String {
    match unit {
        Some("s") => format!("{:.3} s", ms / 1e3),
        Some("ms") => format!("{ms:.2} ms"),
        Some("us") => format!("{} µs", count((ms * 1e3).round() as u64)),
        _ => time(ms),
    }
}

/// A time, or what stands for none.
#[must_use]
pub fn time_or_none(ms: Option<f64>) -> String {
    ms.map_or_else(|| NONE.to_owned(), time)
}

/// A length of time: whole seconds from ten seconds on, tenths below, milliseconds below one.
#[must_use]
pub fn span(ms: f64) -> String {
    let ms = if ms.is_finite() { ms.clamp(0.0, 1e15) } else { 0.0 };
    let rounded = match ms {
        ms if ms >= 9_950.0 => (ms / 1e3).round() * 1e3,
        ms if ms >= 999.5 => return format!("{}s", plain_number((ms / 100.0).round() / 10.0)),
        ms => ms.round(),
    };
    spillway_slo::duration::Timespan(Duration::from_millis(rounded as u64)).to_string()
}

/// A whole number with separators.
#[must_use]
pub fn count(n: u64) -> String {
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
#[must_use]
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A number per second.
#[must_use]
pub fn rate(per_second: f64) -> String {
    match per_second {
        rate if !rate.is_finite() => NONE.to_owned(),
        rate if rate >= 99.95 => format!("{}/s", count(rate.round() as u64)),
        rate => format!("{}/s", digits(rate)),
    }
}

/// A share from 0 to 1 in percent. What is not nothing never reads as nothing, and what is not all never as all.
#[must_use]
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if !percent.is_finite() => NONE.to_owned(),
        percent if percent > 0.0 && percent < 0.005 => "<0.01 %".to_owned(),
        percent if (99.995..100.0).contains(&percent) => ">99.99 %".to_owned(),
        percent => format!("{} %", plain_number((percent * 100.0).round() / 100.0)),
    }
}

/// Bytes in decimal units.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            return if unit == "B" { format!("{value:.0} B") } else { format!("{} {unit}", digits(value)) };
        }
        value /= 1e3;
    }
    format!("{} PB", digits(value))
}

/// A number on an axis: without the zeros that say how exactly something was measured.
#[must_use]
pub fn on_axis(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{unit}")
}

/// Text of others on one line: no control characters, which a terminal would obey, and at most `most` characters.
#[must_use]
pub fn plain(text: &str, most: usize) -> String {
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
#[must_use]
pub fn digits(value: f64) -> String {
    match value.abs() {
        v if v < 9.995 => format!("{value:.2}"),
        v if v < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// At most three digits behind the point, without needless zeros.
#[must_use]
pub fn plain_number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An instant, milliseconds since the Unix epoch, as `2026-11-25 23:34:40 UTC`.
#[must_use]
pub fn instant(unix_ms: i64) -> String {
    written(unix_ms, "%Y-%m-%d %H:%M:%S UTC")
}

/// The time of the day of an instant in UTC, as `23:34:40`.
#[must_use]
pub fn time_of_day(unix_ms: i64) -> String {
    written(unix_ms, "%H:%M:%S")
}

fn written(unix_ms: i64, format: &str) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| NONE.to_owned(), |at| at.strftime(format).to_string())
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
    fn instants_are_written_in_utc() {
        assert_eq!(instant(1_795_649_680_123), "2026-11-25 23:34:40 UTC");
        assert_eq!(time_of_day(0), "00:00:00");
        assert_eq!(time_of_day(i64::MAX), NONE);
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
