//! Sending again: replays as durable jobs, quarantine and its end, dead letters.

use std::collections::HashMap;
use std::sync::Arc;

use spillway_model::{
    AttemptClass, Claimed, DeliveryId, DeliveryState, DestinationId, Event, EventId, NewEvent, NextState, OrderKey,
    Replay, ReplayState, Retention, Selection, Settlement, SourceId,
};
use spillway_store::{
    Cursor, DeadLetterGroup, DeliveryFilter, EventFilter, ExpireLimits, HeldReplay, NewRoute, ReplayFilter, ReplayStep,
    RetentionPolicy, RetryOutcome, StoreErrorKind,
};

use crate::order::ordered;
use crate::selection::append;
use crate::support::{LEASE, TestStore, attempt, on_every_engine, settlement};

on_every_engine! {
    a_replay_reads_back_as_it_was_given_and_lists_newest_first
    one_node_holds_a_replay_until_its_lease_ends
    a_step_makes_due_what_has_ended_and_counts_the_rest
    a_step_is_taken_once
    a_cancelled_replay_goes_no_further
    a_replay_is_forgotten_ninety_days_after_its_end
    a_replay_survives_a_crash_and_goes_on_where_it_was
    an_event_in_quarantine_goes_nowhere_until_it_is_released
    a_connection_that_came_later_gets_an_old_event_once
    released_deliveries_take_their_place_in_the_order
    dead_letters_are_grouped_by_how_they_died
    what_has_no_payload_any_more_is_not_sent_again
}

pub(crate) fn replay(test: &TestStore) -> Replay {
    Replay {
        id: test.ids.replay(),
        selection: Selection { state: Some(DeliveryState::Dead), to: Some(test.now()), ..Selection::default() },
        per_second: 100,
        state: ReplayState::Running,
        total: Some(7),
        retried: 0,
        skipped: 0,
        cursor: None,
        created_at: test.now(),
        updated_at: test.now(),
    }
}

async fn created(test: &TestStore) -> Replay {
    let replay = replay(test);
    test.store.create_replay(replay.clone()).await.unwrap();
    replay
}

async fn hold(test: &TestStore) -> HeldReplay {
    test.store.hold_replay(test.now(), test.now() + LEASE).await.unwrap().expect("a replay is free")
}

fn step(test: &TestStore, held: &HeldReplay, due: &[DeliveryId]) -> ReplayStep {
    ReplayStep {
        id: held.replay.id,
        generation: held.generation,
        lease_until: test.now() + LEASE,
        now: test.now(),
        due: due.iter().map(|id| (*id, test.now())).collect(),
        cursor: due.last().copied(),
        state: ReplayState::Running,
    }
}

