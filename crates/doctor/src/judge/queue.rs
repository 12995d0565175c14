//! What waits, and what was given up.

use spillway_model::UnixMillis;
use spillway_report::text::{count, plain, span};
use spillway_store::examination::DeadLetterFacts;
use spillway_store::{Backlog, DEAD_COUNTED};

use super::level::Level;
use super::wording::some;
use crate::{Check, Finding, Verdict};

/// Seconds that the oldest due delivery has waited: those of the alert.
const OLDEST_S: Level = Level::new(60.0, 300.0);

pub(super) fn queue(backlog: &Backlog, now: UnixMillis) -> Finding {
    let overdue_ms = backlog.oldest_due.map_or(0, |due| now.saturating_sub(due).max(0)) as f64;
    let verdict = OLDEST_S.above(overdue_ms / 1e3);
    let waiting = some(backlog.pending, "delivery", "deliveries");
    let summary = match (backlog.pending, overdue_ms > 0.0) {
        (0, _) => "nothing waits".to_owned(),
        (_, false) => format!("{waiting} under way or planned, none is late"),
        (_, true) => format!("{waiting} open, the oldest has been due for {}", span(overdue_ms)),
    };
    let finding = Finding::new(Check::Queue, verdict, summary)
        .number("pending", backlog.pending as f64)
        .number("oldest_due_s", overdue_ms / 1e3);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .run("See whether destinations fail, and which:", "spillway destinations list")
        .run("See what limits delivery:", "spillway performance recommendations")
        .advise("With no attempts at all, no worker runs: start one (role all or worker).")
}

pub(super) fn dead_letters(facts: &DeadLetterFacts) -> Finding {
    let DeadLetterFacts { total, last_day, destinations } = facts;
    let at_least = if *total >= DEAD_COUNTED { "at least " } else { "" };
    let (verdict, summary) = match total {
        0 => (Verdict::Ok, "none".to_owned()),
        _ => (Verdict::Warning, format!("{at_least}{}, {} of them within a day", count(*total), count(*last_day))),
    };
    let finding = Finding::new(Check::DeadLetters, verdict, summary)
        .number("total", *total as f64)
        .number("last_day", *last_day as f64)
        .evidence_of(destinations.iter().map(|(name, n)| format!("{}: {}", plain(name, 60), count(*n))));
    if verdict == Verdict::Ok {
        return finding;
    }
    let first = destinations.first().map_or("NAME", |(name, _)| name.as_str());
    finding
        .run("See why they were given up:", "spillway dead-letters")
        .run("Mend the destination, count them, and leave out --dry-run to send them again:", {
            format!("spillway replays create --destination {} --state dead --dry-run", plain(first, 60))
        })
}
