use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;
use spillway_model::{
    BreakerPolicy, Budget, Configuration, ConnectionId, Destination, DestinationState, Event, EventId, HeaderBlock,
    RetrySchedule, SourceId,
};

use super::*;
use crate::budget::{Granted, Spent};
use crate::destinations::Defaults;

const SECOND: Duration = Duration::from_secs(1);
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn id(n: u128) -> DestinationId {
    DestinationId::from_u128(n + 1)
}

fn configuration(n: u128, change: impl Fn(&mut Destination)) -> Configuration {
    let destinations = (0..n).map(|n| {
        let document = serde_json::json!({"id": id(n), "name": format!("d{n}"), "url": "http://example.com/"});
        let mut destination = serde_json::from_value(document).expect("a destination");
        change(&mut destination);
        destination
    });
    Configuration { destinations: destinations.collect(), ..Configuration::default() }
}

fn destinations(configuration: &Configuration) -> Destinations {
    let defaults = Defaults { timeout: SECOND, max_concurrent: 4, retry: RetrySchedule::default() };
    let resolve: spillway_model::SecretResolver = Arc::new(|secret: &spillway_model::Secret| Ok(secret.clone()));
    Destinations::build(configuration, &defaults, &resolve, 0)
}

fn claimed(to: u128, n: u128) -> Claimed {
    let event = Event {
        quarantine: None,
        id: EventId::from_u128(n << 32),
        source: SourceId::from_u128(1),
        event_type: None,
        headers: HeaderBlock::default(),
        body: Bytes::from_static(b"0123456789"),
        trace: None,
    };
    Claimed {
        order: None,
        id: event.id.delivery(1),
        destination: id(to),
        connection: ConnectionId::from_u128(1),
        generation: 1,
        attempts: 0,
        lease_until: 60_000,
        event: Arc::new(event),
        received: None,
    }
}

fn lanes(attempts: usize, deliveries: usize) -> Lanes {
    Lanes::new(Bounds { attempts, deliveries, bytes: 10 * deliveries })
}

impl Lanes {
    /// Every number is the sum of its parts, and within its bound.
    fn check(&self) {
        let sum = |of: fn(&Lane) -> usize| self.lanes.values().map(|entry| of(&entry.lane)).sum::<usize>();
        assert_eq!(self.waiting, sum(Lane::depth));
        assert_eq!(self.bytes, sum(Lane::bytes));
        assert_eq!(self.in_flight, sum(Lane::in_flight));
        assert_eq!(self.bytes, 10 * self.waiting);
        assert!(self.in_flight <= self.bounds.attempts);
        assert_eq!(self.counts.waiting.load(Ordering::Relaxed), self.waiting);
        let open = self.lanes.values().filter(|entry| entry.lane.is_breaker_open()).count();
        assert_eq!(self.counts.open_breakers.load(Ordering::Relaxed), open);
        let in_turn = self.lanes.values().filter(|entry| entry.in_turn).count();
        assert!(self.turns.len() >= in_turn && self.turns.len() <= in_turn + 64);
        assert_eq!(self.wakes.len(), self.lanes.values().filter(|entry| entry.wake.is_some()).count());
        let over_budget = self.lanes.values().filter(|entry| entry.lane.is_over_budget()).count();
        assert_eq!(self.counts.over_budget.load(Ordering::Relaxed), over_budget);
    }
}

/// Sends what may go out, and returns where to.
fn send_all(lanes: &mut Lanes, now: Instant) -> Vec<(DestinationId, Epoch)> {
    let mut sent = Vec::new();
    while let Some(next) = lanes.next(now) {
        if let Next::Send { claimed, epoch, .. } = next {
            sent.push((claimed.destination, epoch));
        }
    }
    sent
}

