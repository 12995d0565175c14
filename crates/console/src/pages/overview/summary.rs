//! The one sentence that says how it is.

use std::collections::BTreeSet;

use serde_json::Value;
use spillway_model::UnixMillis;

use super::Overview;
use crate::look::parts::{Tone, counted};
use crate::read::Read as _;

/// What the page says first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) tone: Tone,
    pub(super) answer: String,
    pub(super) about: String,
}

/// Milliseconds for which a dead letter is news.
const LATELY: i64 = 3_600_000;

/// What the sentence is made of.
#[derive(Debug, Default, Clone)]
struct Facts {
    destinations: usize,
    paused: usize,
    disabled: usize,
    /// Destinations with deliveries that are tried again.
    failing: usize,
    retrying: usize,
    pending: Option<u64>,
    dead: bool,
    /// Destinations with dead letters of the last hour, of the latest dead letters.
    lost_lately: usize,
    /// The worst alert that is no mere information, and how many there are.
    alert: Option<(bool, String)>,
    alerts: usize,
    sources: usize,
}

impl Summary {
    pub(super) fn of(overview: &Overview, now: UnixMillis) -> Self {
        let in_state = |state: &str| overview.destinations.iter().filter(|one| one.text("/state") == state).count();
        let failing = overview.destinations.iter().filter(|one| overview.retrying_for(one) > 0).count();
        let alerts: Vec<_> = overview.alerts.iter().filter(|alert| alert.text("/severity") != "info").collect();
        let facts = Facts {
            destinations: overview.destinations.len(),
            paused: in_state("paused"),
            disabled: in_state("disabled"),
            failing,
            retrying: overview.retrying.len(),
            pending: overview.now("pending_deliveries").map(|n| n as u64),
            dead: !overview.dead.is_empty(),
            lost_lately: lost_lately(&overview.dead, now),
            alert: alerts.first().map(|alert| (alert.text("/severity") == "critical", alert.text("/text").to_owned())),
            alerts: alerts.len(),
            sources: overview.sources.len(),
        };
        facts.summary()
    }
}

fn lost_lately(dead: &[Value], now: UnixMillis) -> usize {
    let is_new = |one: &&Value| one.instant("/ended_at").is_some_and(|at| now - at < LATELY);
    dead.iter().filter(is_new).map(|one| one.text("/destination")).collect::<BTreeSet<_>>().len()
}

impl Facts {
    fn summary(&self) -> Summary {
        let (tone, answer) = self.answer();
        Summary { tone, answer, about: self.about() }
    }

    fn answer(&self) -> (Tone, String) {
        if let Some((is_critical, text)) = &self.alert {
            let more = if self.alerts > 1 {
                format!(" And {}.", counted(self.alerts as u64 - 1, "more alert", "more alerts"))
            } else {
                String::new()
            };
            return (if *is_critical { Tone::Bad } else { Tone::Wait }, format!("{text}{more}"));
        }
        if self.destinations == 0 {
            return (
                Tone::Off,
                if self.sources == 0 { "Ready, and nothing is set up" } else { "Ready, and no destination is set up" }
                    .to_owned(),
            );
        }
        let all = counted(self.destinations as u64, "destination", "destinations");
        let retrying = match self.retrying {
            0 => String::new(),
            n => format!("; {} retrying", counted(n as u64, "delivery", "deliveries")),
        };
        let of = |n: usize| {
            if self.destinations == 1 {
                "The destination is".to_owned()
            } else {
                format!("{n} of {all} {}", if n == 1 { "is" } else { "are" })
            }
        };
        if self.disabled > 0 {
            return (Tone::Bad, format!("{} disabled{retrying}", of(self.disabled)));
        }
        if self.failing > 0 {
            return (Tone::Wait, format!("{} failing{retrying}", of(self.failing)));
        }
        if self.paused > 0 {
            return (Tone::Wait, format!("{} paused{retrying}", of(self.paused)));
        }
        if self.lost_lately > 0 {
            let whose = match (self.lost_lately, self.destinations) {
                (_, 1) => "The destination has".to_owned(),
                (1, _) => format!("1 of {all} has"),
                (n, _) => format!("{n} of {all} have"),
            };
            return (Tone::Wait, format!("{whose} dead letters of the last hour{retrying}"));
        }
        let healthy = match self.destinations {
            1 => "The destination is healthy".to_owned(),
            2 => "Both destinations healthy".to_owned(),
            _ => format!("All {all} healthy"),
        };
        (Tone::Good, format!("{healthy}{retrying}"))
    }

    fn about(&self) -> String {
        let mut parts = vec![counted(self.sources as u64, "source", "sources")];
        match self.pending {
            Some(0) => parts.push("nothing waits".to_owned()),
            Some(n) => parts.push(format!("{} waiting or under way", counted(n, "delivery", "deliveries"))),
            None => {}
        }
        if self.dead {
            parts.push("there are dead letters".to_owned());
        }
        parts.join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn old_dead_letters_are_no_news() {
        let dead = |destination: &str, ended_at: &str| json!({"destination": destination, "ended_at": ended_at});
        let dead = [
            dead("dst_a", "1970-01-01T01:30:00Z"),
            dead("dst_a", "1970-01-01T01:20:00Z"),
            dead("dst_b", "1970-01-01T00:40:00Z"),
        ];
        assert_eq!(lost_lately(&dead, 2 * LATELY), 1);
        assert_eq!(lost_lately(&dead, 3 * LATELY), 0);
    }

    #[test]
    fn the_worst_comes_first() {
        let fine = Facts { destinations: 14, sources: 3, pending: Some(3), retrying: 3, ..Facts::default() };
        let two = "The store's connection pool is 84 % in use.".to_owned();
        for (facts, tone, answer) in [
            (fine.clone(), Tone::Good, "All 14 destinations healthy; 3 deliveries retrying"),
            (Facts { retrying: 0, ..fine.clone() }, Tone::Good, "All 14 destinations healthy"),
            (
                Facts { failing: 1, ..fine.clone() },
                Tone::Wait,
                "1 of 14 destinations is failing; 3 deliveries retrying",
            ),
            (
                Facts { paused: 2, retrying: 1, ..fine.clone() },
                Tone::Wait,
                "2 of 14 destinations are paused; 1 delivery retrying",
            ),
            (
                Facts { disabled: 1, failing: 4, ..fine.clone() },
                Tone::Bad,
                "1 of 14 destinations is disabled; 3 deliveries retrying",
            ),
            (
                Facts { alert: Some((false, two.clone())), alerts: 2, ..fine.clone() },
                Tone::Wait,
                "The store's connection pool is 84 % in use. And 1 more alert.",
            ),
            (
                Facts { destinations: 1, failing: 1, retrying: 0, ..Facts::default() },
                Tone::Wait,
                "The destination is failing",
            ),
            (
                Facts { lost_lately: 1, retrying: 0, ..fine.clone() },
                Tone::Wait,
                "1 of 14 destinations has dead letters of the last hour",
            ),
            (
                Facts { lost_lately: 1, destinations: 1, ..fine.clone() },
                Tone::Wait,
                "The destination has dead letters of the last hour; 3 deliveries retrying",
            ),
            (Facts::default(), Tone::Off, "Ready, and nothing is set up"),
        ] {
            let summary = facts.summary();
            assert_eq!((summary.tone, summary.answer.as_str()), (tone, answer));
        }
        assert_eq!(fine.about(), "3 sources · 3 deliveries waiting or under way");
    }
}
