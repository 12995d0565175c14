//! What a selection means, how it is read in parts, and how it is counted.

use std::sync::Arc;

use spillway_model::{
    ConnectionId, DeliveryId, DeliveryState, DestinationId, Event, NewEvent, NextState, Selection, SourceId,
};
use spillway_store::SELECT_LOOKED_AT;

use crate::support::{LEASE, TestStore, on_every_engine, settlement};

on_every_engine! {
    a_selection_means_what_all_its_conditions_say
    a_selection_is_read_in_parts
    events_without_deliveries_do_not_end_a_selection_of_their_source
    a_count_stops_at_its_limit
}

/// Deliveries to two destinations of two sources at two times, in every state.
struct Mixed {
    destinations: [DestinationId; 2],
    sources: [SourceId; 2],
    early: i64,
    late: i64,
    rows: Vec<(DeliveryId, DestinationId, SourceId, DeliveryState)>,
}

fn from(event: NewEvent, source: SourceId) -> NewEvent {
    NewEvent { event: Arc::new(Event { source, ..Event::clone(&event.event) }), ..event }
}

async fn mixed(test: &TestStore) -> Mixed {
    let destinations = [(); 2].map(|()| test.ids.destination());
    let sources = [(); 2].map(|()| test.ids.source());
    let early = test.now();
    let mut rows = Vec::new();
    for time in 0..2 {
        for n in 0..12 {
            let source = sources[n % 2];
            let event = from(test.event_to(&destinations, test.now()), source);
            test.accept(&event).await;
            let claimed = test.claim(2).await;
            for (of, one) in claimed.iter().enumerate() {
                let at = test.now();
                let next = match (n + of + time) % 4 {
                    0 => NextState::Delivered { at },
                    1 => NextState::Dead { at },
                    2 => NextState::Cancelled { at },
                    _ => NextState::Pending { due_at: at + 10 * LEASE },
                };
                test.store.settle(vec![settlement(one, next)]).await.unwrap();
                rows.push((one.id, one.destination, source, next.state()));
            }
        }
        test.clock.advance(1_000);
    }
    rows.sort();
    Mixed { destinations, sources, early, late: early + 1_000, rows }
}

async fn select_all(test: &TestStore, selection: Selection, limit: usize) -> Vec<DeliveryId> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let part = test.store.select(selection, after, limit).await.unwrap();
        assert!(part.deliveries.len() <= limit);
        found.extend(part.deliveries);
        after = part.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn a_selection_means_what_all_its_conditions_say(test: TestStore) {
    let Mixed { destinations, sources, early, late, rows } = mixed(&test).await;
    let is_open = |state: DeliveryState| matches!(state, DeliveryState::Pending | DeliveryState::Queued);
    let connection = ConnectionId::from_u128(destinations[1].to_u128() + 1);
    let all = Selection::default();
    let states = [None, Some(DeliveryState::Dead), Some(DeliveryState::Delivered), Some(DeliveryState::Pending)];
    let conditions = [
        all,
        Selection { destination: Some(destinations[0]), ..all },
        Selection { source: Some(sources[1]), ..all },
        Selection { connection: Some(connection), ..all },
        Selection { from: Some(late), ..all },
        Selection { to: Some(late), ..all },
        Selection { from: Some(early), to: Some(late), source: Some(sources[0]), ..all },
        Selection { event: Some(rows[5].0.event()), ..all },
        Selection { event: Some(rows[5].0.event()), source: Some(sources[1]), ..all },
        Selection { event: Some(test.ids.event()), ..all },
        Selection { source: Some(test.ids.source()), ..all },
        Selection { destination: Some(test.ids.destination()), ..all },
    ];
    for state in states {
        for condition in conditions {
            let selection = Selection { state, ..condition };
            let matches = |(id, destination, source, has): &&(DeliveryId, DestinationId, SourceId, DeliveryState)| {
                let at = id.event().timestamp();
                selection.state.map_or(!is_open(*has), |wanted| wanted == *has)
                    && selection.destination.is_none_or(|wanted| wanted == *destination)
                    && selection.source.is_none_or(|wanted| wanted == *source)
                    && selection.connection.is_none_or(|wanted| wanted.to_u128() == destination.to_u128() + 1)
                    && selection.event.is_none_or(|wanted| wanted == id.event())
                    && selection.from.is_none_or(|from| at >= from)
                    && selection.to.is_none_or(|to| at < to)
            };
            let expected: Vec<DeliveryId> = rows.iter().filter(matches).map(|(id, ..)| *id).collect();
            for limit in [3, 1_000] {
                assert_eq!(select_all(&test, selection, limit).await, expected, "{selection:?}");
            }
            let counted = test.store.count(selection, 1_000).await.unwrap();
            assert_eq!((counted.deliveries, counted.is_complete), (expected.len() as u64, true), "{selection:?}");
        }
    }
}

/// Events with one delivery each, all of them to be claimed.
pub(crate) async fn append(test: &TestStore, destination: DestinationId, n: usize) {
    for begin in (0..n).step_by(2_000) {
        let events = (begin..n.min(begin + 2_000)).map(|_| test.event_to(&[destination], test.now())).collect();
        test.store.append(events).await.unwrap();
    }
}

async fn a_selection_is_read_in_parts(test: TestStore) {
    let [many, few] = [(); 2].map(|()| test.ids.destination());
    append(&test, many, SELECT_LOOKED_AT + 500).await;
    let last = test.delivery_due(few, test.now()).await;
    let selection = Selection { destination: Some(few), state: Some(DeliveryState::Pending), ..Selection::default() };
    for limit in [10, SELECT_LOOKED_AT] {
        let first = test.store.select(selection, None, limit).await.unwrap();
        assert!(first.deliveries.is_empty() && first.next.is_some(), "a part looks at so many and no more: {first:?}");
        assert_eq!(select_all(&test, selection, limit).await, [last]);
    }
}

async fn events_without_deliveries_do_not_end_a_selection_of_their_source(test: TestStore) {
    for _ in 0..3 {
        test.store.append((0..1_500).map(|_| test.event()).collect()).await.unwrap();
    }
    let id = test.delivery_due(test.ids.destination(), test.now()).await;
    let selection =
        Selection { source: Some(test.source), state: Some(DeliveryState::Pending), ..Selection::default() };
    assert_eq!(select_all(&test, selection, 100).await, [id]);
}

async fn a_count_stops_at_its_limit(test: TestStore) {
    append(&test, test.ids.destination(), 300).await;
    let selection = Selection { state: Some(DeliveryState::Pending), ..Selection::default() };
    for (limit, expected) in [(1_000, (300, true)), (300, (300, true)), (299, (299, false)), (0, (0, false))] {
        let counted = test.store.count(selection, limit).await.unwrap();
        assert_eq!((counted.deliveries, counted.is_complete), expected, "at most {limit}");
    }
}
