//! Error budgets: how much is spent, and the policy that follows.
//!
//! | State | Enter | Leave |
//! |---|---|---|
//! | healthy | – | – |
//! | warning | ≥ 90 % | < 85 % |
//! | frozen | ≥ 100 % | < 70 % |
//! | emergency | ≥ 150 % | < 70 % |

use serde::{Deserialize, Serialize};

/// From here on it is a warning.
pub const WARNS_AT: f64 = 0.9;
/// Below this a warning ends.
pub const CALMS_BELOW: f64 = 0.85;
/// From here on it is frozen.
pub const FREEZES_AT: f64 = 1.0;
/// Below this a freeze and an emergency end.
pub const THAWS_BELOW: f64 = 0.7;
/// From here on it is an emergency.
pub const EMERGENCY_AT: f64 = 1.5;

/// What a source of counts says about a budget's window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// Bad events in the window.
    pub bad: f64,
    /// All events in the window.
    pub total: f64,
}

/// Where a budget stands, with the memory that its hysteresis needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Budget {
    /// No data yet: holds, and never unfreezes.
    #[default]
    Unknown,
    /// Normal.
    Healthy,
    /// 90 % spent: notify, smaller steps, longer bakes.
    Warning,
    /// All spent: no new rollout starts, a running one holds.
    Frozen,
    /// 150 % spent.
    Emergency,
}

impl Reading {
    /// Share of the budget that is spent: `(bad / total) / (1 − target)`; 1 is all of it, and it may be more.
    ///
    /// `None`, which is no data, with fewer events than `minimum_events`, without any event, with counts that are none, and for a target
    /// that leaves no budget (1 or more) or promises nothing (0 or less).
    #[must_use]
    pub fn consumed(&self, target: f64, minimum_events: u64) -> Option<f64> {
        let counted = self.bad.is_finite() && self.total.is_finite() && self.bad >= 0.0 && self.total > 0.0;
        #[expect(clippy::cast_precision_loss, reason = "a minimum beyond 2^53 events is none")]
        let enough = self.total >= minimum_events as f64;
        let promised = target > 0.0 && target < 1.0;
        (counted && enough && promised).then(|| (self.bad / self.total).min(1.0) / (1.0 - target))
    }
}

impl Budget {
    /// Where it stands after a look at its [consumed](Reading::consumed) share. `None`, and what is not a number, is no data: a freeze
    /// stays, everything else is unknown.
    #[must_use]
    pub fn next(self, consumed: Option<f64>) -> Self {
        let Some(consumed) = consumed.filter(|consumed| !consumed.is_nan()) else {
            return if self.freezes() { self } else { Self::Unknown };
        };
        if consumed >= EMERGENCY_AT {
            Self::Emergency
        } else if self.freezes() && consumed >= THAWS_BELOW {
            self
        } else if consumed >= FREEZES_AT {
            Self::Frozen
        } else if consumed >= WARNS_AT || (self == Self::Warning && consumed >= CALMS_BELOW) {
            Self::Warning
        } else {
            Self::Healthy
        }
    }

    /// Whether all of it is spent, so that no new rollout may start.
    #[must_use]
    pub fn freezes(self) -> bool {
        matches!(self, Self::Frozen | Self::Emergency)
    }

    /// Whether a rollout may start, and go on.
    #[must_use]
    pub fn allows(self) -> bool {
        matches!(self, Self::Healthy | Self::Warning)
    }

    /// Whether the way from `self` to `next` crosses into the emergency. One that was an emergency when it was first seen did not.
    #[must_use]
    pub fn crosses_into_emergency(self, next: Self) -> bool {
        next == Self::Emergency && !matches!(self, Self::Unknown | Self::Emergency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_budget() -> impl Strategy<Value = Budget> {
        use Budget::{Emergency, Frozen, Healthy, Unknown, Warning};
        proptest::sample::select(vec![Unknown, Healthy, Warning, Frozen, Emergency])
    }

    #[test]
    fn consumed_is_the_bad_share_of_what_may_be_bad() {
        let reading = Reading { bad: 5.0, total: 10_000.0 };
        assert!((reading.consumed(0.999, 1000).unwrap() - 0.5).abs() < 1e-9);
        assert!((Reading { bad: 0.0, ..reading }.consumed(0.999, 1000).unwrap()).abs() < 1e-9);
    }

    #[test]
    fn too_few_events_and_what_is_no_count_are_no_data() {
        let reading = Reading { bad: 5.0, total: 999.0 };
        assert_eq!(reading.consumed(0.999, 1000), None, "fewer than the minimum");
        assert_eq!(Reading { bad: 0.0, total: 0.0 }.consumed(0.999, 0), None, "no events");
        for bad in [f64::NAN, -1.0, f64::INFINITY] {
            assert_eq!(Reading { bad, total: 5000.0 }.consumed(0.999, 0), None, "{bad}");
        }
        for target in [0.0, 1.0, 1.5, f64::NAN] {
            assert_eq!(Reading { bad: 1.0, total: 5000.0 }.consumed(target, 0), None, "{target}");
        }
    }

    #[test]
    fn the_table_is_followed_up_and_down() {
        use Budget::{Emergency, Frozen, Healthy, Unknown, Warning};
        let mut budget = Unknown;
        for (percent, expected) in [
            (10, Healthy),
            (89, Healthy),
            (90, Warning),
            (86, Warning),
            (85, Warning),
            (84, Healthy),
            (99, Warning),
            (100, Frozen),
            (149, Frozen),
            (95, Frozen),
            (70, Frozen),
            (69, Healthy),
            (150, Emergency),
            (120, Emergency),
            (70, Emergency),
            (69, Healthy),
        ] {
            budget = budget.next(Some(f64::from(percent) / 100.0));
            assert_eq!(budget, expected, "at {percent} %");
        }
    }

    #[test]
    fn without_data_it_holds_and_never_thaws() {
        use Budget::{Emergency, Frozen, Healthy, Unknown, Warning};
        for (before, after) in
            [(Unknown, Unknown), (Healthy, Unknown), (Warning, Unknown), (Frozen, Frozen), (Emergency, Emergency)]
        {
            assert_eq!(before.next(None), after);
            assert_eq!(before.next(Some(f64::NAN)), after);
            assert!(!after.allows());
        }
    }

    #[test]
    fn an_emergency_that_was_there_before_was_not_crossed() {
        assert!(Budget::Healthy.crosses_into_emergency(Budget::Emergency));
        assert!(Budget::Frozen.crosses_into_emergency(Budget::Emergency));
        assert!(!Budget::Unknown.crosses_into_emergency(Budget::Emergency));
        assert!(!Budget::Emergency.crosses_into_emergency(Budget::Emergency));
        assert!(!Budget::Healthy.crosses_into_emergency(Budget::Frozen));
    }

    proptest! {
        #[test]
        fn a_freeze_ends_only_below_seventy_percent(budget in any_budget(), consumed in proptest::option::of(0.0..3.0f64)) {
            let next = budget.next(consumed);
            if budget.freezes() && !next.freezes() {
                prop_assert!(consumed.is_some_and(|consumed| consumed < THAWS_BELOW));
            }
            if consumed.is_some_and(|consumed| consumed >= FREEZES_AT) {
                prop_assert!(next.freezes());
            }
        }

        #[test]
        fn the_same_reading_again_changes_nothing(budget in any_budget(), consumed in proptest::option::of(0.0..3.0f64)) {
            let once = budget.next(consumed);
            prop_assert_eq!(once.next(consumed), once);
        }
    }
}