#[test]
fn lanes_take_turns() {
    let known = destinations(&configuration(3, |_| {}));
    let mut lanes = lanes(64, 1_000);
    for n in 0..9 {
        let to = n / 3;
        assert!(lanes.push(claimed(to, n), known.get(id(to)).expect("known")).is_ok());
    }
    let sent: Vec<_> = send_all(&mut lanes, *START).into_iter().map(|(to, _)| to).collect();
    assert_eq!(sent, [0, 1, 2, 0, 1, 2, 0, 1, 2].map(id));
}

#[test]
fn many_full_lanes_leave_attempts_and_room_for_the_next_one() {
    let known = destinations(&configuration(21, |to| to.max_concurrent = Some(16)));
    let mut lanes = lanes(64, 1_000);
    for n in 0..20 * 100 {
        let to = n % 20;
        let _ = lanes.push(claimed(to, n), known.get(id(to)).expect("known"));
    }
    let busy = send_all(&mut lanes, *START).len();
    assert!(busy > 48 && busy < 64, "{busy} of 64 attempts");
    assert!(lanes.room() > 0);
    assert!(lanes.push(claimed(20, 9_999), known.get(id(20)).expect("known")).is_ok());
    assert_eq!(send_all(&mut lanes, *START), [(id(20), 0)]);
}

#[test]
fn a_single_lane_gets_every_attempt() {
    let known = destinations(&configuration(1, |to| to.max_concurrent = Some(1_000)));
    let mut lanes = lanes(64, 1_000);
    for n in 0..500 {
        let _ = lanes.push(claimed(0, n), known.get(id(0)).expect("known"));
    }
    assert_eq!(send_all(&mut lanes, *START).len(), 64);
}

#[test]
fn one_probe_goes_out_however_many_wait() {
    let policy = BreakerPolicy { consecutive_failures: 2, ..BreakerPolicy::default() };
    let known = destinations(&configuration(1, |to| to.breaker = policy));
    let to = known.get(id(0)).expect("known");
    let mut lanes = lanes(64, 1_000);
    let fill = |lanes: &mut Lanes| (0..8).for_each(|n| assert!(lanes.push(claimed(0, n), to).is_ok()));
    fill(&mut lanes);
    let sent = send_all(&mut lanes, *START);
    assert_eq!(sent.len(), 4);
    assert!(!lanes.ended(id(0), 0, Health::Bad, None, *START));
    assert!(lanes.ended(id(0), 0, Health::Bad, None, *START));
    // What waits goes back; the two under way have nothing to say any more.
    assert!(send_all(&mut lanes, *START).is_empty() && lanes.waiting == 0);
    assert_eq!(lanes.wants(*START).collect::<Vec<_>>(), [(id(0), 0)]);
    for _ in 0..2 {
        assert!(!lanes.ended(id(0), 0, Health::Bad, None, *START + SECOND));
    }
    let later = *START + 31 * SECOND;
    assert_eq!(lanes.wants(later).collect::<Vec<_>>(), [(id(0), 1)]);
    fill(&mut lanes);
    let probe = send_all(&mut lanes, later);
    assert_eq!(probe.len(), 1);
    lanes.ended(id(0), probe[0].1, Health::Good, None, later);
    assert_eq!(send_all(&mut lanes, later).len(), 4);
    lanes.check();
}

#[test]
fn a_held_lane_gives_back_what_waits_and_what_comes_back() {
    let mut config = configuration(1, |_| {});
    let known = destinations(&config);
    let mut lanes = lanes(64, 1_000);
    (0..8).for_each(|n| assert!(lanes.push(claimed(0, n), known.get(id(0)).expect("known")).is_ok()));
    assert_eq!(send_all(&mut lanes, *START).len(), 4);
    config.destinations[0].state = DestinationState::Paused;
    lanes.reload(&destinations(&config));
    let Some(Next::GiveBack { deliveries, rest }) = lanes.next(*START) else { panic!("nothing is given back") };
    assert_eq!((deliveries.len(), rest), (4, Rest::For(Duration::ZERO)));
    assert!(lanes.rate_limited(claimed(0, 0), SECOND, *START).is_ok());
    assert!(send_all(&mut lanes, *START).is_empty() && lanes.waiting == 0, "it goes back as well");
    lanes.check();
    // Gone for good: the lane is forgotten when its last attempt ends.
    lanes.reload(&destinations(&Configuration::default()));
    (0..3).for_each(|_| lanes.lost(id(0)));
    assert!(lanes.lanes.is_empty());
    lanes.check();
}

