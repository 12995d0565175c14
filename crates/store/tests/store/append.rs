//! Events are stored whole, once, and with their deliveries.

use std::sync::Arc;

use bytes::Bytes;
use spillway_model::{Appended, Event, EventId, HeaderBlock, NewEvent, TraceContext};
use spillway_store::{DeliveryFilter, EventFilter};

use crate::support::{TestStore, WINDOW, on_every_engine};

on_every_engine! {
    an_event_reads_back_as_it_was_given
    a_batch_is_answered_in_its_order
    an_empty_batch_is_nothing
    a_wide_and_a_heavy_event_are_stored_whole
    text_that_a_database_dislikes_does_not_spoil_the_batch
    a_key_repeated_in_a_batch_is_stored_once
    a_key_repeated_in_a_later_batch_is_stored_once
    new_and_repeated_events_mix_in_a_batch
    a_key_is_remembered_for_its_window_across_maintenance_and_restart
    a_key_is_free_again_after_its_window
    concurrent_batches_with_the_same_keys_store_each_once
}

fn with(event: NewEvent, change: impl FnOnce(&mut Event)) -> NewEvent {
    let mut changed = (*event.event).clone();
    change(&mut changed);
    NewEvent { event: Arc::new(changed), ..event }
}

async fn stored(test: &TestStore) -> usize {
    let filter = EventFilter { quarantined: false, source: None, before: None, from: None, limit: 10_000 };
    test.store.events(filter).await.unwrap().rows.len()
}

async fn deliveries_of(test: &TestStore, event: EventId) -> usize {
    let filter = DeliveryFilter { event: Some(event), destination: None, state: None, cursor: None, limit: 10_000 };
    test.store.deliveries(filter).await.unwrap().rows.len()
}

async fn an_event_reads_back_as_it_was_given(test: TestStore) {
    let destinations = [test.ids.destination(), test.ids.destination()];
    let full = with(test.event_to(&destinations, test.now() + 5), |event| {
        event.headers = HeaderBlock::encode([("x-a", &b"\xff\x00"[..]), ("X-A", b"")]);
        event.body = Bytes::from((0..=255).collect::<Vec<u8>>());
        event.trace = Some(TraceContext { trace_id: u128::MAX - 1, span_id: u64::MAX - 1, flags: 1 });
    });
    let bare = with(test.event(), |event| {
        event.headers = HeaderBlock::default();
        event.body = Bytes::new();
        event.event_type = None;
    });
    test.store.append(vec![full.clone(), bare.clone()]).await.unwrap();

    for given in [&full, &bare] {
        assert_eq!(test.store.event(given.event.id).await.unwrap().as_ref(), Some(&*given.event));
    }
    for given in &full.deliveries {
        let delivery = test.store.delivery(given.id).await.unwrap().unwrap();
        assert_eq!((delivery.destination, delivery.connection), (given.destination, given.connection));
        assert_eq!((delivery.at, delivery.generation, delivery.attempts), (given.due_at, 0, 0));
    }
    assert_eq!(test.store.event(test.ids.event()).await.unwrap(), None);
    assert_eq!(test.store.delivery(test.ids.event().delivery(0)).await.unwrap(), None);
}

async fn a_batch_is_answered_in_its_order(test: TestStore) {
    let mut events: Vec<_> = (0..300).map(|_| test.event()).collect();
    events.reverse();
    let expected: Vec<_> = events.iter().map(|event| Appended::Accepted { id: event.event.id }).collect();
    assert_eq!(test.store.append(events).await.unwrap(), expected);
    assert_eq!(stored(&test).await, 300);
}

async fn an_empty_batch_is_nothing(test: TestStore) {
    assert_eq!(test.store.append(Vec::new()).await.unwrap(), []);
}

async fn a_wide_and_a_heavy_event_are_stored_whole(test: TestStore) {
    let destinations: Vec<_> = (0..700).map(|_| test.ids.destination()).collect();
    let wide = test.event_to(&destinations, test.now());
    let heavy = with(test.event(), |event| event.body = Bytes::from(vec![0xa5; 3 << 20]));
    test.store.append(vec![wide.clone(), heavy.clone()]).await.unwrap();
    assert_eq!(deliveries_of(&test, wide.event.id).await, 700);
    assert_eq!(test.store.event(heavy.event.id).await.unwrap().as_ref(), Some(&*heavy.event));
}

