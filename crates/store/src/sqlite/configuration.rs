//! Sources, destinations, connections, keys and the shares of worker slots, each as one JSON document.

use serde::Serialize;
use serde::de::DeserializeOwned;
use spillway_model::{ApiKey, Configuration, ConfigurationChange, Connection, Destination, Source, WorkerShares};
use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqliteConnection};

use super::rows::damaged;
use crate::contract::check_expected;
use crate::{StoreError, StoreErrorKind};

pub(super) async fn version(pool: &SqlitePool) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT version FROM configuration_version").fetch_one(pool).await?;
    Ok(row.try_get::<i64, _>(0)?.cast_unsigned())
}

/// Statements of [`load`].
pub(super) const LOAD_STATEMENTS: u32 = 6;

/// Everything in one read transaction, so that version and content belong together.
pub(super) async fn load(pool: &SqlitePool) -> Result<Configuration, StoreError> {
    let mut transaction = pool.begin().await?;
    let row = sqlx::query("SELECT version FROM configuration_version").fetch_one(&mut *transaction).await?;
    let configuration = Configuration {
        version: row.try_get::<i64, _>(0)?.cast_unsigned(),
        sources: documents::<Source>(&mut transaction, "SELECT spec FROM sources ORDER BY id").await?,
        destinations: documents::<Destination>(&mut transaction, "SELECT spec FROM destinations ORDER BY id").await?,
        connections: documents::<Connection>(&mut transaction, "SELECT spec FROM connections ORDER BY id").await?,
        keys: documents::<ApiKey>(&mut transaction, "SELECT spec FROM keys ORDER BY id").await?,
        worker_shares: documents::<WorkerShares>(&mut transaction, "SELECT spec FROM worker_shares").await?.pop(),
    };
    transaction.commit().await?;
    Ok(configuration)
}

async fn documents<T: DeserializeOwned>(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<Vec<T>, StoreError> {
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(|row| serde_json::from_str(row.try_get(0)?).map_err(|_| damaged("a configuration entry"))).collect()
}

/// Applies changes within the transaction that is open, and returns the new version.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    changes: &[ConfigurationChange],
) -> Result<u64, StoreError> {
    let row = sqlx::query("UPDATE configuration_version SET version = version + 1 RETURNING version")
        .fetch_one(&mut *connection)
        .await?;
    let version = row.try_get::<i64, _>(0)?.cast_unsigned();
    check_expected(changes, version - 1)?;
    for change in changes {
        apply_one(connection, change).await?;
    }
    Ok(version)
}

async fn apply_one(connection: &mut SqliteConnection, change: &ConfigurationChange) -> Result<(), StoreError> {
    const PUT_SOURCE: &str = "INSERT INTO sources (id, name, spec) VALUES (?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, spec = excluded.spec";
    const PUT_DESTINATION: &str = "INSERT INTO destinations (id, name, spec) VALUES (?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, spec = excluded.spec";
    const PUT_CONNECTION: &str = "INSERT INTO connections (id, source, destination, spec) VALUES (?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET source = excluded.source, destination = excluded.destination, spec = excluded.spec";
    const PUT_KEY: &str =
        "INSERT INTO keys (id, spec) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET spec = excluded.spec";
    const PUT_WORKER_SHARES: &str =
        "INSERT INTO worker_shares (one, spec) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET spec = excluded.spec";
    let id = |bytes: [u8; 16]| bytes.to_vec();
    let (query, conflict) = match change {
        ConfigurationChange::Expect { .. } => return Ok(()),
        ConfigurationChange::PutSource(source) => (
            sqlx::query(PUT_SOURCE)
                .bind(id(source.id.to_bytes()))
                .bind(source.name.to_string())
                .bind(document(source)?),
            format!("a source named {} exists already", source.name),
        ),
        ConfigurationChange::PutDestination(destination) => (
            sqlx::query(PUT_DESTINATION)
                .bind(id(destination.id.to_bytes()))
                .bind(destination.name.to_string())
                .bind(document(destination)?),
            format!("a destination named {} exists already", destination.name),
        ),
        ConfigurationChange::PutConnection(link) => (
            sqlx::query(PUT_CONNECTION)
                .bind(id(link.id.to_bytes()))
                .bind(id(link.source.to_bytes()))
                .bind(id(link.destination.to_bytes()))
                .bind(document(link)?),
            "the connection exists already, or its source or destination does not exist".to_owned(),
        ),
        ConfigurationChange::PutKey(key) => {
            (sqlx::query(PUT_KEY).bind(id(key.id.to_bytes())).bind(document(key)?), "the key exists already".to_owned())
        }
        ConfigurationChange::DeleteSource(gone) => {
            (sqlx::query("DELETE FROM sources WHERE id = ?").bind(id(gone.to_bytes())), String::new())
        }
        ConfigurationChange::DeleteDestination(gone) => {
            (sqlx::query("DELETE FROM destinations WHERE id = ?").bind(id(gone.to_bytes())), String::new())
        }
        ConfigurationChange::DeleteConnection(gone) => {
            (sqlx::query("DELETE FROM connections WHERE id = ?").bind(id(gone.to_bytes())), String::new())
        }
        ConfigurationChange::DeleteKey(gone) => {
            (sqlx::query("DELETE FROM keys WHERE id = ?").bind(id(gone.to_bytes())), String::new())
        }
        ConfigurationChange::SetWorkerShares(Some(shares)) => {
            (sqlx::query(PUT_WORKER_SHARES).bind(document(shares)?), String::new())
        }
        ConfigurationChange::SetWorkerShares(None) => (sqlx::query("DELETE FROM worker_shares"), String::new()),
    };
    match query.execute(connection).await.map_err(StoreError::from) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == StoreErrorKind::Conflict => {
            Err(StoreError::new(StoreErrorKind::Conflict, conflict))
        }
        Err(error) => Err(error),
    }
}

fn document<T: Serialize>(entry: &T) -> Result<String, StoreError> {
    serde_json::to_string(entry).map_err(|error| sqlx::Error::Encode(error.into()).into())
}
