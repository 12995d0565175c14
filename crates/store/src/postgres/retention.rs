//! One round of retention.
//!
//! Whole days go as partitions, see [`days`]. The rest is removed by ids, some hundred rows in a transaction: events are locked first, which
//! a retry of one of their deliveries does as well, so that nothing becomes due again while it is removed. No statement waits long for a lock,
//! and one node at a time does this.

mod days;

use std::collections::{BTreeMap, HashSet};

use spillway_model::{EventId, SourceId};
use sqlx::postgres::{PgBindIterExt, PgRow};
use sqlx::types::Uuid;
use sqlx::{Connection as _, PgConnection, Postgres, Row, Transaction};

use super::rows::{bits, damaged, uuid};
use super::sessions::Session;
use crate::retention::{Aging, Ends, Looked, RELOOK_MS, STEPS_IN_A_ROUND, Scope, Sweep, Verdict};
use crate::{ExpireLimits, Expired, RetentionPolicy, StoreError, StoreErrorKind};

/// The lock belongs to whoever works at it until the end of its transaction. A transaction that waits for another one's rows gives way.
const BEGIN: &str = "SET LOCAL lock_timeout = '250ms'";
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtext(current_schema() || '.spillway.retention'))";

const PROGRESS: &str = "SELECT excluded, done FROM retention_progress WHERE kind = $1 AND source_id = $2";
const SAVE_PROGRESS: &str = "
INSERT INTO retention_progress (kind, source_id, excluded, done) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, source_id) DO UPDATE SET excluded = excluded.excluded, done = excluded.done";

const OLD_EVENTS: &str = "SELECT id, source_id FROM events WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";
/// Compared as rows, as in the list of a source's events.
const OLD_EVENTS_OF_SOURCE: &str = "
SELECT id, source_id FROM events
WHERE (source_id, id) >= ($4, $1) AND (source_id, id) < ($4, $2) ORDER BY source_id, id LIMIT $3";

/// Values: ids of events, the lowest and the highest of them. The range lets whole partitions be left out; `OFFSET` makes each id a lookup of
/// its own.
const LOCK_EVENTS: &str = "
SELECT e.id FROM UNNEST($1::uuid[]) AS k (id) CROSS JOIN LATERAL (
    SELECT id FROM events WHERE events.id = k.id AND events.id >= $2 AND events.id <= $3 OFFSET 0 FOR UPDATE
) e";

/// Values: first and last id that a delivery of each event can have.
const CHILDREN: &str = "
SELECT k.first, d.n, d.attempts, d.is_open FROM UNNEST($1::uuid[], $2::uuid[]) AS k (first, last) CROSS JOIN LATERAL (
    SELECT count(*) AS n, COALESCE(sum(attempts), 0)::bigint AS attempts, COALESCE(bool_or(state IN (0, 4)), false) AS is_open
    FROM deliveries WHERE id >= k.first AND id <= k.last
) d";

/// Values: first and last id of each event's deliveries or attempts.
const DELETE_DELIVERIES: &str = "
DELETE FROM deliveries d USING UNNEST($1::uuid[], $2::uuid[]) AS k (first, last) WHERE d.id >= k.first AND d.id <= k.last";
/// Two more values: the lowest and the highest id of all.
const DELETE_ATTEMPTS: &str = "
DELETE FROM attempts a USING UNNEST($1::uuid[], $2::uuid[]) AS k (first, last)
WHERE a.id >= k.first AND a.id <= k.last AND a.id >= $3 AND a.id <= $4";
const DELETE_EVENTS: &str = "DELETE FROM events WHERE id = ANY ($1) AND id >= $2 AND id <= $3";
const EMPTY_EVENTS: &str = "
UPDATE events SET headers = '\\x00', body = ''
WHERE id = ANY ($1) AND id >= $2 AND id <= $3 AND octet_length(headers) <> 1";

const SET_ASIDE: &str = "
INSERT INTO retention_left (kind, event_id, source_id, looked_at)
SELECT $1, event_id, source_id, $4 FROM UNNEST($2::uuid[], $3::uuid[]) AS l (event_id, source_id)
ON CONFLICT (kind, event_id) DO UPDATE SET looked_at = excluded.looked_at";
const LEFT: &str =
    "SELECT event_id, source_id, kind FROM retention_left WHERE looked_at <= $1 ORDER BY looked_at LIMIT $2";
