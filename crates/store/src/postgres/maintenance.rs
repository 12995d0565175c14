//! Housekeeping: partitions ahead of time, and old idempotency records.
//!
//! Intake never waits for it. A partition is made as a table of its own and then attached, which locks out neither inserts
//! nor reads of other partitions; the lock on the default partition is given up after a short wait.

use std::time::{Duration, Instant};

use spillway_model::{EventId, UnixMillis};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::PostgresSettings;
use super::budgets;
use super::rows::{bits, uuid};
use super::sessions::Session;
use crate::StoreError;

/// Partitioned tables, and the storage parameters of a partition: a larger limit keeps bodies up to about 3.5 KiB in their row.
const PARTITIONED: [(&str, &str); 2] = [("events", "WITH (toast_tuple_target = 4080)"), ("attempts", "")];

pub(super) const DAY: i64 = 86_400_000;
/// Rows of a day that came into the default partition are moved to one of their own when the day is over for this long.
const SETTLED_AFTER: i64 = 3_600_000;
/// Days with more rows than this stay in the default partition: moving them would hold locks for too long.
const MOST_MOVED: i64 = 200_000;
/// Days in the default partition that one call looks at.
const DAYS_LOOKED_AT: usize = 8;

/// Idempotency records removed by one statement.
const PRUNE_CHUNK: i64 = 5_000;
/// Time after which one call stops pruning; the next one goes on.
const PRUNE_TIME: Duration = Duration::from_secs(20);

/// Rows that an append has locked are left for the next time, so the two never wait for each other.
const PRUNE: &str = "
DELETE FROM idempotency WHERE hash = ANY (ARRAY(
    SELECT hash FROM idempotency WHERE event_id < $1 ORDER BY event_id LIMIT $2 FOR UPDATE SKIP LOCKED
))";

/// One node at a time makes partitions; the others wait for it.
const LOCK: &str = "
SET LOCAL lock_timeout = '5s';
SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.spillway.partitions'))";

pub(super) async fn maintain(
    session: &mut Session,
    settings: &PostgresSettings,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let today = now.div_euclid(DAY);
    for (table, storage) in PARTITIONED {
        for day in today - 1..=today + i64::from(settings.partition_days_ahead) {
            make_partition(session, table, storage, day, false).await?;
        }
        empty_default(session, table, storage, now).await?;
    }
    budgets::prune(session.statement(), now).await?;
    prune(session, settings, now).await
}

/// Makes the partition of a day unless it is there, or the default partition has rows of that day. With `move_rows` these
/// are moved into the new partition, in the same transaction.
async fn make_partition(
    session: &mut Session,
    table: &str,
    storage: &str,
    day: i64,
    move_rows: bool,
) -> Result<(), StoreError> {
    let name = partition_name(table, day);
    if exists(session.statement(), &name).await? {
        return Ok(());
    }
    let (first, end) = bounds(day);
    let mut transaction = session.statement().begin().await?;
    sqlx::raw_sql(LOCK).execute(&mut *transaction).await?;
    let in_the_way = !move_rows && rows_in_default(&mut transaction, table, day, 1).await? > 0;
    if in_the_way || exists(&mut transaction, &name).await? {
        return Ok(());
    }
    let (first, end) = (uuid(first.to_u128()), uuid(end.to_u128()));
    let rows = if move_rows {
        format!(
            "WITH moved AS (DELETE FROM {table}_default WHERE id >= '{first}' AND id < '{end}' RETURNING *)
             INSERT INTO {name} SELECT * FROM moved;"
        )
    } else {
        String::new()
    };
    let sql = format!(
        "SET LOCAL lock_timeout = '500ms';
         CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE) {storage};
         {rows}
         ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{end}');"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    tracing::info!(table, partition = name, "partition made");
    Ok(())
}

