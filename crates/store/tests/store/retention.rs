//! What is older than its rule goes, and nothing else does.

use std::collections::HashMap;

use spillway_model::{DeliveryId, DeliveryState, EventId, NextState, Retention, SourceId};
use spillway_store::{DeliveryFilter, EventFilter, ExpireLimits, Expired, RetentionPolicy, RetryOutcome};

use crate::support::{LEASE, TestStore, on_every_engine, settlement};

on_every_engine! {
    without_a_rule_nothing_is_removed
    events_go_with_their_deliveries_and_attempts_and_younger_ones_stay
    an_event_with_a_delivery_that_has_not_ended_stays_until_it_has
    a_payload_goes_and_its_event_stays_listed_and_cannot_be_sent_again
    an_empty_body_is_no_removed_one
    attempts_go_and_their_delivery_stays
    a_source_has_a_rule_of_its_own_where_it_says_so
    a_rule_that_was_taken_back_or_shortened_finds_what_is_older
    rounds_are_small_and_each_goes_on_behind_the_last_one
    what_was_looked_at_is_not_looked_at_again
    a_restart_goes_on_where_it_was
    two_nodes_at_once_remove_everything_once
}

const DAY: i64 = 86_400_000;
/// Beyond the days that have partitions: PostgreSQL then removes by ids, too. How whole days go is tried in `partitions`.
const FAR: i64 = 30 * DAY;

fn days(n: i64) -> Option<u64> {
    Some((n * DAY).cast_unsigned())
}

fn keep_events(n: i64) -> RetentionPolicy {
    RetentionPolicy { default: Retention { events_ms: days(n), ..Retention::default() }, sources: HashMap::new() }
}

/// Rounds until there is nothing left to do.
async fn expire(test: &TestStore, policy: &RetentionPolicy) -> Expired {
    expire_by(test, policy, 100).await.0
}

/// The same with so many rows in a round, and how many rounds it took.
async fn expire_by(test: &TestStore, policy: &RetentionPolicy, rows: usize) -> (Expired, usize) {
    let (mut all, mut rounds) = (Expired::default(), 0);
    loop {
        let limits = ExpireLimits { now: test.now(), rows };
        let expired = test.store.expire(policy.clone(), limits).await.unwrap();
        all += Expired { more: false, ..expired };
        rounds += 1;
        assert!(rounds < 1_000, "it has an end");
        if !expired.more {
            return (all, rounds);
        }
    }
}

/// Events with a delivery each, which ended in this way after one attempt.
async fn ended(test: &TestStore, n: usize, next: impl Fn(i64) -> NextState) -> Vec<DeliveryId> {
    let destination = test.ids.destination();
    let events: Vec<_> = (0..n).map(|_| test.event_to(&[destination], test.now())).collect();
    let ids = events.iter().map(|event| event.deliveries[0].id).collect();
    test.store.append(events).await.unwrap();
    let claimed = test.claim(n).await;
    assert_eq!(claimed.len(), n);
    let settlements = claimed.iter().map(|one| settlement(one, next(test.now()))).collect();
    assert_eq!(test.store.settle(settlements).await.unwrap(), []);
    ids
}

async fn delivered(test: &TestStore, n: usize) -> Vec<DeliveryId> {
    ended(test, n, |at| NextState::Delivered { at }).await
}

async fn listed(test: &TestStore) -> Vec<EventId> {
    let filter = EventFilter { source: None, before: None, from: None, quarantined: false, limit: 1_000 };
    test.store.events(filter).await.unwrap().rows.iter().map(|event| event.id).rev().collect()
}

async fn deliveries(test: &TestStore) -> Vec<DeliveryId> {
    let filter = DeliveryFilter { event: None, destination: None, state: None, cursor: None, limit: 1_000 };
    test.store.deliveries(filter).await.unwrap().rows.iter().map(|delivery| delivery.id).rev().collect()
}

fn events_of(deliveries: &[DeliveryId]) -> Vec<EventId> {
    deliveries.iter().map(|delivery| delivery.event()).collect()
}

