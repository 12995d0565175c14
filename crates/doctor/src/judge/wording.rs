//! Words that several judgements use.

use std::error::Error;
use std::time::Duration;

use spillway_report::text::{count, plain, span};

/// A length of time for people.
pub(super) fn of(time: Duration) -> String {
    span(time.as_secs_f64() * 1e3)
}

/// So many things.
pub(super) fn some(n: u64, one: &str, many: &str) -> String {
    match n {
        0 => format!("no {one}"),
        1 => format!("1 {one}"),
        n => format!("{} {many}", count(n)),
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    plain(&text, 300)
}

/// A name as SQL takes it.
pub(super) fn quoted(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if is_plain { name.to_owned() } else { format!("\"{}\"", plain(name, 63).replace('"', "\"\"")) }
}

/// What gives a role the right to see what others do.
pub(super) fn grant(role: &str) -> String {
    format!("GRANT pg_read_all_stats TO {};", quoted(role))
}