/// Gives past days that are in the default partition a partition of their own.
async fn empty_default(session: &mut Session, table: &str, storage: &str, now: UnixMillis) -> Result<(), StoreError> {
    let mut from = EventId::first_of(0);
    for _ in 0..DAYS_LOOKED_AT {
        let sql = format!("SELECT id FROM {table}_default WHERE id >= $1 ORDER BY id LIMIT 1");
        let row =
            sqlx::query(AssertSqlSafe(sql)).bind(uuid(from.to_u128())).fetch_optional(session.statement()).await?;
        let Some(row) = row else { return Ok(()) };
        let day = EventId::from_u128(bits(&row, 0)?).timestamp().div_euclid(DAY);
        from = bounds(day).1;
        if (day + 1) * DAY + SETTLED_AFTER > now {
            return Ok(());
        }
        if rows_in_default(session.statement(), table, day, MOST_MOVED + 1).await? > MOST_MOVED {
            tracing::warn!(
                table,
                day = date(day),
                "this day stays in the default partition: it has too many rows to move"
            );
            continue;
        }
        make_partition(session, table, storage, day, true).await?;
    }
    Ok(())
}

pub(super) async fn exists(connection: &mut PgConnection, table: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(connection).await?.try_get(0)?)
}

async fn rows_in_default(connection: &mut PgConnection, table: &str, day: i64, most: i64) -> Result<i64, StoreError> {
    let (first, end) = bounds(day);
    let sql = format!("SELECT count(*) FROM (SELECT FROM {table}_default WHERE id >= $1 AND id < $2 LIMIT $3) few");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(uuid(first.to_u128()))
        .bind(uuid(end.to_u128()))
        .bind(most)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

async fn prune(session: &mut Session, settings: &PostgresSettings, now: UnixMillis) -> Result<(), StoreError> {
    let window = i64::try_from(settings.idempotency_window.as_millis()).unwrap_or(i64::MAX);
    let horizon = EventId::first_of(now.saturating_sub(window));
    let begun = Instant::now();
    while begun.elapsed() < PRUNE_TIME {
        let pruned = sqlx::query(PRUNE)
            .bind(uuid(horizon.to_u128()))
            .bind(PRUNE_CHUNK)
            .execute(session.statement())
            .await?
            .rows_affected();
        if pruned < PRUNE_CHUNK.cast_unsigned() {
            break;
        }
    }
    Ok(())
}

/// The ids of a day: the first one, and the first one after it.
pub(super) fn bounds(day: i64) -> (EventId, EventId) {
    (EventId::first_of(day.saturating_mul(DAY)), EventId::first_of((day + 1).saturating_mul(DAY)))
}

pub(super) fn partition_name(table: &str, day: i64) -> String {
    format!("{table}_{}", date(day))
}

/// `YYYYMMDD` of a day counted from 1970-01-01, in UTC. Formula: <https://howardhinnant.github.io/date_algorithms.html>,
/// `civil_from_days`.
fn date(day: i64) -> String {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}{month:02}{day_of_month:02}")
}

/// The day of a partition, from its name. Formula: the same page, `days_from_civil`.
pub(super) fn day_of(partition: &str) -> Option<i64> {
    let (_, date) = partition.rsplit_once('_')?;
    if date.len() != 8 {
        return None;
    }
    let number = |range: std::ops::Range<usize>| date.get(range)?.parse::<i64>().ok();
    let (year, month, day_of_month) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day_of_month - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_named_by_their_date() {
        let known =
            [(0, "19700101"), (59, "19700301"), (11_016, "20000229"), (11_017, "20000301"), (20_453, "20251231")];
        for (day, name) in known {
            assert_eq!(date(day), name);
            assert_eq!(day_of(&partition_name("events", day)), Some(day));
        }
        for other in ["events_default", "events", "events_2025123x", "events_2025"] {
            assert_eq!(day_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_day_is_the_range_of_its_ids() {
        let (first, end) = bounds(20_000);
        assert_eq!(first.timestamp(), 20_000 * DAY);
        assert_eq!(end.timestamp(), 20_001 * DAY);
    }
}