#[test]
fn a_long_pause_gives_back_and_a_short_one_waits() {
    let known = destinations(&configuration(1, |_| {}));
    let mut lanes = lanes(64, 1_000);
    let fill = |lanes: &mut Lanes| (0..8).for_each(|n| _ = lanes.push(claimed(0, n), known.get(id(0)).expect("known")));
    fill(&mut lanes);
    send_all(&mut lanes, *START);
    lanes.ended(id(0), 0, Health::Unknown, Some(SECOND), *START);
    assert!(send_all(&mut lanes, *START).is_empty());
    assert_eq!((lanes.waiting, lanes.next_wake()), (4, Some(*START + SECOND)));
    lanes.wake(*START + SECOND);
    assert_eq!(send_all(&mut lanes, *START + SECOND).len(), 1);
    lanes.ended(id(0), 0, Health::Unknown, Some(60 * SECOND), *START + SECOND);
    let Some(Next::GiveBack { deliveries, rest }) = lanes.next(*START + SECOND) else {
        panic!("nothing is given back")
    };
    assert_eq!((deliveries.len(), rest), (3, Rest::For(60 * SECOND)));
}

#[test]
fn only_claims_that_were_renewed_count_as_renewed() {
    let known = destinations(&configuration(1, |_| {}));
    let mut lanes = lanes(64, 1_000);
    (0..3).for_each(|n| assert!(lanes.push(claimed(0, n), known.get(id(0)).expect("known")).is_ok()));
    let every = Duration::from_secs(15);
    let ending: Vec<Lease> = lanes.ending_leases(50_000, 4 * every, every);
    assert_eq!(ending.len(), 3);
    let renewed = ending[..2].iter().map(|lease| (lease.delivery, lease.generation)).collect();
    lanes.renewed(&renewed, &HashSet::from([ending[0].delivery]), 110_000);
    lanes.check();
    assert_eq!(lanes.waiting, 2, "the lost one is dropped");
    assert_eq!(lanes.ending_leases(50_000, 4 * every, every), ending[2..], "the third was not asked for");
}

fn limited(budget: &Budget) -> (Destinations, Lanes) {
    let known = destinations(&configuration(1, |to| to.budget = Some(budget.clone())));
    let mut lanes = lanes(64, 1_000);
    (0..4).for_each(|n| assert!(lanes.push(claimed(0, n), known.get(id(0)).expect("known")).is_ok()));
    (known, lanes)
}

/// Asks what the lanes want to ask, and answers it.
fn answer(lanes: &mut Lanes, requests: u64, places: Option<u32>) -> usize {
    let questions = lanes.questions(false, *START);
    for question in &questions {
        lanes.answered(question, Some(Granted { requests, places }), *START);
    }
    questions.len()
}

#[test]
fn a_lane_with_a_budget_sends_what_it_was_granted_and_gives_back_the_rest_when_nothing_is_left() {
    let (_, mut lanes) = limited(&Budget { requests_per_hour: Some(40), ..Budget::default() });
    assert!(send_all(&mut lanes, *START).is_empty() && lanes.wants_budget());
    assert_eq!(answer(&mut lanes, 2, None), 1);
    assert_eq!(send_all(&mut lanes, *START).len(), 2);
    assert_eq!(answer(&mut lanes, 0, None), 1);
    let Some(Next::GiveBack { deliveries, rest }) = lanes.next(*START) else { panic!("nothing is given back") };
    assert_eq!((deliveries.len(), rest), (2, Rest::UntilNextHour));
    assert_eq!(lanes.counts.over_budget.load(Ordering::Relaxed), 1);
    assert_eq!(lanes.wants(*START).collect::<Vec<_>>(), [(id(0), 0)]);
    lanes.set_hour(1);
    assert_eq!(lanes.counts.over_budget.load(Ordering::Relaxed), 0);
    lanes.check();
}

