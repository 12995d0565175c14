//! Days whose events are all old enough go as partitions.
//!
//! Their deliveries are in no partition, so these go first, some hundred at a time. If one of them has not ended, the day's events are left to
//! the removal by ids, and the partition goes when it is empty. Detaching needs the table for a moment: it is given up after a short wait, which
//! is as long as intake can be held up by it. The files are removed afterwards, when nobody can need them.

use std::collections::HashMap;

use spillway_model::{DeliveryId, DeliveryState, EventId};
use sqlx::postgres::PgBindIterExt;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::{Step, begin, is_contention};
use crate::postgres::maintenance::{DAY, bounds, day_of, exists, partition_name};
use crate::postgres::rows::{bits, uuid};
use crate::postgres::sessions::Session;
use crate::retention::Ends;
use crate::{ExpireLimits, Expired, RetentionPolicy, StoreError};

const TABLES: [&str; 2] = ["attempts", "events"];

const PARTITIONS: &str = "
SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'events'::regclass ORDER BY c.relname";

/// Partitions that were detached before the process ended.
const DETACHED: &str = "
SELECT c.relname::text FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND c.relname ~ '^(events|attempts)_[0-9]{8}$'
    AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)";

const PROGRESS: &str = "SELECT day, done, has_open FROM retention_days";
const SAVE_PROGRESS: &str = "
INSERT INTO retention_days (day, done, has_open) VALUES ($1, $2, $3)
ON CONFLICT (day) DO UPDATE SET done = excluded.done, has_open = excluded.has_open";
const FORGET_DAY: &str = "DELETE FROM retention_days WHERE day = $1";
const FORGET_EVENTS: &str = "DELETE FROM retention_left WHERE event_id >= $1 AND event_id < $2";

/// Waits for whoever makes one of them due, and then sees it so.
const DELIVERIES: &str = "SELECT id, state FROM deliveries WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3 FOR UPDATE";
const DELETE_DELIVERIES: &str = "DELETE FROM deliveries WHERE id = ANY ($1)";

/// Attempts of a day that never got a partition.
const DELETE_STRAY_ATTEMPTS: &str = "
DELETE FROM attempts_default WHERE id = ANY (ARRAY(
    SELECT id FROM attempts_default WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3
))";

/// How far the deliveries of a day are removed.
#[derive(Debug, Clone, Copy)]
struct Progress {
    done: EventId,
    has_open: bool,
}

/// Takes the next step with the oldest day that is wholly past every rule.
pub(super) async fn remove(
    session: &mut Session,
    policy: &RetentionPolicy,
    limits: ExpireLimits,
) -> Result<Step, StoreError> {
    let Some(horizon) = policy.past_every_rule(limits.now, Ends::WithTheirDay) else { return Ok(Step::Nothing) };
    let end = horizon.timestamp().div_euclid(DAY);
    drop_detached(session, end).await?;
    match step(session, end, limits).await {
        Ok(Step::Removed(removed)) if removed.partitions > 0 => {
            drop_detached(session, end).await?;
            Ok(Step::Removed(removed))
        }
        // Somebody reads or writes the table for longer than intake may be held up; the day goes with the next sweep.
        Err(error) if is_contention(&error) => Ok(Step::Nothing),
        other => other,
    }
}

async fn step(session: &mut Session, end: i64, limits: ExpireLimits) -> Result<Step, StoreError> {
    let Some(mut transaction) = begin(session).await? else { return Ok(Step::Elsewhere) };
    let rows = sqlx::query(PARTITIONS).fetch_all(&mut *transaction).await?;
    let names = rows.iter().map(|row| row.try_get::<&str, _>(0)).collect::<Result<Vec<_>, _>>()?;
    let days: Vec<i64> = names.into_iter().filter_map(day_of).filter(|day| *day < end).collect();
    if days.is_empty() {
        return Ok(Step::Nothing);
    }
    let known = progress(&mut transaction).await?;
    for day in days {
        let (first, after) = bounds(day);
        let progress = known.get(&day).copied().unwrap_or(Progress { done: first, has_open: false });
        if progress.done < after {
            remove_deliveries(&mut transaction, day, progress, limits).await?;
            transaction.commit().await?;
            return Ok(Step::Removed(Expired::default()));
        }
        if progress.has_open && !is_empty(&mut transaction, day).await? {
            continue;
        }
        if remove_stray_attempts(&mut transaction, day, limits).await? {
            transaction.commit().await?;
            return Ok(Step::Removed(Expired::default()));
        }
        let partitions = detach(&mut transaction, day).await?;
        transaction.commit().await?;
        tracing::info!(day = partition_name("events", day), "the events of a day were removed with their partition");
        return Ok(Step::Removed(Expired { partitions, ..Expired::default() }));
    }
    Ok(Step::Nothing)
}

