//! Lists are paged by cursors that hold while rows come in; counts; opening and closing.

use spillway_model::{Delivery, DeliveryId, DeliveryState, DestinationId, EventId, NextState};
use spillway_store::{Backlog, Cursor, DeliveryFilter, EventFilter, StoreErrorKind};

use crate::support::{TestStore, on_every_engine, settlement};

on_every_engine! {
    events_come_newest_first_in_pages
    events_can_be_limited_to_a_source_and_a_time
    the_newest_event_is_known
    deliveries_of_an_event_come_in_order
    deliveries_come_newest_first_in_pages
    deliveries_to_a_destination_or_in_a_state_come_latest_first
    pages_hold_while_deliveries_come_in
    a_list_without_matches_is_empty
    the_backlog_is_counted_with_its_earliest_due_time
    everything_survives_a_restart_and_a_crash
    a_closed_store_says_so
    an_open_store_answers_and_has_a_pool
}

const ALL: DeliveryFilter = DeliveryFilter { event: None, destination: None, state: None, cursor: None, limit: 7 };

async fn page_through(test: &TestStore, filter: DeliveryFilter) -> Vec<Delivery> {
    let (mut rows, mut cursor): (_, Option<Cursor>) = (Vec::new(), filter.cursor);
    loop {
        let page = test.store.deliveries(DeliveryFilter { cursor, ..filter }).await.unwrap();
        assert!(page.rows.len() <= filter.limit);
        rows.extend(page.rows);
        cursor = page.next.map(|next| next.to_string().parse().unwrap());
        if cursor.is_none() {
            return rows;
        }
    }
}

fn ids(rows: &[Delivery]) -> Vec<DeliveryId> {
    rows.iter().map(|row| row.id).collect()
}

async fn append_many(test: &TestStore, n: usize) -> Vec<EventId> {
    let events: Vec<_> = (0..n).map(|_| test.event()).collect();
    let ids = events.iter().map(|event| event.event.id).collect();
    test.store.append(events).await.unwrap();
    ids
}

async fn events_come_newest_first_in_pages(test: TestStore) {
    let mut expected = append_many(&test, 25).await;
    expected.reverse();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let filter = EventFilter { quarantined: false, source: None, before, from: None, limit: 10 };
        let page = test.store.events(filter).await.unwrap();
        seen.extend(page.rows.iter().map(|row| row.id));
        assert!(page.rows.iter().all(|row| row.source == test.source && row.body_bytes == 7));
        assert!(page.rows.iter().all(|row| row.event_type.as_deref() == Some("push")));
        append_many(&test, 3).await;
        let Some(next) = page.next else { break };
        before = Some(EventId::from_u128(next.id));
    }
    assert_eq!(seen, expected, "what came in between belongs to pages before the first one");
}

