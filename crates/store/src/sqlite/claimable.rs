//! What may be claimed: due deliveries, found in the index of each destination.

use futures_util::TryStreamExt;
use spillway_model::{DestinationId, UnixMillis};
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::rows::damaged;
use crate::{ClaimRequest, ClaimShare, StoreError};

/// A due delivery that may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) at: UnixMillis,
    pub(super) seq: i64,
    pub(super) ordinal: i64,
}

/// Jumps from one destination to the next in the index instead of reading all its rows.
macro_rules! present {
    () => {
        "WITH RECURSIVE present (destination) AS (
            SELECT min(destination) FROM deliveries
            UNION ALL
            SELECT (SELECT min(d.destination) FROM deliveries d WHERE d.destination > present.destination)
            FROM present WHERE present.destination IS NOT NULL
        )"
    };
}

/// Values: now, rows of each destination, most in all less one, hexadecimal ids of destinations that may have none.
///
/// When as many destinations have something due as there are places, nothing is taken that is due later than the first of the last of
/// these: each of them has something earlier.
const ALL: &str = concat!(
    present!(),
    ", lane (destination, id, at) AS MATERIALIZED (
        SELECT present.destination, known_ids.id,
            (SELECT min(d.at) FROM deliveries d WHERE d.destination = present.destination AND d.state = 0)
        FROM present CROSS JOIN known_ids ON known_ids.key = present.destination
        WHERE present.destination IS NOT NULL AND hex(known_ids.id) NOT IN (SELECT value FROM json_each(?4))
    ), bound (at) AS MATERIALIZED (
        SELECT coalesce((SELECT at FROM lane WHERE at <= ?1 ORDER BY at LIMIT 1 OFFSET ?3), ?1)
    )
    SELECT lane.id, (
        SELECT json_group_array(json_array(at, seq, ordinal)) FROM (
            SELECT at, seq, ordinal FROM deliveries d
            WHERE d.destination = lane.destination AND d.state = 0 AND d.at <= (SELECT bound.at FROM bound)
            ORDER BY d.at LIMIT ?2
        )
    )
    FROM lane WHERE lane.at <= (SELECT bound.at FROM bound)"
);

/// Each list is one column, and is given by the conditions on its rows.
macro_rules! claimable {
    ($($condition:expr),+) => {
        concat!(
            present!(),
            " SELECT (SELECT id FROM known_ids WHERE key = present.destination)",
            $(", (
                SELECT json_group_array(json_array(at, seq, ordinal)) FROM (
                    SELECT at, seq, ordinal FROM deliveries d
                    WHERE d.destination = present.destination AND d.state = 0 AND ", $condition, "
                    ORDER BY d.at LIMIT ?2
                )
            )",)+
            " FROM present WHERE present.destination IS NOT NULL AND EXISTS (
                SELECT 1 FROM deliveries d WHERE d.destination = present.destination AND d.state = 0 AND d.at <= ?1
            )"
        )
    };
}

/// [`DeliveryId::bucket`](spillway_model::DeliveryId::bucket) before it is squared.
macro_rules! mixed {
    () => {
        "((((d.seq & 68719476735) * 60493313 + d.ordinal * 2654435761) >> 20) & 2147483647)"
    };
}

macro_rules! bucket {
    () => {
        concat!("((", mixed!(), " * ", mixed!(), ") >> 20) % 100")
    };
}

/// Values: now, rows of each destination and list, first and last bucket, the time before which a delivery is anybody's.
const OF_SHARE: &str = claimable!(
    concat!("d.at <= ?1 AND ", bucket!(), " BETWEEN ?3 AND ?4"),
    concat!("d.at <= ?5 AND ", bucket!(), " NOT BETWEEN ?3 AND ?4")
);

/// Of each destination as many as it allows, the longest overdue first in all.
pub(super) async fn all(pool: &SqlitePool, request: &ClaimRequest) -> Result<Vec<Candidate>, StoreError> {
    let Some(widest) = widest(request) else { return Ok(Vec::new()) };
    let closed = request.limits.iter().filter(|(_, limit)| **limit == 0);
    let closed: Vec<String> = closed.map(|(id, _)| format!("{:032X}", id.to_u128())).collect();
    // Where only some destinations may have any, the others do not bound what these get.
    let places = if request.max_per_destination == 0 { usize::MAX } else { request.max };
    let mut rows = sqlx::query(ALL)
        .bind(request.now)
        .bind(widest)
        .bind(i64::try_from(places - 1).unwrap_or(i64::MAX))
        .bind(serde_json::to_string(&closed).unwrap_or_default())
        .fetch(pool);
    let mut candidates = Vec::new();
    while let Some(row) = rows.try_next().await? {
        candidates.extend(list(&row, 1)?.take(limit(request, &row)?));
    }
    candidates.sort_unstable();
    candidates.truncate(request.max);
    Ok(candidates)
}

/// The same of the share alone, and in the room that is left what is overdue of the rest.
pub(super) async fn of_share(
    pool: &SqlitePool,
    request: &ClaimRequest,
    share: &ClaimShare,
) -> Result<Vec<Candidate>, StoreError> {
    let Some(widest) = widest(request) else { return Ok(Vec::new()) };
    let mut rows = sqlx::query(OF_SHARE)
        .bind(request.now)
        .bind(widest)
        .bind(i64::from(share.buckets.start))
        .bind(i64::from(share.buckets.end) - 1)
        .bind(share.overdue_before.min(request.now))
        .fetch(pool);
    let (mut own, mut others) = (Vec::new(), Vec::new());
    while let Some(row) = rows.try_next().await? {
        let limit = limit(request, &row)?;
        let before = own.len();
        own.extend(list(&row, 1)?.take(limit));
        others.extend(list(&row, 2)?.take(limit - (own.len() - before)));
    }
    own.sort_unstable();
    own.truncate(request.max);
    others.sort_unstable();
    others.truncate(request.max - own.len());
    own.extend(others);
    own.sort_unstable();
    Ok(own)
}

/// The most that any destination may have; `None` when none may have any.
fn widest(request: &ClaimRequest) -> Option<i64> {
    let widest = request.limits.values().copied().max().unwrap_or(0).max(request.max_per_destination).min(request.max);
    (widest > 0).then(|| i64::try_from(widest).unwrap_or(i64::MAX))
}

/// What the destination of this row may have.
fn limit(request: &ClaimRequest, row: &SqliteRow) -> Result<usize, StoreError> {
    let destination = DestinationId::from_slice(row.try_get(0)?).ok_or_else(|| damaged("an id"))?;
    Ok(request.limits.get(&destination).copied().unwrap_or(request.max_per_destination))
}

fn list(row: &SqliteRow, column: usize) -> Result<impl Iterator<Item = Candidate> + use<>, StoreError> {
    let due: Vec<(i64, i64, i64)> = serde_json::from_str(row.try_get(column)?).map_err(|_| damaged("a delivery"))?;
    Ok(due.into_iter().map(|(at, seq, ordinal)| Candidate { at, seq, ordinal }))
}
