//! Ends and prolongs claims, and makes deliveries due again.
//!
//! Rows are always locked in the order of their ids, so that two nodes cannot wait for each other.

use std::cmp::Reverse;
use std::collections::HashSet;

use spillway_model::{Attempt, DeliveryId, DeliveryState, Lease, Settlement, UnixMillis};
use sqlx::postgres::{PgArguments, PgBindIterExt, PgRow};
use sqlx::query::Query;
use sqlx::types::Uuid;
use sqlx::{Connection, Postgres, Row};

use super::order::{self, Ended};
use super::rows::{text, uuid};
use super::sessions::Session;
use crate::{RetryOutcome, StoreError};

/// The conditions are written so that a lookup of each id is the only plan there is, however small the table.
///
/// Answers how many claims were current, and which unless all were. A delivery that stays pending gets a new generation,
/// because the claim has ended: the same settlement again finds nothing to settle.
const SETTLE: &str = "
WITH ended AS (
    UPDATE deliveries d
    SET state = s.state, at = s.at,
        attempts = LEAST(d.attempts + (s.attempt_id IS NOT NULL)::integer, 65535),
        generation = d.generation + (s.state = 0)::integer
    FROM UNNEST($1::uuid[], $2::integer[], $3::smallint[], $4::bigint[], $5::uuid[], $6::bigint[], $7::bigint[],
                $8::smallint[], $9::integer[], $10::bytea[], $11::text[])
        AS s (id, generation, state, at, attempt_id, started_at, duration_us, class, status, response, error)
    WHERE d.id = ANY (ARRAY[s.id]) AND d.generation = s.generation AND d.state + 0 = 0
    RETURNING d.id, s.attempt_id, s.started_at, s.duration_us, s.class, s.status, s.response, s.error
), made AS (
    INSERT INTO attempts (id, started_at, duration_us, class, status, response, error)
    SELECT attempt_id, started_at, duration_us, class, status, response, error FROM ended WHERE attempt_id IS NOT NULL
    ON CONFLICT (id) DO NOTHING
)
SELECT count(*), CASE WHEN count(*) < cardinality($1::uuid[]) THEN array_agg(id) END FROM ended";

const RENEW: &str = "
WITH renewed AS (
    UPDATE deliveries d SET at = $3
    FROM UNNEST($1::uuid[], $2::integer[]) AS l (id, generation)
    WHERE d.id = ANY (ARRAY[l.id]) AND d.generation = l.generation AND d.state + 0 = 0
    RETURNING d.id
)
SELECT count(*), CASE WHEN count(*) < cardinality($1::uuid[]) THEN array_agg(id) END FROM renewed";

/// What is queued keeps its place. The event is locked, so that retention does not remove it, or its payload, at the same time.
const RETRY: &str = "
WITH event AS MATERIALIZED (
    SELECT FROM events WHERE id = $2 AND octet_length(headers) <> 1 FOR KEY SHARE
), due AS (
    UPDATE deliveries SET state = 0, at = $3, generation = generation + 1
    WHERE id = $1 AND state + 0 <> 4 AND EXISTS (SELECT FROM event)
    RETURNING id
)
SELECT EXISTS (SELECT 1 FROM due), (SELECT state FROM deliveries WHERE id = $1)";

/// Returns the deliveries whose claim was not current.
pub(super) async fn settle(
    session: &mut Session,
    mut settlements: Vec<Settlement>,
) -> Result<Vec<DeliveryId>, StoreError> {
    settlements.sort_by_key(|settlement| (settlement.lease.delivery, Reverse(settlement.lease.generation)));
    let mut stale = remove_repeats(&mut settlements, |settlement| settlement.lease.delivery);
    let ended: Vec<Ended> = settlements.iter().filter_map(Ended::of).collect();
    if ended.is_empty() {
        let row = session.write(update(&settlements)).await?;
        stale.extend(not_among(&row, settlements.iter().map(|settlement| settlement.lease.delivery))?);
        return Ok(stale);
    }
    // The settlements, and the two statements of the order.
    session.count(2);
    let mut transaction = session.statement().begin().await?;
    let row = update(&settlements).fetch_one(&mut *transaction).await?;
    let lost = not_among(&row, settlements.iter().map(|settlement| settlement.lease.delivery))?;
    let ended: Vec<Ended> = ended.into_iter().filter(|one| !lost.contains(&one.delivery)).collect();
    order::advance(&mut transaction, &ended).await?;
    transaction.commit().await?;
    stale.extend(lost);
    Ok(stale)
}