async fn without_a_rule_nothing_is_removed(test: TestStore) {
    test.clock.advance(FAR);
    let ids = delivered(&test, 5).await;
    test.clock.advance(10_000 * DAY);
    assert_eq!(expire(&test, &RetentionPolicy::default()).await, Expired::default());
    assert_eq!(listed(&test).await, events_of(&ids));
}

async fn events_go_with_their_deliveries_and_attempts_and_younger_ones_stay(test: TestStore) {
    test.clock.advance(FAR);
    let old = delivered(&test, 5).await;
    let bare = test.accept(&test.event()).await;
    test.clock.advance(20 * DAY);
    let young = delivered(&test, 3).await;
    test.clock.advance(11 * DAY);
    assert_eq!(expire(&test, &keep_events(30)).await.events, 6);
    assert_eq!((listed(&test).await, deliveries(&test).await), (events_of(&young), young.clone()));
    for gone in &old {
        assert_eq!(test.store.event(gone.event()).await.unwrap(), None);
        assert_eq!(test.store.attempts(*gone).await.unwrap(), []);
        assert_eq!(test.store.retry(*gone, test.now()).await.unwrap(), RetryOutcome::Unknown);
    }
    assert_eq!(test.store.event(bare).await.unwrap(), None);
    assert_eq!(test.store.attempts(young[0]).await.unwrap().len(), 1);
    assert_eq!(expire(&test, &keep_events(30)).await, Expired::default());
    assert_eq!(test.claim(10).await.len(), 0);
}

async fn an_event_with_a_delivery_that_has_not_ended_stays_until_it_has(test: TestStore) {
    test.clock.advance(FAR);
    let [done, waiting] = [(); 2].map(|()| test.ids.destination());
    let event = test.event_to(&[done, waiting], test.now());
    test.accept(&event).await;
    let claimed = test.claim(2).await;
    let (one, other) = (&claimed[0], &claimed[1]);
    let next = NextState::Pending { due_at: test.now() + 90 * DAY };
    let delivered = settlement(one, NextState::Delivered { at: test.now() });
    test.store.settle(vec![delivered, settlement(other, next)]).await.unwrap();
    test.clock.advance(40 * DAY);
    let everything = Retention { events_ms: days(30), payloads_ms: days(7), attempts_ms: days(7) };
    let policy = RetentionPolicy { default: everything, sources: HashMap::new() };
    let nothing = expire(&test, &policy).await;
    assert_eq!((nothing.events, nothing.payloads, nothing.attempts), (0, 0, 0));
    let kept = test.store.event(event.event.id).await.unwrap().unwrap();
    assert_eq!(kept, *event.event, "the payload is needed yet");
    assert_eq!(test.store.attempts(other.id).await.unwrap().len(), 1);

    test.clock.advance(50 * DAY);
    let again = test.claim_one().await;
    assert_eq!(again.id, other.id);
    test.store.settle(vec![settlement(&again, NextState::Dead { at: test.now() })]).await.unwrap();
    test.clock.advance(LEASE * 60);
    assert_eq!(expire(&test, &policy).await.events, 1);
    assert_eq!((listed(&test).await, deliveries(&test).await), (vec![], vec![]));
}

async fn a_payload_goes_and_its_event_stays_listed_and_cannot_be_sent_again(test: TestStore) {
    test.clock.advance(FAR);
    let ids = ended(&test, 3, |at| NextState::Dead { at }).await;
    test.clock.advance(8 * DAY);
    let policy = RetentionPolicy {
        default: Retention { payloads_ms: days(7), ..Retention::default() },
        sources: HashMap::new(),
    };
    assert_eq!(expire(&test, &policy).await.payloads, 3);
    assert_eq!((listed(&test).await, deliveries(&test).await), (events_of(&ids), ids.clone()));
    let event = test.store.event(ids[0].event()).await.unwrap().unwrap();
    assert!(event.payload_is_removed() && event.body.is_empty());
    assert_eq!((event.headers.iter().count(), event.event_type.as_deref()), (0, Some("push")));
    assert_eq!(test.store.attempts(ids[0]).await.unwrap().len(), 1);
    assert_eq!(test.store.retry(ids[0], test.now()).await.unwrap(), RetryOutcome::EventGone);
    assert_eq!(test.store.delivery(ids[0]).await.unwrap().unwrap().state, DeliveryState::Dead);
    assert_eq!(expire(&test, &policy).await, Expired::default());
}