#[test]
fn what_is_in_hand_when_the_hour_ends_goes_back_to_the_hour_before() {
    let (known, mut lanes) = limited(&Budget { requests_per_hour: Some(80), ..Budget::default() });
    lanes.set_hour(7);
    send_all(&mut lanes, *START);
    answer(&mut lanes, 4, None);
    assert_eq!(send_all(&mut lanes, *START).len(), 4);
    let grant = crate::budget::Grant { hour: 7, cost_micros: 0, begin_by: None };
    lanes.spent(id(0), grant, &Spent::Nothing);
    lanes.lost(id(0));
    assert!(lanes.push(claimed(0, 9), known.get(id(0)).expect("known")).is_ok());
    lanes.set_hour(8);
    let told: Vec<_> = lanes.corrections().iter().map(|one| (one.hour, one.requests)).collect();
    assert_eq!(told, [(7, -1)]);
    assert!(send_all(&mut lanes, *START).is_empty() && lanes.wants_budget(), "the new hour has to be asked for");
}

#[test]
fn an_answer_for_an_hour_that_is_over_goes_back() {
    let (_, mut lanes) = limited(&Budget { requests_per_hour: Some(80), ..Budget::default() });
    send_all(&mut lanes, *START);
    let questions = lanes.questions(false, *START);
    lanes.set_hour(1);
    lanes.answered(&questions[0], Some(Granted { requests: 4, places: None }), *START);
    let told: Vec<_> = lanes.corrections().iter().map(|one| (one.hour, one.requests)).collect();
    assert_eq!(told, [(0, -4)]);
    assert!(send_all(&mut lanes, *START).is_empty());
}

#[test]
fn without_budgets_nobody_asks() {
    let known = destinations(&configuration(2, |_| {}));
    let mut lanes = lanes(64, 1_000);
    (0..4).for_each(|n| assert!(lanes.push(claimed(n % 2, n), known.get(id(n % 2)).expect("known")).is_ok()));
    assert_eq!(send_all(&mut lanes, *START).len(), 4);
    assert!(!lanes.has_budgets() && !lanes.wants_budget());
}

#[derive(Debug, Clone)]
enum Step {
    Push(u128),
    Next,
    End(usize, u8),
    Reload(u8),
    Renew(usize),
    Hold(u128, bool),
    Wait(u64),
    Ask(bool),
    Answer(usize, Option<(u64, u32)>),
    Hour(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_u128).prop_map(Step::Push),
        4 => Just(Step::Next),
        3 => (any::<usize>(), 0..6_u8).prop_map(|(which, how)| Step::End(which, how)),
        1 => any::<u8>().prop_map(Step::Reload),
        1 => any::<usize>().prop_map(Step::Renew),
        1 => (0..5_u128, any::<bool>()).prop_map(|(to, held)| Step::Hold(to, held)),
        1 => (0..40_000_u64).prop_map(Step::Wait),
        2 => any::<bool>().prop_map(Step::Ask),
        2 => (any::<usize>(), prop::option::of((0..4_u64, 0..3_u32))).prop_map(|(which, how)| Step::Answer(which, how)),
        1 => (0..3_i64).prop_map(Step::Hour),
    ]
}