async fn progress(connection: &mut PgConnection) -> Result<HashMap<i64, Progress>, StoreError> {
    let rows = sqlx::query(PROGRESS).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let progress = Progress { done: EventId::from_u128(bits(row, 1)?), has_open: row.try_get(2)? };
            Ok((row.try_get(0)?, progress))
        })
        .collect()
}

/// Removes the next deliveries of the day that have ended.
async fn remove_deliveries(
    connection: &mut PgConnection,
    day: i64,
    progress: Progress,
    limits: ExpireLimits,
) -> Result<(), StoreError> {
    let (_, after) = bounds(day);
    let most = limits.rows.max(1);
    let rows = sqlx::query(DELIVERIES)
        .bind(uuid(progress.done.to_u128()))
        .bind(uuid(after.to_u128()))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
    let (mut ended, mut has_open) = (Vec::new(), progress.has_open);
    for row in &rows {
        let id = DeliveryId::from_u128(bits(row, 0)?);
        match DeliveryState::from_code(row.try_get(1)?) {
            Some(DeliveryState::Pending | DeliveryState::Queued) | None => has_open = true,
            Some(_) => ended.push(id),
        }
    }
    let deletion = sqlx::query(DELETE_DELIVERIES).bind(ended.iter().map(|id| uuid(id.to_u128())).bind_iter());
    deletion.execute(&mut *connection).await?;
    let done = match rows.last() {
        Some(last) if rows.len() == most => bits(last, 0)? + 1,
        _ => after.to_u128(),
    };
    sqlx::query(SAVE_PROGRESS).bind(day).bind(uuid(done)).bind(has_open).execute(connection).await?;
    Ok(())
}

/// Whether all of the day's events were removed by their ids.
async fn is_empty(connection: &mut PgConnection, day: i64) -> Result<bool, StoreError> {
    let sql = format!("SELECT NOT EXISTS (SELECT FROM {})", partition_name("events", day));
    Ok(sqlx::query(AssertSqlSafe(sql)).fetch_one(connection).await?.try_get(0)?)
}

/// Whether there were some.
async fn remove_stray_attempts(
    connection: &mut PgConnection,
    day: i64,
    limits: ExpireLimits,
) -> Result<bool, StoreError> {
    let (first, after) = bounds(day);
    let removed = sqlx::query(DELETE_STRAY_ATTEMPTS)
        .bind(uuid(first.to_u128()))
        .bind(uuid(after.to_u128()))
        .bind(i64::try_from(limits.rows.max(1)).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(removed.rows_affected() > 0)
}

/// Takes the partitions of the day out of their tables. Returns how many.
async fn detach(connection: &mut PgConnection, day: i64) -> Result<u64, StoreError> {
    let mut partitions = 0;
    for table in TABLES {
        let name = partition_name(table, day);
        if exists(connection, &name).await? {
            let sql = format!("SET LOCAL lock_timeout = '50ms'; ALTER TABLE {table} DETACH PARTITION {name}");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
            partitions += 1;
        }
    }
    let (first, after) = bounds(day);
    sqlx::query(FORGET_DAY).bind(day).execute(&mut *connection).await?;
    let forget = sqlx::query(FORGET_EVENTS).bind(uuid(first.to_u128())).bind(uuid(after.to_u128()));
    forget.execute(connection).await?;
    Ok(partitions)
}

/// Removes partitions that are no longer part of their table, of days before `end`.
async fn drop_detached(session: &mut Session, end: i64) -> Result<(), StoreError> {
    let rows = sqlx::query(DETACHED).fetch_all(session.statement()).await?;
    for row in &rows {
        let name: &str = row.try_get(0)?;
        if day_of(name).is_some_and(|day| day < end) {
            let sql = format!("DROP TABLE IF EXISTS {name}");
            sqlx::query(AssertSqlSafe(sql)).execute(session.statement()).await?;
        }
    }
    Ok(())
}
