//! Sources, destinations, connections, keys and the shares of worker slots, each as one JSON document.

use serde::Serialize;
use serde::de::DeserializeOwned;
use spillway_model::{Configuration, ConfigurationChange};
use sqlx::{Connection as _, PgConnection, Row};

use super::rows::{damaged, uuid};
use super::sessions::Session;
use crate::contract::check_expected;
use crate::{StoreError, StoreErrorKind};

/// Everything in one statement, so that version and content belong together.
const LOAD: &str = "
SELECT 0, NULL::uuid, version::text FROM configuration_version
UNION ALL SELECT 1, id, spec::text FROM sources
UNION ALL SELECT 2, id, spec::text FROM destinations
UNION ALL SELECT 3, id, spec::text FROM connections
UNION ALL SELECT 4, id, spec::text FROM keys
UNION ALL SELECT 5, NULL::uuid, spec::text FROM worker_shares
ORDER BY 1, 2";

/// First, because the lock on the row makes changes wait for each other.
const NEXT_VERSION: &str = "UPDATE configuration_version SET version = version + 1 RETURNING version";

const PUT_SOURCE: &str = "INSERT INTO sources (id, name, spec) VALUES ($1, $2, $3::jsonb)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, spec = excluded.spec";
const PUT_DESTINATION: &str = "INSERT INTO destinations (id, name, spec) VALUES ($1, $2, $3::jsonb)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, spec = excluded.spec";
const PUT_CONNECTION: &str =
    "INSERT INTO connections (id, source_id, destination_id, spec) VALUES ($1, $2, $3, $4::jsonb)
    ON CONFLICT (id) DO UPDATE
    SET source_id = excluded.source_id, destination_id = excluded.destination_id, spec = excluded.spec";
const PUT_KEY: &str = "INSERT INTO keys (id, spec) VALUES ($1, $2::jsonb)
    ON CONFLICT (id) DO UPDATE SET spec = excluded.spec";
const PUT_WORKER_SHARES: &str = "INSERT INTO worker_shares (spec) VALUES ($1::jsonb)
    ON CONFLICT (one) DO UPDATE SET spec = excluded.spec";

pub(super) async fn version(session: &mut Session) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT version FROM configuration_version").fetch_one(session.statement()).await?;
    Ok(row.try_get::<i64, _>(0)?.cast_unsigned())
}

pub(super) async fn load(session: &mut Session) -> Result<Configuration, StoreError> {
    let mut configuration = Configuration::default();
    for row in sqlx::query(LOAD).fetch_all(session.statement()).await? {
        let text: &str = row.try_get(2)?;
        match row.try_get(0)? {
            0 => configuration.version = text.parse().map_err(|_| damaged("a configuration version"))?,
            1 => configuration.sources.push(parse(text)?),
            2 => configuration.destinations.push(parse(text)?),
            3 => configuration.connections.push(parse(text)?),
            4 => configuration.keys.push(parse(text)?),
            _ => configuration.worker_shares = Some(parse(text)?),
        }
    }
    Ok(configuration)
}

/// Applies the changes in one transaction and returns the new version.
pub(super) async fn change(session: &mut Session, changes: &[ConfigurationChange]) -> Result<u64, StoreError> {
    let mut transaction = session.statement().begin().await?;
    let row = sqlx::query(NEXT_VERSION).fetch_one(&mut *transaction).await?;
    let version = row.try_get::<i64, _>(0)?.cast_unsigned();
    check_expected(changes, version - 1)?;
    for change in changes {
        apply(&mut transaction, change).await?;
    }
    transaction.commit().await?;
    Ok(version)
}

async fn apply(connection: &mut PgConnection, change: &ConfigurationChange) -> Result<(), StoreError> {
    let (query, subject) = match change {
        ConfigurationChange::Expect { .. } => return Ok(()),
        ConfigurationChange::PutSource(source) => (
            sqlx::query(PUT_SOURCE).bind(uuid(source.id.to_u128())).bind(source.name.as_str()).bind(document(source)?),
            format!("a source named {} exists already", source.name),
        ),
        ConfigurationChange::PutDestination(destination) => (
            sqlx::query(PUT_DESTINATION)
                .bind(uuid(destination.id.to_u128()))
                .bind(destination.name.as_str())
                .bind(document(destination)?),
            format!("a destination named {} exists already", destination.name),
        ),
        ConfigurationChange::PutConnection(link) => (
            sqlx::query(PUT_CONNECTION)
                .bind(uuid(link.id.to_u128()))
                .bind(uuid(link.source.to_u128()))
                .bind(uuid(link.destination.to_u128()))
                .bind(document(link)?),
            format!("a connection from {} to {} exists already", link.source, link.destination),
        ),
        ConfigurationChange::PutKey(key) => {
            (sqlx::query(PUT_KEY).bind(uuid(key.id.to_u128())).bind(document(key)?), "the key exists already".into())
        }
        ConfigurationChange::DeleteSource(id) => {
            (delete("DELETE FROM sources WHERE id = $1", id.to_u128()), String::new())
        }
        ConfigurationChange::DeleteDestination(id) => {
            (delete("DELETE FROM destinations WHERE id = $1", id.to_u128()), String::new())
        }
        ConfigurationChange::DeleteConnection(id) => {
            (delete("DELETE FROM connections WHERE id = $1", id.to_u128()), String::new())
        }
        ConfigurationChange::DeleteKey(id) => (delete("DELETE FROM keys WHERE id = $1", id.to_u128()), String::new()),
        ConfigurationChange::SetWorkerShares(Some(shares)) => {
            (sqlx::query(PUT_WORKER_SHARES).bind(document(shares)?), String::new())
        }
        ConfigurationChange::SetWorkerShares(None) => (sqlx::query("DELETE FROM worker_shares"), String::new()),
    };
    match query.execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) => Err(refusal(error, change, subject)),
    }
}

fn delete(sql: &'static str, id: u128) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
    sqlx::query(sql).bind(uuid(id))
}

/// What the database refused, in the words of the configuration.
fn refusal(error: sqlx::Error, change: &ConfigurationChange, exists_already: String) -> StoreError {
    const UNIQUE_VIOLATION: &str = "23505";
    const FOREIGN_KEY_VIOLATION: &str = "23503";
    const UNTRANSLATABLE_CHARACTER: &str = "22P05";
    let conflict = |text: String| StoreError::new(StoreErrorKind::Conflict, text);
    let database = error.as_database_error();
    match (database.and_then(|database| database.code()).as_deref(), change) {
        (Some(UNIQUE_VIOLATION), _) => conflict(exists_already),
        (Some(FOREIGN_KEY_VIOLATION), ConfigurationChange::PutConnection(link)) => {
            let of_source = database.and_then(|database| database.constraint()) == Some("connections_source_id_fkey");
            conflict(if of_source {
                format!("the connection names the source {}, which does not exist", link.source)
            } else {
                format!("the connection names the destination {}, which does not exist", link.destination)
            })
        }
        (Some(UNTRANSLATABLE_CHARACTER), _) => conflict("text with NUL characters cannot be stored".into()),
        _ => error.into(),
    }
}

fn document<T: Serialize>(entry: &T) -> Result<String, StoreError> {
    serde_json::to_string(entry).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| damaged("a configuration entry"))
}
