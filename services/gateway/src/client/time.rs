//! Times as people read them.

use spillway_model::UnixMillis;

/// The largest unit first, each with its length in seconds.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];

/// `12 s ago`, `in 5 min`, or `now` for less than a second.
pub(crate) fn relative(at: UnixMillis, now: UnixMillis) -> String {
    let seconds = now.abs_diff(at) / 1_000;
    let Some((unit, length)) = UNITS.into_iter().find(|(_, length)| seconds >= *length) else {
        return "now".to_owned();
    };
    let count = seconds / length;
    if at > now { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
}

/// Milliseconds since the Unix epoch for a time as the API writes it.
pub(crate) fn parse(text: &str) -> Option<UnixMillis> {
    Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_unit_that_fits_is_used_in_both_directions() {
        let now = 1_700_000_000_000;
        for (seconds, expected) in [
            (0, "now"),
            (-12, "12 s ago"),
            (-60, "1 min ago"),
            (-7_300, "2 h ago"),
            (-200_000, "2 d ago"),
            (300, "in 5 min"),
        ] {
            assert_eq!(relative(now + seconds * 1_000, now), expected);
        }
        assert_eq!(parse("2023-11-14T22:13:20.000Z"), Some(now));
        assert_eq!(parse("soon"), None);
    }
}
