//! Storing events with their deliveries and idempotency records.

use std::collections::{HashMap, HashSet};

use spillway_model::{EventId, IdempotencyHash, NewDelivery, NewEvent};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Row};

use super::{Failure, Writer, add, chunk, pad};
use crate::sqlite::rows;
use crate::sqlite::statements::{self, Kind, LARGEST, size};
use crate::{StoreError, StoreErrorKind};

impl Writer {
    /// Returns the events that were stored before, each with the id of the first one.
    pub(super) async fn append(
        &mut self,
        events: &[&NewEvent],
        commit: bool,
    ) -> Result<HashMap<i64, EventId>, Failure> {
        if events.is_empty() {
            return Ok(HashMap::new());
        }
        self.learn_ids(events).await?;
        let duplicates = self.remember_keys(events).await?;
        let fresh: Vec<&NewEvent> =
            events.iter().filter(|new| !duplicates.contains_key(&new.event.id.sequence())).copied().collect();
        let deliveries = fresh.iter().flat_map(|new| &new.deliveries);
        let (mut ordered, deliveries): (Vec<&NewDelivery>, Vec<&NewDelivery>) =
            deliveries.partition(|delivery| delivery.order.is_some());
        let is_more = !ordered.is_empty() || fresh.iter().any(|new| new.event.quarantine.is_some());
        let rounds = fresh.len().max(deliveries.len()).div_ceil(LARGEST);
        for round in 0..rounds {
            let events = chunk(&fresh, round);
            let deliveries = chunk(&deliveries, round);
            let kind = Kind::Append { events: size(events.len()), deliveries: size(deliveries.len()) };
            let mut values = SqliteArguments::default();
            values.reserve(7 * (size(events.len()) + deliveries.len()), 0);
            for new in events {
                self.add_event(&mut values, new)?;
            }
            pad(&mut values, 7 * (size(events.len()) - events.len()))?;
            for delivery in deliveries {
                self.add_delivery(&mut values, delivery)?;
            }
            self.execute(kind, commit && !is_more && round + 1 == rounds, values).await?;
        }
        if is_more {
            ordered.sort_unstable_by_key(|delivery| delivery.id);
            self.append_ordered(&ordered).await?;
            self.quarantine(&fresh).await?;
        }
        if commit && (is_more || rounds == 0) {
            self.begin().await?;
            self.execute_plain("COMMIT").await?;
        }
        Ok(duplicates)
    }

    /// Marks the events that go nowhere until somebody releases them.
    async fn quarantine(&mut self, events: &[&NewEvent]) -> Result<(), Failure> {
        for new in events {
            let Some(reason) = &new.event.quarantine else { continue };
            self.begin().await?;
            self.statements.append += 1;
            sqlx::query("UPDATE events SET quarantine = ? WHERE seq = ?")
                .bind(reason.to_string())
                .bind(new.event.id.sequence())
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// Seven values.
    pub(super) fn add_delivery(&self, values: &mut SqliteArguments, delivery: &NewDelivery) -> Result<(), Failure> {
        let event = delivery.id.event();
        add(values, event.sequence())?;
        add(values, i64::from(delivery.id.ordinal()))?;
        add(values, rows::process(event))?;
        add(values, self.key(delivery.destination.to_u128())?)?;
        add(values, self.key(delivery.connection.to_u128())?)?;
        add(values, delivery.due_at)?;
        add(values, i64::from(delivery.generation))
    }

    fn add_event(&self, values: &mut SqliteArguments, new: &NewEvent) -> Result<(), Failure> {
        let event = &new.event;
        add(values, event.id.sequence())?;
        add(values, rows::process(event.id))?;
        add(values, self.key(event.source.to_u128())?)?;
        add(values, event.event_type.as_deref().map(str::to_owned))?;
        add(values, event.headers.as_bytes().to_vec())?;
        add(values, event.body.to_vec())?;
        add(values, event.trace.map(rows::encode_trace))
    }

    pub(super) fn key(&self, id: u128) -> Result<i64, Failure> {
        let unknown = || StoreError::new(StoreErrorKind::Internal, "an identifier was not made known to the database");
        self.keys.get(&id).copied().ok_or_else(|| Failure::Store(unknown()))
    }

    /// Gives a small number to each identifier that is seen for the first time. Normally there is none.
    async fn learn_ids(&mut self, events: &[&NewEvent]) -> Result<(), Failure> {
        let mut unknown = HashSet::new();
        for new in events {
            let deliveries = new.deliveries.iter();
            let named = deliveries.flat_map(|d| [d.destination.to_u128(), d.connection.to_u128()]);
            unknown.extend(named.chain([new.event.source.to_u128()]).filter(|id| !self.keys.contains_key(id)));
        }
        self.learn(unknown).await
    }

    /// Before a transaction begins.
    pub(super) async fn learn(&mut self, unknown: HashSet<u128>) -> Result<(), Failure> {
        if unknown.is_empty() {
            return Ok(());
        }
        // In a transaction of its own: the numbers stay valid even when the events' transaction is given up.
        for id in unknown {
            self.statements.append += 1;
            let row = sqlx::query(
                "INSERT INTO known_ids (id) VALUES (?) ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING key",
            )
            .bind(id.to_be_bytes().to_vec())
            .fetch_one(&mut self.connection)
            .await?;
            self.keys.insert(id, row.try_get(0)?);
        }
        Ok(())
    }

    pub(super) async fn remember_keys(&mut self, events: &[&NewEvent]) -> Result<HashMap<i64, EventId>, Failure> {
        let keyed: Vec<_> = events.iter().filter_map(|new| Some((new.event.id, new.idempotency?))).collect();
        let mut duplicates = HashMap::new();
        for keyed in keyed.chunks(LARGEST) {
            let rows = size(keyed.len());
            let (changes, _) = self.execute(Kind::Keys(rows), false, self.key_values(keyed)?).await?;
            if changes.last().copied() == Some(keyed.len() as u64) {
                continue;
            }
            let (_, found) = self.execute(Kind::Owners(rows), false, self.key_values(keyed)?).await?;
            for row in found {
                duplicates.insert(row.try_get(0)?, rows::event_id(row.try_get(1)?, row.try_get(2)?));
            }
        }
        Ok(duplicates)
    }

    fn key_values(&self, keyed: &[(EventId, IdempotencyHash)]) -> Result<SqliteArguments, Failure> {
        let rows = size(keyed.len());
        let mut values = SqliteArguments::default();
        values.reserve(5 * rows, 0);
        for (id, hash) in keyed {
            add(&mut values, statements::idempotency_part(id.timestamp(), self.window))?;
            add(&mut values, (*hash >> 64) as i64)?;
            add(&mut values, *hash as i64)?;
            add(&mut values, id.sequence())?;
            add(&mut values, rows::process(*id))?;
        }
        pad(&mut values, 5 * (rows - keyed.len()))?;
        Ok(values)
    }
}
