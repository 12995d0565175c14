//! The `Retry-After` header (RFC 9110, section 10.2.3): seconds, or an HTTP date.

use std::time::Duration;

use http::HeaderValue;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::TimeZone;
use spillway_model::UnixMillis;

/// How long the destination asks to wait, from `now`. More seconds than can be counted are the most that can; a date in the past
/// is no wait; anything else that cannot be read is ignored.
pub(crate) fn parse(value: &HeaderValue, now: UnixMillis) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = date(text)?;
    Some(Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0)))
}

/// The three forms of an HTTP date (RFC 9110, section 5.6.7): today's, and two obsolete ones that must still be understood.
fn date(text: &str) -> Option<UnixMillis> {
    if let Ok(timestamp) = DateTimeParser::new().parse_timestamp(text) {
        return Some(timestamp.as_millisecond());
    }
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"].into_iter().find_map(|form| {
        let civil = DateTime::strptime(form, text).ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = 784_111_777_000;

    fn wait(text: &'static str) -> Option<u64> {
        parse(&HeaderValue::from_static(text), NOW).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:07 GMT"), Some(0));
        assert_eq!(wait("Sunday, 06-Nov-94 08:49:47 GMT"), Some(10));
        assert_eq!(wait("Sun Nov  6 08:49:47 1994"), Some(10));
    }

    #[test]
    fn a_number_too_large_to_count_is_the_longest_wait() {
        assert_eq!(wait("99999999999999999999999999"), Some(u64::MAX));
    }

    #[test]
    fn nonsense_is_ignored() {
        assert_eq!([wait("soon"), wait("-5"), wait(""), wait("1.5")], [None; 4]);
    }
}
