//! Documents by kind and key.

use bytes::Bytes;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::sessions::Session;
use crate::{DOCUMENT_LIST_LIMIT, Document, StoreError};

const PUT: &str = "
INSERT INTO documents (kind, key, at, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, key) DO UPDATE SET at = excluded.at, body = excluded.body";
const ONE: &str = "SELECT kind, key, at, body FROM documents WHERE kind = $1 AND key = $2";
const OF_KIND: &str =
    "SELECT kind, key, at, body FROM documents WHERE kind = $1 ORDER BY kind DESC, at DESC, key DESC LIMIT $2";
const DELETE: &str = "DELETE FROM documents WHERE kind = $1 AND key = $2";

pub(super) async fn put(session: &mut Session, document: &Document) -> Result<(), StoreError> {
    let Document { kind, key, at, body } = document;
    let put = sqlx::query(PUT).bind(kind.as_str()).bind(key.as_str()).bind(*at).bind(&body[..]);
    put.execute(session.statement()).await?;
    Ok(())
}

pub(super) async fn one(session: &mut Session, kind: &str, key: &str) -> Result<Option<Document>, StoreError> {
    let row = sqlx::query(ONE).bind(kind).bind(key).fetch_optional(session.statement()).await?;
    row.as_ref().map(document).transpose()
}

pub(super) async fn of_kind(session: &mut Session, kind: &str, limit: usize) -> Result<Vec<Document>, StoreError> {
    latest(session.statement(), kind, limit).await
}

pub(super) async fn latest(
    connection: &mut PgConnection,
    kind: &str,
    limit: usize,
) -> Result<Vec<Document>, StoreError> {
    let limit = i64::try_from(limit.min(DOCUMENT_LIST_LIMIT)).unwrap_or(i64::MAX);
    let rows = sqlx::query(OF_KIND).bind(kind).bind(limit).fetch_all(connection).await?;
    rows.iter().map(document).collect()
}

pub(super) async fn delete(session: &mut Session, kind: &str, key: &str) -> Result<(), StoreError> {
    sqlx::query(DELETE).bind(kind).bind(key).execute(session.statement()).await?;
    Ok(())
}

fn document(row: &PgRow) -> Result<Document, StoreError> {
    Ok(Document {
        kind: row.try_get(0)?,
        key: row.try_get(1)?,
        at: row.try_get(2)?,
        body: Bytes::copy_from_slice(row.try_get(3)?),
    })
}
