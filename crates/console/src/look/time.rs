//! Instants as people read them: how long ago, and exactly on demand.

use maud::{Markup, html};
use spillway_report::text;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How far an instant is away, in one unit.
pub(crate) fn distance(at: i64, now: i64) -> String {
    let away = now.saturating_sub(at);
    let length = away.saturating_abs();
    let amount = match length {
        l if l < SECOND => return "now".to_owned(),
        l if l < MINUTE => format!("{} s", l / SECOND),
        l if l < HOUR => format!("{} min", l / MINUTE),
        l if l < 2 * DAY => format!("{} h", l / HOUR),
        l => format!("{} d", l / DAY),
    };
    if away > 0 { format!("{amount} ago") } else { format!("in {amount}") }
}

/// An instant; the script keeps the distance true.
pub(crate) fn ago(at: i64, now: i64) -> Markup {
    html! { time datetime=(rfc(at)) title=(text::instant(at)) data-ago { (distance(at, now)) } }
}

/// The same, of an instant that may be missing.
pub(crate) fn ago_or_none(at: Option<i64>, now: i64) -> Markup {
    html! { @if let Some(at) = at { (ago(at, now)) } @else { span.muted { (text::NONE) } } }
}

/// The time of the day to the millisecond, with the date on demand.
pub(crate) fn exact(at: i64) -> Markup {
    html! { time datetime=(rfc(at)) title=(text::instant(at)) { (text::time_of_day(at)) "." (format!("{:03}", at.rem_euclid(SECOND))) } }
}

/// Day and minute.
pub(crate) fn date(at: i64) -> Markup {
    let written = jiff::Timestamp::from_millisecond(at).map(|at| at.strftime("%Y-%m-%d %H:%M").to_string());
    html! { time datetime=(rfc(at)) title=(text::instant(at)) { (written.unwrap_or_default()) } }
}

fn rfc(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).map(|at| format!("{at:.3}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_have_one_unit() {
        let now = 1_000 * DAY;
        for (away, says) in [
            (0, "now"),
            (999, "now"),
            (59 * SECOND, "59 s ago"),
            (90 * MINUTE, "1 h ago"),
            (-5 * MINUTE, "in 5 min"),
            (47 * HOUR, "47 h ago"),
            (3 * DAY, "3 d ago"),
        ] {
            assert_eq!(distance(now - away, now), says, "{away}");
        }
        assert_eq!(distance(i64::MIN, i64::MAX).split(' ').count(), 3);
    }
}
