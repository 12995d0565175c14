//! Indexes that are missing, broken or never used, and tables that are read without one.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::super::migrations::MIGRATIONS;
use super::{number, rows, seconds, unsigned};
use crate::StoreError;
use crate::examination::{IndexFacts, ScannedTable, UnusedIndex, indexes_of};

const MISSING: &str = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NULL";

const INVALID: &str = "
SELECT c.relname::text, t.relname::text
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace
ORDER BY 1 LIMIT $1";

/// Indexes that keep rows unique or serve a constraint are used without being read. Ours serve features that may not be in use, and a
/// partition's are made with it.
const UNUSED: &str = "
SELECT s.indexrelname::text, s.relname::text, pg_relation_size(s.indexrelid)
FROM pg_stat_user_indexes s JOIN pg_index i ON i.indexrelid = s.indexrelid
WHERE s.schemaname = current_schema() AND s.idx_scan = 0 AND i.indisvalid AND NOT i.indisunique AND NOT i.indisexclusion
    AND s.indexrelname <> ALL ($1)
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = s.indexrelid)
    AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = s.indexrelid)
ORDER BY 3 DESC NULLS LAST, 1 LIMIT $2";

/// Fifty times at least, and ten thousand rows each time on average.
const SCANNED: &str = "
SELECT relname::text, seq_scan, seq_tup_read, coalesce(idx_scan, 0)
FROM pg_stat_user_tables
WHERE schemaname = current_schema() AND seq_scan >= 50 AND seq_tup_read / seq_scan >= 10000
ORDER BY seq_tup_read DESC LIMIT $1";

const COUNTED_FOR: &str = "
SELECT extract(epoch FROM clock_timestamp() - stats_reset)::float8 FROM pg_stat_database WHERE datname = current_database()";

pub(super) async fn indexes(connection: &mut PgConnection) -> Result<IndexFacts, StoreError> {
    let own = indexes_of(&MIGRATIONS);
    let names: Vec<String> = own.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing = sqlx::query(MISSING).bind(&names).fetch_all(&mut *connection).await?;
    let missing = missing.iter().map(|row| row.try_get::<String, _>(0)).collect::<Result<Vec<_>, _>>()?;
    let invalid = sqlx::query(INVALID).bind(rows()).fetch_all(&mut *connection).await?;
    let unused = sqlx::query(UNUSED).bind(&names).bind(rows()).fetch_all(&mut *connection).await?;
    let scanned = sqlx::query(SCANNED).bind(rows()).fetch_all(&mut *connection).await?;
    let counted = sqlx::query(COUNTED_FOR).fetch_one(connection).await?;
    let as_unused =
        |row: &PgRow| Ok(UnusedIndex { name: row.try_get(0)?, table: row.try_get(1)?, bytes: unsigned(row, 2)? });
    let as_scanned = |row: &PgRow| {
        let table = row.try_get(0)?;
        Ok(ScannedTable { table, scans: number(row, 1)?, rows: number(row, 2)?, index_scans: number(row, 3)? })
    };
    let is_missing = |(name, _): &(&str, String)| missing.iter().any(|known| known == name);
    Ok(IndexFacts {
        missing: own.into_iter().filter(is_missing).map(|(name, statement)| (name.to_owned(), statement)).collect(),
        invalid: invalid.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, StoreError>>()?,
        unused: unused.iter().map(as_unused).collect::<Result<_, StoreError>>()?,
        scanned: scanned.iter().map(as_scanned).collect::<Result<_, StoreError>>()?,
        counts_uses: true,
        counted_for: seconds(&counted, 0)?,
    })
}
