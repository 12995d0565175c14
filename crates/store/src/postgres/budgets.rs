//! Budgets and places of destinations, which all nodes share.
//!
//! Whoever changes the use of a budget locks its row first, and whoever occupies places locks their destination: nodes wait for each other for
//! the length of a few statements.

use spillway_model::{DestinationId, UnixMillis};
use sqlx::{Connection as _, PgConnection, Row};

use super::rows::{bits, uuid};
use super::sessions::Session;
use crate::budgets::{HOUR_MS, HOURS_KEPT};
use crate::replays::ENDED_KEPT_MS;
use crate::{BudgetRequest, BudgetUse, PlacesRequest, StoreError};

const OPEN_HOUR: &str = "INSERT INTO budget_use (hour, destination_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const LOCK_USE: &str =
    "SELECT requests, cost_micros FROM budget_use WHERE hour = $1 AND destination_id = $2 FOR NO KEY UPDATE";
const SET_USE: &str = "UPDATE budget_use SET requests = $3, cost_micros = $4 WHERE hour = $1 AND destination_id = $2";
const USE_OF_HOUR: &str =
    "SELECT destination_id, requests, cost_micros FROM budget_use WHERE hour = $1 ORDER BY destination_id";
const PRUNE_USE: &str = "DELETE FROM budget_use WHERE hour < $1";

/// Until the end of the transaction. Two destinations with one hash wait for each other, and nothing worse.
const LOCK_DESTINATION: &str =
    "SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.spillway.places'), hashtext($1::uuid::text))";
const HELD_BY_OTHERS: &str = "
SELECT COALESCE(sum(places), 0)::bigint FROM held_places
WHERE destination_id = $1 AND holder <> $2 AND lease_until > $3";
const HOLD: &str = "
INSERT INTO held_places (destination_id, holder, places, lease_until) VALUES ($1, $2, $3, $4)
ON CONFLICT (destination_id, holder) DO UPDATE SET places = excluded.places, lease_until = excluded.lease_until";
const GIVE_BACK: &str = "DELETE FROM held_places WHERE destination_id = $1 AND holder = $2";
const PRUNE_PLACES: &str = "DELETE FROM held_places WHERE lease_until <= $1";

pub(super) async fn take(session: &mut Session, request: &BudgetRequest) -> Result<u64, StoreError> {
    change(session, request.destination, request.hour, |used| {
        let granted = request.fitting(used);
        (request.granted(used, granted), granted)
    })
    .await
}

pub(super) async fn correct(
    session: &mut Session,
    destination: DestinationId,
    hour: i64,
    requests: i64,
    cost_micros: i64,
) -> Result<(), StoreError> {
    change(session, destination, hour, |used| (used.corrected(requests, cost_micros), ())).await
}

/// Changes the use of a budget, and answers with what `decide` says.
async fn change<T>(
    session: &mut Session,
    destination: DestinationId,
    hour: i64,
    decide: impl Fn(BudgetUse) -> (BudgetUse, T),
) -> Result<T, StoreError> {
    let destination = uuid(destination.to_u128());
    let mut transaction = session.statement().begin().await?;
    sqlx::query(OPEN_HOUR).bind(hour).bind(destination).execute(&mut *transaction).await?;
    let row = sqlx::query(LOCK_USE).bind(hour).bind(destination).fetch_one(&mut *transaction).await?;
    let used = BudgetUse::of_columns(row.try_get(0)?, row.try_get(1)?);
    let (next, answer) = decide(used);
    if next != used {
        let (requests, cost_micros) = next.to_columns();
        let update = sqlx::query(SET_USE).bind(hour).bind(destination).bind(requests).bind(cost_micros);
        update.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(answer)
}

pub(super) async fn of_hour(session: &mut Session, hour: i64) -> Result<Vec<(DestinationId, BudgetUse)>, StoreError> {
    let rows = sqlx::query(USE_OF_HOUR).bind(hour).fetch_all(session.statement()).await?;
    rows.iter()
        .map(|row| {
            let used = BudgetUse::of_columns(row.try_get(1)?, row.try_get(2)?);
            Ok((DestinationId::from_u128(bits(row, 0)?), used))
        })
        .collect()
}

pub(super) async fn hold(session: &mut Session, request: &PlacesRequest) -> Result<u32, StoreError> {
    let destination = uuid(request.destination.to_u128());
    let mut transaction = session.statement().begin().await?;
    sqlx::query(LOCK_DESTINATION).bind(destination).execute(&mut *transaction).await?;
    let row = sqlx::query(HELD_BY_OTHERS)
        .bind(destination)
        .bind(request.holder)
        .bind(request.now)
        .fetch_one(&mut *transaction)
        .await?;
    let places = request.fitting(row.try_get(0)?);
    let change = if places == 0 {
        sqlx::query(GIVE_BACK).bind(destination).bind(request.holder)
    } else {
        let column = i32::try_from(places).unwrap_or(i32::MAX);
        sqlx::query(HOLD).bind(destination).bind(request.holder).bind(column).bind(request.lease_until)
    };
    change.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(places)
}

/// Removes what nobody asks for any more.
pub(super) async fn prune(connection: &mut PgConnection, now: UnixMillis) -> Result<(), StoreError> {
    let oldest = now.div_euclid(HOUR_MS) - HOURS_KEPT;
    sqlx::query(PRUNE_USE).bind(oldest).execute(&mut *connection).await?;
    sqlx::query(PRUNE_PLACES).bind(now).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM replays WHERE state <> 0 AND updated_at <= $1")
        .bind(now - ENDED_KEPT_MS)
        .execute(connection)
        .await?;
    Ok(())
}
