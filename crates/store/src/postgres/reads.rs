//! Single rows, lists and counts.
//!
//! Every list reads its page from one end of an index; none walks over rows of others.

use spillway_model::{Attempt, Delivery, DeliveryId, Event, EventId, EventSummary};
use sqlx::Row;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::types::Uuid;

use super::rows::{self, bits, uuid};
use super::sessions::Session;
use crate::{Backlog, Cursor, DeliveryFilter, EventFilter, Page, StoreError};

/// Pending deliveries are counted up to this number, which takes a few milliseconds; beyond it their number is estimated.
pub(super) const COUNTED: i64 = 10_000;

const EVENT: &str = "SELECT id, source_id, event_type, trace, headers, body, quarantine FROM events WHERE id = $1";

const EVENTS: &str = "
SELECT id, source_id, event_type, octet_length(body), quarantine FROM events
WHERE id < $1 AND id >= $2 ORDER BY id DESC LIMIT $3";

/// Compared as rows, for which this index is the only one: told the source and a range of ids by themselves, the planner may walk over
/// the events of all sources by their id.
const EVENTS_OF_SOURCE: &str = "
SELECT id, source_id, event_type, octet_length(body), quarantine FROM events
WHERE (source_id, id) < ($4, $1) AND (source_id, id) >= ($4, $2) ORDER BY source_id DESC, id DESC LIMIT $3";

/// Only what is in quarantine has an entry in its index.
const EVENTS_IN_QUARANTINE: &str = "
SELECT id, source_id, event_type, octet_length(body), quarantine FROM events
WHERE quarantine IS NOT NULL AND id < $1 AND id >= $2 AND ($4::uuid IS NULL OR source_id = $4) ORDER BY id DESC LIMIT $3";

const LATEST_EVENT: &str = "SELECT id FROM events ORDER BY id DESC LIMIT 1";

const DELIVERY: &str =
    "SELECT id, destination_id, connection_id, at, generation, attempts, state FROM deliveries WHERE id = $1";

const DELIVERIES: &str = "
SELECT id, destination_id, connection_id, at, generation, attempts, state FROM deliveries
WHERE id < $1 ORDER BY id DESC LIMIT $2";

/// An event has at most 65,536 deliveries; they are read in order until the page is full.
const DELIVERIES_OF_EVENT: &str = "
SELECT id, destination_id, connection_id, at, generation, attempts, state FROM deliveries
WHERE id > $1 AND id <= $2 AND ($3::uuid IS NULL OR destination_id = $3) AND ($4::smallint IS NULL OR state = $4)
ORDER BY id LIMIT $5";

const DELIVERIES_TO_DESTINATION: &str = "
SELECT d.id, destination_id, connection_id, at, generation, attempts, state
FROM UNNEST($1::smallint[]) AS s (wanted) CROSS JOIN LATERAL (
    SELECT id, destination_id, connection_id, at, generation, attempts, state FROM deliveries
    WHERE destination_id = $2 AND state = s.wanted AND (at, id) < ($3, $4)
    ORDER BY at DESC, id DESC LIMIT $5
) d
ORDER BY at DESC, d.id DESC LIMIT $5";

/// Only destinations whose own latest row is among the latest ones can add to the page: at most as many as it has rows. What they could add is
/// known from the index; rows are read only for the page.
const DELIVERIES_IN_STATE: &str = "
WITH RECURSIVE present AS (
    (SELECT destination_id FROM deliveries ORDER BY destination_id LIMIT 1)
    UNION ALL
    SELECT n.destination_id FROM present p CROSS JOIN LATERAL (
        SELECT d.destination_id FROM deliveries d
        WHERE d.destination_id > p.destination_id ORDER BY d.destination_id LIMIT 1
    ) n
), latest AS (
    SELECT p.destination_id FROM present p CROSS JOIN LATERAL (
        SELECT at, id FROM deliveries
        WHERE destination_id = p.destination_id AND state = $1 AND (at, id) < ($2, $3)
        ORDER BY at DESC, id DESC LIMIT 1
    ) d
    ORDER BY d.at DESC, d.id DESC LIMIT $4
), page AS MATERIALIZED (
    SELECT d.at, d.id FROM latest l CROSS JOIN LATERAL (
        SELECT at, id FROM deliveries
        WHERE destination_id = l.destination_id AND state = $1 AND (at, id) < ($2, $3)
        ORDER BY at DESC, id DESC LIMIT $4
    ) d
    ORDER BY d.at DESC, d.id DESC LIMIT $4
)
SELECT d.id, destination_id, connection_id, d.at, generation, attempts, state
FROM page CROSS JOIN LATERAL (SELECT * FROM deliveries WHERE id = page.id) d
ORDER BY page.at DESC, page.id DESC";

const ATTEMPTS: &str = "
SELECT id, started_at, duration_us, class, status, response, error FROM attempts
WHERE id > $1 AND id <= $2 ORDER BY id";

/// Pending is the lowest state: the first entry of each destination shows its earliest due time.
pub(super) const BACKLOG: &str = "
WITH RECURSIVE present AS (
    (SELECT destination_id, state, at FROM deliveries ORDER BY destination_id, state, at LIMIT 1)
    UNION ALL
    SELECT n.destination_id, n.state, n.at FROM present p CROSS JOIN LATERAL (
        SELECT d.destination_id, d.state, d.at FROM deliveries d
        WHERE d.destination_id > p.destination_id ORDER BY d.destination_id, d.state, d.at LIMIT 1
    ) n
)
SELECT
    (SELECT count(*) FROM (
        SELECT FROM present p CROSS JOIN LATERAL (
            SELECT FROM deliveries d WHERE d.destination_id = p.destination_id AND d.state = 0 LIMIT $1
        ) one
        WHERE p.state = 0 LIMIT $1
    ) counted),
    (SELECT min(at) FROM present WHERE state = 0)";

