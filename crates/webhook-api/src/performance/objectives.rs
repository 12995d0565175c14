//! Spillway's own objectives: what it promises, how much of the error budget is left, and how fast it burns.

use spillway_performance::{CounterMetric, LatencyMetric, Recorder};
use spillway_slo::budget::{Budget, Reading};
use spillway_slo::burn;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// The window of every budget.
pub(crate) const WINDOW_S: i64 = 30 * DAY_S;
/// Windows over which the burn is shown, with their names.
const BURNS: [(&str, i64); 3] = [("1h", HOUR_S), ("1d", DAY_S), ("7d", 7 * DAY_S)];
/// Fewer events say nothing about an objective.
const EVENTS_NEEDED: u64 = 100;

/// What is good, and of what.
#[derive(Debug, Clone, Copy)]
enum Counted {
    /// What did not fail by our fault, of what was accepted or did.
    Available { accepted: CounterMetric, failed: CounterMetric },
    /// What took at most so many seconds.
    Within(LatencyMetric, f64),
}

/// A promise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Objective {
    pub(crate) id: &'static str,
    pub(crate) text: &'static str,
    /// Share of all events that must be good.
    pub(crate) target: f64,
    counted: Counted,
}

/// How a promise is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ObjectiveReport {
    pub(crate) objective: Objective,
    pub(crate) good: u64,
    pub(crate) total: u64,
    /// Share of the budget that is spent; `None` with too few events.
    pub(crate) consumed: Option<f64>,
    pub(crate) budget: Budget,
    /// Name of the window and burn over it.
    pub(crate) burn: [(&'static str, Option<f64>); 3],
}

/// The promises.
pub(crate) const OBJECTIVES: [Objective; 4] = [
    Objective {
        id: "intake_availability",
        text: "99.99 % of webhooks are not refused by a failure of ours",
        target: 0.9999,
        counted: Counted::Available {
            accepted: CounterMetric::IntakeAccepted,
            failed: CounterMetric::IntakePlatformErrors,
        },
    },
    Objective {
        id: "acknowledgement",
        text: "99 % of webhooks are acknowledged within 50 ms",
        target: 0.99,
        counted: Counted::Within(LatencyMetric::Acknowledgement, 0.05),
    },
    Objective {
        id: "delivery",
        text: "95 % of deliveries that their destination takes at once arrive within 1 s",
        target: 0.95,
        counted: Counted::Within(LatencyMetric::DeliveryFirstAttempt, 1.0),
    },
    Objective {
        id: "api",
        text: "95 % of API requests are answered within 200 ms",
        target: 0.95,
        counted: Counted::Within(LatencyMetric::Api, 0.2),
    },
];

impl Objective {
    /// The time that counts as good, in milliseconds, if it is about time.
    pub(crate) fn threshold_ms(&self) -> Option<f64> {
        match self.counted {
            Counted::Available { .. } => None,
            Counted::Within(_, seconds) => Some(seconds * 1e3),
        }
    }

    fn count(&self, recorder: &Recorder, from_s: i64, to_s: i64) -> (u64, u64) {
        match self.counted {
            Counted::Available { accepted, failed } => {
                let good = recorder.counted(accepted, from_s, to_s);
                (good, good + recorder.counted(failed, from_s, to_s))
            }
            Counted::Within(metric, seconds) => {
                let durations = recorder.durations(metric, from_s, to_s);
                (durations.within(seconds), durations.count())
            }
        }
    }
}

/// Every promise until `now_s`.
pub(crate) fn objectives(recorder: &Recorder, now_s: i64) -> Vec<ObjectiveReport> {
    let report = |objective: &Objective| {
        let over = |seconds: i64| {
            let (good, total) = objective.count(recorder, now_s + 1 - seconds, now_s + 1);
            (good, total, Reading { bad: (total - good) as f64, total: total as f64 })
        };
        let (good, total, reading) = over(WINDOW_S);
        let consumed = reading.consumed(objective.target, EVENTS_NEEDED);
        ObjectiveReport {
            objective: *objective,
            good,
            total,
            consumed,
            budget: Budget::default().next(consumed),
            burn: BURNS.map(|(name, seconds)| (name, burn::rate(over(seconds).2, objective.target))),
        }
    };
    OBJECTIVES.iter().map(report).collect()
}

#[cfg(test)]
mod tests {
    use spillway_performance::{BOUNDS, Histogram};

    use super::*;

    const NOW: i64 = 1_767_225_600;

    #[test]
    fn every_threshold_is_a_bound_of_the_histograms() {
        for objective in OBJECTIVES {
            if let Counted::Within(_, seconds) = objective.counted {
                assert!(BOUNDS.contains(&seconds), "{}: it could not be counted exactly", objective.id);
            }
        }
    }

    #[test]
    fn a_budget_is_spent_by_what_was_bad() {
        let mut recorder = Recorder::default();
        recorder.observe(NOW);
        let mut fast = Histogram::of(0.01);
        fast.counts.iter_mut().for_each(|count| *count *= 995);
        fast.merge(&{
            let mut slow = Histogram::of(0.2);
            slow.counts.iter_mut().for_each(|count| *count *= 5);
            slow
        });
        recorder.latency(LatencyMetric::Acknowledgement, NOW, &fast);
        recorder.count(CounterMetric::IntakeAccepted, NOW, 9_998);
        recorder.count(CounterMetric::IntakePlatformErrors, NOW, 2);
        let reports = objectives(&recorder, NOW);
        let [intake, acknowledgement, delivery, _] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((acknowledgement.good, acknowledgement.total), (995, 1_000));
        assert!((acknowledgement.consumed.unwrap() - 0.5).abs() < 1e-9);
        assert_eq!((acknowledgement.budget, intake.budget), (Budget::Healthy, Budget::Emergency));
        assert!((intake.consumed.unwrap() - 2.0).abs() < 1e-6);
        for (name, burn) in acknowledgement.burn {
            assert!((burn.unwrap() - 0.5).abs() < 1e-9, "{name}");
        }
        assert_eq!((delivery.total, delivery.consumed, delivery.budget), (0, None, Budget::Unknown));
    }
}
