//! Replays as they are stored, and dead letters.

use spillway_model::{AttemptClass, DeliveryId, DestinationId, Replay, ReplayId, ReplayState, Selection, UnixMillis};
use sqlx::Row;
use sqlx::postgres::{PgBindIterExt, PgRow};
use sqlx::types::Uuid;

use super::rows::{bits, damaged, uuid};
use super::sessions::Session;
use crate::{Cursor, DeadLetterGroup, DeadLetters, HeldReplay, Page, ReplayFilter, ReplayStep, StoreError};

macro_rules! columns {
    () => {
        "r.id, r.selection, r.per_second, r.state, r.total, r.retried, r.skipped, r.cursor, r.created_at, r.updated_at, r.generation"
    };
}

const CREATE: &str = "
INSERT INTO replays (id, selection, per_second, state, total, retried, skipped, cursor, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

const ONE: &str = concat!("SELECT ", columns!(), " FROM replays r WHERE r.id = $1");

const PAGE: &str = concat!("SELECT ", columns!(), " FROM replays r WHERE r.id < $1 ORDER BY r.id DESC LIMIT $2");

const CANCEL: &str = "UPDATE replays SET state = 2, updated_at = $2 WHERE id = $1 AND state = 0";

/// A replay that another node takes at this moment is left to it.
const HOLD: &str = concat!(
    "UPDATE replays r SET generation = r.generation + 1, lease_until = $2 WHERE r.id = ANY (ARRAY(
        SELECT id FROM replays WHERE state = 0 AND lease_until <= $1 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
     )) RETURNING ",
    columns!()
);

/// Values: replay, generation; deliveries in the order of their ids, their events, when each is due; the last one looked at, state, end of
/// the lease, now. The replay is locked before anything becomes due, and the events, so that retention does not remove them at the same time.
const STEP: &str = concat!(
    "WITH held AS MATERIALIZED (
        SELECT id FROM replays WHERE id = $1 AND generation = $2 AND state = 0
          AND ($6::uuid IS NULL OR cursor IS NULL OR cursor < $6)
        FOR UPDATE
    ), present AS MATERIALIZED (
        SELECT id FROM events WHERE id = ANY ($4) AND octet_length(headers) <> 1 ORDER BY id FOR KEY SHARE
    ), due AS (
        UPDATE deliveries d SET state = 0, at = s.at, generation = d.generation + 1
        FROM UNNEST($3::uuid[], $4::uuid[], $5::bigint[]) AS s (id, event_id, at)
        WHERE EXISTS (SELECT FROM held) AND d.id = ANY (ARRAY[s.id]) AND d.state + 0 NOT IN (0, 4)
          AND s.event_id IN (SELECT id FROM present)
        RETURNING d.id
    )
    UPDATE replays r SET retried = r.retried + (SELECT count(*) FROM due),
        skipped = r.skipped + cardinality($3::uuid[]) - (SELECT count(*) FROM due),
        cursor = COALESCE($6, r.cursor), state = $7, lease_until = $8, updated_at = $9
    WHERE r.id = ANY (ARRAY(SELECT id FROM held)) RETURNING ",
    columns!()
);

/// The last attempt of a delivery is the last one in the range of its ids: an attempt's number is in the last four digits.
const DEAD: &str = "
SELECT d.destination_id, a.class, a.status, count(*), min(d.at), max(d.at)
FROM (SELECT id, destination_id, at FROM deliveries WHERE state = 2 ORDER BY id DESC LIMIT $1) d
LEFT JOIN LATERAL (
    SELECT class, status FROM attempts
    WHERE id > d.id AND id <= (left(d.id::text, 32) || 'ffff')::uuid ORDER BY id DESC LIMIT 1
) a ON true
GROUP BY d.destination_id, a.class, a.status ORDER BY count(*) DESC, max(d.at) DESC";

pub(super) async fn create(session: &mut Session, replay: &Replay) -> Result<(), StoreError> {
    let selection: Result<String, sqlx::Error> =
        serde_json::to_string(&replay.selection).map_err(|error| sqlx::Error::Encode(error.into()));
    sqlx::query(CREATE)
        .bind(uuid(replay.id.to_u128()))
        .bind(selection?)
        .bind(i64::from(replay.per_second))
        .bind(replay.state.code())
        .bind(replay.total.map(u64::cast_signed))
        .bind(replay.retried.cast_signed())
        .bind(replay.skipped.cast_signed())
        .bind(replay.cursor.map(|cursor| uuid(cursor.to_u128())))
        .bind(replay.created_at)
        .bind(replay.updated_at)
        .execute(session.statement())
        .await?;
    Ok(())
}

