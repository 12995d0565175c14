//! A million deliveries: everything a store is asked reads what it needs from indexes, and no more.
//!
//! Each operation runs on a store of its own, so that what sqlx tells of it until the store is closed is its alone. The plans of those very
//! statements are then held against the table of the engine. Only `cargo xtask test --large` runs these.

mod postgres;
mod recorder;
mod sqlite;

use std::sync::Arc;
use std::time::{Duration, Instant};

use spillway_model::{
    Appended, Claimed, DeliveryId, DeliveryState, DestinationId, Event, EventId, IdempotencyHash, Lease, NewEvent,
    NextState, OrderKey, ReplayState, Retention, Selection, Settlement, SourceId,
};
use spillway_store::{
    ClaimRequest, ClaimShare, DeliveryFilter, EventFilter, ExpireLimits, HeldReplay, NewRoute, ReplayStep,
    RetentionPolicy, Store,
};

use crate::order::ordered;
use crate::replays::{quarantined, replay};
use crate::support::{LEASE, TestStore, lease, settlement};

const EVENTS: usize = 1_000_000;
const BATCH: usize = 5_000;
/// Events of the quiet source, the oldest of all.
const QUIET: usize = 100;
/// The tables that grow with the events.
const TABLES: [&str; 4] = ["events", "deliveries", "attempts", "idempotency"];

const OPERATIONS: [&str; 34] = [
    "append",
    "append what was stored before",
    "append in order",
    "settle in order",
    "claim",
    "claim of a share",
    "renew",
    "settle",
    "settle again",
    "retry",
    "event",
    "events",
    "events of a time",
    "events of a source",
    "latest event",
    "delivery",
    "deliveries",
    "of an event",
    "to a destination",
    "in a state",
    "to a destination in a state",
    "attempts",
    "events in quarantine",
    "selection",
    "selection of dead ones",
    "selection of a source",
    "dead letters",
    "deliver",
    "hold a replay",
    "step of a replay",
    "backlog",
    "housekeeping",
    "expire payloads",
    "expire events of a source",
];

/// The claims and every list. An embedded store has one process, which shares with nobody.
const QUERIES: [&str; 13] = [
    "claim as workers do",
    "claim of a share as workers do",
    "events",
    "events of a time",
    "events of a source",
    "deliveries",
    "of an event",
    "to a destination",
    "in a state",
    "to a destination in a state",
    "events in quarantine",
    "selection of dead ones",
    "hold a replay",
];
/// How often each of them is executed to know its p95, and how long that may be.
const TIMES: usize = 40;
const P95: Duration = Duration::from_millis(10);

/// What is in the store.
struct Contents {
    /// Half of the deliveries go to one destination, the rest to 99 others.
    busy: DestinationId,
    quiet: SourceId,
    oldest: EventId,
    /// A claim that holds.
    claimed: Claimed,
    /// A claim that was settled.
    settled: Claimed,
    replay: HeldReplay,
}

/// A million events, each with a key and a delivery. A tenth of the deliveries are delivered, with one attempt each; a thousandth is dead. Some
/// events are in quarantine.
async fn fill(store: &dyn Store, test: &TestStore) -> Contents {
    let destinations: Vec<_> = (0..100).map(|_| test.ids.destination()).collect();
    let quiet = test.ids.source();
    let mut oldest = None;
    for begin in (0..EVENTS).step_by(BATCH) {
        let events = (begin..begin + BATCH).map(|n| {
            let destination = if n % 2 == 0 { destinations[0] } else { destinations[1 + n % 99] };
            let mut new = test.event_to(&[destination], test.now() - (EVENTS - n) as i64);
            new.idempotency = Some(key(n));
            if n < QUIET {
                new.event = Arc::new(Event { source: quiet, ..Event::clone(&new.event) });
            }
            new
        });
        let events: Vec<NewEvent> = events.collect();
        oldest.get_or_insert(events[0].event.id);
        store.append(events).await.unwrap();
    }
    let mut settled = None;
    for round in 0..EVENTS / 10 / 1_000 {
        let claimed = store.claim(test.request(1_000)).await.unwrap();
        let at = test.now();
        let next = if round == 1 { NextState::Dead { at } } else { NextState::Delivered { at } };
        store.settle(claimed.iter().map(|one| settlement(one, next)).collect()).await.unwrap();
        settled = claimed.into_iter().next();
    }
    let claimed = store.claim(test.request(1)).await.unwrap().remove(0);
    store.append((0..QUIET).map(|_| quarantined(test, "it fits no type")).collect()).await.unwrap();
    store.append((0..QUIET).map(|_| ordered(test, destinations[0], OrderKey(1))).collect()).await.unwrap();
    store.create_replay(replay(test)).await.unwrap();
    let replay = store.hold_replay(test.now(), test.now() + LEASE).await.unwrap().unwrap();
    Contents { replay, busy: destinations[0], quiet, oldest: oldest.unwrap(), claimed, settled: settled.unwrap() }
}

