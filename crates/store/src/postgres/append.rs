//! Intake: events, deliveries and idempotency records of a batch, in one statement.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use spillway_model::{Appended, EventId, IdempotencyHash, NewDelivery, NewEvent};
use sqlx::Row;
use sqlx::postgres::PgBindIterExt;
use sqlx::types::Uuid;

use super::rows::{encode_trace, text, uuid};
use super::sessions::Session;
use crate::{StoreError, StoreErrorKind};

/// Batches without any key, order and quarantine.
const PLAIN: &str = "
WITH stored AS (
    INSERT INTO events (id, source_id, event_type, trace, headers, body)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[])
)
INSERT INTO deliveries (id, destination_id, connection_id, at, generation, attempts, state)
SELECT id, destination_id, connection_id, at, generation, 0, 0
FROM UNNEST($7::uuid[], $8::uuid[], $9::uuid[], $10::bigint[], $11::integer[])
    AS d (id, destination_id, connection_id, at, generation)";

/// Batches with keys and without order and quarantine. Keys must be given in the order of their hashes so that two nodes cannot wait for each other.
/// A record from before the window ($3) is taken over. Answers how many keys were new, and of which events unless all were.
///
/// `OR` keeps the planner from turning the membership tests into joins: as they are, it hashes the keys once.
const KEYED: &str = "
WITH fresh AS (
    INSERT INTO idempotency AS i (hash, event_id)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[])
    ON CONFLICT (hash) DO UPDATE SET event_id = excluded.event_id WHERE i.event_id < $3
    RETURNING i.event_id
), stored AS (
    INSERT INTO events (id, source_id, event_type, trace, headers, body)
    SELECT id, source_id, event_type, trace, headers, body
    FROM UNNEST($4::uuid[], $5::uuid[], $6::text[], $7::bytea[], $8::bytea[], $9::bytea[], $10::boolean[])
        AS e (id, source_id, event_type, trace, headers, body, keyed)
    WHERE NOT keyed OR id IN (SELECT event_id FROM fresh)
), born AS (
    INSERT INTO deliveries (id, destination_id, connection_id, at, generation, attempts, state)
    SELECT id, destination_id, connection_id, at, generation, 0, 0
    FROM UNNEST($11::uuid[], $12::uuid[], $13::uuid[], $14::bigint[], $15::integer[], $16::uuid[])
        AS d (id, destination_id, connection_id, at, generation, key_of)
    WHERE key_of IS NULL OR key_of IN (SELECT event_id FROM fresh)
)
SELECT count(*), CASE WHEN count(*) < cardinality($1::uuid[]) THEN array_agg(event_id) END FROM fresh";

/// Any batch: as [`KEYED`], with why an event is in quarantine ($17) and what a delivery must stay in order with ($18).
///
/// The head of each key is locked, in the order of the keys, before anything is decided on it; who waits for the lock sees what the other one
/// left. Of several deliveries with one key the one with the lowest id becomes the head, if there is none.
const FULL: &str = "
WITH fresh AS (
    INSERT INTO idempotency AS i (hash, event_id)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[])
    ON CONFLICT (hash) DO UPDATE SET event_id = excluded.event_id WHERE i.event_id < $3
    RETURNING i.event_id
), stored AS (
    INSERT INTO events (id, source_id, event_type, trace, headers, body, quarantine)
    SELECT id, source_id, event_type, trace, headers, body, quarantine
    FROM UNNEST($4::uuid[], $5::uuid[], $6::text[], $7::bytea[], $8::bytea[], $9::bytea[], $10::boolean[], $17::text[])
        AS e (id, source_id, event_type, trace, headers, body, keyed, quarantine)
    WHERE NOT keyed OR id IN (SELECT event_id FROM fresh)
), wanted AS MATERIALIZED (
    SELECT id, destination_id, connection_id, at, generation, order_key
    FROM UNNEST($11::uuid[], $12::uuid[], $13::uuid[], $14::bigint[], $15::integer[], $16::uuid[], $18::bigint[])
        AS d (id, destination_id, connection_id, at, generation, key_of, order_key)
    WHERE key_of IS NULL OR key_of IN (SELECT event_id FROM fresh)
), heads AS (
    INSERT INTO order_heads AS h (key, delivery_id)
    SELECT DISTINCT ON (order_key) order_key, id FROM wanted WHERE order_key IS NOT NULL ORDER BY order_key, id
    ON CONFLICT (key) DO UPDATE SET delivery_id = h.delivery_id
    RETURNING h.delivery_id
), placed AS MATERIALIZED (
    SELECT *, CASE WHEN order_key IS NULL OR id IN (SELECT delivery_id FROM heads) THEN 0 ELSE 4 END AS state FROM wanted
), queued AS (
    INSERT INTO order_queue (key, delivery_id) SELECT order_key, id FROM placed WHERE state = 4
), born AS (
    INSERT INTO deliveries (id, destination_id, connection_id, at, generation, attempts, state, order_key)
    SELECT id, destination_id, connection_id, at, generation, 0, state, order_key FROM placed
)
SELECT count(*), CASE WHEN count(*) < cardinality($1::uuid[]) THEN array_agg(event_id) END FROM fresh";