pub(super) async fn one(session: &mut Session, id: ReplayId) -> Result<Option<Replay>, StoreError> {
    let row = sqlx::query(ONE).bind(uuid(id.to_u128())).fetch_optional(session.statement()).await?;
    row.as_ref().map(replay).transpose()
}

pub(super) async fn page(session: &mut Session, filter: ReplayFilter) -> Result<Page<Replay>, StoreError> {
    let below = filter.cursor.map_or(Uuid::max(), |cursor| uuid(cursor.id));
    let limit = i64::try_from(filter.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let rows = sqlx::query(PAGE).bind(below).bind(limit).fetch_all(session.statement()).await?;
    let rows = rows.iter().map(replay).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, filter.limit, |row| Cursor { at: 0, id: row.id.to_u128() }))
}

pub(super) async fn cancel(session: &mut Session, id: ReplayId, now: UnixMillis) -> Result<Option<Replay>, StoreError> {
    sqlx::query(CANCEL).bind(uuid(id.to_u128())).bind(now).execute(session.statement()).await?;
    one(session, id).await
}

pub(super) async fn hold(
    session: &mut Session,
    now: UnixMillis,
    lease_until: UnixMillis,
) -> Result<Option<HeldReplay>, StoreError> {
    let rows = sqlx::query(HOLD).bind(now).bind(lease_until).fetch_all(session.statement()).await?;
    rows.first()
        .map(|row| {
            let generation = u32::try_from(row.try_get::<i64, _>(10)?).map_err(|_| damaged("a replay"))?;
            Ok(HeldReplay { replay: replay(row)?, generation })
        })
        .transpose()
}

pub(super) async fn advance(session: &mut Session, mut step: ReplayStep) -> Result<Option<Replay>, StoreError> {
    step.due.sort_unstable();
    step.due.dedup_by_key(|(delivery, _)| *delivery);
    let due = &step.due;
    let rows = sqlx::query(STEP)
        .bind(uuid(step.id.to_u128()))
        .bind(i64::from(step.generation))
        .bind(due.iter().map(|(delivery, _)| uuid(delivery.to_u128())).bind_iter())
        .bind(due.iter().map(|(delivery, _)| uuid(delivery.event().to_u128())).bind_iter())
        .bind(due.iter().map(|(_, at)| *at).bind_iter())
        .bind(step.cursor.map(|cursor| uuid(cursor.to_u128())))
        .bind(step.state.code())
        .bind(step.lease_until)
        .bind(step.now)
        .fetch_all(session.statement())
        .await?;
    rows.first().map(replay).transpose()
}

pub(super) async fn dead_letters(session: &mut Session, limit: usize) -> Result<DeadLetters, StoreError> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = sqlx::query(DEAD).bind(most).fetch_all(session.statement()).await?;
    let group = |row: &PgRow| -> Result<DeadLetterGroup, StoreError> {
        let class = row.try_get::<Option<i16>, _>(1)?;
        Ok(DeadLetterGroup {
            destination: DestinationId::from_u128(bits(row, 0)?),
            class: class.map(|code| AttemptClass::from_code(code).ok_or_else(|| damaged("an attempt"))).transpose()?,
            status: row.try_get::<Option<i32>, _>(2)?.and_then(|status| u16::try_from(status).ok()),
            deliveries: row.try_get::<i64, _>(3)?.cast_unsigned(),
            oldest: row.try_get(4)?,
            newest: row.try_get(5)?,
        })
    };
    let groups = rows.iter().map(group).collect::<Result<Vec<_>, _>>()?;
    let is_complete = groups.iter().map(|group| group.deliveries).sum::<u64>() < limit as u64;
    Ok(DeadLetters { groups, is_complete })
}

/// Columns: as in [`ONE`].
fn replay(row: &PgRow) -> Result<Replay, StoreError> {
    let selection: Selection = serde_json::from_str(row.try_get(1)?).map_err(|_| damaged("a replay's selection"))?;
    Ok(Replay {
        id: ReplayId::from_u128(bits(row, 0)?),
        selection,
        per_second: u32::try_from(row.try_get::<i64, _>(2)?).map_err(|_| damaged("a replay's rate"))?,
        state: ReplayState::from_code(row.try_get(3)?).ok_or_else(|| damaged("a replay's state"))?,
        total: row.try_get::<Option<i64>, _>(4)?.map(i64::cast_unsigned),
        retried: row.try_get::<i64, _>(5)?.cast_unsigned(),
        skipped: row.try_get::<i64, _>(6)?.cast_unsigned(),
        cursor: row.try_get::<Option<Uuid>, _>(7)?.map(|cursor| DeliveryId::from_u128(cursor.as_u128())),
        created_at: row.try_get(8)?,
        updated_at: row.try_get(9)?,
    })
}