const FORGET: &str = "DELETE FROM retention_left WHERE kind = $1 AND event_id = ANY ($2)";

pub(super) async fn expire(
    session: &mut Session,
    sweep: &Sweep,
    policy: &RetentionPolicy,
    limits: ExpireLimits,
) -> Result<Expired, StoreError> {
    let scopes = policy.scopes(limits.now, Ends::WithTheirDay);
    if scopes.is_empty() {
        return Ok(Expired::default());
    }
    // First the days, at the end what was set aside.
    let steps = scopes.len() + 2;
    for _ in 0..STEPS_IN_A_ROUND {
        let step = sweep.step(steps);
        let work = Work { policy, limits };
        let removed = if step == 0 {
            days::remove(session, policy, limits).await?
        } else {
            work.take_step(session, scopes.get(step - 1)).await?
        };
        match removed {
            Step::Elsewhere => return Ok(Expired::default()),
            Step::Removed(removed) => return Ok(Expired { more: true, ..removed }),
            Step::Nothing if !sweep.pass(step, steps) => return Ok(Expired::default()),
            Step::Nothing => {}
        }
    }
    Ok(Expired { more: true, ..Expired::default() })
}

/// What a step of the sweep came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Something was looked at.
    Removed(Expired),
    /// Nothing is old enough.
    Nothing,
    /// Another node is at it.
    Elsewhere,
}

/// A transaction of the one node that works at it, or `None`.
async fn begin(session: &mut Session) -> Result<Option<Transaction<'_, Postgres>>, StoreError> {
    let mut transaction = session.statement().begin().await?;
    sqlx::query(BEGIN).execute(&mut *transaction).await?;
    let row = sqlx::query(LOCK).fetch_one(&mut *transaction).await?;
    Ok(row.try_get::<bool, _>(0)?.then_some(transaction))
}

struct Work<'w> {
    policy: &'w RetentionPolicy,
    limits: ExpireLimits,
}

