//! Deliveries that must stay in order: at most one of a key is on its way.
//!
//! A key's head is locked before anything is decided on it, and what is decided is read after that: under the lock nobody adds to the queue, so
//! none is lost between the look into the queue and the end of the key.

use spillway_model::{DeliveryId, DeliveryState, OrderKey, Settlement, UnixMillis};
use sqlx::postgres::PgBindIterExt;
use sqlx::{Connection, PgConnection, Row};

use super::rows::{bits, uuid};
use super::sessions::Session;
use crate::StoreError;

const LOCK: &str = "SELECT FROM order_heads WHERE key = ANY ($1) ORDER BY key FOR UPDATE";

/// Values: keys, deliveries that ended, when. Where one of them was its key's head, the next one that is queued takes its place; without a
/// next one the key is free.
const ADVANCE: &str = "
WITH next AS MATERIALIZED (
    SELECT e.key, e.at, (
        SELECT q.delivery_id FROM order_queue q CROSS JOIN LATERAL (
            SELECT FROM deliveries d WHERE d.id = q.delivery_id AND d.state + 0 = 4 OFFSET 0
        ) d
        WHERE q.key = e.key ORDER BY q.delivery_id LIMIT 1
    ) AS delivery_id
    FROM UNNEST($1::bigint[], $2::uuid[], $3::bigint[]) AS e (key, ended_id, at)
    WHERE EXISTS (SELECT FROM order_heads h WHERE h.key = e.key AND h.delivery_id = e.ended_id OFFSET 0)
), freed AS (
    DELETE FROM order_heads h USING next n WHERE h.key = ANY (ARRAY[n.key]) AND n.delivery_id IS NULL
), moved AS (
    UPDATE order_heads h SET delivery_id = n.delivery_id FROM next n
    WHERE h.key = ANY (ARRAY[n.key]) AND n.delivery_id IS NOT NULL
), taken AS (
    DELETE FROM order_queue q USING next n WHERE q.key = ANY (ARRAY[n.key]) AND q.delivery_id = ANY (ARRAY[n.delivery_id])
)
UPDATE deliveries d SET state = 0, at = n.at FROM next n WHERE d.id = ANY (ARRAY[n.delivery_id]) AND d.state + 0 = 4";

/// Values: the key after which to begin, rows. Their heads that are not pending.
const STUCK: &str = "
SELECT h.key, h.delivery_id, d.state FROM (
    SELECT key, delivery_id FROM order_heads WHERE key > $1 ORDER BY key LIMIT $2
) h LEFT JOIN LATERAL (SELECT state FROM deliveries WHERE id = h.delivery_id OFFSET 0) d ON true
ORDER BY h.key";

/// A delivery with an order key that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) key: OrderKey,
    pub(super) delivery: DeliveryId,
    pub(super) at: UnixMillis,
}

impl Ended {
    /// What a settlement ends; `None` when it has no key, or the delivery stays pending.
    pub(super) fn of(settlement: &Settlement) -> Option<Self> {
        let key = settlement.order.filter(|_| settlement.next.state() != DeliveryState::Pending)?;
        Some(Self { key, delivery: settlement.lease.delivery, at: settlement.next.at() })
    }
}

/// Lets the next delivery of each key go out, where the one that ended was on its way: two statements of a transaction that is open.
pub(super) async fn advance(transaction: &mut PgConnection, ended: &[Ended]) -> Result<(), StoreError> {
    sqlx::query(LOCK).bind(ended.iter().map(|one| one.key.0).bind_iter()).execute(&mut *transaction).await?;
    sqlx::query(ADVANCE)
        .bind(ended.iter().map(|one| one.key.0).bind_iter())
        .bind(ended.iter().map(|one| uuid(one.delivery.to_u128())).bind_iter())
        .bind(ended.iter().map(|one| one.at).bind_iter())
        .execute(transaction)
        .await?;
    Ok(())
}

/// Of the next `limit` keys, frees those whose head is not pending: a program that knew nothing of order ended it. Returns the last key
/// that was looked at, unless it was the last of all.
pub(super) async fn release_stuck(
    session: &mut Session,
    after: i64,
    limit: i64,
    now: UnixMillis,
) -> Result<Option<i64>, StoreError> {
    let rows = sqlx::query(STUCK).bind(after).bind(limit).fetch_all(session.statement()).await?;
    let mut ended = Vec::new();
    for row in &rows {
        if row.try_get::<Option<i16>, _>(2)? != Some(DeliveryState::Pending.code()) {
            let delivery = DeliveryId::from_u128(bits(row, 1)?);
            ended.push(Ended { key: OrderKey(row.try_get(0)?), delivery, at: now });
        }
    }
    if !ended.is_empty() {
        tracing::warn!(keys = ended.len(), "order keys were held by deliveries that have ended; the next ones go out");
        session.count(1);
        let mut transaction = session.statement().begin().await?;
        advance(&mut transaction, &ended).await?;
        transaction.commit().await?;
    }
    let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < limit;
    Ok(rows.last().filter(|_| !is_last).map(|row| row.try_get(0)).transpose()?)
}
