use super::*;

const ALONE: Share = Share { part: 0, parts: 1 };

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn threads_share_a_schedule_without_gap_or_overlap() {
    let start = Instant::now();
    let (duration, rate) = (Duration::from_secs(2), 97.3);
    let mut dues = Vec::new();
    for part in 0..3 {
        let mut open = Open::new(Share { part, parts: 3 }, start, duration, rate, ms(0));
        while !open.is_over() {
            let at = open.wake(start);
            // The first request is due at once.
            let ticket = open.take(start).or_else(|| open.take(at));
            let ticket = ticket.expect("a request is due when it says so");
            dues.push((ticket.index, ticket.due.expect("a schedule").duration_since(start)));
        }
        assert_eq!(open.dropped(), 0);
    }
    dues.sort_unstable();
    assert_eq!(dues.len(), 195, "all that are due before the end: 194.6 periods, and the one at zero");
    for (n, (index, due)) in dues.iter().enumerate() {
        assert_eq!(*index, n as u64);
        assert!((due.as_secs_f64() - n as f64 / rate).abs() < 1e-6, "request {n} at {due:?}");
        assert!(*due < duration);
    }
}

#[test]
fn the_number_of_requests_is_exact_in_spite_of_binary_fractions() {
    for (rate, millis, expected) in
        [(30.0, 100, 3), (1_000.0, 10_000, 10_000), (0.1, 10_000, 1), (0.1, 100, 1), (7.0, 3_000, 21)]
    {
        let mut open = Open::new(ALONE, Instant::now(), ms(millis), rate, ms(0));
        open.stop(Instant::now() + Duration::from_secs(60));
        assert_eq!(open.dropped(), expected, "{rate}/s for {millis} ms");
    }
}

#[test]
fn a_request_waits_as_long_as_it_may_and_is_dropped_then() {
    let start = Instant::now();
    // Due at 0, 10, … 90 ms.
    let mut open = Open::new(ALONE, start, ms(100), 100.0, ms(25));
    assert_eq!(open.take(start).map(|ticket| ticket.index), Some(0));
    assert_eq!(open.take(start), None, "the second is not due yet");
    assert_eq!(open.wake(start), start + ms(10));
    // At 40 ms those of 20, 30 and 40 ms have not waited for too long; that of 10 ms has.
    assert_eq!(open.take(start + ms(40)).map(|ticket| ticket.index), Some(2));
    assert_eq!(open.dropped(), 1);
    // Nobody is free: the next look is at the next request, or when the one that waits must go.
    assert_eq!(open.wake(start + ms(41)), start + ms(50));
    assert_eq!(open.wake(start + ms(51)), start + ms(55) + Duration::from_micros(1));
    open.expire(start + ms(56));
    assert_eq!(open.dropped(), 2);
    open.stop(start + ms(71));
    assert_eq!((open.dropped(), open.is_over()), (6, true), "40 to 70 ms were due, 80 and 90 ms were not");
    assert_eq!(open.take(start + ms(95)), None);
}

#[test]
fn without_a_schedule_there_is_always_a_turn_until_the_end() {
    let start = Instant::now();
    let mut closed = Closed::new(Share { part: 1, parts: 3 }, start, ms(10));
    let indices: Vec<_> = (0..3).filter_map(|_| closed.take(start)).map(|ticket| ticket.index).collect();
    assert_eq!(indices, [1, 4, 7]);
    assert_eq!(closed.take(start + ms(10)), None);
}
