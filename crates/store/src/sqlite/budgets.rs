//! Budgets and places of destinations. The writer does one thing after another, so reading and then writing is atomic.

use async_trait::async_trait;
use spillway_model::{DestinationId, UnixMillis};
use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqliteConnection};

use super::rows::damaged;
use super::task::{Done, Work};
use crate::budgets::{HOUR_MS, HOURS_KEPT};
use crate::replays::ENDED_KEPT_MS;
use crate::{BudgetRequest, BudgetUse, PlacesRequest, StoreError};

#[async_trait]
impl Work for BudgetRequest {
    type Output = u64;

    async fn perform(&self, connection: &mut SqliteConnection) -> Result<Done<u64>, StoreError> {
        let used = read(connection, self.destination, self.hour).await?;
        let granted = self.fitting(used);
        if granted == 0 {
            return Ok(Done { output: 0, statements: 1, written_bytes: 0 });
        }
        write(connection, self.destination, self.hour, self.granted(used, granted)).await?;
        Ok(Done::few(granted, 2))
    }
}

/// Adds to the use of a budget.
#[derive(Debug)]
pub(super) struct Correction {
    pub(super) destination: DestinationId,
    pub(super) hour: i64,
    pub(super) requests: i64,
    pub(super) cost_micros: i64,
}

#[async_trait]
impl Work for Correction {
    type Output = ();

    async fn perform(&self, connection: &mut SqliteConnection) -> Result<Done<()>, StoreError> {
        let used = read(connection, self.destination, self.hour).await?;
        let corrected = used.corrected(self.requests, self.cost_micros);
        write(connection, self.destination, self.hour, corrected).await?;
        Ok(Done::few((), 2))
    }
}

#[async_trait]
impl Work for PlacesRequest {
    type Output = u32;

    async fn perform(&self, connection: &mut SqliteConnection) -> Result<Done<u32>, StoreError> {
        let destination = self.destination.to_bytes().to_vec();
        let row = sqlx::query(
            "SELECT COALESCE(sum(places), 0) FROM held_places WHERE destination = ? AND holder <> ? AND lease_until > ?",
        )
        .bind(&destination)
        .bind(self.holder)
        .bind(self.now)
        .fetch_one(&mut *connection)
        .await?;
        let places = self.fitting(row.try_get(0)?);
        if places == 0 {
            sqlx::query("DELETE FROM held_places WHERE destination = ? AND holder = ?")
                .bind(&destination)
                .bind(self.holder)
                .execute(connection)
                .await?;
        } else {
            sqlx::query(
                "INSERT INTO held_places (destination, holder, places, lease_until) VALUES (?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET places = excluded.places, lease_until = excluded.lease_until",
            )
            .bind(&destination)
            .bind(self.holder)
            .bind(i64::from(places))
            .bind(self.lease_until)
            .execute(connection)
            .await?;
        }
        Ok(Done::few(places, 2))
    }
}

/// Removes what nobody asks for any more.
#[derive(Debug)]
pub(super) struct Prune {
    pub(super) now: UnixMillis,
}

#[async_trait]
impl Work for Prune {
    type Output = ();

    async fn perform(&self, connection: &mut SqliteConnection) -> Result<Done<()>, StoreError> {
        sqlx::query("DELETE FROM budget_use WHERE hour < ?")
            .bind(self.now.div_euclid(HOUR_MS) - HOURS_KEPT)
            .execute(&mut *connection)
            .await?;
        sqlx::query("DELETE FROM held_places WHERE lease_until <= ?").bind(self.now).execute(&mut *connection).await?;
        sqlx::query("DELETE FROM replays WHERE state <> 0 AND updated_at <= ?")
            .bind(self.now - ENDED_KEPT_MS)
            .execute(connection)
            .await?;
        Ok(Done::few((), 3))
    }
}

pub(super) async fn of_hour(pool: &SqlitePool, hour: i64) -> Result<Vec<(DestinationId, BudgetUse)>, StoreError> {
    let rows =
        sqlx::query("SELECT destination, requests, cost_micros FROM budget_use WHERE hour = ? ORDER BY destination")
            .bind(hour)
            .fetch_all(pool)
            .await?;
    rows.iter()
        .map(|row| {
            let destination = DestinationId::from_slice(row.try_get(0)?).ok_or_else(|| damaged("a destination id"))?;
            Ok((destination, BudgetUse::of_columns(row.try_get(1)?, row.try_get(2)?)))
        })
        .collect()
}

async fn read(
    connection: &mut SqliteConnection,
    destination: DestinationId,
    hour: i64,
) -> Result<BudgetUse, StoreError> {
    let row = sqlx::query("SELECT requests, cost_micros FROM budget_use WHERE hour = ? AND destination = ?")
        .bind(hour)
        .bind(destination.to_bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    row.map_or_else(|| Ok(BudgetUse::default()), |row| Ok(BudgetUse::of_columns(row.try_get(0)?, row.try_get(1)?)))
}

async fn write(
    connection: &mut SqliteConnection,
    destination: DestinationId,
    hour: i64,
    used: BudgetUse,
) -> Result<(), StoreError> {
    let (requests, cost_micros) = used.to_columns();
    sqlx::query(
        "INSERT INTO budget_use (hour, destination, requests, cost_micros) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET requests = excluded.requests, cost_micros = excluded.cost_micros",
    )
    .bind(hour)
    .bind(destination.to_bytes().to_vec())
    .bind(requests)
    .bind(cost_micros)
    .execute(connection)
    .await?;
    Ok(())
}