async fn text_that_a_database_dislikes_does_not_spoil_the_batch(test: TestStore) {
    let odd = with(test.event(), |event| event.event_type = Some("a\0b'\\ \u{1f980}".into()));
    let plain = test.event();
    test.store.append(vec![odd.clone(), plain]).await.unwrap();
    let read = test.store.event(odd.event.id).await.unwrap().unwrap();
    assert!(read.event_type.is_some_and(|text| text.starts_with('a') && text.ends_with("b'\\ \u{1f980}")));
    assert_eq!(stored(&test).await, 2);
}

async fn a_key_repeated_in_a_batch_is_stored_once(test: TestStore) {
    let destination = [test.ids.destination()];
    let [first, second, other] =
        [test.keyed(1, &destination), test.keyed(1, &destination), test.keyed(2, &destination)];
    let answer = test.store.append(vec![first.clone(), second.clone(), other.clone()]).await.unwrap();
    let id = first.event.id;
    assert_eq!(
        answer,
        [Appended::Accepted { id }, Appended::Duplicate { id }, Appended::Accepted { id: other.event.id }]
    );
    assert_eq!((stored(&test).await, deliveries_of(&test, second.event.id).await), (2, 0));
    assert_eq!(test.claim(10).await.len(), 2);
}

async fn a_key_repeated_in_a_later_batch_is_stored_once(test: TestStore) {
    let destination = [test.ids.destination()];
    let id = test.accept(&test.keyed(u128::MAX, &destination)).await;
    for _ in 0..2 {
        let again = test.keyed(u128::MAX, &destination);
        assert_eq!(test.store.append(vec![again]).await.unwrap(), [Appended::Duplicate { id }]);
    }
    assert_eq!((stored(&test).await, test.claim(10).await.len()), (1, 1));
}

async fn new_and_repeated_events_mix_in_a_batch(test: TestStore) {
    let destination = [test.ids.destination()];
    let id = test.accept(&test.keyed(5, &destination)).await;
    let [new, repeated, also, plain] =
        [test.keyed(4, &destination), test.keyed(5, &destination), test.keyed(5, &destination), test.event()];
    let answer = test.store.append(vec![repeated, new.clone(), plain.clone(), also]).await.unwrap();
    assert_eq!(
        answer,
        [
            Appended::Duplicate { id },
            Appended::Accepted { id: new.event.id },
            Appended::Accepted { id: plain.event.id },
            Appended::Duplicate { id },
        ]
    );
    assert_eq!((stored(&test).await, test.claim(10).await.len()), (3, 2));
}

async fn a_key_is_remembered_for_its_window_across_maintenance_and_restart(test: TestStore) {
    let id = test.accept(&test.keyed(9, &[])).await;
    test.clock.advance(WINDOW.as_millis() as i64 - 1_000);
    test.store.maintain(test.now()).await.unwrap();
    let test = test.reopen().await;
    assert_eq!(test.store.append(vec![test.keyed(9, &[])]).await.unwrap(), [Appended::Duplicate { id }]);
}

async fn a_key_is_free_again_after_its_window(test: TestStore) {
    for maintained in [false, true] {
        let first = test.keyed(9, &[]);
        test.accept(&first).await;
        test.clock.advance(2 * WINDOW.as_millis() as i64);
        if maintained {
            test.store.maintain(test.now()).await.unwrap();
        }
    }
    let id = test.accept(&test.keyed(9, &[])).await;
    assert_eq!(test.store.append(vec![test.keyed(9, &[])]).await.unwrap(), [Appended::Duplicate { id }]);
}

async fn concurrent_batches_with_the_same_keys_store_each_once(test: TestStore) {
    const KEYS: u128 = 40;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..12 {
        let mut batch: Vec<_> = (0..KEYS).map(|key| test.keyed(key + 1, &[])).collect();
        batch.rotate_left(task * 3);
        if task % 2 == 0 {
            batch.reverse();
        }
        let keys: Vec<_> = batch.iter().map(|event| event.idempotency.unwrap()).collect();
        let store = test.store.clone();
        tasks.spawn(async move { (keys, store.append(batch).await.unwrap()) });
    }
    let mut owners = std::collections::HashMap::new();
    let mut accepted = 0;
    while let Some(done) = tasks.join_next().await {
        let (keys, answers) = done.unwrap();
        for (key, answer) in keys.into_iter().zip(answers) {
            assert_eq!(*owners.entry(key).or_insert(answer.id()), answer.id(), "everybody is told the same id");
            accepted += usize::from(matches!(answer, Appended::Accepted { .. }));
        }
    }
    assert_eq!((accepted, stored(&test).await), (KEYS as usize, KEYS as usize));
}
