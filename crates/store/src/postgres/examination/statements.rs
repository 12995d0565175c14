//! Slow statements, as `pg_stat_statements` records them.

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::{number, rows};
use crate::examination::{Statement, StatementFacts};
use crate::{SLOW_STATEMENT_MS, StoreError};

/// What stands in place of what a role may not see.
const HIDDEN: &str = "<insufficient privilege>";
/// SQLSTATE for what a role may not do.
const FORBIDDEN: &str = "42501";

/// The settings of the library are known as soon as the server has loaded it.
const STATE: &str = "
SELECT current_user::text, EXISTS (SELECT FROM pg_settings WHERE name = 'pg_stat_statements.max'),
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'pg_stat_statements')";

pub(super) async fn slow(connection: &mut PgConnection) -> Result<StatementFacts, StoreError> {
    let state = sqlx::query(STATE).fetch_one(&mut *connection).await?;
    let (role, loaded): (String, bool) = (state.try_get(0)?, state.try_get(1)?);
    let Some(schema) = state.try_get::<Option<String>, _>(2)? else {
        return Ok(StatementFacts::NotInstalled { loaded });
    };
    if !loaded {
        return Ok(StatementFacts::NotLoaded);
    }
    // A name cannot be a parameter; the server has quoted it.
    let text = format!(
        "SELECT left(s.query, 500), s.calls, s.mean_exec_time, s.max_exec_time, s.total_exec_time
         FROM {schema}.pg_stat_statements s
         WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND s.mean_exec_time > $1
         ORDER BY s.total_exec_time DESC LIMIT $2"
    );
    let query = sqlx::query(AssertSqlSafe(text)).bind(SLOW_STATEMENT_MS).bind(rows());
    let found = match query.fetch_all(&mut *connection).await {
        Ok(found) => found,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(FORBIDDEN) => {
            return Ok(StatementFacts::Forbidden { role, schema });
        }
        Err(error) => return Err(error.into()),
    };
    let mut slow = Vec::with_capacity(found.len());
    let mut hidden = 0;
    for row in &found {
        let text: Option<String> = row.try_get(0)?;
        match text.filter(|text| text != HIDDEN) {
            None => hidden += 1,
            Some(text) => slow.push(Statement {
                text,
                calls: number(row, 1)?,
                mean_ms: row.try_get(2)?,
                max_ms: row.try_get(3)?,
                total_ms: row.try_get(4)?,
            }),
        }
    }
    Ok(StatementFacts::Recorded { slow, hidden, role })
}
