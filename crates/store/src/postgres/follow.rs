//! Reads of those who follow events or look through them.

use spillway_model::{Event, EventId, SourceId};
use sqlx::postgres::PgRow;
use sqlx::types::Uuid;

use super::rows::{self, bits, uuid};
use super::sessions::Session;
use crate::StoreError;

const FOLLOWING: &str = "SELECT id FROM events WHERE id > $1 ORDER BY id LIMIT $2";

/// Compared as rows, for which the index by source is the only one.
const FOLLOWING_OF_SOURCE: &str = "
SELECT id FROM events WHERE (source_id, id) > ($3, $1) AND (source_id, id) <= ($3, $4) ORDER BY source_id, id LIMIT $2";

const PAYLOADS: &str =
    "SELECT id, source_id, event_type, trace, headers, body, quarantine FROM events WHERE id = ANY($1) ORDER BY id";

pub(super) async fn following(
    session: &mut Session,
    source: Option<SourceId>,
    after: EventId,
    limit: usize,
) -> Result<Vec<EventId>, StoreError> {
    let sql = if source.is_some() { FOLLOWING_OF_SOURCE } else { FOLLOWING };
    let mut query = sqlx::query(sql).bind(uuid(after.to_u128())).bind(i64::try_from(limit).unwrap_or(i64::MAX));
    if let Some(source) = source {
        query = query.bind(uuid(source.to_u128())).bind(Uuid::max());
    }
    let rows = query.fetch_all(session.statement()).await?;
    rows.iter().map(|row: &PgRow| Ok(EventId::from_u128(bits(row, 0)?))).collect()
}

pub(super) async fn payloads(session: &mut Session, ids: &[EventId]) -> Result<Vec<Event>, StoreError> {
    let wanted: Vec<Uuid> = ids.iter().map(|id| uuid(id.to_u128())).collect();
    let rows = sqlx::query(PAYLOADS).bind(wanted).fetch_all(session.statement()).await?;
    rows.iter().map(rows::event).collect()
}