const OWNERS: &str = "SELECT hash, event_id FROM idempotency WHERE hash = ANY ($1)";

/// A key is taken, and its record is gone when we look who has it: how often that may happen to one batch.
const ROUNDS: usize = 5;

/// Appends `events`. Of several with one key, in the batch or within `window` before its newest event, the first is stored.
pub(super) async fn append(
    session: &mut Session,
    events: &[NewEvent],
    window: Duration,
) -> Result<Vec<Appended>, StoreError> {
    let mut firsts: HashMap<IdempotencyHash, EventId> = HashMap::new();
    let mut repeats: HashSet<EventId> = HashSet::new();
    for event in events {
        if let Some(hash) = event.idempotency {
            let id = event.event.id;
            if *firsts.entry(hash).or_insert(id) != id {
                repeats.insert(id);
            }
        }
    }
    let mut missing: Vec<&NewEvent> = events.iter().filter(|event| !repeats.contains(&event.event.id)).collect();
    let is_full = !events.iter().all(is_plain);
    if firsts.is_empty() && !is_full {
        insert_plain(session, &missing).await?;
        return Ok(events.iter().map(|event| Appended::Accepted { id: event.event.id }).collect());
    }

    let newest = events.iter().map(|event| event.event.id.timestamp()).max().unwrap_or_default();
    let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    let horizon = EventId::first_of(newest.saturating_sub(window));
    let mut owners: HashMap<IdempotencyHash, EventId> = HashMap::new();
    for _ in 0..ROUNDS {
        let taken = insert_keyed(session, &missing, horizon, is_full).await?;
        if taken.is_empty() {
            return Ok(events.iter().map(|event| answer(event, &firsts, &owners)).collect());
        }
        owners.extend(read_owners(session, taken.iter().filter_map(|event| event.idempotency)).await?);
        missing = taken;
        missing.retain(|event| event.idempotency.is_some_and(|hash| !owners.contains_key(&hash)));
        if missing.is_empty() {
            return Ok(events.iter().map(|event| answer(event, &firsts, &owners)).collect());
        }
    }
    Err(StoreError::new(StoreErrorKind::Contention, "idempotency records came and went while a batch was stored"))
}

/// Whether it needs nothing but its event and unordered deliveries.
fn is_plain(event: &NewEvent) -> bool {
    event.event.quarantine.is_none() && event.deliveries.iter().all(|delivery| delivery.order.is_none())
}

fn answer(
    event: &NewEvent,
    firsts: &HashMap<IdempotencyHash, EventId>,
    owners: &HashMap<IdempotencyHash, EventId>,
) -> Appended {
    let id = event.event.id;
    let Some(hash) = event.idempotency else { return Appended::Accepted { id } };
    match (owners.get(&hash), firsts.get(&hash)) {
        (Some(owner), _) => Appended::Duplicate { id: *owner },
        (None, Some(first)) if *first != id => Appended::Duplicate { id: *first },
        _ => Appended::Accepted { id },
    }
}

async fn insert_plain(session: &mut Session, events: &[&NewEvent]) -> Result<(), StoreError> {
    let deliveries = || events.iter().flat_map(|event| event.deliveries.iter());
    sqlx::query(PLAIN)
        .bind(events.iter().map(|event| uuid(event.event.id.to_u128())).bind_iter())
        .bind(events.iter().map(|event| uuid(event.event.source.to_u128())).bind_iter())
        .bind(events.iter().map(|event| event.event.event_type.as_deref().map(text)).bind_iter())
        .bind(events.iter().map(|event| event.event.trace.map(encode_trace)).bind_iter())
        .bind(events.iter().map(|event| &event.event.headers.as_bytes()[..]).bind_iter())
        .bind(events.iter().map(|event| &event.event.body[..]).bind_iter())
        .bind(deliveries().map(|delivery| uuid(delivery.id.to_u128())).bind_iter())
        .bind(deliveries().map(|delivery| uuid(delivery.destination.to_u128())).bind_iter())
        .bind(deliveries().map(|delivery| uuid(delivery.connection.to_u128())).bind_iter())
        .bind(deliveries().map(|delivery| delivery.due_at).bind_iter())
        .bind(deliveries().map(|delivery| delivery.generation.cast_signed()).bind_iter())
        .execute(session.statement())
        .await?;
    Ok(())
}

