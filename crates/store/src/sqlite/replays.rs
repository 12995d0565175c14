//! Replays as they are stored, and dead letters.

use spillway_model::{
    AttemptClass, DeliveryId, DestinationId, OrderKey, Replay, ReplayId, ReplayState, Selection, UnixMillis,
};
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::rows::{self, damaged};
use super::writer::Ended;
use crate::{Cursor, DeadLetterGroup, DeadLetters, HeldReplay, Page, ReplayFilter, StoreError};

macro_rules! columns {
    () => {
        "id, selection, per_second, state, total, retried, skipped, cursor, created_at, updated_at, generation"
    };
}

/// Values: id.
pub(super) const ONE: &str = concat!("SELECT ", columns!(), " FROM replays WHERE id = ?");

/// Values: the id that the page begins below, rows.
const PAGE: &str = concat!("SELECT ", columns!(), " FROM replays WHERE id < ? ORDER BY id DESC LIMIT ?");

/// Values: end of the lease, now.
pub(super) const HOLD: &str = concat!(
    "UPDATE replays SET generation = generation + 1, lease_until = ?1 WHERE id = (
        SELECT id FROM replays WHERE state = 0 AND lease_until <= ?2 ORDER BY id LIMIT 1
     ) RETURNING ",
    columns!()
);

/// Values: id, made due, skipped, last delivery looked at, state, end of the lease, now.
pub(super) const STEP: &str = concat!(
    "UPDATE replays SET retried = retried + ?2, skipped = skipped + ?3, cursor = coalesce(?4, cursor), state = ?5,
        lease_until = ?6, updated_at = ?7
     WHERE id = ?1 RETURNING ",
    columns!()
);

/// Values: rows. The last attempt is the one with the highest number.
const DEAD: &str = "
SELECT (SELECT id FROM known_ids WHERE key = dead.destination), a.class, a.status, count(*), min(dead.at), max(dead.at)
FROM (
    SELECT x.seq, x.ordinal, x.destination, x.at FROM deliveries x INDEXED BY deliveries_dead
    WHERE x.state = 2 ORDER BY x.seq DESC, x.ordinal DESC LIMIT ?
) AS dead
LEFT JOIN attempts a ON a.seq = dead.seq AND a.ordinal = dead.ordinal
    AND a.number = (SELECT max(l.number) FROM attempts l WHERE l.seq = dead.seq AND l.ordinal = dead.ordinal)
GROUP BY dead.destination, a.class, a.status ORDER BY count(*) DESC, max(dead.at) DESC";

/// Values: the key after which to begin, rows.
const STUCK: &str = "
SELECT head.key, head.seq, head.ordinal, d.process, d.state FROM (
    SELECT key, seq, ordinal FROM order_heads WHERE key > ? ORDER BY key LIMIT ?
) AS head LEFT JOIN deliveries d ON d.seq = head.seq AND d.ordinal = head.ordinal ORDER BY head.key";

pub(super) fn encode_selection(selection: &Selection) -> Result<String, StoreError> {
    serde_json::to_string(selection).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// Columns: as in [`ONE`].
pub(super) fn replay(row: &SqliteRow) -> Result<Replay, StoreError> {
    let cursor = row.try_get::<Option<&[u8]>, _>(7)?;
    let cursor = cursor.map(|bytes| DeliveryId::from_slice(bytes).ok_or_else(|| damaged("a replay"))).transpose()?;
    Ok(Replay {
        id: ReplayId::from_slice(row.try_get(0)?).ok_or_else(|| damaged("a replay"))?,
        selection: serde_json::from_str(row.try_get(1)?).map_err(|_| damaged("a replay's selection"))?,
        per_second: u32::try_from(row.try_get::<i64, _>(2)?).map_err(|_| damaged("a replay's rate"))?,
        state: ReplayState::from_code(row.try_get(3)?).ok_or_else(|| damaged("a replay's state"))?,
        total: row.try_get::<Option<i64>, _>(4)?.map(i64::cast_unsigned),
        retried: row.try_get::<i64, _>(5)?.cast_unsigned(),
        skipped: row.try_get::<i64, _>(6)?.cast_unsigned(),
        cursor,
        created_at: row.try_get(8)?,
        updated_at: row.try_get(9)?,
    })
}

pub(super) fn held(row: &SqliteRow) -> Result<HeldReplay, StoreError> {
    let generation = u32::try_from(row.try_get::<i64, _>(10)?).map_err(|_| damaged("a replay"))?;
    Ok(HeldReplay { replay: replay(row)?, generation })
}

pub(super) async fn one(pool: &SqlitePool, id: ReplayId) -> Result<Option<Replay>, StoreError> {
    let row = sqlx::query(ONE).bind(id.to_bytes().to_vec()).fetch_optional(pool).await?;
    row.as_ref().map(replay).transpose()
}

pub(super) async fn page(pool: &SqlitePool, filter: ReplayFilter) -> Result<Page<Replay>, StoreError> {
    let below = filter.cursor.map_or(u128::MAX, |cursor| cursor.id).to_be_bytes().to_vec();
    let limit = i64::try_from(filter.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let rows = sqlx::query(PAGE).bind(below).bind(limit).fetch_all(pool).await?;
    let rows = rows.iter().map(replay).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, filter.limit, |row| Cursor { at: 0, id: row.id.to_u128() }))
}

pub(super) async fn dead_letters(pool: &SqlitePool, limit: usize) -> Result<DeadLetters, StoreError> {
    let rows = sqlx::query(DEAD).bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(pool).await?;
    let group = |row: &SqliteRow| -> Result<DeadLetterGroup, StoreError> {
        let class = row.try_get::<Option<i16>, _>(1)?;
        Ok(DeadLetterGroup {
            destination: DestinationId::from_slice(row.try_get(0)?).ok_or_else(|| damaged("a destination id"))?,
            class: class.map(|code| AttemptClass::from_code(code).ok_or_else(|| damaged("an attempt"))).transpose()?,
            status: row.try_get::<Option<i64>, _>(2)?.and_then(|status| u16::try_from(status).ok()),
            deliveries: row.try_get::<i64, _>(3)?.cast_unsigned(),
            oldest: row.try_get(4)?,
            newest: row.try_get(5)?,
        })
    };
    let groups = rows.iter().map(group).collect::<Result<Vec<_>, _>>()?;
    let is_complete = groups.iter().map(|group| group.deliveries).sum::<u64>() < limit as u64;
    Ok(DeadLetters { groups, is_complete })
}

/// Of the next keys those whose head is not pending, as ended now; and the last key that was looked at, unless it was the last of all.
pub(super) async fn stuck_keys(
    pool: &SqlitePool,
    after: i64,
    limit: usize,
    now: UnixMillis,
) -> Result<(Vec<Ended>, Option<i64>), StoreError> {
    let rows = sqlx::query(STUCK).bind(after).bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(pool).await?;
    let mut stuck = Vec::new();
    for row in &rows {
        if row.try_get::<Option<i64>, _>(4)? != Some(0) {
            let (seq, process) = (row.try_get(1)?, row.try_get::<Option<i64>, _>(3)?.unwrap_or_default());
            let ordinal = u16::try_from(row.try_get::<i64, _>(2)?).map_err(|_| damaged("a delivery number"))?;
            let delivery = rows::event_id(seq, process).delivery(ordinal);
            stuck.push(Ended { key: OrderKey(row.try_get(0)?), delivery, at: now });
        }
    }
    let last = rows.last().filter(|_| rows.len() >= limit).map(|row| row.try_get(0)).transpose()?;
    Ok((stuck, last))
}