fn update(all: &[Settlement]) -> Query<'_, Postgres, PgArguments> {
    let attempts = || all.iter().map(|settlement| settlement.attempt.as_ref());
    let micros = |attempt: &Attempt| i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX);
    sqlx::query(SETTLE)
        .bind(all.iter().map(|settlement| uuid(settlement.lease.delivery.to_u128())).bind_iter())
        .bind(all.iter().map(|settlement| settlement.lease.generation.cast_signed()).bind_iter())
        .bind(all.iter().map(|settlement| settlement.next.state().code()).bind_iter())
        .bind(all.iter().map(|settlement| settlement.next.at()).bind_iter())
        .bind(attempts().map(|attempt| attempt.map(|attempt| uuid(attempt.id.to_u128()))).bind_iter())
        .bind(attempts().map(|attempt| attempt.map(|attempt| attempt.started_at)).bind_iter())
        .bind(attempts().map(|attempt| attempt.map(micros)).bind_iter())
        .bind(attempts().map(|attempt| attempt.map(|attempt| attempt.class.code())).bind_iter())
        .bind(attempts().map(|attempt| attempt.and_then(|attempt| attempt.status).map(i32::from)).bind_iter())
        .bind(attempts().map(|attempt| attempt.map(|attempt| &attempt.response[..])).bind_iter())
        .bind(attempts().map(|attempt| attempt.and_then(|attempt| attempt.error.as_deref()).map(text)).bind_iter())
}

/// Returns the deliveries whose claim was not current.
pub(super) async fn renew(
    session: &mut Session,
    mut leases: Vec<Lease>,
    until: UnixMillis,
) -> Result<Vec<DeliveryId>, StoreError> {
    leases.sort_by_key(|lease| (lease.delivery, lease.generation));
    leases.dedup();
    let update = sqlx::query(RENEW)
        .bind(leases.iter().map(|lease| uuid(lease.delivery.to_u128())).bind_iter())
        .bind(leases.iter().map(|lease| lease.generation.cast_signed()).bind_iter())
        .bind(until);
    let row = session.write(update).await?;
    not_among(&row, leases.iter().map(|lease| lease.delivery))
}

pub(super) async fn retry(
    session: &mut Session,
    delivery: DeliveryId,
    now: UnixMillis,
) -> Result<RetryOutcome, StoreError> {
    let update = sqlx::query(RETRY).bind(uuid(delivery.to_u128())).bind(uuid(delivery.event().to_u128())).bind(now);
    let row = session.write(update).await?;
    let state = row.try_get::<Option<i16>, _>(1)?.map(DeliveryState::from_code);
    Ok(match (row.try_get(0)?, state) {
        (true, _) => RetryOutcome::Due,
        (false, Some(Some(DeliveryState::Queued))) => RetryOutcome::Queued,
        (false, Some(_)) => RetryOutcome::EventGone,
        (false, None) => RetryOutcome::Unknown,
    })
}

/// Removes all but the first of equal neighbours, and returns the keys of what was removed.
fn remove_repeats<T, K: PartialEq>(items: &mut Vec<T>, key: impl Fn(&T) -> K) -> Vec<K> {
    let mut removed = Vec::new();
    items.dedup_by(|later, earlier| {
        let same = key(later) == key(earlier);
        if same {
            removed.push(key(later));
        }
        same
    });
    removed
}

/// The deliveries that are missing in an answer of a count and, unless it is complete, ids.
fn not_among(row: &PgRow, asked: impl ExactSizeIterator<Item = DeliveryId>) -> Result<Vec<DeliveryId>, StoreError> {
    if row.try_get::<i64, _>(0)? == i64::try_from(asked.len()).unwrap_or(i64::MAX) {
        return Ok(Vec::new());
    }
    let found: HashSet<Uuid> = row.try_get::<Option<Vec<Uuid>>, _>(1)?.unwrap_or_default().into_iter().collect();
    Ok(asked.filter(|delivery| !found.contains(&uuid(delivery.to_u128()))).collect())
}