impl Work<'_> {
    /// The next events of a scope, or of what was set aside.
    async fn take_step(&self, session: &mut Session, scope: Option<&Scope>) -> Result<Step, StoreError> {
        let Some(mut transaction) = begin(session).await? else { return Ok(Step::Elsewhere) };
        let removed = match scope {
            Some(scope) => self.walk(&mut transaction, scope).await?,
            None => self.look_again(&mut transaction).await?,
        };
        if removed.is_some() {
            transaction.commit().await?;
        }
        Ok(removed.map_or(Step::Nothing, Step::Removed))
    }

    async fn walk(&self, connection: &mut PgConnection, scope: &Scope) -> Result<Option<Expired>, StoreError> {
        let from = progress(connection, scope).await?;
        if from >= scope.horizon {
            return Ok(None);
        }
        let seen = self.old_events(connection, scope, from).await?;
        let Some((last, _)) = seen.last().copied() else { return Ok(None) };
        let own: Vec<_> = seen.into_iter().filter(|(_, source)| scope.has(*source)).collect();
        let locked = lock(connection, &own).await?;
        let looked = with_children(connection, own.into_iter().filter(|(id, _)| locked.contains(id))).await?;
        let verdict = Verdict::of(scope.aging, &looked, self.limits);
        let removed = remove(connection, scope.aging, &verdict.over).await?;
        self.set_aside(connection, scope.aging, &verdict.left).await?;
        let end = verdict.stopped_at.unwrap_or(last);
        save_progress(connection, scope, EventId::from_u128(end.to_u128() + 1)).await?;
        Ok(Some(removed))
    }

    /// Events of the source, or of all sources, in the order of their ids: no more than a round can take.
    async fn old_events(
        &self,
        connection: &mut PgConnection,
        scope: &Scope,
        from: EventId,
    ) -> Result<Vec<(EventId, SourceId)>, StoreError> {
        let query = sqlx::query(if scope.source.is_some() { OLD_EVENTS_OF_SOURCE } else { OLD_EVENTS })
            .bind(uuid(from.to_u128()))
            .bind(uuid(scope.horizon.to_u128()))
            .bind(self.rows());
        let query = match scope.source {
            None => query,
            Some(source) => query.bind(uuid(source.to_u128())),
        };
        query.fetch_all(connection).await?.iter().map(event_and_source).collect()
    }

    /// Some of what was set aside, if it was not looked at for a while.
    async fn look_again(&self, connection: &mut PgConnection) -> Result<Option<Expired>, StoreError> {
        let before = self.limits.now - RELOOK_MS;
        let left = sqlx::query(LEFT).bind(before).bind(self.rows()).fetch_all(&mut *connection).await?;
        if left.is_empty() {
            return Ok(None);
        }
        let mut expired = Expired::default();
        for aging in Aging::ALL {
            let of_kind = left.iter().filter(|row| row.try_get::<i16, _>(2).is_ok_and(|kind| kind == aging.code()));
            let events = of_kind.map(event_and_source).collect::<Result<Vec<_>, _>>()?;
            if !events.is_empty() {
                expired += self.look_again_at(connection, aging, events).await?;
            }
        }
        Ok(Some(expired))
    }

    async fn look_again_at(
        &self,
        connection: &mut PgConnection,
        aging: Aging,
        events: Vec<(EventId, SourceId)>,
    ) -> Result<Expired, StoreError> {
        let known = lock(connection, &events).await?;
        let is_old = |(id, source): &(EventId, SourceId)| {
            let horizon = self.policy.horizon(aging, *source, self.limits.now, Ends::WithTheirDay);
            horizon.is_some_and(|horizon| *id < horizon)
        };
        let (known, gone): (Vec<_>, Vec<_>) = events.into_iter().partition(|(id, _)| known.contains(id));
        let (old, young): (Vec<_>, Vec<_>) = known.into_iter().partition(is_old);
        let looked = with_children(connection, old.into_iter()).await?;
        let verdict = Verdict::of(aging, &looked, self.limits);
        let removed = remove(connection, aging, &verdict.over).await?;
        let ended = verdict.over.iter().chain(gone.iter().map(|(id, _)| id));
        let forget = sqlx::query(FORGET).bind(aging.code()).bind(ended.map(|id| uuid(id.to_u128())).bind_iter());
        forget.execute(&mut *connection).await?;
        self.set_aside(connection, aging, &verdict.left).await?;
        self.set_aside(connection, aging, &young).await?;
        Ok(removed)
    }

    async fn set_aside(
        &self,
        connection: &mut PgConnection,
        aging: Aging,
        left: &[(EventId, SourceId)],
    ) -> Result<(), StoreError> {
        if left.is_empty() {
            return Ok(());
        }
        sqlx::query(SET_ASIDE)
            .bind(aging.code())
            .bind(left.iter().map(|(event, _)| uuid(event.to_u128())).bind_iter())
            .bind(left.iter().map(|(_, source)| uuid(source.to_u128())).bind_iter())
            .bind(self.limits.now)
            .execute(connection)
            .await?;
        Ok(())
    }

    fn rows(&self) -> i64 {
        i64::try_from(self.limits.rows.max(1)).unwrap_or(i64::MAX)
    }
}

/// Where the scope goes on: at its beginning when it is another one than before.
async fn progress(connection: &mut PgConnection, scope: &Scope) -> Result<EventId, StoreError> {
    let row = sqlx::query(PROGRESS).bind(scope.aging.code()).bind(source_key(scope)).fetch_optional(connection).await?;
    let first = EventId::first_of(0);
    let Some(row) = row else { return Ok(first) };
    Ok(if bits(&row, 0)? == scope.fingerprint() { EventId::from_u128(bits(&row, 1)?) } else { first })
}

