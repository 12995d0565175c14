//! The schema, brought up to date when a store is opened.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Row, SqlStr, SqliteConnection};

use crate::{StoreError, schema};

/// Version, name and text of each migration.
pub(super) const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "initial", include_str!("../../migrations/sqlite/0001_initial.sql")),
    (2, "worker shares", include_str!("../../migrations/sqlite/0002_worker_shares.sql")),
    (3, "order and replays", include_str!("../../migrations/sqlite/0003_order_and_replays.sql")),
    (4, "retention", include_str!("../../migrations/sqlite/0004_retention.sql")),
];

pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let migrations = MIGRATIONS.map(|(version, description, sql)| {
        Migration::new(version, description.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    });
    let migrator = Migrator { migrations: migrations.to_vec().into(), ignore_missing: true, ..Migrator::DEFAULT };
    migrator.run(&mut *connection).await.map_err(schema::from_migration)?;
    let needed = sqlx::query("SELECT version FROM schema_needs").fetch_one(connection).await?.try_get(0)?;
    schema::check_needs(needed, MIGRATIONS.map(|(version, ..)| version))
}
