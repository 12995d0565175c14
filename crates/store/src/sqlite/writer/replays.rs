//! Deliveries added to stored events, and replays.

use std::collections::HashSet;

use spillway_model::{DeliveryId, EventId, NewDelivery, Replay, ReplayId, UnixMillis};
use sqlx::Row;
use sqlx::sqlite::SqliteArguments;

use super::{Failure, Operation, Writer};
use crate::sqlite::replays::{self, HOLD, ONE, STEP};
use crate::sqlite::rows;
use crate::sqlite::statements::{Kind, LARGEST, size};
use crate::{HeldReplay, NewRoute, ReplayStep, StoreError, StoreErrorKind};

impl Writer {
    /// Before the transaction begins: identifiers that new routes name for the first time.
    pub(super) async fn learn_routes(&mut self, operations: &[Operation]) -> Result<(), Failure> {
        let mut unknown = HashSet::new();
        for operation in operations {
            if let Operation::Deliver { to, .. } = operation {
                let named = to.iter().flat_map(|route| [route.destination.to_u128(), route.connection.to_u128()]);
                unknown.extend(named.filter(|id| !self.keys.contains_key(id)));
            }
        }
        self.learn(unknown).await
    }

    pub(super) async fn deliver(
        &mut self,
        event: EventId,
        to: &[NewRoute],
        now: UnixMillis,
    ) -> Result<Option<Vec<DeliveryId>>, Failure> {
        self.begin().await?;
        let seq = event.sequence();
        let released =
            sqlx::query("UPDATE events SET quarantine = NULL WHERE seq = ? AND process = ? AND length(headers) <> 1")
                .bind(seq)
                .bind(rows::process(event))
                .execute(&mut self.connection)
                .await?;
        if released.rows_affected() == 0 {
            return Ok(None);
        }
        let sql = "SELECT ordinal, connection FROM deliveries WHERE seq = ? ORDER BY ordinal";
        let (mut connections, mut next_ordinal) = (HashSet::new(), 0);
        for row in sqlx::query(sql).bind(seq).fetch_all(&mut self.connection).await? {
            next_ordinal = row.try_get::<i64, _>(0)? + 1;
            connections.insert(row.try_get::<i64, _>(1)?);
        }
        let mut deliveries = Vec::new();
        for route in to {
            if !connections.insert(self.key(route.connection.to_u128())?) {
                continue;
            }
            let ordinal = u16::try_from(next_ordinal).map_err(|_| too_many(event))?;
            next_ordinal += 1;
            deliveries.push(NewDelivery {
                id: event.delivery(ordinal),
                destination: route.destination,
                connection: route.connection,
                due_at: now,
                generation: 0,
                order: route.order,
            });
        }
        let (ordered, plain): (Vec<&NewDelivery>, Vec<&NewDelivery>) =
            deliveries.iter().partition(|delivery| delivery.order.is_some());
        for plain in plain.chunks(LARGEST) {
            let mut values = SqliteArguments::default();
            for delivery in plain {
                self.add_delivery(&mut values, delivery)?;
            }
            self.execute(Kind::Append { events: 0, deliveries: size(plain.len()) }, false, values).await?;
        }
        self.append_ordered(&ordered).await?;
        Ok(Some(deliveries.iter().map(|delivery| delivery.id).collect()))
    }

    pub(super) async fn create_replay(&mut self, replay: &Replay) -> Result<(), Failure> {
        self.begin().await?;
        sqlx::query(
            "INSERT INTO replays (id, selection, per_second, state, total, retried, skipped, cursor, created_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(replay.id.to_bytes().to_vec())
        .bind(replays::encode_selection(&replay.selection)?)
        .bind(i64::from(replay.per_second))
        .bind(replay.state.code())
        .bind(replay.total.map(u64::cast_signed))
        .bind(replay.retried.cast_signed())
        .bind(replay.skipped.cast_signed())
        .bind(replay.cursor.map(|cursor| cursor.to_bytes().to_vec()))
        .bind(replay.created_at)
        .bind(replay.updated_at)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub(super) async fn cancel_replay(&mut self, id: ReplayId, now: UnixMillis) -> Result<Option<Replay>, Failure> {
        self.begin().await?;
        let id = id.to_bytes().to_vec();
        sqlx::query("UPDATE replays SET state = 2, updated_at = ? WHERE id = ? AND state = 0")
            .bind(now)
            .bind(id.clone())
            .execute(&mut self.connection)
            .await?;
        let row = sqlx::query(ONE).bind(id).fetch_optional(&mut self.connection).await?;
        Ok(row.as_ref().map(replays::replay).transpose()?)
    }

    pub(super) async fn hold_replay(
        &mut self,
        now: UnixMillis,
        lease_until: UnixMillis,
    ) -> Result<Option<HeldReplay>, Failure> {
        self.begin().await?;
        let row = sqlx::query(HOLD).bind(lease_until).bind(now).fetch_optional(&mut self.connection).await?;
        Ok(row.as_ref().map(replays::held).transpose()?)
    }

    pub(super) async fn advance_replay(&mut self, step: &ReplayStep) -> Result<Option<Replay>, Failure> {
        self.begin().await?;
        let (id, cursor) = (step.id.to_bytes().to_vec(), step.cursor.map(|cursor| cursor.to_bytes().to_vec()));
        let held = sqlx::query(
            "SELECT 1 FROM replays WHERE id = ?1 AND state = 0 AND generation = ?2
               AND (?3 IS NULL OR cursor IS NULL OR cursor < ?3)",
        )
        .bind(id.clone())
        .bind(i64::from(step.generation))
        .bind(cursor.clone())
        .fetch_optional(&mut self.connection)
        .await?;
        if held.is_none() {
            return Ok(None);
        }
        let mut retried = 0;
        for (delivery, at) in &step.due {
            retried += u64::from(self.make_due(*delivery, *at).await?);
        }
        let row = sqlx::query(STEP)
            .bind(id)
            .bind(retried.cast_signed())
            .bind((step.due.len() as u64 - retried).cast_signed())
            .bind(cursor)
            .bind(step.state.code())
            .bind(step.lease_until)
            .bind(step.now)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(Some(replays::replay(&row)?))
    }

    /// Whether a delivery that has ended is pending again now. Its event must be there.
    async fn make_due(&mut self, delivery: DeliveryId, at: UnixMillis) -> Result<bool, Failure> {
        let changed = sqlx::query(
            "UPDATE deliveries SET state = 0, at = ?1, generation = generation + 1
             WHERE seq = ?2 AND ordinal = ?3 AND process = ?4 AND state NOT IN (0, 4)
               AND EXISTS (SELECT 1 FROM events WHERE events.seq = ?2 AND length(events.headers) <> 1)",
        )
        .bind(at)
        .bind(delivery.event().sequence())
        .bind(i64::from(delivery.ordinal()))
        .bind(rows::process(delivery.event()))
        .execute(&mut self.connection)
        .await?;
        Ok(changed.rows_affected() > 0)
    }
}

fn too_many(event: EventId) -> StoreError {
    StoreError::new(StoreErrorKind::Conflict, format!("the event {event} would have more than 65536 deliveries"))
}