/// Spread as hashes are: multiples of 2^128 divided by the golden ratio.
fn key(n: usize) -> IdempotencyHash {
    (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

async fn run(operation: &str, store: &dyn Store, test: &TestStore, contents: &Contents) {
    let begun = Instant::now();
    execute(operation, store, test, contents).await;
    println!("{operation}: {:?}", begun.elapsed());
}

async fn execute(operation: &str, store: &dyn Store, test: &TestStore, contents: &Contents) {
    match operation {
        "append" | "append what was stored before" => {
            let known = if operation == "append" { EVENTS..EVENTS + BATCH } else { 0..BATCH };
            let events = known.map(|n| test.keyed(key(n), &[contents.busy])).collect();
            let answers = store.append(events).await.unwrap();
            let accepted = answers.iter().all(|answer| matches!(answer, Appended::Accepted { .. }));
            assert_eq!(accepted, operation == "append");
        }
        "claim" => assert_eq!(store.claim(test.request(256)).await.unwrap().len(), 256),
        "claim as workers do" => assert_eq!(store.claim(test.request(48)).await.unwrap().len(), 48),
        "claim of a share" => assert_eq!(store.claim(of_share(test, 256)).await.unwrap().len(), 256),
        "claim of a share as workers do" => assert_eq!(store.claim(of_share(test, 48)).await.unwrap().len(), 48),
        "renew" => {
            let leases: Vec<Lease> = [&contents.claimed, &contents.settled].map(lease).into();
            assert_eq!(store.renew(leases, test.now() + 2 * LEASE).await.unwrap(), [contents.settled.id]);
        }
        "settle" | "settle again" => {
            let stale: &[DeliveryId] = if operation == "settle" { &[] } else { &[contents.claimed.id] };
            let next = NextState::Delivered { at: test.now() };
            assert_eq!(store.settle(vec![settlement(&contents.claimed, next)]).await.unwrap(), stale);
        }
        "retry" => drop(store.retry(contents.settled.id, test.now()).await.unwrap()),
        "event" => assert_ne!(store.event(contents.oldest).await.unwrap(), None),
        "append in order" => {
            let events = (0..BATCH as i64 / 10).map(|n| ordered(test, contents.busy, OrderKey(n % 100))).collect();
            store.append(events).await.unwrap();
        }
        "settle in order" => settle_in_order(store, test).await,
        "deliver" => {
            let route =
                NewRoute { connection: test.ids.connection(), destination: contents.busy, order: Some(OrderKey(1)) };
            let made = store.deliver(contents.oldest, vec![route], test.now()).await.unwrap();
            assert_eq!(made.map(|made| made.len()), Some(1));
        }
        "hold a replay" => drop(store.hold_replay(test.now(), test.now() + LEASE).await.unwrap()),
        "step of a replay" => {
            // The oldest one stays delivered.
            let from = Some(contents.oldest.timestamp() + 1);
            let selection = Selection { state: Some(DeliveryState::Delivered), from, ..Selection::default() };
            let held = store.replay(contents.replay.replay.id).await.unwrap().unwrap();
            let due = store.select(selection, held.cursor, 250).await.unwrap().deliveries;
            let step = ReplayStep {
                id: held.id,
                generation: contents.replay.generation,
                lease_until: test.now() + LEASE,
                now: test.now(),
                cursor: due.last().copied(),
                due: due.into_iter().map(|id| (id, test.now())).collect(),
                state: ReplayState::Running,
            };
            assert_eq!(store.advance_replay(step).await.unwrap().map(|replay| replay.skipped), Some(0));
        }
        "dead letters" => assert!(!store.dead_letters(10_000).await.unwrap().groups.is_empty()),
        "selection" | "selection of dead ones" | "selection of a source" => {
            let (state, source) = match operation {
                "selection" => (DeliveryState::Delivered, None),
                "selection of dead ones" => (DeliveryState::Dead, None),
                _ => (DeliveryState::Delivered, Some(contents.quiet)),
            };
            let selection = Selection { state: Some(state), source, ..Selection::default() };
            store.select(selection, None, 250).await.unwrap();
        }
        "latest event" => assert_ne!(store.latest_event().await.unwrap(), None),
        "delivery" => assert_ne!(store.delivery(contents.settled.id).await.unwrap(), None),
        "attempts" => assert_eq!(store.attempts(contents.settled.id).await.unwrap().len(), 1),
        "backlog" => assert!(store.backlog().await.unwrap().pending > 100_000),
        "housekeeping" => store.maintain(test.now()).await.unwrap(),
        "expire payloads" | "expire events of a source" => expire(operation, store, test).await,
        _ => list(operation, store, contents).await,
    }
}

/// One round, of what is older than a moment.
async fn expire(operation: &str, store: &dyn Store, test: &TestStore) {
    let mut policy = RetentionPolicy::default();
    if operation == "expire payloads" {
        policy.default.payloads_ms = Some(1);
    } else {
        policy.sources.insert(test.source, Retention { events_ms: Some(1), ..Retention::default() });
    }
    let limits = ExpireLimits { now: test.now() + 3_600_000, rows: 60 };
    let expired = store.expire(policy, limits).await.unwrap();
    assert!(expired.more && expired.events + expired.payloads > 0, "{expired:?}");
}

/// The one of its key that is on its way ends, wherever it is among a million.
async fn settle_in_order(store: &dyn Store, test: &TestStore) {
    let destination = test.ids.destination();
    let events = (0..3).map(|_| ordered(test, destination, OrderKey(-7))).map(|mut event| {
        event.deliveries[0].due_at = i64::MIN / 2;
        event
    });
    store.append(events.collect()).await.unwrap();
    let claimed = store.claim(test.request(1)).await.unwrap().remove(0);
    let settled = settlement(&claimed, NextState::Delivered { at: test.now() });
    store.settle(vec![Settlement { order: claimed.order, ..settled }]).await.unwrap();
}

/// Some thousand deliveries, to a few destinations.
async fn append_some(store: &dyn Store, test: &TestStore) {
    let destinations = [(); 3].map(|()| test.ids.destination());
    store.append((0..1_000).map(|_| test.event_to(&destinations, test.now())).collect()).await.unwrap();
}

/// Some hundred events whose deliveries have ended, the oldest of all.
async fn deliver_some(store: &dyn Store, test: &TestStore) {
    let destination = [test.ids.destination()];
    store.append((0..200).map(|_| test.event_to(&destination, test.now())).collect()).await.unwrap();
    let claimed = store.claim(test.request(1_000)).await.unwrap();
    let next = NextState::Delivered { at: test.now() };
    store.settle(claimed.iter().map(|one| settlement(one, next)).collect()).await.unwrap();
}

/// A tenth of the deliveries is its own, and nothing is anybody's yet.
fn of_share(test: &TestStore, max: usize) -> ClaimRequest {
    let share = Some(ClaimShare { buckets: 90..100, overdue_before: i64::MIN });
    ClaimRequest { share, ..test.request(max) }
}

/// The p95 of claims and lists, on a store that nobody watches. Claims leave rows behind, so this comes last.
async fn assert_fast(store: &dyn Store, test: &TestStore, contents: &Contents) {
    let mut slow = Vec::new();
    let is_used = |operation: &&str| store.engine() == "postgres" || !operation.contains("share");
    for operation in QUERIES.into_iter().filter(is_used) {
        let mut took = Vec::new();
        // The first reads pages and plans that later ones find in memory.
        for _ in 0..=TIMES {
            let begun = Instant::now();
            execute(operation, store, test, contents).await;
            took.push(begun.elapsed());
        }
        took.remove(0);
        took.sort_unstable();
        let p95 = took[TIMES * 95 / 100 - 1];
        println!("{operation}: p95 {p95:?}");
        if p95 > P95 {
            slow.push((operation, p95));
        }
    }
    assert!(slow.is_empty(), "the p95 of these is over {P95:?}: {slow:?}");
}

async fn list(operation: &str, store: &dyn Store, contents: &Contents) {
    let events = EventFilter { quarantined: false, source: None, before: None, from: None, limit: 100 };
    let all = DeliveryFilter { event: None, destination: None, state: None, cursor: None, limit: 100 };
    let (destination, state) = (Some(contents.busy), Some(DeliveryState::Delivered));
    let deliveries = match operation {
        "events" => return assert_eq!(store.events(events).await.unwrap().rows.len(), 100),
        "events of a time" => {
            let filter =
                EventFilter { before: Some(contents.claimed.id.event()), from: Some(contents.oldest), ..events };
            return assert_eq!(store.events(filter).await.unwrap().rows.len(), 100);
        }
        "events of a source" => {
            let filter = EventFilter { source: Some(contents.quiet), ..events };
            return assert_eq!(store.events(filter).await.unwrap().rows.len(), QUIET);
        }
        "events in quarantine" => {
            let filter = EventFilter { quarantined: true, ..events };
            return assert_eq!(store.events(filter).await.unwrap().rows.len(), QUIET);
        }
        "deliveries" => all,
        "of an event" => DeliveryFilter { event: Some(contents.oldest), destination, state, limit: 1, ..all },
        "to a destination" => DeliveryFilter { destination, ..all },
        "in a state" => DeliveryFilter { state, ..all },
        "to a destination in a state" => DeliveryFilter { destination, state, ..all },
        other => panic!("no operation is called {other}"),
    };
    assert_eq!(store.deliveries(deliveries).await.unwrap().rows.len(), deliveries.limit, "{operation}");
}