async fn a_replay_reads_back_as_it_was_given_and_lists_newest_first(test: TestStore) {
    let full = Replay {
        selection: Selection {
            event: Some(test.ids.event()),
            source: Some(test.source),
            destination: Some(test.ids.destination()),
            connection: Some(test.ids.connection()),
            state: Some(DeliveryState::Delivered),
            from: Some(1),
            to: Some(2),
        },
        per_second: u32::MAX,
        total: None,
        ..replay(&test)
    };
    test.store.create_replay(full.clone()).await.unwrap();
    assert_eq!(test.store.replay(full.id).await.unwrap(), Some(full.clone()));
    assert_eq!(test.store.replay(test.ids.replay()).await.unwrap(), None);
    let again = test.store.create_replay(full.clone()).await.unwrap_err();
    assert_eq!(again.kind(), StoreErrorKind::Conflict);

    let mut expected = vec![full.id];
    for _ in 0..4 {
        test.clock.advance(1);
        expected.push(created(&test).await.id);
    }
    expected.reverse();
    let (mut listed, mut cursor): (_, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = test.store.replays(ReplayFilter { cursor, limit: 2 }).await.unwrap();
        listed.extend(page.rows.iter().map(|replay| replay.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, expected);
}

async fn one_node_holds_a_replay_until_its_lease_ends(test: TestStore) {
    assert_eq!(test.store.hold_replay(test.now(), test.now() + LEASE).await.unwrap(), None);
    let first = created(&test).await;
    test.clock.advance(1);
    let second = created(&test).await;
    let held = hold(&test).await;
    assert_eq!(held.replay, first, "the oldest first");
    assert_eq!(hold(&test).await.replay, second);
    assert_eq!(test.store.hold_replay(test.now(), test.now() + LEASE).await.unwrap(), None);

    test.clock.advance(LEASE);
    let other = hold(&test).await;
    assert_eq!(other.replay.id, first.id);
    assert!(other.generation > held.generation);
    assert_eq!(test.store.advance_replay(step(&test, &held, &[])).await.unwrap(), None, "it is another node's now");
    let given_back = ReplayStep { lease_until: test.now(), ..step(&test, &other, &[]) };
    assert_ne!(test.store.advance_replay(given_back).await.unwrap(), None);
    assert_eq!(hold(&test).await.replay.id, first.id, "what was given back is free at once");
}

/// Deliveries that have ended.
async fn ended(test: &TestStore, n: usize) -> Vec<DeliveryId> {
    append(test, test.ids.destination(), n).await;
    let claimed = test.claim(n).await;
    let next = NextState::Dead { at: test.now() };
    test.store.settle(claimed.iter().map(|one| settlement(one, next)).collect()).await.unwrap();
    let mut ids: Vec<_> = claimed.iter().map(|one| one.id).collect();
    ids.sort();
    ids
}

async fn a_step_makes_due_what_has_ended_and_counts_the_rest(test: TestStore) {
    let dead = ended(&test, 3).await;
    let destination = test.ids.destination();
    let later = test.now() + 10 * LEASE;
    let pending = test.delivery_due(destination, later).await;
    test.accept(&ordered(&test, destination, OrderKey(1))).await;
    let queued = test.accept(&ordered(&test, destination, OrderKey(1))).await.delivery(0);
    let unknown = test.ids.event().delivery(0);
    created(&test).await;
    let held = hold(&test).await;

    let mut due = [dead.clone(), vec![pending, queued, unknown]].concat();
    due.sort();
    let mut step = step(&test, &held, &due);
    for (n, (_, at)) in step.due.iter_mut().enumerate() {
        *at += n as i64;
    }
    test.clock.advance(5);
    let moved = ReplayStep { now: test.now(), ..step.clone() };
    let replay = test.store.advance_replay(moved).await.unwrap().unwrap();
    assert_eq!((replay.retried, replay.skipped, replay.cursor), (3, 3, due.last().copied()));
    assert_eq!((replay.state, replay.updated_at), (ReplayState::Running, test.now()));
    assert_eq!(test.store.replay(replay.id).await.unwrap(), Some(replay));
    for (id, at) in &step.due {
        let delivery = test.store.delivery(*id).await.unwrap();
        if dead.contains(id) {
            let delivery = delivery.unwrap();
            assert_eq!((delivery.state, delivery.at, delivery.attempts), (DeliveryState::Pending, *at, 1));
        }
    }
    assert_eq!(test.store.delivery(pending).await.unwrap().unwrap().at, later);
    assert_eq!(test.store.delivery(queued).await.unwrap().unwrap().state, DeliveryState::Queued);
    test.clock.advance(100);
    assert_eq!(test.claim(10).await.len(), 3 + 1, "what was dead, and the head of the order");
}

async fn a_step_is_taken_once(test: TestStore) {
    let dead = ended(&test, 4).await;
    created(&test).await;
    let held = hold(&test).await;
    let first = step(&test, &held, &dead[..2]);
    assert_ne!(test.store.advance_replay(first.clone()).await.unwrap(), None);
    // They are delivered meanwhile: taken again, the step would send them again.
    let claimed = test.claim(10).await;
    let next = NextState::Delivered { at: test.now() };
    test.store.settle(claimed.iter().map(|one| settlement(one, next)).collect()).await.unwrap();
    assert_eq!(test.store.advance_replay(first).await.unwrap(), None);
    assert!(test.claim(10).await.is_empty());

    let last = ReplayStep { state: ReplayState::Done, ..step(&test, &held, &dead[2..]) };
    let done = test.store.advance_replay(last.clone()).await.unwrap().unwrap();
    assert_eq!((done.state, done.retried, done.skipped), (ReplayState::Done, 4, 0));
    assert_eq!(test.store.advance_replay(last).await.unwrap(), None, "what is done is over");
    test.clock.advance(10 * LEASE);
    assert_eq!(test.store.hold_replay(test.now(), test.now() + LEASE).await.unwrap(), None);
}

async fn a_replay_is_forgotten_ninety_days_after_its_end(test: TestStore) {
    let (running, ended) = (created(&test).await, created(&test).await);
    test.store.cancel_replay(ended.id, test.now()).await.unwrap().unwrap();
    let stored = async |id| test.store.replay(id).await.unwrap().is_some();
    const DAYS: i64 = 90 * 86_400_000;
    test.store.maintain(test.now() + DAYS - 1).await.unwrap();
    assert!(stored(running.id).await && stored(ended.id).await);
    test.store.maintain(test.now() + DAYS).await.unwrap();
    assert!(stored(running.id).await, "what runs stays");
    assert!(!stored(ended.id).await);
}

async fn a_cancelled_replay_goes_no_further(test: TestStore) {
    let dead = ended(&test, 2).await;
    let replay = created(&test).await;
    let held = hold(&test).await;
    test.store.advance_replay(step(&test, &held, &dead[..1])).await.unwrap().unwrap();
    test.clock.advance(10);
    let cancelled = test.store.cancel_replay(replay.id, test.now()).await.unwrap().unwrap();
    assert_eq!((cancelled.state, cancelled.retried), (ReplayState::Cancelled, 1));
    assert_eq!(cancelled.updated_at, test.now());
    assert_eq!(test.store.advance_replay(step(&test, &held, &dead[1..])).await.unwrap(), None);
    assert_eq!(test.store.delivery(dead[1]).await.unwrap().unwrap().state, DeliveryState::Dead);
    test.clock.advance(LEASE);
    assert_eq!(
        test.store.cancel_replay(replay.id, test.now()).await.unwrap(),
        Some(cancelled),
        "the second time nothing"
    );
    assert_eq!(test.store.hold_replay(test.now(), test.now() + LEASE).await.unwrap(), None);
    assert_eq!(test.store.cancel_replay(test.ids.replay(), test.now()).await.unwrap(), None);
}

async fn a_replay_survives_a_crash_and_goes_on_where_it_was(test: TestStore) {
    let dead = ended(&test, 9).await;
    created(&test).await;
    let mut test = test;
    let selection = Selection { state: Some(DeliveryState::Dead), ..Selection::default() };
    for _ in 0..3 {
        let held = hold(&test).await;
        let part = test.store.select(selection, held.replay.cursor, 3).await.unwrap();
        test.store.advance_replay(step(&test, &held, &part.deliveries)).await.unwrap().unwrap();
        test = test.crash().await;
        test.clock.advance(LEASE);
    }
    let held = hold(&test).await;
    assert_eq!((held.replay.retried, held.replay.skipped, held.replay.cursor), (9, 0, dead.last().copied()));
    let mut claimed: Vec<_> = test.claim(100).await.iter().map(|one| one.id).collect();
    claimed.sort();
    assert_eq!(claimed, dead);
}

pub(crate) fn quarantined(test: &TestStore, why: &str) -> NewEvent {
    let event = test.event();
    NewEvent {
        event: Arc::new(Event { quarantine: Some(why.into()), ..Event::clone(&event.event) }),
        idempotency: None,
        deliveries: Vec::new(),
    }
}

async fn in_quarantine(test: &TestStore, source: Option<SourceId>) -> Vec<(EventId, String)> {
    let filter = EventFilter { quarantined: true, source, before: None, from: None, limit: 100 };
    let page = test.store.events(filter).await.unwrap();
    page.rows.iter().map(|row| (row.id, row.quarantine.clone().unwrap().into())).collect()
}

fn route(test: &TestStore, order: Option<OrderKey>) -> NewRoute {
    NewRoute { connection: test.ids.connection(), destination: test.ids.destination(), order }
}

async fn an_event_in_quarantine_goes_nowhere_until_it_is_released(mut test: TestStore) {
    let other_source = std::mem::replace(&mut test.source, test.ids.source());
    let [first, second] = [quarantined(&test, "no type\0"), quarantined(&test, "does not fit its schema")];
    let plain = test.event_to(&[test.ids.destination()], test.now());
    test.store.append(vec![first.clone(), plain.clone(), second.clone()]).await.unwrap();
    let (first, second) = (first.event.id, second.event.id);
    assert_eq!(test.claim_one().await.id.event(), plain.event.id);
    let listed = in_quarantine(&test, Some(test.source)).await;
    assert_eq!(listed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [second, first]);
    assert_eq!(listed[0].1, "does not fit its schema");
    assert!(in_quarantine(&test, Some(other_source)).await.is_empty());
    let read = test.store.event(second).await.unwrap().unwrap();
    assert_eq!(read.quarantine.as_deref(), Some("does not fit its schema"));

    let to = vec![route(&test, None), route(&test, None)];
    let made = test.store.deliver(second, to.clone(), test.now()).await.unwrap().unwrap();
    assert_eq!(made, [second.delivery(0), second.delivery(1)]);
    assert_eq!(test.claim(10).await.len(), 2);
    assert_eq!(test.store.deliver(second, to, test.now()).await.unwrap(), Some(Vec::new()), "the second time nothing");
    assert_eq!(test.store.deliver(first, Vec::new(), test.now()).await.unwrap(), Some(Vec::new()));
    assert!(in_quarantine(&test, None).await.is_empty());
    assert_eq!(test.store.event(first).await.unwrap().unwrap().quarantine, None);
    assert_eq!(test.store.deliver(test.ids.event(), vec![route(&test, None)], 1).await.unwrap(), None);
}

async fn a_connection_that_came_later_gets_an_old_event_once(test: TestStore) {
    let destinations = [(); 3].map(|()| test.ids.destination());
    let event = test.event_to(&destinations, test.now());
    let id = test.accept(&event).await;
    let new = route(&test, None);
    let known = NewRoute { connection: event.deliveries[1].connection, destination: destinations[1], order: None };
    let made = test.store.deliver(id, vec![known, new, new], test.now() + 7).await.unwrap().unwrap();
    assert_eq!(made, [id.delivery(3)]);
    let delivery = test.store.delivery(made[0]).await.unwrap().unwrap();
    assert_eq!((delivery.destination, delivery.connection), (new.destination, new.connection));
    assert_eq!((delivery.state, delivery.at, delivery.attempts), (DeliveryState::Pending, test.now() + 7, 0));
    let filter = DeliveryFilter { event: Some(id), destination: None, state: None, cursor: None, limit: 10 };
    assert_eq!(test.store.deliveries(filter).await.unwrap().rows.len(), 4);

    let mut full = test.event_to(&destinations[..1], test.now());
    full.deliveries[0].id = full.event.id.delivery(u16::MAX);
    test.accept(&full).await;
    let error = test.store.deliver(full.event.id, vec![new], test.now()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
}

async fn released_deliveries_take_their_place_in_the_order(test: TestStore) {
    let key = OrderKey(5);
    let event = quarantined(&test, "why");
    test.accept(&event).await;
    let head = test.accept(&ordered(&test, test.ids.destination(), key)).await.delivery(0);
    let made = test.store.deliver(event.event.id, vec![route(&test, Some(key))], test.now()).await.unwrap().unwrap();
    assert_eq!(test.store.delivery(made[0]).await.unwrap().unwrap().state, DeliveryState::Queued);
    let claimed = test.claim_one().await;
    assert_eq!(claimed.id, head);
    let settled = settlement(&claimed, NextState::Delivered { at: test.now() });
    test.store.settle(vec![Settlement { order: claimed.order, ..settled }]).await.unwrap();
    assert_eq!(test.claim_one().await.id, made[0]);
}

async fn dead_letters_are_grouped_by_how_they_died(test: TestStore) {
    let [one, other] = [(); 2].map(|()| test.ids.destination());
    let died = async |destination: DestinationId, class: Option<AttemptClass>, status: Option<u16>, at: i64| {
        test.delivery_due(destination, test.now()).await;
        let claimed: Claimed = test.claim_one().await;
        let again = settlement(&claimed, NextState::Pending { due_at: test.now() });
        test.store.settle(vec![again]).await.unwrap();
        let claimed = test.claim_one().await;
        let last = class.map(|class| spillway_model::Attempt { status, ..attempt(&claimed, class) });
        let dead = Settlement { attempt: last, ..settlement(&claimed, NextState::Dead { at }) };
        test.store.settle(vec![dead]).await.unwrap();
    };
    for at in [30, 10, 20] {
        died(one, Some(AttemptClass::ClientError), Some(404), at).await;
    }
    died(one, Some(AttemptClass::ClientError), Some(400), 5).await;
    for at in [50, 40] {
        died(other, Some(AttemptClass::Timeout), None, at).await;
    }
    test.delivery_due(other, test.now() + LEASE).await;

    let group = |destination, class, status, deliveries, oldest, newest| DeadLetterGroup {
        destination,
        class: Some(class),
        status,
        deliveries,
        oldest,
        newest,
    };
    let all = test.store.dead_letters(100).await.unwrap();
    assert!(all.is_complete);
    assert_eq!(
        all.groups,
        [
            group(one, AttemptClass::ClientError, Some(404), 3, 10, 30),
            group(other, AttemptClass::Timeout, None, 2, 40, 50),
            group(one, AttemptClass::ClientError, Some(400), 1, 5, 5),
        ]
    );
    let newest = test.store.dead_letters(2).await.unwrap();
    assert_eq!((newest.groups.len(), newest.is_complete), (1, false));
    assert_eq!(newest.groups[0].destination, other);
}

async fn what_has_no_payload_any_more_is_not_sent_again(test: TestStore) {
    let dead = ended(&test, 2).await;
    test.clock.advance(10_000);
    let kept = ended(&test, 1).await;
    let default = Retention { payloads_ms: Some(5_000), ..Retention::default() };
    let policy = RetentionPolicy { default, sources: HashMap::new() };
    while test.store.expire(policy.clone(), ExpireLimits { now: test.now(), rows: 100 }).await.unwrap().more {}
    assert_eq!(test.store.retry(dead[0], test.now()).await.unwrap(), RetryOutcome::EventGone);
    assert_eq!(test.store.deliver(dead[0].event(), vec![route(&test, None)], test.now()).await.unwrap(), None);
    created(&test).await;
    let held = hold(&test).await;
    let due = [dead.clone(), kept.clone()].concat();
    let replay = test.store.advance_replay(step(&test, &held, &due)).await.unwrap().unwrap();
    assert_eq!((replay.retried, replay.skipped), (1, 2));
    assert_eq!(test.claim_one().await.id, kept[0]);
}
