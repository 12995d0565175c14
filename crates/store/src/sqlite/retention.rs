//! One round of retention: a step of a few milliseconds in the writer's transaction. What it frees is used again by what comes.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use spillway_model::{EventId, SourceId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::rows::{damaged, event_id};
use super::task::{Done, Work};
use crate::retention::{Aging, Ends, Looked, RELOOK_MS, STEPS_IN_A_ROUND, Scope, Sweep, Verdict};
use crate::{ExpireLimits, Expired, RetentionPolicy, StoreError};

/// What one event's end adds to the log: about its page in each of three tables, and of their indexes a part.
const BYTES_OF_AN_EVENT: usize = 6_144;

/// One round.
#[derive(Debug)]
pub(super) struct Expiry {
    pub(super) policy: RetentionPolicy,
    pub(super) limits: ExpireLimits,
    pub(super) sweep: Arc<Sweep>,
}

#[async_trait]
impl Work for Expiry {
    type Output = Expired;

    async fn perform(&self, connection: &mut SqliteConnection) -> Result<Done<Expired>, StoreError> {
        let scopes = self.policy.scopes(self.limits.now, Ends::Exactly);
        let mut round = Round { connection, expiry: self, statements: 0, changed_events: 0 };
        let expired = if scopes.is_empty() { Expired::default() } else { round.work(&scopes).await? };
        let written_bytes = round.changed_events * BYTES_OF_AN_EVENT;
        Ok(Done { output: expired, statements: round.statements, written_bytes })
    }
}

struct Round<'r> {
    connection: &'r mut SqliteConnection,
    expiry: &'r Expiry,
    statements: u32,
    changed_events: usize,
}

