//! Events that have to be looked through: as many as there is time for, and the place to go on from.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spillway_model::{DeliveryState, Event, EventId, EventSummary};
use spillway_store::{Cursor, DeliveryFilter, EventFilter, Store, StoreError};

use super::search::Search;
use super::summary_of;

/// Events that one request looks through, and for how long.
const MOST_EVENTS: u64 = 10_000;
const MOST_TIME: Duration = Duration::from_millis(300);
/// Rows read at once: without payloads, with them, and of deliveries.
const PAGE: usize = 1_000;
const PAYLOAD_PAGE: usize = 200;
const DELIVERY_PAGE: usize = 100;
/// Bodies in memory at once; one may always be.
const MOST_BYTES: u64 = 4 << 20;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) rows: Vec<EventSummary>,
    /// Where to go on; `None` at the end of the list.
    pub(super) next: Option<Cursor>,
    /// Events or deliveries that were looked at.
    pub(super) scanned: u64,
    /// Whether the page is full or the list at its end; otherwise time or number ran out.
    pub(super) is_complete: bool,
}

/// Time and number of a scan.
struct Bounds {
    begun: Instant,
}

impl Bounds {
    fn begin() -> Self {
        Self { begun: Instant::now() }
    }

    fn are_reached(&self, scanned: u64) -> bool {
        scanned >= MOST_EVENTS || self.begun.elapsed() >= MOST_TIME
    }
}

/// Looks through events, the newest first, from the filter's place on.
pub(super) async fn events(store: &dyn Store, mut filter: EventFilter, search: Search) -> Result<Found, StoreError> {
    let (limit, bounds, search) = (filter.limit, Bounds::begin(), Arc::new(search));
    filter.limit = if search.needs_payload() { PAYLOAD_PAGE } else { PAGE };
    let mut found = Found::default();
    loop {
        let page = store.events(filter).await?;
        let mut rows = page.rows.as_slice();
        while !rows.is_empty() {
            let (chunk, rest) = rows.split_at(chunk_of(rows, &search));
            let matching = matching(store, chunk, &search).await?;
            for row in chunk {
                found.scanned += 1;
                if matching.contains(&row.id) {
                    found.rows.push(row.clone());
                }
                if found.rows.len() == limit {
                    found.next = Some(Cursor { at: 0, id: row.id.to_u128() });
                    found.is_complete = true;
                    return Ok(found);
                }
            }
            rows = rest;
            let last = chunk.last().map(|row| row.id);
            filter.before = last.or(filter.before);
            if bounds.are_reached(found.scanned) && (!rows.is_empty() || page.next.is_some()) {
                found.next = last.map(|id| Cursor { at: 0, id: id.to_u128() });
                return Ok(found);
            }
        }
        if page.next.is_none() {
            found.is_complete = true;
            return Ok(found);
        }
    }
}

/// How many of the rows are looked at together.
fn chunk_of(rows: &[EventSummary], search: &Search) -> usize {
    if !search.needs_payload() {
        return rows.len();
    }
    let mut bytes = 0;
    let fits = |row: &&EventSummary| {
        bytes += row.body_bytes;
        bytes <= MOST_BYTES
    };
    rows.iter().take_while(fits).count().max(1)
}

async fn matching(
    store: &dyn Store,
    rows: &[EventSummary],
    search: &Arc<Search>,
) -> Result<HashSet<EventId>, StoreError> {
    if !search.needs_payload() {
        let matches = |row: &&EventSummary| search.matches_type(row.event_type.as_deref());
        return Ok(rows.iter().filter(matches).map(|row| row.id).collect());
    }
    let events = store.payloads(rows.iter().map(|row| row.id).collect()).await?;
    let search = search.clone();
    // Reading megabytes of JSON would hold up what else this thread serves.
    let look = move || events.iter().filter(|event| search.matches(event)).map(|event| event.id).collect();
    Ok(tokio::task::spawn_blocking(look).await.unwrap_or_default())
}

/// Looks through deliveries in a state, the latest first, for their events.
pub(super) async fn deliveries(
    store: &dyn Store,
    state: DeliveryState,
    mut cursor: Option<Cursor>,
    wanted: &EventFilter,
    search: Option<&Search>,
) -> Result<Found, StoreError> {
    let bounds = Bounds::begin();
    let (mut found, mut known) = (Found::default(), HashSet::new());
    loop {
        let filter =
            DeliveryFilter { event: None, destination: None, state: Some(state), cursor, limit: DELIVERY_PAGE };
        let page = store.deliveries(filter).await?;
        let n_rows = page.rows.len();
        for (position, delivery) in page.rows.into_iter().enumerate() {
            found.scanned += 1;
            let place = Cursor { at: delivery.at, id: delivery.id.to_u128() };
            cursor = Some(place);
            let event = delivery.id.event();
            let is_in_time =
                wanted.before.is_none_or(|before| event < before) && wanted.from.is_none_or(|from| event >= from);
            if is_in_time
                && known.insert(event)
                && let Some(event) = store.event(event).await?
                && is_wanted(&event, wanted, search)
            {
                found.rows.push(summary_of(&event));
            }
            let has_more = position + 1 < n_rows || page.next.is_some();
            if found.rows.len() == wanted.limit {
                found.next = has_more.then_some(place);
                found.is_complete = true;
                return Ok(found);
            }
            if has_more && bounds.are_reached(found.scanned) {
                found.next = Some(place);
                return Ok(found);
            }
        }
        if page.next.is_none() {
            found.is_complete = true;
            return Ok(found);
        }
    }
}

fn is_wanted(event: &Event, wanted: &EventFilter, search: Option<&Search>) -> bool {
    wanted.source.is_none_or(|source| source == event.source)
        && (!wanted.quarantined || event.quarantine.is_some())
        && search.is_none_or(|search| search.matches(event))
}
