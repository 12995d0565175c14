//! Documents by kind and key.

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection, SqliteExecutor};

use super::task::{Done, Work};
use crate::{DOCUMENT_LIST_LIMIT, Document, StoreError};

#[async_trait]
impl Work for Document {
    type Output = ();

    async fn perform(&self, connection: &mut SqliteConnection) -> Result<Done<()>, StoreError> {
        sqlx::query(
            "INSERT INTO documents (kind, key, at, body) VALUES (?, ?, ?, ?)
             ON CONFLICT (kind, key) DO UPDATE SET at = excluded.at, body = excluded.body",
        )
        .bind(&self.kind)
        .bind(&self.key)
        .bind(self.at)
        .bind(self.body.to_vec())
        .execute(connection)
        .await?;
        Ok(Done { output: (), statements: 1, written_bytes: 4_096 + self.body.len() })
    }
}

/// Removes a document.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) kind: String,
    pub(super) key: String,
}

#[async_trait]
impl Work for Removal {
    type Output = ();

    async fn perform(&self, connection: &mut SqliteConnection) -> Result<Done<()>, StoreError> {
        let removal = sqlx::query("DELETE FROM documents WHERE kind = ? AND key = ?").bind(&self.kind).bind(&self.key);
        removal.execute(connection).await?;
        Ok(Done::few((), 1))
    }
}

pub(super) async fn one(pool: &SqlitePool, kind: &str, key: &str) -> Result<Option<Document>, StoreError> {
    let row = sqlx::query("SELECT kind, key, at, body FROM documents WHERE kind = ? AND key = ?")
        .bind(kind)
        .bind(key)
        .fetch_optional(pool)
        .await?;
    row.as_ref().map(document).transpose()
}

pub(super) async fn of_kind(
    executor: impl SqliteExecutor<'_>,
    kind: &str,
    limit: usize,
) -> Result<Vec<Document>, StoreError> {
    let limit = i64::try_from(limit.min(DOCUMENT_LIST_LIMIT)).unwrap_or(i64::MAX);
    let rows =
        sqlx::query("SELECT kind, key, at, body FROM documents WHERE kind = ? ORDER BY at DESC, key DESC LIMIT ?")
            .bind(kind)
            .bind(limit)
            .fetch_all(executor)
            .await?;
    rows.iter().map(document).collect()
}

fn document(row: &SqliteRow) -> Result<Document, StoreError> {
    Ok(Document {
        kind: row.try_get(0)?,
        key: row.try_get(1)?,
        at: row.try_get(2)?,
        body: Bytes::from(row.try_get::<Vec<u8>, _>(3)?),
    })
}
