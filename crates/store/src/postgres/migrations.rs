//! Which servers and schemas this version works with.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgConnection, Row, SqlStr};

use crate::schema;
use crate::{StoreError, StoreErrorKind};

pub(super) const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "initial", include_str!("../../migrations/postgres/0001_initial.sql")),
    (2, "worker shares", include_str!("../../migrations/postgres/0002_worker_shares.sql")),
    (3, "order and replays", include_str!("../../migrations/postgres/0003_order_and_replays.sql")),
    (4, "retention", include_str!("../../migrations/postgres/0004_retention.sql")),
];

pub(super) async fn check_server(connection: &mut PgConnection) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT current_setting('server_version_num')::integer, current_setting('server_encoding')")
        .fetch_one(connection)
        .await?;
    let (version, encoding): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    let incompatible = |text: String| Err(StoreError::new(StoreErrorKind::Incompatible, text));
    if version < 150_000 {
        return incompatible(format!(
            "the database server has version {}; version 15 or newer is needed",
            version / 10_000
        ));
    }
    if encoding != "UTF8" {
        return incompatible(format!("the database is encoded in {encoding}; make one with ENCODING 'UTF8'"));
    }
    Ok(())
}

pub(super) async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    let migrations = MIGRATIONS.map(|(version, description, sql)| {
        Migration::new(version, description.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    });
    let migrator = Migrator { migrations: migrations.to_vec().into(), ignore_missing: true, ..Migrator::DEFAULT };
    // As `run`, which cannot be used in a future that must run on any thread.
    migrator.run_direct(None, &mut *connection, false).await.map_err(schema::from_migration)?;
    let needed = sqlx::query("SELECT version FROM schema_needs").fetch_one(connection).await?.try_get(0)?;
    schema::check_needs(needed, MIGRATIONS.map(|(version, ..)| version))
}
