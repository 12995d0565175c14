//! Reads: payloads of claims, single rows, lists.

use std::sync::Arc;

use futures_util::TryStreamExt;
use spillway_model::{
    Attempt, Claimed, Delivery, DeliveryId, DeliveryState, Event, EventId, EventSummary, NextState, Settlement,
    SourceId, UnixMillis,
};
use sqlx::sqlite::{SqliteArguments, SqlitePool};
use sqlx::{Arguments, AssertSqlSafe, Row, SqliteExecutor};

use super::rows::{self, Claim, Payloads, damaged};
use crate::{Backlog, Cursor, DeliveryFilter, EventFilter, Page, StoreError};

/// The claims with their payload, and settlements for those whose event or payload retention has removed.
pub(super) async fn with_payload(
    pool: &SqlitePool,
    claims: Vec<Claim>,
    now: UnixMillis,
    lease_until: UnixMillis,
) -> Result<(Vec<Claimed>, Vec<Settlement>), StoreError> {
    let mut sequences: Vec<i64> = claims.iter().map(|claim| claim.delivery.id.event().sequence()).collect();
    sequences.dedup();
    let wanted = serde_json::to_string(&sequences).unwrap_or_default();
    let mut rows = sqlx::query(
        "SELECT seq, process, (SELECT id FROM known_ids WHERE key = source), type, headers, body, trace, quarantine
         FROM events WHERE seq IN (SELECT value FROM json_each(?))",
    )
    .bind(wanted)
    .fetch(pool);
    let mut payloads = Payloads::with_capacity(sequences.len());
    while let Some(row) = rows.try_next().await? {
        let event = rows::event(&row)?;
        payloads.insert(event.id, Arc::new(event));
    }
    let (mut claimed, mut gone) = (Vec::with_capacity(claims.len()), Vec::new());
    for Claim { delivery, order } in claims {
        match payloads.get(&delivery.id.event()) {
            Some(event) if !event.payload_is_removed() => claimed.push(Claimed {
                order,
                id: delivery.id,
                destination: delivery.destination,
                connection: delivery.connection,
                generation: delivery.generation,
                attempts: delivery.attempts,
                lease_until,
                event: event.clone(),
                received: None,
            }),
            _ => gone.push(Settlement {
                order,
                lease: spillway_model::Lease { delivery: delivery.id, generation: delivery.generation },
                next: NextState::Cancelled { at: now },
                attempt: None,
            }),
        }
    }
    Ok((claimed, gone))
}

pub(super) async fn event(pool: &SqlitePool, id: EventId) -> Result<Option<Event>, StoreError> {
    let row = sqlx::query(
        "SELECT seq, process, (SELECT id FROM known_ids WHERE key = source), type, headers, body, trace, quarantine
         FROM events WHERE seq = ? AND process = ?",
    )
    .bind(id.sequence())
    .bind(rows::process(id))
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(rows::event).transpose()
}

pub(super) async fn latest_event(pool: &SqlitePool) -> Result<Option<EventId>, StoreError> {
    let row = sqlx::query("SELECT seq, process FROM events ORDER BY seq DESC LIMIT 1").fetch_optional(pool).await?;
    row.map(|row| Ok(rows::event_id(row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// An event of a list: sequence, process, id of the source in hexadecimal digits, type, bytes of the body, why it is in quarantine.
type Listed = (i64, i64, String, Option<String>, u64, Option<String>);

/// All rows come as one: a search reads thousands, and each row by itself costs more than what is in it.
pub(super) async fn events(pool: &SqlitePool, filter: EventFilter) -> Result<Page<EventSummary>, StoreError> {
    let by_source = if filter.source.is_some() { "AND source = (SELECT key FROM known_ids WHERE id = ?4)" } else { "" };
    let (index, quarantined) =
        if filter.quarantined { ("INDEXED BY events_in_quarantine", "AND quarantine IS NOT NULL") } else { ("", "") };
    let sql = format!(
        "SELECT json_group_array(json_array(seq, process, source_id, type, bytes, quarantine)) FROM (
            SELECT seq, process, (SELECT hex(id) FROM known_ids WHERE key = source) AS source_id, type, length(body) AS bytes, quarantine
            FROM events {index} WHERE seq < ?1 AND seq >= ?2 {by_source} {quarantined} ORDER BY seq DESC LIMIT ?3
         )"
    );
    let mut query = sqlx::query(AssertSqlSafe(sql))
        .bind(filter.before.map_or(i64::MAX, EventId::sequence))
        .bind(filter.from.map_or(0, EventId::sequence))
        .bind(limit(filter.limit));
    if let Some(source) = filter.source {
        query = query.bind(source.to_bytes().to_vec());
    }
    let row = query.fetch_one(pool).await?;
    let listed: Vec<Listed> = serde_json::from_str(row.try_get(0)?).map_err(|_| damaged("an event"))?;
    let summary = |(seq, process, source, event_type, body_bytes, quarantine): Listed| -> Result<_, StoreError> {
        let source = u128::from_str_radix(&source, 16).map_err(|_| damaged("a source id"))?;
        Ok(EventSummary {
            id: rows::event_id(seq, process),
            source: SourceId::from_u128(source),
            event_type: event_type.map(Into::into),
            body_bytes,
            quarantine: quarantine.map(Into::into),
        })
    };
    let rows = listed.into_iter().map(summary).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, filter.limit, |row| Cursor { at: 0, id: row.id.to_u128() }))
}

const DELIVERY: &str = "d.seq, d.process, d.ordinal, (SELECT id FROM known_ids WHERE key = d.destination),
    (SELECT id FROM known_ids WHERE key = d.connection), d.state, d.at, d.generation, d.attempts";

pub(super) async fn delivery(pool: &SqlitePool, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    let sql = format!("SELECT {DELIVERY} FROM deliveries d WHERE seq = ? AND ordinal = ? AND process = ?");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.event().sequence())
        .bind(i64::from(id.ordinal()))
        .bind(rows::process(id.event()))
        .fetch_optional(pool)
        .await?;
    row.as_ref().map(rows::delivery).transpose()
}

