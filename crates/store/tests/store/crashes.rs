//! Random work with crashes in it, compared with a model: what was acknowledged is delivered, or pending with a due time, or queued behind
//! another one with its order key, of which never two are on their way.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use spillway_model::{
    Appended, Claimed, DeliveryId, DeliveryState, DestinationId, EventId, IdGenerator, Lease, NewEvent, NextState,
    OrderKey, Settlement, UnixMillis,
};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{DeliveryFilter, RetryOutcome, Store, Unobserved};

use crate::support::{Engine, LEASE, TestStore, lease, settlement};

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(usize, Option<u8>, bool, Option<u8>)>),
    Claim(usize),
    Settle(Vec<(prop::sample::Index, Outcome)>),
    Renew(Vec<prop::sample::Index>),
    Retry(prop::sample::Index),
    MoveClock(i64),
    Maintain,
    Restart,
    Crash,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Delivered,
    Dead,
    Again(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Delivered),
        1 => Just(Outcome::Dead),
        2 => (0..30_000_i64).prop_map(Outcome::Again),
    ];
    let event = (0..4_usize, prop::option::weighted(0.4, 0..6_u8), any::<bool>(), prop::option::weighted(0.5, 0..3_u8));
    prop_oneof![
        6 => prop::collection::vec(event, 1..8).prop_map(Step::Append),
        6 => (1..12_usize).prop_map(Step::Claim),
        6 => prop::collection::vec((any::<prop::sample::Index>(), outcome), 1..8).prop_map(Step::Settle),
        1 => prop::collection::vec(any::<prop::sample::Index>(), 1..4).prop_map(Step::Renew),
        1 => any::<prop::sample::Index>().prop_map(Step::Retry),
        4 => (-20_000..70_000_i64).prop_map(Step::MoveClock),
        1 => Just(Step::Maintain),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    state: DeliveryState,
    at: UnixMillis,
    attempts: u16,
    /// The generation of the claim on it, unless that has ended.
    claim: Option<u32>,
    order: Option<OrderKey>,
}

struct Model {
    deliveries: BTreeMap<DeliveryId, Known>,
    events: HashMap<EventId, NewEvent>,
    keys: HashMap<u8, EventId>,
    /// Of each order key with open deliveries the one on its way, and those behind it.
    heads: BTreeMap<OrderKey, DeliveryId>,
    queues: BTreeMap<OrderKey, BTreeSet<DeliveryId>>,
    /// Deliveries that an operator had tried again: they are not ordered any more.
    retried: HashSet<DeliveryId>,
    /// Every claim that was ever handed out.
    claims: Vec<Claimed>,
    destinations: [DestinationId; 3],
}

