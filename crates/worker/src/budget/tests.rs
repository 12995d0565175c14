use spillway_model::Budget;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: i64 = 480_000;

fn budget(change: impl FnOnce(&mut Budget)) -> LaneBudget {
    let mut budget = Budget::default();
    change(&mut budget);
    LaneBudget::new(Limits::of(&budget))
}

fn requests(n: u64) -> Option<Granted> {
    Some(Granted { requests: n, places: None })
}

fn places(n: u32) -> Option<Granted> {
    Some(Granted { requests: 0, places: Some(n) })
}

#[test]
fn requests_are_asked_for_in_parts_and_only_as_many_as_wait() {
    let now = Instant::now();
    for (waiting, expected) in [(1, 1), (3, 3), (50, 5)] {
        let mut budget = budget(|budget| budget.requests_per_hour = Some(100));
        assert_eq!(budget.standing(0, SECOND, now), Standing::Wanting);
        let wish = budget.wish(waiting, 0, 8, SECOND, now).expect("a wish");
        assert_eq!((wish.requests, wish.places), (expected, None));
        assert_eq!(budget.standing(0, SECOND, now), Standing::Asking);
        assert!(budget.wish(waiting, 0, 8, SECOND, now).is_none(), "one question at a time");
    }
}

#[test]
fn what_was_granted_goes_out_and_then_the_store_is_asked_again() {
    let now = Instant::now();
    let mut budget = budget(|budget| budget.requests_per_hour = Some(100));
    budget.wish(2, 0, 8, SECOND, now).expect("a wish");
    budget.answered(requests(2), 0, now);
    for _ in 0..2 {
        assert_eq!(budget.standing(0, SECOND, now), Standing::Free);
        assert_eq!(budget.take(HOUR, SECOND), Grant { hour: HOUR, cost_micros: 0, begin_by: None });
    }
    assert_eq!(budget.standing(0, SECOND, now), Standing::Wanting);
    budget.take_back();
    assert_eq!(budget.standing(0, SECOND, now), Standing::Free);
}

#[test]
fn a_used_up_budget_waits_for_the_next_hour_or_other_limits() {
    let now = Instant::now();
    let used_up = || {
        let mut budget = budget(|budget| budget.requests_per_hour = Some(100));
        budget.wish(2, 0, 8, SECOND, now).expect("a wish");
        budget.answered(requests(0), 0, now);
        assert_eq!((budget.standing(0, SECOND, now), budget.wants(8)), (Standing::UsedUp, 0));
        assert!(budget.is_waiting() && budget.wish(2, 0, 8, SECOND, now).is_none());
        budget
    };
    let mut next_hour = used_up();
    next_hour.forget_refusals();
    assert_eq!((next_hour.standing(0, SECOND, now), next_hour.wants(8)), (Standing::Wanting, 8));
    let mut raised = used_up();
    raised.set_limits(Limits { max_requests: Some(200), ..raised.limits().clone() });
    assert_eq!(raised.standing(0, SECOND, now), Standing::Wanting);
}

#[test]
fn a_store_that_cannot_be_asked_lets_nothing_go() {
    let now = Instant::now();
    let mut budget = budget(|budget| budget.max_concurrent = Some(4));
    budget.wish(2, 0, 8, SECOND, now).expect("a wish");
    budget.answered(None, 0, now);
    assert_eq!(budget.standing(0, SECOND, now), Standing::Later(now + SECOND));
    assert_eq!(budget.standing(0, SECOND, now + SECOND), Standing::Wanting);
}

#[test]
fn unused_requests_go_back_after_a_while() {
    let now = Instant::now();
    let mut budget = budget(|budget| budget.requests_per_hour = Some(100));
    budget.wish(5, 0, 8, SECOND, now).expect("a wish");
    budget.answered(requests(5), 0, now);
    assert_eq!([budget.give_up_surplus(0), budget.give_up_surplus(3), budget.give_up_surplus(0)], [0, 0, 0]);
    assert_eq!([budget.give_up_surplus(0), budget.give_up_surplus(0)], [5, 0]);
}

#[test]
fn places_bound_what_is_under_way_for_as_long_as_they_are_held() {
    let now = Instant::now();
    let mut budget = budget(|budget| budget.max_concurrent = Some(10));
    let wish = budget.wish(20, 0, 8, SECOND, now).expect("a wish");
    assert_eq!(wish.places, Some(8), "no more than the lane sends at once");
    budget.answered(places(3), 0, now);
    assert_eq!(budget.standing(2, SECOND, now), Standing::Free);
    assert_eq!(budget.take(HOUR, SECOND).begin_by, Some(now + wish.hold - SECOND));
    assert_eq!(budget.standing(3, SECOND, now), Standing::Wanting);
    // Near the end of the lease nothing begins that it would not cover.
    assert_eq!(budget.standing(0, SECOND, now + wish.hold - 2 * SECOND), Standing::Wanting);
    // Held for as long as somebody is there, given back when nobody is.
    assert_eq!(budget.wish(0, 3, 8, SECOND, now), None);
    assert_eq!(budget.wish(0, 3, 8, SECOND, now + 30 * SECOND).map(|wish| wish.places), Some(Some(3)));
    budget.answered(places(3), 3, now + 30 * SECOND);
    assert_eq!(budget.wish(0, 0, 8, SECOND, now + 31 * SECOND).map(|wish| wish.places), Some(Some(0)));
}

#[test]
fn a_lane_without_a_place_asks_less_and_less_often_and_then_steps_back() {
    let mut now = Instant::now();
    let mut budget = budget(|budget| budget.max_concurrent = Some(1));
    let mut waits = Vec::new();
    let stepped_back = (0..20).any(|_| {
        budget.wish(4, 0, 8, SECOND, now).expect("a wish");
        let steps_back = budget.answered(places(0), 0, now);
        let Standing::Later(at) = budget.standing(0, SECOND, now) else { panic!("it must wait") };
        waits.push((at - now).as_millis());
        now = at;
        steps_back
    });
    assert!(stepped_back);
    assert_eq!(waits[..5], [100, 200, 400, 800, 800]);
}

#[test]
fn costs_are_expected_as_configured_and_limit_the_parts() {
    let cost = |each: Option<f64>| {
        Limits::of(&Budget {
            cost_per_hour: Some(50.0),
            cost_per_request: each,
            cost_header: Some("x-cost".to_owned()),
            ..Budget::default()
        })
    };
    assert_eq!(cost(Some(0.05)).chunk(), 50);
    assert_eq!(cost(Some(20.0)).chunk(), 1);
    assert_eq!(cost(None).chunk(), 1, "nobody knows before the answers come");
    let mut budget = LaneBudget::new(cost(Some(0.05)));
    budget.wish(1, 0, 8, SECOND, Instant::now()).expect("a wish");
    budget.answered(requests(1), 0, Instant::now());
    assert_eq!(budget.take(HOUR, SECOND).cost_micros, 50_000);
}

#[test]
fn corrections_of_an_hour_are_summed_and_old_hours_forgotten() {
    let to = spillway_model::DestinationId::from_u128(1);
    let mut books = Books::default();
    books.give_back(to, HOUR, 3, 10);
    books.cost(to, HOUR, 10, 25);
    books.cost(to, HOUR - 2, 10, 25);
    books.cost(to, HOUR, 10, 10);
    books.forget_before(HOUR);
    assert_eq!(books.take(), [Correction { destination: to, hour: HOUR, requests: -3, cost_micros: -15 }]);
    assert!(books.is_empty());
}