async fn events_can_be_limited_to_a_source_and_a_time(mut test: TestStore) {
    append_many(&test, 3).await;
    test.clock.advance(1_000);
    let other = std::mem::replace(&mut test.source, test.ids.source());
    let middle = append_many(&test, 3).await;
    test.clock.advance(1_000);
    let late = append_many(&test, 2).await;

    let list = async |source, before, from| {
        let page =
            test.store.events(EventFilter { quarantined: false, source, before, from, limit: 10 }).await.unwrap();
        page.rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let reversed = |ids: &[EventId]| ids.iter().rev().copied().collect::<Vec<_>>();
    assert_eq!(list(Some(other), None, None).await.len(), 3);
    assert_eq!(list(Some(test.source), None, None).await, reversed(&[&middle[..], &late].concat()));
    assert_eq!(list(None, Some(late[0]), Some(middle[0])).await, reversed(&middle));
    assert_eq!(list(Some(test.source), Some(middle[2]), Some(middle[1])).await, [middle[1]]);
    let second = EventId::first_of(test.now());
    assert_eq!(list(None, None, Some(second)).await, reversed(&late));
}

async fn the_newest_event_is_known(test: TestStore) {
    assert_eq!(test.store.latest_event().await.unwrap(), None);
    let ids = append_many(&test, 5).await;
    assert_eq!(test.store.latest_event().await.unwrap(), ids.last().copied());
}

async fn deliveries_of_an_event_come_in_order(test: TestStore) {
    let destinations = [(); 20].map(|()| test.ids.destination());
    let event = test.event_to(&destinations, test.now());
    test.store
        .append(vec![test.event_to(&destinations, 0), event.clone(), test.event_to(&destinations, 0)])
        .await
        .unwrap();
    let expected: Vec<_> = event.deliveries.iter().map(|delivery| delivery.id).collect();
    let filter = DeliveryFilter { event: Some(event.event.id), ..ALL };
    assert_eq!(ids(&page_through(&test, filter).await), expected);
    let one = DeliveryFilter { destination: Some(destinations[4]), ..filter };
    assert_eq!(ids(&page_through(&test, one).await), [expected[4]]);
    let delivered = DeliveryFilter { state: Some(DeliveryState::Delivered), ..filter };
    assert!(page_through(&test, delivered).await.is_empty());
}

async fn deliveries_come_newest_first_in_pages(test: TestStore) {
    let destinations = [(); 3].map(|()| test.ids.destination());
    let events: Vec<_> = (0..10).map(|_| test.event_to(&destinations, test.now())).collect();
    let mut expected: Vec<_> = events.iter().flat_map(|event| event.deliveries.iter().map(|one| one.id)).collect();
    expected.sort();
    expected.reverse();
    test.store.append(events).await.unwrap();
    assert_eq!(ids(&page_through(&test, ALL).await), expected);
}

/// 40 deliveries to two destinations in several states, with equal times among them.
async fn mixed(test: &TestStore, destinations: [DestinationId; 2]) -> Vec<Delivery> {
    for n in 0..20 {
        test.accept(&test.event_to(&destinations, test.now() - n / 3)).await;
    }
    let settlements = test.claim(26).await.into_iter().zip(0..).map(|(claimed, n)| {
        let at = 1_000 + n / 2;
        let next = match n % 4 {
            0 => NextState::Delivered { at },
            1 => NextState::Dead { at },
            2 => NextState::Cancelled { at },
            _ => NextState::Pending { due_at: test.now() + at },
        };
        settlement(&claimed, next)
    });
    assert_eq!(test.store.settle(settlements.collect()).await.unwrap(), []);
    let rows = page_through(test, ALL).await;
    assert_eq!(rows.len(), 40);
    rows
}

async fn deliveries_to_a_destination_or_in_a_state_come_latest_first(test: TestStore) {
    let destinations = [(); 2].map(|()| test.ids.destination());
    let mut rows = mixed(&test, destinations).await;
    rows.sort_by_key(|row| std::cmp::Reverse((row.at, row.id)));
    for destination in [None, Some(destinations[0])] {
        for state in [None, Some(DeliveryState::Pending), Some(DeliveryState::Dead), Some(DeliveryState::Delivered)] {
            if destination.is_none() && state.is_none() {
                continue;
            }
            let matches = |row: &&Delivery| {
                destination.is_none_or(|wanted| row.destination == wanted)
                    && state.is_none_or(|wanted| row.state == wanted)
            };
            let expected: Vec<Delivery> = rows.iter().filter(matches).copied().collect();
            let filter = DeliveryFilter { destination, state, ..ALL };
            assert_eq!(page_through(&test, filter).await, expected, "{filter:?}");
        }
    }
}

async fn pages_hold_while_deliveries_come_in(test: TestStore) {
    let destination = test.ids.destination();
    let mut expected = Vec::new();
    for n in 0..12 {
        expected.push(test.delivery_due(destination, test.now() + n).await);
    }
    expected.reverse();
    let filter =
        DeliveryFilter { destination: Some(destination), state: Some(DeliveryState::Pending), limit: 5, ..ALL };
    let first = test.store.deliveries(filter).await.unwrap();
    test.delivery_due(destination, test.now() + 100).await;
    let rest = page_through(&test, DeliveryFilter { cursor: first.next, ..filter }).await;
    assert_eq!([ids(&first.rows), ids(&rest)].concat(), expected);
}

async fn a_list_without_matches_is_empty(test: TestStore) {
    assert!(page_through(&test, ALL).await.is_empty());
    append_many(&test, 3).await;
    let event = Some(test.ids.event());
    let destination = Some(test.ids.destination());
    let state = Some(DeliveryState::Dead);
    for filter in
        [DeliveryFilter { event, ..ALL }, DeliveryFilter { destination, ..ALL }, DeliveryFilter { state, ..ALL }]
    {
        assert!(page_through(&test, filter).await.is_empty());
    }
    let source = Some(test.ids.source());
    let page = test
        .store
        .events(EventFilter { quarantined: false, source, before: None, from: None, limit: 10 })
        .await
        .unwrap();
    assert_eq!((page.rows.len(), page.next), (0, None));
}

async fn the_backlog_is_counted_with_its_earliest_due_time(test: TestStore) {
    assert_eq!(test.store.backlog().await.unwrap(), Backlog::default());
    let now = test.now();
    let [one, other] = [(); 2].map(|()| test.ids.destination());
    test.delivery_due(one, now - 5).await;
    test.delivery_due(other, now - 9).await;
    test.delivery_due(other, now + 9).await;
    assert_eq!(test.store.backlog().await.unwrap(), Backlog { pending: 3, oldest_due: Some(now - 9) });
    let claimed = test.claim(10).await;
    assert_eq!(test.store.backlog().await.unwrap(), Backlog { pending: 3, oldest_due: Some(now + 9) });
    let settled = claimed.iter().map(|claimed| settlement(claimed, NextState::Delivered { at: now })).collect();
    test.store.settle(settled).await.unwrap();
    assert_eq!(test.store.backlog().await.unwrap(), Backlog { pending: 1, oldest_due: Some(now + 9) });
}

async fn everything_survives_a_restart_and_a_crash(test: TestStore) {
    let destination = test.ids.destination();
    let event = test.event_to(&[destination], test.now());
    test.accept(&event).await;
    let test = test.reopen().await;
    let claimed = test.claim_one().await;
    assert_eq!(claimed.event, event.event);
    test.store.settle(vec![settlement(&claimed, NextState::Delivered { at: 5 })]).await.unwrap();
    let second = test.delivery_due(destination, test.now()).await;
    let test = test.crash().await;
    let delivery = test.store.delivery(claimed.id).await.unwrap().unwrap();
    assert_eq!((delivery.state, delivery.at, delivery.attempts), (DeliveryState::Delivered, 5, 1));
    assert_eq!(test.claim_one().await.id, second);
}

async fn a_closed_store_says_so(test: TestStore) {
    test.store.close().await;
    let append = test.store.append(vec![test.event()]).await.map(|_| ());
    let claim = test.store.claim(test.request(1)).await.map(|_| ());
    let ping = test.store.ping().await;
    for result in [append, claim, ping] {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (StoreErrorKind::Closed, false));
    }
    test.store.close().await;
}

async fn an_open_store_answers_and_has_a_pool(test: TestStore) {
    test.store.ping().await.unwrap();
    let pool = test.store.pool();
    assert!(pool.max > 0 && pool.idle + pool.used <= pool.max, "{pool:?}");
    assert!(test.store.parallel_appends().lanes > 0);
    assert!(["sqlite", "postgres"].contains(&test.store.engine()));
}