async fn an_empty_body_is_no_removed_one(test: TestStore) {
    test.clock.advance(FAR);
    let mut event = test.event_to(&[test.ids.destination()], test.now());
    let bare = spillway_model::Event {
        headers: Default::default(),
        body: Default::default(),
        ..spillway_model::Event::clone(&event.event)
    };
    event.event = std::sync::Arc::new(bare);
    test.accept(&event).await;
    assert!(!test.store.event(event.event.id).await.unwrap().unwrap().payload_is_removed());
    assert_eq!(test.claim_one().await.event, event.event);
    assert_eq!(test.store.retry(event.deliveries[0].id, test.now()).await.unwrap(), RetryOutcome::Due);
}

async fn attempts_go_and_their_delivery_stays(test: TestStore) {
    test.clock.advance(FAR);
    let ids = delivered(&test, 4).await;
    test.clock.advance(8 * DAY);
    let policy = RetentionPolicy {
        default: Retention { attempts_ms: days(7), ..Retention::default() },
        sources: HashMap::new(),
    };
    assert_eq!(expire(&test, &policy).await.attempts, 4);
    let delivery = test.store.delivery(ids[0]).await.unwrap().unwrap();
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 1));
    assert_eq!(test.store.attempts(ids[0]).await.unwrap(), []);
    assert!(!test.store.event(ids[0].event()).await.unwrap().unwrap().payload_is_removed());
}

async fn a_source_has_a_rule_of_its_own_where_it_says_so(mut test: TestStore) {
    test.clock.advance(FAR);
    let mut by_source: Vec<(SourceId, Vec<DeliveryId>)> = Vec::new();
    for _ in 0..3 {
        test.source = test.ids.source();
        by_source.push((test.source, delivered(&test, 3).await));
    }
    test.clock.advance(15 * DAY);
    let [(_, ordinary), (longer, kept), (shorter, emptied)] = &by_source[..] else { panic!("three sources") };
    let policy = RetentionPolicy {
        default: Retention { events_ms: days(10), ..Retention::default() },
        sources: [
            (*longer, Retention { events_ms: days(20), ..Retention::default() }),
            (*shorter, Retention { events_ms: days(20), payloads_ms: days(2), ..Retention::default() }),
        ]
        .into(),
    };
    let expired = expire(&test, &policy).await;
    assert_eq!((expired.events, expired.payloads), (3, 3));
    assert_eq!(listed(&test).await, [events_of(kept), events_of(emptied)].concat());
    assert!(test.store.event(emptied[0].event()).await.unwrap().unwrap().payload_is_removed());
    assert!(!test.store.event(kept[0].event()).await.unwrap().unwrap().payload_is_removed());
    assert_eq!(test.store.event(ordinary[0].event()).await.unwrap(), None);
    test.clock.advance(6 * DAY);
    expire(&test, &policy).await;
    assert_eq!(listed(&test).await, []);
}