proptest! {
    /// Whatever happens in whatever order, the accounts hold and no delivery is lost or doubled.
    #[test]
    fn the_accounts_never_drift(steps in prop::collection::vec(step(), 1..300)) {
        let limited = |to: &mut Destination| {
            let (requests_per_hour, max_concurrent) = (Some(40), Some(2));
            to.budget = (to.id == id(1) || to.id == id(2))
                .then(|| Budget { requests_per_hour, max_concurrent, ..Budget::default() });
        };
        let mut config = configuration(5, |to| {
            to.max_concurrent = Some(3);
            to.breaker.consecutive_failures = 2;
            to.rate_limit = "50/s".parse().ok();
            limited(to);
        });
        let mut known = destinations(&config);
        let mut lanes = lanes(8, 40);
        let mut now = *START;
        let mut under_way: Vec<(Claimed, Epoch, Option<Grant>)> = Vec::new();
        let mut asked: Vec<Question> = Vec::new();
        let (mut pushed, mut out) = (0_u128, 0_u128);
        for step in steps {
            match step {
                Step::Push(to) => if let Some(to_prepared) = known.get(id(to)) {
                    pushed += 1;
                    out += u128::from(lanes.push(claimed(to, pushed), to_prepared).is_err());
                },
                Step::Next => match lanes.next(now) {
                    Some(Next::Send { claimed, epoch, grant, .. }) => under_way.push((claimed, epoch, grant)),
                    Some(Next::GiveBack { deliveries, .. }) => out += deliveries.len() as u128,
                    None => {}
                },
                Step::End(which, how) => if !under_way.is_empty() {
                    let (claimed, epoch, grant) = under_way.swap_remove(which % under_way.len());
                    let to = claimed.destination;
                    if let Some(grant) = grant {
                        let spent = [Spent::Nothing, Spent::Expected, Spent::Said(7)];
                        lanes.spent(to, grant, &spent[which % 3]);
                    }
                    let pause = (how == 3).then_some(Duration::from_secs(7));
                    match how {
                        0 => { out += u128::from(lanes.rate_limited(claimed, SECOND, now).is_err()); }
                        1 => { lanes.lost(to); out += 1; }
                        2 | 3 => { lanes.ended(to, epoch, Health::Bad, pause, now); out += 1; }
                        4 => { lanes.ended(to, epoch, Health::Unknown, None, now); out += 1; }
                        _ => { lanes.ended(to, epoch, Health::Good, None, now); out += 1; }
                    }
                },
                Step::Reload(mask) => {
                    let all = configuration(5, |to| if mask & 0x40 != 0 { limited(to) }).destinations;
                    config.destinations = all.into_iter().enumerate().filter(|(n, _)| mask >> n & 1 == 0).map(|(_, to)| to).collect();
                    if mask & 0x80 != 0 {
                        config.destinations.iter_mut().for_each(|to| to.state = DestinationState::Paused);
                    }
                    known = destinations(&config);
                    lanes.reload(&known);
                }
                Step::Renew(n) => {
                    let leases = lanes.ending_leases(59_000, SECOND, SECOND / 4);
                    let renewed = leases.iter().map(|lease| (lease.delivery, lease.generation)).collect();
                    let lost: HashSet<_> = leases.iter().take(n % 3).map(|lease| lease.delivery).collect();
                    out += lost.len() as u128;
                    lanes.renewed(&renewed, &lost, 60_000);
                }
                Step::Hold(to, held) => lanes.hold(id(to), held, None, now),
                Step::Wait(ms) => {
                    now += Duration::from_millis(ms);
                    lanes.wake(now);
                }
                Step::Ask(all) => asked.extend(lanes.questions(all, now)),
                Step::Answer(which, how) => if !asked.is_empty() {
                    let question = asked.swap_remove(which % asked.len());
                    let granted = how.map(|(requests, places)| Granted {
                        requests: requests.min(question.wish.requests),
                        places: question.wish.places.map(|wanted| wanted.min(places)),
                    });
                    lanes.answered(&question, granted, now);
                },
                Step::Hour(hour) => lanes.set_hour(hour),
            }
            lanes.check();
            prop_assert_eq!(pushed, out + lanes.waiting as u128 + under_way.len() as u128);
        }
        out += lanes.clear().len() as u128;
        lanes.check();
        prop_assert_eq!(pushed, out + under_way.len() as u128);
    }
}