async fn save_progress(connection: &mut PgConnection, scope: &Scope, done: EventId) -> Result<(), StoreError> {
    sqlx::query(SAVE_PROGRESS)
        .bind(scope.aging.code())
        .bind(source_key(scope))
        .bind(uuid(scope.fingerprint()))
        .bind(uuid(done.to_u128()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Locks those of the events that still exist.
async fn lock(connection: &mut PgConnection, events: &[(EventId, SourceId)]) -> Result<HashSet<EventId>, StoreError> {
    let mut ids: Vec<EventId> = events.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(HashSet::new()) };
    let rows = sqlx::query(LOCK_EVENTS)
        .bind(ids.iter().map(|id| uuid(id.to_u128())).bind_iter())
        .bind(uuid(first.to_u128()))
        .bind(uuid(last.to_u128()))
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(EventId::from_u128(bits(row, 0)?))).collect()
}

/// The events with what hangs on them, in the order of their ids.
async fn with_children(
    connection: &mut PgConnection,
    events: impl Iterator<Item = (EventId, SourceId)>,
) -> Result<Vec<Looked>, StoreError> {
    let sources: BTreeMap<EventId, SourceId> = events.collect();
    let (first, last) = delivery_bounds(sources.keys().copied());
    let rows = sqlx::query(CHILDREN).bind(first).bind(last).fetch_all(connection).await?;
    let look = |row: &PgRow| {
        let id = EventId::from_u128(bits(row, 0)?);
        Ok(Looked {
            id,
            source: sources.get(&id).copied().ok_or_else(|| damaged("an event"))?,
            deliveries: u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default(),
            attempts: u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or_default(),
            is_open: row.try_get(3)?,
        })
    };
    let mut looked = rows.iter().map(look).collect::<Result<Vec<_>, StoreError>>()?;
    looked.sort_unstable_by_key(|event| event.id);
    Ok(looked)
}

/// Removes what the rule is about from these events, which are in the order of their ids.
async fn remove(connection: &mut PgConnection, aging: Aging, over: &[EventId]) -> Result<Expired, StoreError> {
    let mut expired = Expired::default();
    let (Some(lowest), Some(highest)) = (over.first(), over.last()) else { return Ok(expired) };
    let bounds = (uuid(lowest.to_u128()), uuid(highest.to_u128()));
    let ids = || over.iter().map(|id| uuid(id.to_u128())).collect::<Vec<_>>();
    if aging != Aging::Payloads {
        let (first, _) = delivery_bounds(over.iter().copied());
        let last: Vec<Uuid> = over.iter().map(|id| last_attempt(*id)).collect();
        let deletion = sqlx::query(DELETE_ATTEMPTS).bind(first).bind(last).bind(bounds.0).bind(last_attempt(*highest));
        let attempts = deletion.execute(&mut *connection).await?.rows_affected();
        expired.attempts = if aging == Aging::Attempts { attempts } else { 0 };
    }
    match aging {
        Aging::Attempts => {}
        Aging::Payloads => {
            let update = sqlx::query(EMPTY_EVENTS).bind(ids()).bind(bounds.0).bind(bounds.1);
            expired.payloads = update.execute(connection).await?.rows_affected();
        }
        Aging::Events => {
            let (first, last) = delivery_bounds(over.iter().copied());
            sqlx::query(DELETE_DELIVERIES).bind(first).bind(last).execute(&mut *connection).await?;
            let deletion = sqlx::query(DELETE_EVENTS).bind(ids()).bind(bounds.0).bind(bounds.1);
            expired.events = deletion.execute(connection).await?.rows_affected();
        }
    }
    Ok(expired)
}

/// The first and the last id that a delivery of each event can have.
fn delivery_bounds(events: impl Iterator<Item = EventId>) -> (Vec<Uuid>, Vec<Uuid>) {
    events.map(|id| (uuid(id.to_u128()), uuid(id.delivery(u16::MAX).to_u128()))).unzip()
}

fn last_attempt(event: EventId) -> Uuid {
    uuid(event.delivery(u16::MAX).attempt(u16::MAX).to_u128())
}

fn source_key(scope: &Scope) -> Uuid {
    uuid(scope.source.map_or(0, SourceId::to_u128))
}

/// Columns: id, source_id.
fn event_and_source(row: &PgRow) -> Result<(EventId, SourceId), StoreError> {
    Ok((EventId::from_u128(bits(row, 0)?), SourceId::from_u128(bits(row, 1)?)))
}

/// Whether another transaction was in the way.
fn is_contention(error: &StoreError) -> bool {
    error.kind() == StoreErrorKind::Contention
}