impl Round<'_> {
    /// Takes the steps of the sweep until one has found something to do. Behind the scopes comes what was set aside.
    async fn work(&mut self, scopes: &[Scope]) -> Result<Expired, StoreError> {
        let (sweep, steps) = (&self.expiry.sweep, scopes.len() + 1);
        for _ in 0..STEPS_IN_A_ROUND {
            let step = sweep.step(steps);
            let removed = match scopes.get(step) {
                Some(scope) => self.walk(scope).await?,
                None => self.look_again().await?,
            };
            if let Some(removed) = removed {
                return Ok(Expired { more: true, ..removed });
            }
            if !sweep.pass(step, steps) {
                return Ok(Expired::default());
            }
        }
        Ok(Expired { more: true, ..Expired::default() })
    }

    /// The next events of a scope; `None` when none is old enough.
    async fn walk(&mut self, scope: &Scope) -> Result<Option<Expired>, StoreError> {
        let from = self.progress(scope).await?;
        let until = scope.horizon.sequence();
        let seen = if from < until { self.old_events(scope, from, until).await? } else { Vec::new() };
        let Some((last, _)) = seen.last().copied() else { return Ok(None) };
        let own: Vec<_> = seen.into_iter().filter(|(_, source)| scope.has(*source)).collect();
        let (looked, cut) = self.with_children(&own).await?;
        let verdict = Verdict::of(scope.aging, &looked, self.expiry.limits);
        let removed = self.remove(scope.aging, &verdict.over).await?;
        self.set_aside(scope.aging, &verdict.left).await?;
        let end = verdict.stopped_at.or(cut).unwrap_or(last);
        self.save_progress(scope, end.sequence() + 1).await?;
        Ok(Some(removed))
    }

    /// Where the scope goes on: at its beginning when it is another one than before.
    async fn progress(&mut self, scope: &Scope) -> Result<i64, StoreError> {
        self.statements += 1;
        let row = sqlx::query("SELECT excluded, done FROM retention_progress WHERE kind = ? AND source = ?")
            .bind(i64::from(scope.aging.code()))
            .bind(source_key(scope))
            .fetch_optional(&mut *self.connection)
            .await?;
        let Some(row) = row else { return Ok(0) };
        let is_same = row.try_get::<&[u8], _>(0)? == scope.fingerprint().to_be_bytes();
        Ok(if is_same { row.try_get(1)? } else { 0 })
    }

    async fn save_progress(&mut self, scope: &Scope, done: i64) -> Result<(), StoreError> {
        self.statements += 1;
        sqlx::query(
            "INSERT INTO retention_progress (kind, source, excluded, done) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET excluded = excluded.excluded, done = excluded.done",
        )
        .bind(i64::from(scope.aging.code()))
        .bind(source_key(scope))
        .bind(scope.fingerprint().to_be_bytes().to_vec())
        .bind(done)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Events of the source, or of all sources, in the order of their ids: no more than a round can take.
    async fn old_events(
        &mut self,
        scope: &Scope,
        from: i64,
        until: i64,
    ) -> Result<Vec<(EventId, SourceId)>, StoreError> {
        self.statements += 1;
        let rows = i64::try_from(self.expiry.limits.rows.max(1)).unwrap_or(i64::MAX);
        let query = match scope.source {
            None => sqlx::query(
                "SELECT seq, process, (SELECT id FROM known_ids WHERE key = source) FROM events
                 WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3",
            ),
            Some(_) => sqlx::query(
                "SELECT seq, process, ?4 FROM events
                 WHERE source = (SELECT key FROM known_ids WHERE id = ?4) AND seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3",
            ),
        };
        let query = query.bind(from).bind(until).bind(rows);
        let query = match scope.source {
            None => query,
            Some(source) => query.bind(source.to_bytes().to_vec()),
        };
        query.fetch_all(&mut *self.connection).await?.iter().map(|row| event_and_source(row, 0)).collect()
    }

    /// The events with what hangs on them. When that is far more than a round can take, only the first ones, and the last of these.
    async fn with_children(
        &mut self,
        events: &[(EventId, SourceId)],
    ) -> Result<(Vec<Looked>, Option<EventId>), StoreError> {
        self.statements += 1;
        let most = 2 * self.expiry.limits.rows;
        let none = |(id, source): &(EventId, SourceId)| Looked {
            id: *id,
            source: *source,
            deliveries: 0,
            attempts: 0,
            is_open: false,
        };
        let mut looked: Vec<Looked> = events.iter().map(none).collect();
        let mut rows = sqlx::query(
            "SELECT e.key, d.state IN (0, 4), d.attempts FROM json_each(?) AS e CROSS JOIN deliveries AS d ON d.seq = e.value",
        )
        .bind(sequences(events.iter().map(|(id, _)| *id)))
        .fetch(&mut *self.connection);
        let (mut n_rows, mut current) = (0, 0);
        while let Some(row) = rows.try_next().await? {
            let n = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
            if n != current && n_rows > most && n > 0 {
                looked.truncate(n);
                let cut = looked.last().map(|event| event.id);
                return Ok((looked, cut));
            }
            (n_rows, current) = (n_rows + 1, n);
            let event = looked.get_mut(n).ok_or_else(|| damaged("a delivery"))?;
            event.deliveries += 1;
            event.attempts += u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or_default();
            event.is_open |= row.try_get::<bool, _>(1)?;
        }
        Ok((looked, None))
    }

    async fn remove(&mut self, aging: Aging, over: &[EventId]) -> Result<Expired, StoreError> {
        let mut expired = Expired::default();
        if over.is_empty() {
            return Ok(expired);
        }
        self.changed_events += over.len();
        let sequences = sequences(over.iter().copied());
        match aging {
            Aging::Events => {
                self.execute(DELETE_ATTEMPTS, &sequences).await?;
                self.execute("DELETE FROM deliveries WHERE seq IN (SELECT value FROM json_each(?))", &sequences)
                    .await?;
                let deletion = "DELETE FROM events WHERE seq IN (SELECT value FROM json_each(?))";
                expired.events = self.execute(deletion, &sequences).await?;
            }
            Aging::Payloads => {
                let update = "UPDATE events SET headers = x'00', body = x'' \
                     WHERE seq IN (SELECT value FROM json_each(?)) AND length(headers) <> 1";
                expired.payloads = self.execute(update, &sequences).await?;
            }
            Aging::Attempts => expired.attempts = self.execute(DELETE_ATTEMPTS, &sequences).await?,
        }
        Ok(expired)
    }

    async fn execute(&mut self, sql: &'static str, sequences: &str) -> Result<u64, StoreError> {
        self.statements += 1;
        Ok(sqlx::query(sql).bind(sequences).execute(&mut *self.connection).await?.rows_affected())
    }

    async fn set_aside(&mut self, aging: Aging, left: &[(EventId, SourceId)]) -> Result<(), StoreError> {
        if left.is_empty() {
            return Ok(());
        }
        self.statements += 1;
        sqlx::query(
            "INSERT INTO retention_left (kind, seq, process, source, looked_at)
             SELECT ?1, seq, process, (SELECT id FROM known_ids WHERE key = source), ?2 FROM events
             WHERE seq IN (SELECT value FROM json_each(?3))
             ON CONFLICT DO UPDATE SET looked_at = excluded.looked_at",
        )
        .bind(i64::from(aging.code()))
        .bind(self.expiry.limits.now)
        .bind(sequences(left.iter().map(|(id, _)| *id)))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Some of what was set aside, if it was not looked at for a while.
    async fn look_again(&mut self) -> Result<Option<Expired>, StoreError> {
        self.statements += 1;
        let (now, rows) = (self.expiry.limits.now, self.expiry.limits.rows.max(1));
        let left = sqlx::query(
            "SELECT kind, seq, process, source FROM retention_left WHERE looked_at <= ? ORDER BY looked_at LIMIT ?",
        )
        .bind(now - RELOOK_MS)
        .bind(i64::try_from(rows).unwrap_or(i64::MAX))
        .fetch_all(&mut *self.connection)
        .await?;
        if left.is_empty() {
            return Ok(None);
        }
        let mut expired = Expired::default();
        for aging in Aging::ALL {
            let of_kind =
                left.iter().filter(|row| row.try_get::<i64, _>(0).is_ok_and(|kind| kind == i64::from(aging.code())));
            let events = of_kind.map(|row| event_and_source(row, 1)).collect::<Result<Vec<_>, _>>()?;
            if !events.is_empty() {
                expired += self.look_again_at(aging, events).await?;
            }
        }
        Ok(Some(expired))
    }

    async fn look_again_at(&mut self, aging: Aging, events: Vec<(EventId, SourceId)>) -> Result<Expired, StoreError> {
        self.statements += 1;
        let known = sqlx::query("SELECT seq FROM events WHERE seq IN (SELECT value FROM json_each(?))")
            .bind(sequences(events.iter().map(|(id, _)| *id)))
            .fetch_all(&mut *self.connection)
            .await?;
        let known = known.iter().map(|row| row.try_get(0)).collect::<Result<HashSet<i64>, _>>()?;
        let (events, gone): (Vec<_>, Vec<_>) = events.into_iter().partition(|(id, _)| known.contains(&id.sequence()));
        let Expiry { policy, limits, .. } = self.expiry;
        let is_old = |(id, source): &(EventId, SourceId)| {
            policy.horizon(aging, *source, limits.now, Ends::Exactly).is_some_and(|horizon| *id < horizon)
        };
        let (old, young): (Vec<_>, Vec<_>) = events.into_iter().partition(is_old);
        let (looked, _) = self.with_children(&old).await?;
        let verdict = Verdict::of(aging, &looked, *limits);
        let removed = self.remove(aging, &verdict.over).await?;
        let ended = verdict.over.iter().chain(gone.iter().map(|(id, _)| id)).copied();
        self.statements += 1;
        sqlx::query("DELETE FROM retention_left WHERE kind = ? AND seq IN (SELECT value FROM json_each(?))")
            .bind(i64::from(aging.code()))
            .bind(sequences(ended))
            .execute(&mut *self.connection)
            .await?;
        self.set_aside(aging, &verdict.left).await?;
        self.set_aside(aging, &young).await?;
        Ok(removed)
    }
}

const DELETE_ATTEMPTS: &str = "DELETE FROM attempts WHERE seq IN (SELECT value FROM json_each(?))";

fn source_key(scope: &Scope) -> Vec<u8> {
    scope.source.map_or([0; 16], SourceId::to_bytes).to_vec()
}

fn sequences(events: impl Iterator<Item = EventId>) -> String {
    let sequences: Vec<i64> = events.map(EventId::sequence).collect();
    serde_json::to_string(&sequences).unwrap_or_default()
}

/// Columns from `first` on: seq, process, id of the source.
fn event_and_source(row: &SqliteRow, first: usize) -> Result<(EventId, SourceId), StoreError> {
    let event = event_id(row.try_get(first)?, row.try_get(first + 1)?);
    let source = SourceId::from_slice(row.try_get(first + 2)?).ok_or_else(|| damaged("a source id"))?;
    Ok((event, source))
}