/// Looks at some 256 pages.
pub(super) const ESTIMATE: &str = "
SELECT (count(*) * GREATEST(1, pg_relation_size('deliveries') / (256.0 * 8192)))::bigint
FROM deliveries TABLESAMPLE SYSTEM (LEAST(100, 256.0 * 8192 * 100 / GREATEST(pg_relation_size('deliveries'), 1)))
WHERE state = 0";

pub(super) async fn event(session: &mut Session, id: EventId) -> Result<Option<Event>, StoreError> {
    let row = sqlx::query(EVENT).bind(uuid(id.to_u128())).fetch_optional(session.statement()).await?;
    row.as_ref().map(rows::event).transpose()
}

pub(super) async fn events(session: &mut Session, filter: EventFilter) -> Result<Page<EventSummary>, StoreError> {
    let sql = match filter.source {
        _ if filter.quarantined => EVENTS_IN_QUARANTINE,
        Some(_) => EVENTS_OF_SOURCE,
        None => EVENTS,
    };
    let mut query = sqlx::query(sql)
        .bind(filter.before.map_or(Uuid::max(), |id| uuid(id.to_u128())))
        .bind(filter.from.map_or(Uuid::nil(), |id| uuid(id.to_u128())))
        .bind(limit(filter.limit));
    if filter.quarantined || filter.source.is_some() {
        query = query.bind(filter.source.map(|source| uuid(source.to_u128())));
    }
    let rows = query.fetch_all(session.statement()).await?;
    let rows = rows.iter().map(rows::event_summary).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, filter.limit, |row| Cursor { at: 0, id: row.id.to_u128() }))
}

pub(super) async fn latest_event(session: &mut Session) -> Result<Option<EventId>, StoreError> {
    let row = sqlx::query(LATEST_EVENT).fetch_optional(session.statement()).await?;
    row.map(|row| Ok(EventId::from_u128(bits(&row, 0)?))).transpose()
}

pub(super) async fn delivery(session: &mut Session, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    let row = sqlx::query(DELIVERY).bind(uuid(id.to_u128())).fetch_optional(session.statement()).await?;
    row.as_ref().map(rows::delivery).transpose()
}

pub(super) async fn deliveries(session: &mut Session, filter: DeliveryFilter) -> Result<Page<Delivery>, StoreError> {
    let rows: Vec<PgRow> = list_query(filter).fetch_all(session.statement()).await?;
    let rows = rows.iter().map(rows::delivery).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, filter.limit, |row| Cursor { at: row.at, id: row.id.to_u128() }))
}

fn list_query(filter: DeliveryFilter) -> Query<'static, sqlx::Postgres, PgArguments> {
    let limit = limit(filter.limit);
    let place = filter.cursor.map_or((i64::MAX, Uuid::max()), |cursor| (cursor.at, uuid(cursor.id)));
    let state = filter.state.map(|state| state.code());
    match (filter.event, filter.destination, state) {
        (Some(event), destination, state) => {
            // The first delivery has the bits of the event's id itself.
            let after = filter.cursor.map_or(event.to_u128().saturating_sub(1), |cursor| cursor.id);
            sqlx::query(DELIVERIES_OF_EVENT)
                .bind(uuid(after))
                .bind(uuid(event.delivery(u16::MAX).to_u128()))
                .bind(destination.map(|destination| uuid(destination.to_u128())))
                .bind(state)
                .bind(limit)
        }
        (None, Some(destination), state) => {
            sqlx::query(DELIVERIES_TO_DESTINATION)
                .bind(state.map_or_else(
                    || spillway_model::DeliveryState::ALL.map(|state| state.code()).to_vec(),
                    |one| vec![one],
                ))
                .bind(uuid(destination.to_u128()))
                .bind(place.0)
                .bind(place.1)
                .bind(limit)
        }
        (None, None, Some(state)) => {
            sqlx::query(DELIVERIES_IN_STATE).bind(state).bind(place.0).bind(place.1).bind(limit)
        }
        (None, None, None) => sqlx::query(DELIVERIES).bind(place.1).bind(limit),
    }
}

pub(super) async fn attempts(session: &mut Session, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
    let rows = sqlx::query(ATTEMPTS)
        .bind(uuid(delivery.to_u128()))
        .bind(uuid(delivery.attempt(u16::MAX).to_u128()))
        .fetch_all(session.statement())
        .await?;
    rows.iter().map(rows::attempt).collect()
}

pub(super) async fn backlog(session: &mut Session) -> Result<Backlog, StoreError> {
    let row = sqlx::query(BACKLOG).bind(COUNTED).fetch_one(session.statement()).await?;
    let (mut pending, oldest_due) = (row.try_get::<i64, _>(0)?, row.try_get(1)?);
    if pending >= COUNTED {
        let row = sqlx::query(ESTIMATE).fetch_one(session.statement()).await?;
        pending = pending.max(row.try_get(0)?);
    }
    Ok(Backlog { pending: u64::try_from(pending).unwrap_or_default(), oldest_due })
}

/// One row more than wanted shows whether there is another page.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows.saturating_add(1)).unwrap_or(i64::MAX)
}