impl Model {
    async fn run(mut self, mut test: TestStore, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Append(events) => self.append(&test, events).await,
                Step::Claim(max) => self.claim(&test, max).await,
                Step::Settle(outcomes) => self.settle(&test, outcomes).await,
                Step::Renew(which) => self.renew(&test, which).await,
                Step::Retry(which) => self.retry(&test, which).await,
                Step::MoveClock(by) => test.clock.advance(by),
                Step::Maintain => test.store.maintain(test.now()).await.unwrap(),
                Step::Restart => test = self.resumed(test.reopen().await).await,
                Step::Crash => test = self.resumed(test.crash().await).await,
            }
        }
        self.compare(&test.crash().await).await;
    }

    /// A restarted process makes ids after the newest in the store.
    async fn resumed(&self, mut test: TestStore) -> TestStore {
        let latest = test.store.latest_event().await.unwrap();
        assert_eq!(latest, self.events.keys().max().copied());
        test.ids = IdGenerator::new(test.clock.clone(), 8);
        if let Some(latest) = latest {
            test.ids.resume_after(latest);
        }
        test
    }

    async fn append(&mut self, test: &TestStore, events: Vec<(usize, Option<u8>, bool, Option<u8>)>) {
        let (mut batch, mut expected) = (Vec::new(), Vec::new());
        for (fan_out, key, born_claimed, order) in events {
            let (due_at, generation) = if born_claimed { (test.now() + LEASE, 1) } else { (test.now(), 0) };
            let mut event = test.event_born(&self.destinations[..fan_out], due_at, generation);
            if let (Some(order), Some(first)) = (order, event.deliveries.first_mut()) {
                (first.order, first.due_at, first.generation) = (Some(OrderKey(order.into())), test.now(), 0);
            }
            event.idempotency = key.map(|key| u128::from(key) << 70 | 1);
            let id = event.event.id;
            match key.and_then(|key| self.keys.get(&key).copied()) {
                Some(owner) => expected.push(Appended::Duplicate { id: owner }),
                None => {
                    expected.push(Appended::Accepted { id });
                    self.keys.extend(key.map(|key| (key, id)));
                    for delivery in &event.deliveries {
                        let claim = (delivery.generation > 0).then_some(1);
                        let state = self.enqueue(delivery.id, delivery.order);
                        let (at, order) = (delivery.due_at, delivery.order);
                        self.deliveries.insert(delivery.id, Known { state, at, attempts: 0, claim, order });
                    }
                    self.events.insert(id, event.clone());
                }
            }
            batch.push(event);
        }
        assert_eq!(test.store.append(batch).await.unwrap(), expected);
    }

    /// Its state when it is stored.
    fn enqueue(&mut self, id: DeliveryId, order: Option<OrderKey>) -> DeliveryState {
        let Some(key) = order else { return DeliveryState::Pending };
        if *self.heads.entry(key).or_insert(id) == id {
            return DeliveryState::Pending;
        }
        self.queues.entry(key).or_default().insert(id);
        DeliveryState::Queued
    }

    /// A delivery with this key has ended.
    fn advance(&mut self, id: DeliveryId, key: OrderKey, at: UnixMillis) {
        if self.heads.get(&key) != Some(&id) {
            return;
        }
        match self.queues.get_mut(&key).and_then(BTreeSet::pop_first) {
            Some(next) => {
                self.heads.insert(key, next);
                let known = self.deliveries.get_mut(&next).expect("only known deliveries are queued");
                (known.state, known.at) = (DeliveryState::Pending, at);
            }
            None => drop(self.heads.remove(&key)),
        }
    }

    async fn claim(&mut self, test: &TestStore, max: usize) {
        let now = test.now();
        let due = self.deliveries.values().filter(|one| one.state == DeliveryState::Pending && one.at <= now).count();
        let claimed = test.claim(max).await;
        assert_eq!(claimed.len(), due.min(max), "{due} are due");
        for one in claimed {
            let known = self.deliveries.get_mut(&one.id).expect("no delivery is invented");
            assert!(known.state == DeliveryState::Pending && known.at <= now, "{known:?} is not due");
            assert_eq!((one.attempts, &one.event), (known.attempts, &self.events[&one.id.event()].event));
            assert_ne!(known.claim, Some(one.generation), "each claim has a generation of its own");
            assert_eq!(one.order, known.order);
            if let Some(key) = one.order.filter(|_| !self.retried.contains(&one.id)) {
                assert_eq!(self.heads.get(&key), Some(&one.id), "it is not its turn");
            }
            (known.at, known.claim) = (now + LEASE, Some(one.generation));
            self.claims.push(one);
        }
    }

    async fn settle(&mut self, test: &TestStore, outcomes: Vec<(prop::sample::Index, Outcome)>) {
        if self.claims.is_empty() {
            return;
        }
        let (mut batch, mut stale) = (BTreeMap::new(), Vec::new());
        for (which, outcome) in outcomes {
            let claimed = which.get(&self.claims);
            let next = match outcome {
                Outcome::Delivered => NextState::Delivered { at: test.now() },
                Outcome::Dead => NextState::Dead { at: test.now() },
                Outcome::Again(wait) => NextState::Pending { due_at: test.now() + wait },
            };
            batch.insert(claimed.id, Settlement { order: claimed.order, ..settlement(claimed, next) });
        }
        let mut ended = Vec::new();
        for (id, settlement) in &batch {
            let known = self.deliveries.get_mut(id).expect("only known deliveries are claimed");
            if known.claim == Some(settlement.lease.generation) {
                let (state, at) = (settlement.next.state(), settlement.next.at());
                *known = Known { state, at, attempts: known.attempts + 1, claim: None, ..*known };
                if let Some(key) = settlement.order.filter(|_| state != DeliveryState::Pending) {
                    ended.push((*id, key, at));
                }
            } else {
                stale.push(*id);
            }
        }
        for (id, key, at) in ended {
            self.advance(id, key, at);
        }
        let mut answer = test.store.settle(batch.into_values().collect()).await.unwrap();
        answer.sort();
        assert_eq!(answer, stale);
    }

    async fn renew(&mut self, test: &TestStore, which: Vec<prop::sample::Index>) {
        if self.claims.is_empty() {
            return;
        }
        let until = test.now() + LEASE / 2;
        let leases: BTreeMap<DeliveryId, Lease> =
            which.iter().map(|which| lease(which.get(&self.claims))).map(|lease| (lease.delivery, lease)).collect();
        let mut stale = Vec::new();
        for (id, lease) in &leases {
            let known = self.deliveries.get_mut(id).expect("only known deliveries are claimed");
            if known.claim == Some(lease.generation) {
                known.at = until;
            } else {
                stale.push(*id);
            }
        }
        let mut answer = test.store.renew(leases.into_values().collect(), until).await.unwrap();
        answer.sort();
        assert_eq!(answer, stale);
    }

    async fn retry(&mut self, test: &TestStore, which: prop::sample::Index) {
        let ids: Vec<_> = self.deliveries.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = *which.get(&ids);
        let known = self.deliveries.get_mut(&id).expect("it is known");
        let outcome = test.store.retry(id, test.now()).await.unwrap();
        if known.state == DeliveryState::Queued {
            assert_eq!(outcome, RetryOutcome::Queued);
            return;
        }
        assert_eq!(outcome, RetryOutcome::Due);
        self.retried.insert(id);
        *known = Known { state: DeliveryState::Pending, at: test.now(), claim: None, ..*known };
    }

    /// The store holds exactly what the model knows.
    async fn compare(&self, test: &TestStore) {
        let filter = DeliveryFilter { event: None, destination: None, state: None, cursor: None, limit: 10_000 };
        let stored = test.store.deliveries(filter).await.unwrap().rows;
        let stored: BTreeMap<_, _> =
            stored.into_iter().map(|row| (row.id, (row.state, row.at, row.attempts))).collect();
        let known: BTreeMap<_, _> =
            self.deliveries.iter().map(|(id, known)| (*id, (known.state, known.at, known.attempts))).collect();
        assert_eq!(stored, known);
        for event in self.events.values() {
            let read = test.store.event(event.event.id).await.unwrap();
            assert_eq!(read.as_ref(), Some(&*event.event), "an acknowledged event is lost");
        }
        for (id, known) in &self.deliveries {
            assert_eq!(test.store.attempts(*id).await.unwrap().len(), usize::from(known.attempts));
        }
        let pending = self.deliveries.values().filter(|known| known.state == DeliveryState::Pending);
        let backlog = test.store.backlog().await.unwrap();
        assert_eq!(backlog.oldest_due, pending.clone().map(|known| known.at).min());
        assert_eq!(backlog.pending, pending.count() as u64);
    }
}

