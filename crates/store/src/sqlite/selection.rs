//! Deliveries that a replay means, part by part.

use spillway_model::{DeliveryId, EventId, Selection};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Row};

use super::rows::{self, damaged};
use crate::replays::{Along, looked_at, states_of};
use crate::{SELECT_LOOKED_AT, Selected, StoreError};

/// Events that are looked at in one part, at most: some have no deliveries.
const EVENTS_LOOKED_AT: i64 = 2_000;

/// A part of the deliveries between two places: all of them, whatever they are.
///
/// Values of all: place behind which to begin (1, 2), place before which to end (3, 4), most to look at (5), most to answer with (6),
/// destination (7), connection (8), source (9), process (10). Values of events: most to look at (11).
const ALONG_IDS: &str = "
of_source (seq, process) AS (SELECT 0, 0 WHERE false),
looked AS MATERIALIZED (
    SELECT x.seq, x.process, x.ordinal, x.destination, x.connection, x.state FROM deliveries x
    WHERE (x.seq, x.ordinal) > (?1, ?2) AND (x.seq, x.ordinal) < (?3, ?4)
    ORDER BY x.seq, x.ordinal LIMIT ?5
)";

const ALONG_DEAD: &str = "
of_source (seq, process) AS (SELECT 0, 0 WHERE false),
looked AS MATERIALIZED (
    SELECT x.seq, x.process, x.ordinal, x.destination, x.connection, x.state FROM deliveries x INDEXED BY deliveries_dead
    WHERE x.state = 2 AND (x.seq, x.ordinal) > (?1, ?2) AND (x.seq, x.ordinal) < (?3, ?4)
    ORDER BY x.seq, x.ordinal LIMIT ?5
)";

/// The join goes through the events in their order, and through the deliveries of each in theirs.
const ALONG_SOURCE: &str = "
of_source AS MATERIALIZED (
    SELECT event.seq, event.process FROM events event INDEXED BY events_by_source
    WHERE event.source = (SELECT key FROM known_ids WHERE id = ?9)
      AND event.seq >= ?1 AND event.seq <= ?3 AND (event.seq < ?3 OR ?4 > 0)
    ORDER BY event.seq LIMIT ?11
),
looked AS MATERIALIZED (
    SELECT x.seq, x.process, x.ordinal, x.destination, x.connection, x.state
    FROM of_source CROSS JOIN deliveries x ON x.seq = of_source.seq
    WHERE (x.seq, x.ordinal) > (?1, ?2)
    LIMIT ?5
)";

/// What is asked about a part.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    /// The deliveries that match.
    Deliveries,
    /// How many match: nothing is read that only an id needs.
    Number,
}

/// What the part comes to: the deliveries that match, the last one looked at and how many were, the last event and how many were.
fn text(along: Along, states: &[i16], answer: Answer) -> String {
    let looked = match along {
        Along::Ids => ALONG_IDS,
        Along::Dead => ALONG_DEAD,
        Along::Source => ALONG_SOURCE,
    };
    let looked = match (along, answer) {
        // The index of dead deliveries has all else.
        (Along::Dead, Answer::Number) => looked.replace("x.process", "0 AS process"),
        _ => looked.to_owned(),
    };
    let matching = match answer {
        Answer::Deliveries => "json_group_array(json_array(seq, process, ordinal))",
        Answer::Number => "count(*)",
    };
    let states = states.iter().map(i16::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "WITH {looked}
         SELECT (SELECT {matching} FROM (
                SELECT seq, process, ordinal FROM looked
                WHERE state IN ({states})
                  AND (?7 IS NULL OR destination = (SELECT key FROM known_ids WHERE id = ?7))
                  AND (?8 IS NULL OR connection = (SELECT key FROM known_ids WHERE id = ?8))
                  AND (?9 IS NULL OR EXISTS (SELECT 1 FROM events event WHERE event.seq = looked.seq
                       AND event.source = (SELECT key FROM known_ids WHERE id = ?9)))
                  AND (?10 IS NULL OR process = ?10)
                ORDER BY seq, ordinal LIMIT ?6
            )),
            (SELECT json_array(seq, process, ordinal) FROM looked ORDER BY seq DESC, ordinal DESC LIMIT 1),
            (SELECT count(*) FROM looked),
            (SELECT json_array(seq, process, 65535) FROM of_source ORDER BY seq DESC LIMIT 1),
            (SELECT count(*) FROM of_source), ?11"
    )
}

