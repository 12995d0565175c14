//! Deliveries added to stored events.

use std::collections::HashSet;

use spillway_model::{DeliveryId, EventId, UnixMillis};
use sqlx::postgres::PgBindIterExt;
use sqlx::types::Uuid;
use sqlx::{Connection, Row};

use super::rows::{bits, uuid};
use super::sessions::Session;
use crate::{NewRoute, StoreError, StoreErrorKind};

/// Locks the event, so that two callers do not add the same delivery.
const RELEASE: &str = "UPDATE events SET quarantine = NULL WHERE id = $1 AND octet_length(headers) <> 1";

const PRESENT: &str = "SELECT id, connection_id FROM deliveries WHERE id >= $1 AND id <= $2 ORDER BY id";

/// Values: ids, destinations, connections, order keys; now. As in intake.
const ADD: &str = "
WITH wanted AS MATERIALIZED (
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) AS d (id, destination_id, connection_id, order_key)
), heads AS (
    INSERT INTO order_heads AS h (key, delivery_id)
    SELECT DISTINCT ON (order_key) order_key, id FROM wanted WHERE order_key IS NOT NULL ORDER BY order_key, id
    ON CONFLICT (key) DO UPDATE SET delivery_id = h.delivery_id
    RETURNING h.delivery_id
), placed AS MATERIALIZED (
    SELECT *, CASE WHEN order_key IS NULL OR id IN (SELECT delivery_id FROM heads) THEN 0 ELSE 4 END AS state FROM wanted
), queued AS (
    INSERT INTO order_queue (key, delivery_id) SELECT order_key, id FROM placed WHERE state = 4
)
INSERT INTO deliveries (id, destination_id, connection_id, at, generation, attempts, state, order_key)
SELECT id, destination_id, connection_id, $5, 0, 0, state, order_key FROM placed";

pub(super) async fn deliver(
    session: &mut Session,
    event: EventId,
    to: &[NewRoute],
    now: UnixMillis,
) -> Result<Option<Vec<DeliveryId>>, StoreError> {
    session.count(2);
    let mut transaction = session.statement().begin().await?;
    let released = sqlx::query(RELEASE).bind(uuid(event.to_u128())).execute(&mut *transaction).await?;
    if released.rows_affected() == 0 {
        return Ok(None);
    }
    let present = sqlx::query(PRESENT)
        .bind(uuid(event.to_u128()))
        .bind(uuid(event.delivery(u16::MAX).to_u128()))
        .fetch_all(&mut *transaction)
        .await?;
    let mut connections = HashSet::new();
    let mut next_ordinal = 0;
    for row in &present {
        next_ordinal = u32::from(DeliveryId::from_u128(bits(row, 0)?).ordinal()) + 1;
        connections.insert(row.try_get::<Uuid, _>(1)?);
    }
    let mut added: Vec<(DeliveryId, &NewRoute)> = Vec::new();
    for route in to {
        if connections.insert(uuid(route.connection.to_u128())) {
            let ordinal = u16::try_from(next_ordinal).map_err(|_| too_many(event))?;
            next_ordinal += 1;
            added.push((event.delivery(ordinal), route));
        }
    }
    if !added.is_empty() {
        sqlx::query(ADD)
            .bind(added.iter().map(|(id, _)| uuid(id.to_u128())).bind_iter())
            .bind(added.iter().map(|(_, route)| uuid(route.destination.to_u128())).bind_iter())
            .bind(added.iter().map(|(_, route)| uuid(route.connection.to_u128())).bind_iter())
            .bind(added.iter().map(|(_, route)| route.order.map(|key| key.0)).bind_iter())
            .bind(now)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(Some(added.into_iter().map(|(id, _)| id).collect()))
}

fn too_many(event: EventId) -> StoreError {
    StoreError::new(StoreErrorKind::Conflict, format!("the event {event} would have more than 65536 deliveries"))
}
