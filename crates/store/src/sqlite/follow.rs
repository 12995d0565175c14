//! Reads of those who follow events or look through them.

use spillway_model::{Event, EventId, SourceId};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Row};

use super::rows;
use crate::StoreError;

pub(super) async fn following(
    pool: &SqlitePool,
    source: Option<SourceId>,
    after: EventId,
    limit: usize,
) -> Result<Vec<EventId>, StoreError> {
    let of_source = if source.is_some() { "AND source = (SELECT key FROM known_ids WHERE id = ?3)" } else { "" };
    // The event with the sequence of `after` may be that one itself, or come after an id that no event has.
    let sql = format!("SELECT seq, process FROM events WHERE seq >= ?1 {of_source} ORDER BY seq LIMIT ?2");
    let mut query = sqlx::query(AssertSqlSafe(sql))
        .bind(after.sequence())
        .bind(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX));
    if let Some(source) = source {
        query = query.bind(source.to_bytes().to_vec());
    }
    let rows = query.fetch_all(pool).await?;
    let ids = rows.iter().map(|row| Ok(rows::event_id(row.try_get(0)?, row.try_get(1)?)));
    let ids = ids.collect::<Result<Vec<_>, StoreError>>()?;
    Ok(ids.into_iter().filter(|id| *id > after).take(limit).collect())
}

pub(super) async fn payloads(pool: &SqlitePool, ids: Vec<EventId>) -> Result<Vec<Event>, StoreError> {
    let sequences: Vec<i64> = ids.iter().map(|id| id.sequence()).collect();
    let wanted = serde_json::to_string(&sequences).unwrap_or_default();
    let rows = sqlx::query(
        "SELECT seq, process, (SELECT id FROM known_ids WHERE key = source), type, headers, body, trace, quarantine
         FROM events WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq",
    )
    .bind(wanted)
    .fetch_all(pool)
    .await?;
    let events = rows.iter().map(rows::event).collect::<Result<Vec<_>, _>>()?;
    // A sequence is unique in one database, but an id of another one may have the same.
    Ok(events.into_iter().filter(|event| ids.contains(&event.id)).collect())
}