/// 24 cases unless `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "a switch of the test run, not a setting of the product")]
    let asked = std::env::var("PROPTEST_CASES");
    asked.ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

fn check(engine: Engine) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Config { cases: cases(), failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let run = TestRunner::new(config).run(&prop::collection::vec(step(), 1..30), |steps| {
        runtime.block_on(async {
            let test = TestStore::open(engine).await;
            let model = Model {
                deliveries: BTreeMap::new(),
                events: HashMap::new(),
                keys: HashMap::new(),
                heads: BTreeMap::new(),
                queues: BTreeMap::new(),
                retried: HashSet::new(),
                claims: Vec::new(),
                destinations: [(); 3].map(|()| test.ids.destination()),
            };
            model.run(test, steps).await;
        });
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_on_sqlite() {
    check(Engine::Sqlite);
}

#[test]
fn nothing_acknowledged_is_lost_on_postgres() {
    check(Engine::Postgres);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_sqlite_store_is_one_file() {
    let test = TestStore::open(Engine::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings::new(folder.path().join("spillway.db"));
    let store = SqliteStore::open(settings, Arc::new(Unobserved)).await.unwrap();
    let event = test.event_to(&[test.ids.destination()], test.now());
    let id = event.event.id;
    store.append(vec![event]).await.unwrap();
    assert!(store.event(id).await.unwrap().is_some());
    store.close().await;
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["spillway.db", "spillway.db.lock"]);
}
