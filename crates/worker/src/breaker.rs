//! The circuit breaker of one destination.

use std::time::{Duration, Instant};

use spillway_model::BreakerPolicy;

/// Whether attempts may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// As many as the lane allows.
    Open,
    /// One, to see whether the destination has recovered.
    Probe,
    /// None before this time.
    Resting(Instant),
}

/// Counts failures in a row; opens, rests, probes, closes. Time is handed in.
#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    failures: u32,
    first_failure: Option<Instant>,
    /// Set while open, and while the probe after it is under way.
    resting_until: Option<Instant>,
    /// Openings since the last success.
    openings: u32,
    epoch: Epoch,
}

/// The time between two openings. An attempt belongs to the epoch in which it began.
pub(crate) type Epoch = u32;

/// The rest doubles at most this often.
const MAX_DOUBLINGS: u32 = 5;
/// No rest is longer, whatever the policy asks for.
const MAX_REST: Duration = Duration::from_secs(86_400);

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self { policy, failures: 0, first_failure: None, resting_until: None, openings: 0, epoch: 0 }
    }

    /// Takes a changed policy; what was counted stays, unless it is switched off.
    pub(crate) fn set_policy(&mut self, policy: BreakerPolicy) {
        self.policy = policy;
        if policy.consecutive_failures == 0 {
            self.succeeded();
        }
    }

    /// The epoch of an attempt that begins now.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn admission(&self, now: Instant) -> Admission {
        match self.resting_until {
            None => Admission::Open,
            Some(until) if until > now => Admission::Resting(until),
            Some(_) => Admission::Probe,
        }
    }

    /// Whether it is open or probing.
    pub(crate) fn is_open(&self) -> bool {
        self.resting_until.is_some()
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.first_failure = None;
        self.resting_until = None;
        self.openings = 0;
    }

    /// An attempt that began in `epoch` failed. Returns whether that opened it.
    ///
    /// Attempts that were under way when it opened say nothing new, however long they take to fail.
    pub(crate) fn failed(&mut self, epoch: Epoch, now: Instant) -> bool {
        if self.policy.consecutive_failures == 0 || epoch != self.epoch {
            return false;
        }
        if self.resting_until.is_some() {
            self.open(now);
            return true;
        }
        let interval = Duration::from_millis(self.policy.interval_ms);
        if self.first_failure.is_none_or(|first| now.duration_since(first) > interval) {
            self.failures = 0;
            self.first_failure = Some(now);
        }
        self.failures += 1;
        let opens = self.failures >= self.policy.consecutive_failures;
        if opens {
            self.open(now);
        }
        opens
    }

    fn open(&mut self, now: Instant) {
        let base = Duration::from_millis(self.policy.base_ejection_ms);
        let rest = base.saturating_mul(1 << self.openings.min(MAX_DOUBLINGS)).min(MAX_REST);
        self.openings = self.openings.saturating_add(1);
        self.epoch = self.epoch.wrapping_add(1);
        self.failures = 0;
        self.first_failure = None;
        self.resting_until = Some(now + rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        assert_eq!(
            (0..5).map(|_| breaker.failed(breaker.epoch(), now)).collect::<Vec<_>>(),
            [false, false, false, false, true]
        );
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_thirty_seconds_later_one_probe_goes_out() {
        let now = Instant::now();
        let breaker = opened(now);
        assert_eq!(breaker.admission(now), Admission::Resting(now + 30 * SECOND));
        assert_eq!(breaker.admission(now + 30 * SECOND), Admission::Probe);
    }

    #[test]
    fn a_success_between_failures_begins_the_count_anew() {
        let now = Instant::now();
        let mut breaker = Breaker::new(BreakerPolicy::default());
        for _ in 0..10 {
            for _ in 0..4 {
                assert!(!breaker.failed(breaker.epoch(), now));
            }
            breaker.succeeded();
        }
        assert_eq!(breaker.admission(now), Admission::Open);
    }

    #[test]
    fn failures_far_apart_do_not_open_it() {
        let now = Instant::now();
        let mut breaker = Breaker::new(BreakerPolicy::default());
        for n in 0..20 {
            assert!(!breaker.failed(breaker.epoch(), now + n * 10 * SECOND), "failure {n}");
        }
    }

    #[test]
    fn a_failed_probe_doubles_the_rest_and_a_good_one_closes() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert!(breaker.failed(breaker.epoch(), now + 30 * SECOND));
        assert_eq!(breaker.admission(now + 31 * SECOND), Admission::Resting(now + 90 * SECOND));
        breaker.succeeded();
        assert_eq!(breaker.admission(now + 31 * SECOND), Admission::Open);
    }

    #[test]
    fn zero_failures_switch_it_off() {
        let now = Instant::now();
        let mut breaker = Breaker::new(BreakerPolicy { consecutive_failures: 0, ..BreakerPolicy::default() });
        assert!((0..100).all(|_| !breaker.failed(breaker.epoch(), now)));
    }

    #[test]
    fn attempts_from_before_the_opening_never_lengthen_the_rest() {
        let now = Instant::now();
        let mut breaker = opened(now);
        for seconds in [1, 29, 31, 60] {
            assert!(!breaker.failed(0, now + seconds * SECOND), "after {seconds} s");
        }
        assert_eq!(breaker.admission(now + 30 * SECOND), Admission::Probe);
    }

    #[test]
    fn switching_it_off_ends_the_rest() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.set_policy(BreakerPolicy { consecutive_failures: 0, ..BreakerPolicy::default() });
        assert_eq!(breaker.admission(now), Admission::Open);
    }
}
