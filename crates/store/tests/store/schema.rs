//! Programs of one major version work on each other's databases, unless the database says that it needs a newer one.

use std::path::Path;
use std::sync::Arc;

use spillway_store::postgres::PostgresStore;
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{Store, StoreError, StoreErrorKind, Unobserved};
use spillway_testkit::shared_database;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::support::{Engine, TestStore, postgres_settings};

const NEEDS_LATER: &str = "UPDATE schema_needs SET version = 99";

/// The database was used by a newer program, and then this one starts: it works on it, and refuses it when it must.
async fn check<S: Store>(
    open: impl AsyncFn() -> Result<S, StoreError>,
    execute: impl AsyncFn(&'static str),
    migrated: &'static str,
) {
    let test = TestStore::open(Engine::Sqlite).await;
    open().await.unwrap().close().await;
    execute(migrated).await;
    let store = open().await.unwrap();
    let event = test.event_to(&[test.ids.destination()], test.now());
    store.append(vec![event]).await.unwrap();
    assert_eq!(store.claim(test.request(1)).await.unwrap().len(), 1);
    store.close().await;
    drop(store);

    execute(NEEDS_LATER).await;
    let Err(error) = open().await else { panic!("it needs a newer program") };
    assert_eq!(error.kind(), StoreErrorKind::Incompatible);
    assert!(error.to_string().contains("99") && error.to_string().contains("install a newer one"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_program_works_on_a_newer_sqlite_file_unless_it_must_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spillway.db");
    let open = async || SqliteStore::open(SqliteSettings::new(&file), Arc::new(Unobserved)).await;
    let migrated = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (99, 'later', true, x'', 0); CREATE TABLE later (id INTEGER); ALTER TABLE deliveries ADD COLUMN later TEXT";
    check(open, async |sql| execute(&file, sql).await, migrated).await;
}

async fn execute(file: &Path, sql: &'static str) {
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_program_works_on_a_newer_postgres_database_unless_it_must_not() {
    let database = shared_database().await;
    let open = async || PostgresStore::connect(postgres_settings(database.url()), Arc::new(Unobserved)).await;
    let migrated = "INSERT INTO _sqlx_migrations VALUES (99, 'later', now(), true, '', 0);
        CREATE TABLE later (id bigint); ALTER TABLE deliveries ADD COLUMN later text";
    check(open, async |sql| drop(database.query(sql).await), migrated).await;
}
