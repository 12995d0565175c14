//! Numbers as they stand in sentences.

/// A number with three digits, without the zeros that say nothing.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        magnitude if magnitude >= 99.95 => 0,
        magnitude if magnitude >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A share from 0 to 1 in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// Seconds in the unit that fits them.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{} ms", number(s * 1e3)),
        s if s < 120.0 => format!("{} s", number(s)),
        s if s < 7_200.0 => format!("{} min", number(s / 60.0)),
        s if s < 172_800.0 => format!("{} h", number(s / 3_600.0)),
        s => format!("{} days", number(s / 86_400.0)),
    }
}

/// Bytes in binary units, as limits of memory are written.
pub(crate) fn bytes(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value.abs() < 1_024.0 {
            return format!("{} {unit}", number(value));
        }
        value /= 1_024.0;
    }
    format!("{} TiB", number(value))
}

/// A count and its noun.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_no_empty_zeros() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.001, "0"),
            (0.123, "0.12"),
            (42.0, "42"),
            (12.34, "12.3"),
            (99.96, "100"),
            (1_234.5, "1234"),
        ] {
            assert_eq!(number(value), expected, "{value}");
        }
        assert_eq!((seconds(0.42), seconds(90.0), seconds(5_400.0)), ("420 ms".into(), "90 s".into(), "90 min".into()));
        assert_eq!(seconds(7.0 * 86_400.0), "7 days");
        assert_eq!((bytes(512.0), bytes(536_870_912.0)), ("512 B".to_owned(), "512 MiB".to_owned()));
        assert_eq!(
            (percent(0.005), counted(1, "minute"), counted(0, "minute")),
            ("0.5 %".into(), "1 minute".into(), "0 minutes".into())
        );
    }
}
