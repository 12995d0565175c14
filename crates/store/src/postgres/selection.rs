//! Deliveries that a replay means, part by part.

use spillway_model::{DeliveryId, EventId, Selection};
use sqlx::Row;
use sqlx::types::Uuid;

use super::rows::uuid;
use super::sessions::Session;
use crate::replays::{Along, looked_at, states_of};
use crate::{SELECT_LOOKED_AT, Selected, StoreError};

/// Events that are looked at in one part, at most: some have no deliveries.
const EVENTS_LOOKED_AT: i64 = 2_000;

/// What a part of the deliveries comes to: those that match, the last one looked at and how many were, the last event and how many were.
///
/// Values: ids behind which to begin (1) and before which to end (2), most to look at (3), most to answer with (4), states (5), destination (6),
/// connection (7), source (8); events: behind which to begin (9), most to look at (10). In the text of an id the last eight digits are number and
/// attempt, which an event's id has as zeros.
macro_rules! select {
    ($looked:literal) => {
        concat!(
            "WITH ",
            $looked,
            ", matched AS MATERIALIZED (
                SELECT id FROM looked WHERE state = ANY ($5::smallint[])
                  AND ($6::uuid IS NULL OR destination_id = $6) AND ($7::uuid IS NULL OR connection_id = $7)
                  AND ($8::uuid IS NULL OR EXISTS (
                        SELECT FROM events e
                        WHERE e.id = (left(looked.id::text, 28) || '00000000')::uuid AND e.source_id = $8 OFFSET 0))
                ORDER BY id LIMIT $4
            )
            SELECT (SELECT array_agg(id ORDER BY id) FROM matched),
                (SELECT id FROM looked ORDER BY id DESC LIMIT 1), (SELECT count(*) FROM looked),
                (SELECT id FROM of_source ORDER BY id DESC LIMIT 1), (SELECT count(*) FROM of_source),
                $9::uuid, $10::bigint"
        )
    };
}

const ALONG_IDS: &str = select!(
    "of_source AS (SELECT $1::uuid AS id WHERE false), looked AS MATERIALIZED (
        SELECT id, destination_id, connection_id, state FROM deliveries WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3
    )"
);

const ALONG_DEAD: &str = select!(
    "of_source AS (SELECT $1::uuid AS id WHERE false), looked AS MATERIALIZED (
        SELECT id, destination_id, connection_id, 2 AS state FROM deliveries
        WHERE state = 2 AND id > $1 AND id < $2 ORDER BY id LIMIT $3
    )"
);

const ALONG_SOURCE: &str = select!(
    "of_source AS MATERIALIZED (
        SELECT id FROM events WHERE (source_id, id) >= ($8, $9) AND (source_id, id) < ($8, $2)
        ORDER BY source_id, id LIMIT $10
    ), looked AS MATERIALIZED (
        SELECT d.* FROM (SELECT id FROM of_source ORDER BY id) e CROSS JOIN LATERAL (
            SELECT id, destination_id, connection_id, state FROM deliveries
            WHERE id >= e.id AND id <= (left(e.id::text, 28) || 'ffff0000')::uuid AND id > $1 ORDER BY id
        ) d LIMIT $3
    )"
);

pub(super) async fn select(
    session: &mut Session,
    selection: Selection,
    after: Option<DeliveryId>,
    limit: usize,
) -> Result<Selected, StoreError> {
    let limit = limit.clamp(1, SELECT_LOOKED_AT);
    let most = looked_at(limit) as i64;
    let before = |event: EventId| event.to_u128().saturating_sub(1);
    let begin = [
        after.map(DeliveryId::to_u128),
        selection.from.map(|from| before(EventId::first_of(from))),
        selection.event.map(before),
    ];
    let end = [
        selection.to.map(|to| EventId::first_of(to).to_u128()),
        selection.event.map(|event| event.delivery(u16::MAX).to_u128().saturating_add(1)),
    ];
    let begin = begin.into_iter().flatten().max().unwrap_or_default();
    let end = end.into_iter().flatten().min().unwrap_or(u128::MAX);
    let text = match Along::of(&selection) {
        Along::Ids => ALONG_IDS,
        Along::Dead => ALONG_DEAD,
        Along::Source => ALONG_SOURCE,
    };
    let row = sqlx::query(text)
        .bind(uuid(begin))
        .bind(uuid(end))
        .bind(most)
        .bind(limit as i64)
        .bind(states_of(&selection))
        .bind(selection.destination.map(|id| uuid(id.to_u128())))
        .bind(selection.connection.map(|id| uuid(id.to_u128())))
        .bind(selection.source.map(|id| uuid(id.to_u128())))
        .bind(uuid(DeliveryId::from_u128(begin).event().to_u128()))
        .bind(EVENTS_LOOKED_AT)
        .fetch_one(session.statement())
        .await?;
    let delivery = |id: Uuid| DeliveryId::from_u128(id.as_u128());
    let deliveries: Vec<DeliveryId> =
        row.try_get::<Option<Vec<Uuid>>, _>(0)?.unwrap_or_default().into_iter().map(delivery).collect();
    let next = if deliveries.len() >= limit {
        deliveries.last().copied()
    } else if row.try_get::<i64, _>(2)? >= most {
        row.try_get::<Option<Uuid>, _>(1)?.map(delivery)
    } else if row.try_get::<i64, _>(4)? >= EVENTS_LOOKED_AT {
        let event = row.try_get::<Option<Uuid>, _>(3)?.map(|id| EventId::from_u128(id.as_u128()));
        event.map(|event| event.delivery(u16::MAX))
    } else {
        None
    };
    Ok(Selected { deliveries, next })
}