/// The page is read from the end of one index or another, depending on the filter; never by walking over other rows.
pub(super) async fn deliveries(pool: &SqlitePool, filter: DeliveryFilter) -> Result<Page<Delivery>, StoreError> {
    let mut arguments = SqliteArguments::default();
    let sql = if let Some(event) = filter.event {
        of_event(event, filter, &mut arguments)?
    } else if filter.destination.is_some() || filter.state.is_some() {
        by_time(filter, &mut arguments)?
    } else {
        newest(filter, &mut arguments)?
    };
    let rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(pool).await?;
    let rows = rows.iter().map(rows::delivery).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, filter.limit, |row| Cursor { at: row.at, id: row.id.to_u128() }))
}

fn of_event(event: EventId, filter: DeliveryFilter, arguments: &mut SqliteArguments) -> Result<String, StoreError> {
    add(arguments, event.sequence())?;
    add(arguments, filter.cursor.map_or(-1, |cursor| i64::from(DeliveryId::from_u128(cursor.id).ordinal())))?;
    add(arguments, limit(filter.limit))?;
    add(arguments, rows::process(event))?;
    let mut sql = format!("SELECT {DELIVERY} FROM deliveries d WHERE d.seq = ?1 AND d.ordinal > ?2 AND d.process = ?4");
    if let Some(state) = filter.state {
        sql.push_str(&format!(" AND d.state = {}", state.code()));
    }
    if let Some(destination) = filter.destination {
        add(arguments, destination.to_bytes().to_vec())?;
        sql.push_str(" AND d.destination = (SELECT key FROM known_ids WHERE id = ?5)");
    }
    sql.push_str(" ORDER BY d.ordinal LIMIT ?3");
    Ok(sql)
}

fn newest(filter: DeliveryFilter, arguments: &mut SqliteArguments) -> Result<String, StoreError> {
    add_place(arguments, filter.cursor)?;
    add(arguments, limit(filter.limit))?;
    Ok(format!(
        "SELECT {DELIVERY} FROM deliveries d WHERE (d.seq, d.ordinal) < (?2, ?3) AND ?1 IS NOT NULL
         ORDER BY d.seq DESC, d.ordinal DESC LIMIT ?4"
    ))
}

