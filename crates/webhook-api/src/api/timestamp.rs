//! Times as the API writes and reads them: RFC 3339 in UTC, to the millisecond.

use std::fmt;

use serde::{Serialize, Serializer};
use spillway_model::UnixMillis;

/// A time as the API writes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timestamp(pub(crate) UnixMillis);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(end);
        write!(f, "{time:.3}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads RFC 3339 with any offset, or milliseconds since the Unix epoch.
pub(crate) fn parse(text: &str) -> Option<UnixMillis> {
    text.parse().ok().or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_millisecond_and_read_with_any_offset() {
        assert_eq!(Timestamp(1_700_000_000_000).to_string(), "2023-11-14T22:13:20.000Z");
        assert_eq!(parse("2023-11-14T23:13:20.5+01:00"), Some(1_700_000_000_500));
        assert_eq!(parse("1700000000000"), Some(1_700_000_000_000));
        assert_eq!(parse("yesterday"), None);
        assert!(Timestamp(i64::MAX).to_string().starts_with("9999"));
    }
}