/// Inserts what is new and returns the events whose key is taken.
async fn insert_keyed<'a>(
    session: &mut Session,
    events: &[&'a NewEvent],
    horizon: EventId,
    is_full: bool,
) -> Result<Vec<&'a NewEvent>, StoreError> {
    let mut keys: Vec<(IdempotencyHash, EventId)> =
        events.iter().filter_map(|event| Some((event.idempotency?, event.event.id))).collect();
    keys.sort_unstable();
    let key_of = |event: &NewEvent| event.idempotency.map(|_| uuid(event.event.id.to_u128()));
    let deliveries = || {
        let of = |event: &&'a NewEvent| -> Vec<(&'a NewDelivery, Option<Uuid>)> {
            event.deliveries.iter().map(|delivery| (delivery, key_of(event))).collect()
        };
        events.iter().flat_map(of)
    };
    let mut insert = sqlx::query(if is_full { FULL } else { KEYED })
        .bind(keys.iter().map(|(hash, _)| uuid(*hash)).bind_iter())
        .bind(keys.iter().map(|(_, event)| uuid(event.to_u128())).bind_iter())
        .bind(uuid(horizon.to_u128()))
        .bind(events.iter().map(|event| uuid(event.event.id.to_u128())).bind_iter())
        .bind(events.iter().map(|event| uuid(event.event.source.to_u128())).bind_iter())
        .bind(events.iter().map(|event| event.event.event_type.as_deref().map(text)).bind_iter())
        .bind(events.iter().map(|event| event.event.trace.map(encode_trace)).bind_iter())
        .bind(events.iter().map(|event| &event.event.headers.as_bytes()[..]).bind_iter())
        .bind(events.iter().map(|event| &event.event.body[..]).bind_iter())
        .bind(events.iter().map(|event| event.idempotency.is_some()).bind_iter())
        .bind(deliveries().map(|(delivery, _)| uuid(delivery.id.to_u128())).bind_iter())
        .bind(deliveries().map(|(delivery, _)| uuid(delivery.destination.to_u128())).bind_iter())
        .bind(deliveries().map(|(delivery, _)| uuid(delivery.connection.to_u128())).bind_iter())
        .bind(deliveries().map(|(delivery, _)| delivery.due_at).bind_iter())
        .bind(deliveries().map(|(delivery, _)| delivery.generation.cast_signed()).bind_iter())
        .bind(deliveries().map(|(_, key_of)| key_of).bind_iter());
    if is_full {
        insert = insert
            .bind(events.iter().map(|event| event.event.quarantine.as_deref().map(text)).bind_iter())
            .bind(deliveries().map(|(delivery, _)| delivery.order.map(|key| key.0)).bind_iter());
    }
    let row = session.write(insert).await?;
    if row.try_get::<i64, _>(0)? == i64::try_from(keys.len()).unwrap_or(i64::MAX) {
        return Ok(Vec::new());
    }
    let fresh: HashSet<Uuid> = row.try_get::<Option<Vec<Uuid>>, _>(1)?.unwrap_or_default().into_iter().collect();
    let taken = |event: &&&NewEvent| event.idempotency.is_some() && !fresh.contains(&uuid(event.event.id.to_u128()));
    Ok(events.iter().filter(taken).copied().collect())
}

async fn read_owners(
    session: &mut Session,
    hashes: impl Iterator<Item = IdempotencyHash>,
) -> Result<HashMap<IdempotencyHash, EventId>, StoreError> {
    let rows = sqlx::query(OWNERS).bind(hashes.map(uuid).collect::<Vec<_>>()).fetch_all(session.statement()).await?;
    rows.iter()
        .map(|row| Ok((row.try_get::<Uuid, _>(0)?.as_u128(), EventId::from_u128(row.try_get::<Uuid, _>(1)?.as_u128()))))
        .collect()
}