async fn a_rule_that_was_taken_back_or_shortened_finds_what_is_older(mut test: TestStore) {
    test.clock.advance(FAR);
    let other = std::mem::replace(&mut test.source, test.ids.source());
    let kept = delivered(&test, 3).await;
    let mut policy = keep_events(10);
    policy.sources.insert(test.source, Retention { events_ms: days(100), ..Retention::default() });
    test.source = other;
    delivered(&test, 3).await;
    test.clock.advance(20 * DAY);
    assert_eq!(expire(&test, &policy).await.events, 3);
    assert_eq!(listed(&test).await, events_of(&kept));
    policy.sources.clear();
    expire(&test, &policy).await;
    assert_eq!(listed(&test).await, [], "its events are older than everything that was looked at for the others");

    let young = delivered(&test, 2).await;
    test.clock.advance(5 * DAY);
    assert_eq!(expire(&test, &policy).await.events, 0);
    assert_eq!(listed(&test).await, events_of(&young));
    expire(&test, &keep_events(3)).await;
    assert_eq!(listed(&test).await, []);
}

async fn rounds_are_small_and_each_goes_on_behind_the_last_one(test: TestStore) {
    test.clock.advance(FAR);
    delivered(&test, 30).await;
    test.clock.advance(2 * DAY);
    let one = Retention { events_ms: Some(1), ..Retention::default() };
    let policy = RetentionPolicy { default: one, sources: HashMap::new() };
    let mut before = 30;
    loop {
        let limits = ExpireLimits { now: test.now(), rows: 10 };
        let expired = test.store.expire(policy.clone(), limits).await.unwrap();
        let left = listed(&test).await.len() as u64;
        assert_eq!(before - left, expired.events);
        assert!(expired.events <= 3, "three rows belong to each event");
        before = left;
        if !expired.more {
            break;
        }
    }
    assert_eq!((before, deliveries(&test).await.len()), (0, 0));
    // An event that is larger than a round goes in one of its own.
    delivered(&test, 2).await;
    test.clock.advance(2 * DAY);
    assert_eq!(expire_by(&test, &policy, 0).await.0.events, 2);
}

async fn what_was_looked_at_is_not_looked_at_again(test: TestStore) {
    test.clock.advance(FAR);
    delivered(&test, 40).await;
    test.clock.advance(8 * DAY);
    let policy = RetentionPolicy {
        default: Retention { payloads_ms: days(7), attempts_ms: days(7), ..Retention::default() },
        sources: HashMap::new(),
    };
    let (_, rounds) = expire_by(&test, &policy, 10).await;
    assert!(rounds >= 8, "{rounds} rounds of ten for forty payloads and forty attempts");
    assert_eq!(expire_by(&test, &policy, 10).await, (Expired::default(), 1));
}

async fn a_restart_goes_on_where_it_was(test: TestStore) {
    test.clock.advance(FAR);
    let ids = delivered(&test, 20).await;
    test.clock.advance(8 * DAY);
    let policy = RetentionPolicy {
        default: Retention { payloads_ms: days(7), ..Retention::default() },
        sources: HashMap::new(),
    };
    let limits = ExpireLimits { now: test.now(), rows: 5 };
    assert_eq!(test.store.expire(policy.clone(), limits).await.unwrap().payloads, 5);
    let test = test.crash().await;
    assert_eq!(expire(&test, &policy).await.payloads, 15);
    for id in ids {
        assert!(test.store.event(id.event()).await.unwrap().unwrap().payload_is_removed());
    }
}

async fn two_nodes_at_once_remove_everything_once(test: TestStore) {
    test.clock.advance(FAR);
    let old = delivered(&test, 60).await;
    test.clock.advance(40 * DAY);
    let young = delivered(&test, 5).await;
    let nodes = [test.store.clone(), test.other_node().await];
    let (policy, limits) = (keep_events(30), ExpireLimits { now: test.now(), rows: 10 });
    let mut tasks = tokio::task::JoinSet::new();
    for node in nodes {
        let policy = policy.clone();
        tasks.spawn(async move {
            let mut events = 0;
            for _ in 0..40 {
                match node.expire(policy.clone(), limits).await {
                    Ok(expired) => events += expired.events,
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
            events
        });
    }
    let events: u64 = tasks.join_all().await.into_iter().sum();
    let rest = expire(&test, &policy).await.events;
    assert_eq!(events + rest, old.len() as u64);
    assert_eq!((listed(&test).await, deliveries(&test).await), (events_of(&young), young));
}
