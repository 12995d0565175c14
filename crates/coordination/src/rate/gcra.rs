//! The generic cell rate algorithm (ITU-T I.371, annex A) in whole nanoseconds.
//!
//! A key's state is one number, the theoretical arrival time: when all that was allowed so far would have been used up at an even
//! pace. A request adds one interval to it; it may lie ahead of now by at most a full count of intervals.

use std::time::Duration;

use spillway_model::Rate;

use crate::RateDecision;

/// Decides at `now` for a key in the state `arrival`. Returns the new state, `None` when the request is refused and the state
/// stays, and the decision. Both times count nanoseconds from any common origin; a fresh key has the state 0.
pub(crate) fn decide(arrival: u64, now: u64, rate: Rate) -> (Option<u64>, RateDecision) {
    let limit = rate.count.get();
    let (interval, tolerance) = spacing(rate);
    // A state further ahead is left from a higher rate.
    let base = arrival.clamp(now, now.saturating_add(tolerance));
    let ahead = (base - now).saturating_add(interval);
    if ahead > tolerance {
        let retry_after = Duration::from_nanos(ahead - tolerance);
        let reset_after = Duration::from_nanos(base - now);
        return (None, RateDecision { allowed: false, limit, remaining: 0, retry_after, reset_after });
    }
    let remaining = u32::try_from((tolerance - ahead) / interval).unwrap_or(limit);
    let reset_after = Duration::from_nanos(ahead);
    (Some(now + ahead), RateDecision { allowed: true, limit, remaining, retry_after: Duration::ZERO, reset_after })
}

/// Time between two requests at an even pace, at least a nanosecond, and the time that a whole count takes.
fn spacing(rate: Rate) -> (u64, u64) {
    let count = u64::from(rate.count.get());
    let window = u64::try_from(rate.per.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
    let interval = (window / count).max(1);
    (interval, interval.saturating_mul(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    #[test]
    fn a_burst_of_exactly_the_count_passes_and_the_headers_count_down() {
        let mut state = 0;
        for left in [2, 1, 0] {
            let (next, decision) = decide(state, SECOND, rate("3/s"));
            assert_eq!((decision.allowed, decision.limit, decision.remaining), (true, 3, left));
            state = next.expect("allowed");
        }
        let (next, refused) = decide(state, SECOND, rate("3/s"));
        assert_eq!((next, refused.allowed, refused.remaining), (None, false, 0));
        assert_eq!(refused.retry_after, Duration::from_nanos(SECOND / 3));
        assert_eq!(refused.reset_after, Duration::from_nanos(SECOND / 3 * 3));
        assert!(decide(state, SECOND + SECOND / 3, rate("3/s")).1.allowed);
    }

    #[test]
    fn a_state_from_a_higher_rate_does_not_lock_the_key_for_longer_than_the_new_one() {
        let (_, decision) = decide(86_400 * SECOND, SECOND, rate("1/s"));
        assert_eq!((decision.allowed, decision.retry_after), (false, Duration::from_secs(1)));
    }

    proptest! {
        /// Whatever the arrivals are, no window of `per` lets through more than twice the count, and a refused request passes
        /// after exactly the time it was told.
        #[test]
        fn a_window_never_holds_more_than_two_counts(count in 1u32..200, gaps in proptest::collection::vec(0u64..SECOND / 20, 1..400)) {
            let rate = Rate { count: count.try_into().expect("not zero"), per: Duration::from_secs(1) };
            let (mut state, mut now, mut passed) = (0, 0, Vec::new());
            for gap in gaps {
                now += gap;
                let (next, decision) = decide(state, now, rate);
                if decision.allowed {
                    passed.push(now);
                } else {
                    let wait = u64::try_from(decision.retry_after.as_nanos()).expect("short");
                    prop_assert!(decide(state, now + wait, rate).1.allowed);
                    prop_assert!(wait <= 1 || !decide(state, now + wait - 1, rate).1.allowed);
                }
                state = next.unwrap_or(state);
            }
            for start in &passed {
                let inside = passed.iter().filter(|at| (*start..start + SECOND).contains(at)).count();
                prop_assert!(inside <= 2 * count as usize);
            }
        }

        #[test]
        fn extreme_numbers_neither_panic_nor_refuse_a_fresh_key(now in 0..u64::MAX / 2, count in 1u32.., seconds: u64) {
            let rate = Rate { count: count.try_into().expect("not zero"), per: Duration::from_secs(seconds) };
            prop_assert!(decide(0, now, rate).1.allowed);
            decide(u64::MAX, now, rate);
        }
    }
}
