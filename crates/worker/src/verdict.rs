//! What an attempt's end means for the delivery, its destination and its lane. Pure: the caller acts.

use std::time::Duration;

use spillway_model::{AttemptClass, NextState, RetrySchedule, UnixMillis};

/// How an attempt ended, as far as decisions need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) class: AttemptClass,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
}

/// What an ending says about the destination's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answers.
    Good,
    /// It does not, or with its own failure.
    Bad,
    /// Nothing: the failure is ours.
    Unknown,
}

/// What follows from an ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) next: NextState,
    pub(crate) health: Health,
    /// The destination is gone (410) and should be disabled.
    pub(crate) disable: bool,
    /// The lane should wait this long before its next attempt.
    pub(crate) pause: Option<Duration>,
}

/// A destination that says it is overloaded without saying for how long is left alone for this time.
const DEFAULT_PAUSE: Duration = Duration::from_secs(1);
/// The longest that a `Retry-After` holds back the deliveries of a whole lane. The delivery itself waits as long as was asked.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// Decides. `made` counts the attempts including this one; `chance` in 0..1 is the jitter.
pub(crate) fn decide(ending: Ending, made: usize, schedule: &RetrySchedule, now: UnixMillis, chance: f64) -> Verdict {
    let health = match ending.class {
        AttemptClass::ClientError if ending.status == Some(429) => Health::Unknown,
        AttemptClass::Success | AttemptClass::Redirect | AttemptClass::ClientError => Health::Good,
        AttemptClass::Platform | AttemptClass::Blocked | AttemptClass::Transform => Health::Unknown,
        AttemptClass::ServerError
        | AttemptClass::Timeout
        | AttemptClass::Connect
        | AttemptClass::Tls
        | AttemptClass::Protocol => Health::Bad,
    };
    if ending.class == AttemptClass::Success {
        return Verdict { next: NextState::Delivered { at: now }, health, disable: false, pause: None };
    }
    if ending.class == AttemptClass::Transform {
        // The same program fails on the same event each time: a dead letter, until somebody mends the connection and replays it.
        return Verdict { next: NextState::Dead { at: now }, health, disable: false, pause: None };
    }
    let pause = match ending.status {
        Some(429 | 502 | 503 | 504) => Some(ending.retry_after.unwrap_or(DEFAULT_PAUSE).min(MAX_PAUSE)),
        _ => None,
    };
    let disable = ending.status == Some(410);
    if disable {
        // It waits with all others until somebody enables the destination again.
        return Verdict { next: NextState::Pending { due_at: now }, health, disable, pause };
    }
    let next = match schedule.delay_after(made, chance, ending.retry_after) {
        Some(delay) => NextState::Pending { due_at: now + i64::try_from(delay.as_millis()).unwrap_or(i64::MAX / 2) },
        None => NextState::Dead { at: now },
    };
    Verdict { next, health, disable, pause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(class: AttemptClass, status: Option<u16>) -> Ending {
        Ending { class, status, retry_after: None }
    }

    fn of(ending: Ending, made: usize) -> Verdict {
        decide(ending, made, &RetrySchedule::default(), 1_000, 0.5)
    }

    #[test]
    fn success_ends_the_delivery() {
        assert_eq!(of(ending(AttemptClass::Success, Some(204)), 1).next, NextState::Delivered { at: 1_000 });
    }

    #[test]
    fn failures_follow_the_schedule_and_end_as_dead_letters() {
        let failed = ending(AttemptClass::ServerError, Some(500));
        assert_eq!(of(failed, 1).next, NextState::Pending { due_at: 6_000 });
        assert_eq!(of(failed, 10).next, NextState::Dead { at: 1_000 });
    }

    #[test]
    fn a_redirect_or_a_refusal_is_a_failure_of_a_healthy_destination() {
        for (class, status) in [(AttemptClass::Redirect, 302), (AttemptClass::ClientError, 404)] {
            let verdict = of(ending(class, Some(status)), 1);
            assert_eq!((verdict.next, verdict.health), (NextState::Pending { due_at: 6_000 }, Health::Good));
        }
    }

    #[test]
    fn retry_after_holds_the_delivery_and_its_lane() {
        let asked =
            Ending { retry_after: Some(Duration::from_secs(60)), ..ending(AttemptClass::ClientError, Some(429)) };
        let verdict = of(asked, 1);
        assert_eq!(verdict.next, NextState::Pending { due_at: 61_000 });
        assert_eq!((verdict.pause, verdict.health), (Some(Duration::from_secs(60)), Health::Unknown));
    }

    #[test]
    fn gone_disables_the_destination_and_keeps_the_delivery() {
        let verdict = of(ending(AttemptClass::ClientError, Some(410)), 10);
        assert!(verdict.disable);
        assert_eq!(verdict.next, NextState::Pending { due_at: 1_000 });
    }

    #[test]
    fn an_answer_that_breaks_off_is_a_failure_whatever_its_status() {
        let verdict = of(ending(AttemptClass::Protocol, Some(200)), 1);
        assert_eq!((verdict.next, verdict.health), (NextState::Pending { due_at: 6_000 }, Health::Bad));
    }

    #[test]
    fn our_own_failure_does_not_blame_the_destination() {
        assert_eq!(of(ending(AttemptClass::Platform, None), 1).health, Health::Unknown);
        assert_eq!(of(ending(AttemptClass::Timeout, None), 1).health, Health::Bad);
    }
}
