//! When a failed delivery is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Delays before each attempt, the first one included. When they are used up the delivery is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct RetrySchedule(Vec<Duration>);

/// A list of delays that cannot be a [`RetrySchedule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a retry schedule has 1 to {} delays of at most 30 days each", RetrySchedule::LIMIT)]
pub struct InvalidRetrySchedule;

impl RetrySchedule {
    /// More attempts than anybody waits for.
    pub const LIMIT: usize = 100;
    /// Share of a delay by which chance moves it, to either side: a tenth, so that deliveries which failed together do not
    /// return together.
    pub const JITTER: f64 = 0.1;

    /// A schedule with these delays.
    ///
    /// # Errors
    /// When there is no delay, there are more than [`Self::LIMIT`], or one is longer than 30 days.
    pub fn new(delays: Vec<Duration>) -> Result<Self, InvalidRetrySchedule> {
        let longest = Duration::from_secs(30 * 86_400);
        let fits = (1..=Self::LIMIT).contains(&delays.len()) && delays.iter().all(|delay| *delay <= longest);
        if fits { Ok(Self(delays)) } else { Err(InvalidRetrySchedule) }
    }

    /// How many attempts there are in all.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.0.len()
    }

    /// How long to wait after `made` attempts, or `None` when no attempt is left.
    ///
    /// `chance` in 0..1 sets the jitter; 0.5 is none. A `Retry-After` of the destination lengthens the wait and never
    /// shortens it; it is capped at 30 days.
    #[must_use]
    pub fn delay_after(&self, made: usize, chance: f64, retry_after: Option<Duration>) -> Option<Duration> {
        let planned = self.0.get(made)?;
        let factor = 1.0 + Self::JITTER * (2.0 * chance.clamp(0.0, 1.0) - 1.0);
        let asked = retry_after.unwrap_or_default().min(Duration::from_secs(30 * 86_400));
        Some(planned.mul_f64(factor).max(asked))
    }
}

impl Default for RetrySchedule {
    /// 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: ten attempts over about three days.
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let hours = |n: u64| minutes(n * 60);
        Self(vec![
            Duration::ZERO,
            Duration::from_secs(5),
            minutes(5),
            minutes(30),
            hours(2),
            hours(5),
            hours(10),
            hours(14),
            hours(20),
            hours(24),
        ])
    }
}

impl TryFrom<Vec<u64>> for RetrySchedule {
    type Error = InvalidRetrySchedule;

    /// Delays in milliseconds.
    fn try_from(delays: Vec<u64>) -> Result<Self, InvalidRetrySchedule> {
        Self::new(delays.into_iter().map(Duration::from_millis).collect())
    }
}

impl From<RetrySchedule> for Vec<u64> {
    fn from(schedule: RetrySchedule) -> Self {
        schedule.0.iter().map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_ten_attempts_and_then_ends() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.delay_after(1, 0.5, None), Some(Duration::from_secs(5)));
        assert_eq!(schedule.delay_after(9, 0.5, None), Some(Duration::from_secs(86_400)));
        assert_eq!(schedule.delay_after(10, 0.5, None), None);
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.delay_after(2, 0.0, None), Some(Duration::from_secs(270)));
        assert_eq!(schedule.delay_after(2, 1.0, None), Some(Duration::from_secs(330)));
    }

    #[test]
    fn retry_after_lengthens_and_never_shortens() {
        let schedule = RetrySchedule::default();
        let wait = |seconds| schedule.delay_after(1, 0.5, Some(Duration::from_secs(seconds)));
        assert_eq!(wait(120), Some(Duration::from_secs(120)));
        assert_eq!(wait(1), Some(Duration::from_secs(5)));
        assert_eq!(wait(u64::MAX), Some(Duration::from_secs(30 * 86_400)));
    }

    #[test]
    fn an_empty_or_endless_schedule_is_refused() {
        assert!(RetrySchedule::new(vec![]).is_err());
        assert!(RetrySchedule::new(vec![Duration::ZERO; 101]).is_err());
        assert!(RetrySchedule::new(vec![Duration::from_secs(31 * 86_400)]).is_err());
    }
}