/// The row of [`text`].
async fn part(
    pool: &SqlitePool,
    selection: &Selection,
    after: Option<DeliveryId>,
    limit: usize,
    answer: Answer,
) -> Result<SqliteRow, StoreError> {
    let first_of = |event: EventId| (event.sequence(), -1);
    let place = |delivery: DeliveryId| (delivery.event().sequence(), i64::from(delivery.ordinal()));
    let from =
        [after.map(place), selection.from.map(|from| first_of(EventId::first_of(from))), selection.event.map(first_of)];
    let to = [
        selection.to.map(|to| first_of(EventId::first_of(to))),
        selection.event.map(|event| (event.sequence(), i64::from(u16::MAX) + 1)),
    ];
    let from = from.into_iter().flatten().max().unwrap_or((0, -1));
    let to = to.into_iter().flatten().min().unwrap_or((i64::MAX, i64::MAX));
    let row = sqlx::query(AssertSqlSafe(text(Along::of(selection), &states_of(selection), answer)))
        .bind(from.0)
        .bind(from.1)
        .bind(to.0)
        .bind(to.1)
        .bind(looked_at(limit) as i64)
        .bind(limit as i64)
        .bind(selection.destination.map(|id| id.to_bytes().to_vec()))
        .bind(selection.connection.map(|id| id.to_bytes().to_vec()))
        .bind(selection.source.map(|id| id.to_bytes().to_vec()))
        .bind(selection.event.map(rows::process))
        .bind(EVENTS_LOOKED_AT)
        .fetch_one(pool)
        .await?;
    Ok(row)
}

/// Behind which delivery the next part begins, of one that is not full.
fn next(row: &SqliteRow, limit: usize) -> Result<Option<DeliveryId>, StoreError> {
    let last = |column: usize| -> Result<Option<DeliveryId>, StoreError> {
        let text = row.try_get::<Option<&str>, _>(column)?;
        text.map(|text| serde_json::from_str(text).map(delivery).map_err(|_| damaged("a delivery"))).transpose()
    };
    if row.try_get::<i64, _>(2)? >= looked_at(limit) as i64 {
        last(1)
    } else if row.try_get::<i64, _>(4)? >= EVENTS_LOOKED_AT {
        last(3)
    } else {
        Ok(None)
    }
}

pub(super) async fn select(
    pool: &SqlitePool,
    selection: Selection,
    after: Option<DeliveryId>,
    limit: usize,
) -> Result<Selected, StoreError> {
    let limit = limit.clamp(1, SELECT_LOOKED_AT);
    let row = part(pool, &selection, after, limit, Answer::Deliveries).await?;
    let deliveries: Vec<(i64, i64, u16)> = serde_json::from_str(row.try_get(0)?).map_err(|_| damaged("a delivery"))?;
    let deliveries: Vec<DeliveryId> = deliveries.into_iter().map(delivery).collect();
    let next = if deliveries.len() >= limit { deliveries.last().copied() } else { next(&row, limit)? };
    Ok(Selected { deliveries, next })
}

/// How many match of the next part, and behind which delivery the one after it begins.
pub(super) async fn count(
    pool: &SqlitePool,
    selection: Selection,
    after: Option<DeliveryId>,
) -> Result<(u64, Option<DeliveryId>), StoreError> {
    // As many are looked at as can match: a part is never full before its end.
    let row = part(pool, &selection, after, SELECT_LOOKED_AT, Answer::Number).await?;
    Ok((row.try_get::<i64, _>(0)?.cast_unsigned(), next(&row, SELECT_LOOKED_AT)?))
}

fn delivery((seq, process, ordinal): (i64, i64, u16)) -> DeliveryId {
    rows::event_id(seq, process).delivery(ordinal)
}
