//! Size, what of it holds nothing, and what is kept for standbys.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::{number, rows, seconds, unsigned};
use crate::StoreError;
use crate::examination::{BloatFacts, DeadRows, Loose, ReplicationFacts, StorageFacts};

const DEAD_ROWS: &str = "
SELECT relname::text, n_live_tup, n_dead_tup,
    extract(epoch FROM clock_timestamp() - greatest(last_vacuum, last_autovacuum))::float8
FROM pg_stat_user_tables
WHERE schemaname = current_schema() AND n_dead_tup >= 10000
ORDER BY n_dead_tup DESC LIMIT $1";

/// Sizes as the last vacuum or analyze left them, so that nothing is read but the catalogue. A row takes 24 bytes and a pointer of 4 beside its
/// values, an entry of an index 8 and a pointer of 4; a page has a header of 24, and an index fills 9 tenths of each.
const LOOSE: &str = "
WITH widths AS (
    SELECT c.oid, c.relname, c.relkind, c.reltuples, c.relpages::bigint AS pages,
        coalesce((SELECT option_value::float8 FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'),
            CASE c.relkind WHEN 'i' THEN 90 ELSE 100 END) / 100 AS filled,
        CASE c.relkind WHEN 'i' THEN 12 ELSE 28 END + 8 * ceil((
            SELECT sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE coalesce(s.avg_width, 32) END)
            FROM pg_attribute a LEFT JOIN pg_stats s
                ON s.schemaname = current_schema() AND s.tablename = t.relname AND s.attname = a.attname
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ) / 8.0) AS width
    FROM pg_class c
    LEFT JOIN pg_index i ON i.indexrelid = c.oid
    JOIN pg_class t ON t.oid = coalesce(i.indrelid, c.oid)
    LEFT JOIN pg_am m ON m.oid = c.relam
    WHERE c.relnamespace = current_schema()::regnamespace AND c.reltuples >= 0 AND c.relpages > 1280
        AND (c.relkind = 'r' OR (c.relkind = 'i' AND m.amname = 'btree'))
)
SELECT relname::text, relkind = 'i', pages * 8192, needed
FROM (SELECT *, (8192 * (2 + ceil(reltuples * width / (8168 * filled))))::bigint AS needed FROM widths) sized
WHERE pages * 8192 > 2 * needed
ORDER BY pages * 8192 - needed DESC LIMIT $1";

const STORAGE: &str = "
SELECT pg_database_size(current_database()), blks_hit, blks_read, deadlocks, temp_bytes
FROM pg_stat_database WHERE datname = current_database()";

const HERE: &str = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END";

pub(super) async fn bloat(connection: &mut PgConnection) -> Result<BloatFacts, StoreError> {
    let dead = sqlx::query(DEAD_ROWS).bind(rows()).fetch_all(&mut *connection).await?;
    let loose = sqlx::query(LOOSE).bind(rows()).fetch_all(connection).await?;
    let dead_rows = |row: &PgRow| {
        let (live, dead) = (number(row, 1)?, number(row, 2)?);
        Ok(DeadRows { table: row.try_get(0)?, live, dead, vacuumed: seconds(row, 3)? })
    };
    let as_loose = |row: &PgRow| {
        let (bytes, needed) = (number(row, 2)?, number(row, 3)?);
        Ok(Loose { name: row.try_get(0)?, is_index: row.try_get(1)?, bytes, needed })
    };
    Ok(BloatFacts {
        dead_rows: dead.iter().map(dead_rows).collect::<Result<_, StoreError>>()?,
        loose: loose.iter().map(as_loose).collect::<Result<_, StoreError>>()?,
    })
}

pub(super) async fn storage(connection: &mut PgConnection) -> Result<StorageFacts, StoreError> {
    let row = sqlx::query(STORAGE).fetch_one(connection).await?;
    Ok(StorageFacts {
        bytes: number(&row, 0)?,
        hits: number(&row, 1)?,
        reads: number(&row, 2)?,
        deadlocks: number(&row, 3)?,
        temporary_bytes: number(&row, 4)?,
    })
}

pub(super) async fn replication(connection: &mut PgConnection) -> Result<ReplicationFacts, StoreError> {
    let standbys = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT coalesce(nullif(application_name, ''), 'pid ' || pid), pg_wal_lsn_diff({HERE}, replay_lsn)::bigint,
             extract(epoch FROM replay_lag)::float8
         FROM pg_stat_replication ORDER BY 2 DESC NULLS LAST LIMIT $1"
    )));
    let standbys = standbys.bind(rows()).fetch_all(&mut *connection).await?;
    let slots = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT slot_name::text, active, pg_wal_lsn_diff({HERE}, restart_lsn)::bigint
         FROM pg_replication_slots WHERE restart_lsn IS NOT NULL ORDER BY 3 DESC LIMIT $1"
    )));
    let slots = slots.bind(rows()).fetch_all(connection).await?;
    let standby = |row: &PgRow| Ok((row.try_get(0)?, unsigned(row, 1)?, seconds(row, 2)?));
    let slot = |row: &PgRow| Ok((row.try_get(0)?, row.try_get(1)?, number(row, 2)?));
    Ok(ReplicationFacts {
        standbys: standbys.iter().map(standby).collect::<Result<_, StoreError>>()?,
        slots: slots.iter().map(slot).collect::<Result<_, StoreError>>()?,
    })
}
