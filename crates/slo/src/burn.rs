//! Burn rates: how fast an error budget is spent, and the pairs of windows that alert on it.
//!
//! A burn rate of 1 spends the whole budget in exactly its window. An alert fires when **both** its windows burn faster than its
//! factor: the long one says that it matters, the short one that it still goes on.

use std::time::Duration;

use crate::budget::Reading;

/// The window that [`RULES`] are written for: 30 days.
pub const WINDOW: Duration = Duration::from_secs(30 * 86_400);

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Who is told how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Somebody is woken.
    Page,
    /// Somebody looks during working hours.
    Ticket,
}

/// A pair of windows and the burn rate from which both alert.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Who is told.
    pub severity: Severity,
    /// The window that says that it matters.
    pub long: Duration,
    /// The window that says that it goes on.
    pub short: Duration,
    /// Share of the budget that is spent when the long window is full of it.
    pub budget: f64,
    /// The burn rate: `budget · window / long`.
    pub factor: f64,
}

const fn rule(severity: Severity, long: u64, short: u64, budget: f64, factor: f64) -> Rule {
    Rule { severity, long: Duration::from_secs(long), short: Duration::from_secs(short), budget, factor }
}

/// The usual four for a budget of 30 days, the most urgent first (Google's SRE workbook, chapter 5).
pub const RULES: [Rule; 4] = [
    rule(Severity::Page, HOUR, 5 * 60, 0.02, 14.4),
    rule(Severity::Page, 6 * HOUR, 30 * 60, 0.05, 6.0),
    rule(Severity::Ticket, DAY, 2 * HOUR, 0.1, 3.0),
    rule(Severity::Ticket, 3 * DAY, 6 * HOUR, 0.1, 1.0),
];

/// The rules for a budget of another window. Shares of the budget and factors stay; the windows shrink or grow with it, to whole seconds
/// and at least one.
#[must_use]
pub fn rules(window: Duration) -> [Rule; 4] {
    let scale = window.as_secs_f64() / WINDOW.as_secs_f64();
    let scaled = |span: Duration| Duration::from_secs_f64((span.as_secs_f64() * scale).round().max(1.0));
    RULES.map(|rule| Rule { long: scaled(rule.long), short: scaled(rule.short), ..rule })
}

/// How many times faster than allowed the events were bad: `(bad / total) / (1 − target)`. `None` without events.
#[must_use]
pub fn rate(events: Reading, target: f64) -> Option<f64> {
    events.consumed(target, 1)
}

impl Rule {
    /// Whether both windows burn faster than the factor. A window without data does not.
    #[must_use]
    pub fn fires(&self, long: Option<f64>, short: Option<f64>) -> bool {
        [long, short].into_iter().all(|rate| rate.is_some_and(|rate| rate > self.factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_follows_from_share_and_windows() {
        for rule in RULES {
            let factor = rule.budget * WINDOW.as_secs_f64() / rule.long.as_secs_f64();
            assert!((factor - rule.factor).abs() < 1e-9, "{rule:?}");
        }
    }

    #[test]
    fn a_shorter_budget_has_shorter_windows_and_the_same_factors() {
        let week = rules(Duration::from_secs(7 * DAY));
        assert_eq!(week[0].long, Duration::from_secs(840));
        assert_eq!(week[0].short, Duration::from_secs(70));
        assert!((week[0].factor - 14.4).abs() < 1e-9);
        assert_eq!(rules(WINDOW), RULES);
        assert_eq!(rules(Duration::ZERO)[0].short, Duration::from_secs(1));
    }

    #[test]
    fn it_fires_only_when_both_windows_burn() {
        let fast = RULES[0];
        assert!(fast.fires(Some(15.0), Some(20.0)));
        assert!(!fast.fires(Some(15.0), Some(1.0)), "it is over");
        assert!(!fast.fires(Some(1.0), Some(20.0)), "too little so far");
        assert!(!fast.fires(Some(14.4), Some(14.4)), "the factor itself");
        assert!(!fast.fires(Some(15.0), None), "no data");
    }

    #[test]
    fn a_rate_needs_events() {
        let rate_of = |bad, total| rate(Reading { bad, total }, 0.999);
        assert!((rate_of(144.0, 10_000.0).unwrap() - 14.4).abs() < 1e-9);
        assert_eq!(rate_of(0.0, 0.0), None);
    }
}