fn by_time(filter: DeliveryFilter, arguments: &mut SqliteArguments) -> Result<String, StoreError> {
    add_place(arguments, filter.cursor)?;
    add(arguments, limit(filter.limit))?;
    let destinations = if let Some(destination) = filter.destination {
        add(arguments, destination.to_bytes().to_vec())?;
        "present (destination) AS (SELECT key FROM known_ids WHERE id = ?5)"
    } else {
        "present (destination) AS (
            SELECT min(destination) FROM deliveries
            UNION ALL
            SELECT (SELECT min(x.destination) FROM deliveries x WHERE x.destination > present.destination)
            FROM present WHERE present.destination IS NOT NULL
        )"
    };
    let states = match filter.state {
        Some(state) => format!("({})", state.code()),
        None => DeliveryState::ALL.map(|state| format!("({})", state.code())).join(","),
    };
    // A lane is a destination and a state. Some of the latest of each lane, more than a page together, tell from when on the page is: of the
    // index nothing earlier is read, and rows only for the page.
    Ok(format!(
        "WITH RECURSIVE {destinations},
            lane (destination, state) AS MATERIALIZED (
                SELECT present.destination, wanted.column1 FROM present CROSS JOIN (VALUES {states}) AS wanted
                WHERE present.destination IS NOT NULL
            ),
            best (row) AS MATERIALIZED (
                SELECT json_each.value FROM lane CROSS JOIN json_each((
                    SELECT json_group_array(json_array(at, seq, ordinal)) FROM (
                        SELECT x.at, x.seq, x.ordinal FROM deliveries x
                        WHERE x.destination = lane.destination AND x.state = lane.state
                          AND x.at <= ?1 AND (x.at, x.seq, x.ordinal) < (?1, ?2, ?3)
                        ORDER BY x.at DESC, x.seq DESC, x.ordinal DESC LIMIT 1 + ?4 / (SELECT count(*) FROM lane)
                    )
                ))
            ),
            bound (at, seq, ordinal) AS MATERIALIZED (
                SELECT json_extract(row, '$[0]'), json_extract(row, '$[1]'), json_extract(row, '$[2]')
                FROM best ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT 1 OFFSET ?4 - 1
            ),
            page (row) AS (
                SELECT json_each.value FROM lane CROSS JOIN json_each((
                        SELECT json_group_array(json_array(at, seq, ordinal)) FROM (
                            SELECT x.at, x.seq, x.ordinal FROM deliveries x
                            WHERE x.destination = lane.destination AND x.state = lane.state AND x.at <= ?1
                              AND (x.at, x.seq, x.ordinal) < (?1, ?2, ?3)
                              AND (x.at, x.seq, x.ordinal) >= (
                                coalesce((SELECT bound.at FROM bound), -9223372036854775808),
                                coalesce((SELECT bound.seq FROM bound), 0), coalesce((SELECT bound.ordinal FROM bound), 0))
                            ORDER BY x.at DESC, x.seq DESC, x.ordinal DESC LIMIT ?4
                        )
                    ))
                ORDER BY json_extract(json_each.value, '$[0]') DESC, json_extract(json_each.value, '$[1]') DESC,
                    json_extract(json_each.value, '$[2]') DESC
                LIMIT ?4
            )
         SELECT {DELIVERY} FROM page CROSS JOIN deliveries d
         WHERE d.seq = json_extract(row, '$[1]') AND d.ordinal = json_extract(row, '$[2]')
         ORDER BY d.at DESC, d.seq DESC, d.ordinal DESC"
    ))
}

/// The place after which a page begins, as values 1 to 3: time, sequence, number.
fn add_place(arguments: &mut SqliteArguments, cursor: Option<Cursor>) -> Result<(), StoreError> {
    let (at, seq, ordinal) = cursor.map_or((i64::MAX, i64::MAX, i64::MAX), |cursor| {
        let id = DeliveryId::from_u128(cursor.id);
        (cursor.at, id.event().sequence(), i64::from(id.ordinal()))
    });
    add(arguments, at)?;
    add(arguments, seq)?;
    add(arguments, ordinal)
}

fn add<'q, T>(arguments: &mut SqliteArguments, value: T) -> Result<(), StoreError>
where
    T: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    arguments.add(value).map_err(|error| sqlx::Error::Encode(error).into())
}

/// One row more than wanted shows whether there is another page.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows.saturating_add(1)).unwrap_or(i64::MAX)
}

pub(super) async fn attempts(pool: &SqlitePool, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
    let rows = sqlx::query(
        "SELECT number, started_at, duration_us, class, status, response, error FROM attempts
         WHERE seq = ? AND ordinal = ? ORDER BY number",
    )
    .bind(delivery.event().sequence())
    .bind(i64::from(delivery.ordinal()))
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| rows::attempt(delivery, row)).collect()
}

/// Counts the pending rows of each destination in the index.
pub(super) async fn backlog(executor: impl SqliteExecutor<'_>) -> Result<Backlog, StoreError> {
    let row = sqlx::query(
        "WITH RECURSIVE present (destination) AS (
            SELECT min(destination) FROM deliveries
            UNION ALL
            SELECT (SELECT min(d.destination) FROM deliveries d WHERE d.destination > present.destination)
            FROM present WHERE present.destination IS NOT NULL
         )
         SELECT sum((SELECT count(*) FROM deliveries d WHERE d.destination = present.destination AND d.state = 0)),
                min((SELECT min(at) FROM deliveries d WHERE d.destination = present.destination AND d.state = 0))
         FROM present WHERE present.destination IS NOT NULL",
    )
    .fetch_one(executor)
    .await?;
    let pending = row.try_get::<Option<i64>, _>(0)?.unwrap_or_default();
    Ok(Backlog { pending: u64::try_from(pending).unwrap_or_default(), oldest_due: row.try_get(1)? })
}
