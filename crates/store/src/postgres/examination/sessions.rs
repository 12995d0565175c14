//! Who waits for whom, what stays open, and how many connections there are.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::{number, rows, seconds};
use crate::StoreError;
use crate::examination::{ConnectionFacts, LockFacts, Session, TransactionFacts, Wait};

/// Every role sees locks and who holds them; statements only of sessions that it may see.
const LOCKS: &str = "
SELECT w.pid, extract(epoch FROM clock_timestamp() - w.since)::float8, left(coalesce(a.query, ''), 300), count(*) OVER (),
    h.pid, concat_ws(' ', h.usename, nullif(h.application_name, '')), coalesce(h.state, ''),
    extract(epoch FROM clock_timestamp() - h.xact_start)::float8, left(coalesce(h.query, ''), 300)
FROM (SELECT pid, min(waitstart) AS since FROM pg_locks WHERE NOT granted GROUP BY pid) w
JOIN pg_stat_activity a ON a.pid = w.pid AND a.datname = current_database()
LEFT JOIN LATERAL (SELECT unnest(pg_blocking_pids(w.pid)) AS pid LIMIT 1) b ON true
LEFT JOIN pg_stat_activity h ON h.pid = b.pid
ORDER BY w.since LIMIT $1";

const TRANSACTIONS: &str = "
SELECT pid, concat_ws(' ', usename, nullif(application_name, '')), coalesce(state, ''),
    extract(epoch FROM clock_timestamp() - xact_start)::float8, left(coalesce(query, ''), 300)
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND xact_start < clock_timestamp() - interval '30 seconds'
ORDER BY xact_start LIMIT $1";

const PREPARED: &str = "
SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_prepared_xacts
WHERE database = current_database() AND prepared < clock_timestamp() - interval '5 minutes'
ORDER BY prepared LIMIT $1";

const HIDDEN: &str = "
SELECT current_user::text,
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = '<insufficient privilege>')";

/// Only sessions with a database are clients.
const CONNECTIONS: &str = "
SELECT count(*), count(*) FILTER (WHERE application_name = 'spillway'),
    count(*) FILTER (WHERE state LIKE 'idle in transaction%'),
    current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
FROM pg_stat_activity WHERE datid IS NOT NULL";

pub(super) async fn locks(connection: &mut PgConnection) -> Result<LockFacts, StoreError> {
    let found = sqlx::query(LOCKS).bind(rows()).fetch_all(connection).await?;
    let wait = |row: &PgRow| {
        let holder = Session {
            pid: row.try_get::<Option<i32>, _>(4)?.unwrap_or_default(),
            who: row.try_get(5)?,
            state: row.try_get(6)?,
            age: seconds(row, 7)?.unwrap_or_default(),
            query: row.try_get(8)?,
        };
        let waited = seconds(row, 1)?.unwrap_or_default();
        Ok(Wait { pid: row.try_get(0)?, waited, query: row.try_get(2)?, holder })
    };
    let blocked = found.first().map(|row| number(row, 3)).transpose()?.unwrap_or_default();
    Ok(LockFacts { blocked, waits: found.iter().map(wait).collect::<Result<_, StoreError>>()? })
}

pub(super) async fn transactions(connection: &mut PgConnection) -> Result<TransactionFacts, StoreError> {
    let open = sqlx::query(TRANSACTIONS).bind(rows()).fetch_all(&mut *connection).await?;
    let prepared = sqlx::query(PREPARED).bind(rows()).fetch_all(&mut *connection).await?;
    let hidden = sqlx::query(HIDDEN).fetch_one(connection).await?;
    let session = |row: &PgRow| {
        Ok(Session {
            pid: row.try_get(0)?,
            who: row.try_get(1)?,
            state: row.try_get(2)?,
            age: seconds(row, 3)?.unwrap_or_default(),
            query: row.try_get(4)?,
        })
    };
    let transaction = |row: &PgRow| Ok((row.try_get(0)?, seconds(row, 1)?.unwrap_or_default()));
    Ok(TransactionFacts {
        open: open.iter().map(session).collect::<Result<_, StoreError>>()?,
        prepared: prepared.iter().map(transaction).collect::<Result<_, StoreError>>()?,
        role: hidden.try_get(0)?,
        hidden: number(&hidden, 1)?,
    })
}

pub(super) async fn connections(connection: &mut PgConnection) -> Result<ConnectionFacts, StoreError> {
    let row = sqlx::query(CONNECTIONS).fetch_one(connection).await?;
    Ok(ConnectionFacts {
        total: number(&row, 0)?,
        spillway: number(&row, 1)?,
        idle_in_transaction: number(&row, 2)?,
        limit: number(&row, 3)?,
    })
}
