//! Taking deliveries and ending claims on them.

use std::collections::{HashMap, HashSet};

use spillway_model::{Attempt, DeliveryId, DeliveryState, Lease, Settlement, UnixMillis};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Row};

use super::order::Ended;
use super::{ClaimKey, Failure, PRUNE_CHUNK, Writer, add, key_of, pad};
use crate::RetryOutcome;
use crate::sqlite::claimable::Candidate;
use crate::sqlite::rows::{self, Claim};
use crate::sqlite::statements::{Kind, LARGEST, size};

impl Writer {
    /// Returns the settlements whose claim is not current, for which nothing was written.
    pub(super) async fn settle(
        &mut self,
        settlements: &[&Settlement],
        commit: bool,
        careful: bool,
    ) -> Result<HashSet<ClaimKey>, Failure> {
        let mut stale = HashSet::new();
        let mut wanted = settlements.to_vec();
        if careful {
            let leases: Vec<Lease> = settlements.iter().map(|settlement| settlement.lease).collect();
            let mut current = self.current(&leases).await?;
            self.statements.settle += u32::try_from(leases.len()).unwrap_or(u32::MAX);
            // Of two settlements of one claim the first counts.
            wanted.retain(|settlement| current.remove(&key_of(settlement.lease)));
            let kept: HashSet<ClaimKey> = wanted.iter().map(|settlement| key_of(settlement.lease)).collect();
            stale.extend(leases.into_iter().map(key_of).filter(|lease| !kept.contains(lease)));
        }
        for settlements in wanted.chunks(LARGEST) {
            let attempts: Vec<_> = settlements.iter().filter_map(|s| Some((s.lease, s.attempt.as_ref()?))).collect();
            let kind = Kind::Settle { attempts: size(attempts.len()), settlements: size(settlements.len()) };
            let mut values = SqliteArguments::default();
            values.reserve(10 * size(attempts.len()) + 6 * settlements.len(), 0);
            for (lease, attempt) in &attempts {
                add_attempt(&mut values, *lease, attempt)?;
            }
            pad(&mut values, 10 * (size(attempts.len()) - attempts.len()))?;
            for settlement in settlements {
                add_lease(&mut values, settlement.lease)?;
                add(&mut values, i64::from(settlement.next.state().code()))?;
                add(&mut values, settlement.next.at())?;
                add(&mut values, i64::from(settlement.attempt.is_some()))?;
            }
            let (changes, _) = self.execute(kind, false, values).await?;
            if changes.last().copied() != Some(settlements.len() as u64) {
                return Err(Failure::Stale);
            }
        }
        self.advance(&wanted.iter().filter_map(|settlement| Ended::of(settlement)).collect::<Vec<_>>()).await?;
        if commit {
            self.begin().await?;
            self.execute_plain("COMMIT").await?;
        }
        Ok(stale)
    }

    /// Which of these claims are current.
    pub(super) async fn current(&mut self, leases: &[Lease]) -> Result<HashSet<ClaimKey>, Failure> {
        self.begin().await?;
        let mut current = HashSet::new();
        for lease in leases {
            let (seq, ordinal, generation) = key_of(*lease);
            let found =
                sqlx::query("SELECT 1 FROM deliveries WHERE seq = ? AND ordinal = ? AND generation = ? AND state = 0")
                    .bind(seq)
                    .bind(ordinal)
                    .bind(generation)
                    .fetch_optional(&mut self.connection)
                    .await?;
            if found.is_some() {
                current.insert((seq, ordinal, generation));
            }
        }
        Ok(current)
    }

    pub(super) async fn claim(
        &mut self,
        candidates: &[Candidate],
        now: UnixMillis,
        lease_until: UnixMillis,
    ) -> Result<Vec<Claim>, Failure> {
        self.begin().await?;
        let mut claims = Vec::with_capacity(candidates.len());
        for candidates in candidates.chunks(LARGEST) {
            let mut values = SqliteArguments::default();
            add(&mut values, lease_until)?;
            for candidate in candidates {
                add(&mut values, candidate.seq)?;
                add(&mut values, candidate.ordinal)?;
            }
            pad(&mut values, 2 * (size(candidates.len()) - candidates.len()))?;
            add(&mut values, now)?;
            let (_, found) = self.execute(Kind::Claim(size(candidates.len())), false, values).await?;
            for row in &found {
                claims.push(rows::claim(row)?);
            }
        }
        let order: HashMap<(i64, i64), usize> =
            candidates.iter().enumerate().map(|(place, c)| ((c.seq, c.ordinal), place)).collect();
        claims.sort_by_key(|claim| {
            let id = claim.delivery.id;
            order.get(&(id.event().sequence(), i64::from(id.ordinal()))).copied()
        });
        Ok(claims)
    }

    pub(super) async fn renew(&mut self, leases: &[Lease], until: UnixMillis) -> Result<Vec<DeliveryId>, Failure> {
        let current = self.current(leases).await?;
        for leases in leases.chunks(LARGEST) {
            let mut values = SqliteArguments::default();
            add(&mut values, until)?;
            for lease in leases {
                add_lease(&mut values, *lease)?;
            }
            self.execute(Kind::Renew(size(leases.len())), false, values).await?;
        }
        let lost = leases.iter().filter(|lease| !current.contains(&key_of(**lease)));
        Ok(lost.map(|lease| lease.delivery).collect())
    }

    pub(super) async fn retry(&mut self, delivery: DeliveryId, now: UnixMillis) -> Result<RetryOutcome, Failure> {
        self.begin().await?;
        let changed = sqlx::query(
            "UPDATE deliveries SET state = 0, at = ?1, generation = generation + 1
             WHERE seq = ?2 AND ordinal = ?3 AND process = ?4 AND state <> 4
               AND EXISTS (SELECT 1 FROM events WHERE events.seq = ?2 AND length(events.headers) <> 1)",
        )
        .bind(now)
        .bind(delivery.event().sequence())
        .bind(i64::from(delivery.ordinal()))
        .bind(rows::process(delivery.event()))
        .execute(&mut self.connection)
        .await?;
        if changed.rows_affected() > 0 {
            return Ok(RetryOutcome::Due);
        }
        let found = sqlx::query("SELECT state FROM deliveries WHERE seq = ? AND ordinal = ? AND process = ?")
            .bind(delivery.event().sequence())
            .bind(i64::from(delivery.ordinal()))
            .bind(rows::process(delivery.event()))
            .fetch_optional(&mut self.connection)
            .await?;
        Ok(match found.map(|row| row.try_get(0)).transpose()? {
            None => RetryOutcome::Unknown,
            Some(state) if DeliveryState::from_code(state) == Some(DeliveryState::Queued) => RetryOutcome::Queued,
            Some(_) => RetryOutcome::EventGone,
        })
    }

    pub(super) async fn prune(&mut self, before: i64) -> Result<u64, Failure> {
        self.begin().await?;
        let pruned = sqlx::query(
            "DELETE FROM idempotency WHERE (part, high, low) IN
             (SELECT part, high, low FROM idempotency WHERE part < ? LIMIT ?)",
        )
        .bind(before)
        .bind(PRUNE_CHUNK.cast_signed())
        .execute(&mut self.connection)
        .await?;
        Ok(pruned.rows_affected())
    }
}

fn add_lease(values: &mut SqliteArguments, lease: Lease) -> Result<(), Failure> {
    let (seq, ordinal, generation) = key_of(lease);
    add(values, seq)?;
    add(values, ordinal)?;
    add(values, generation)
}

fn add_attempt(values: &mut SqliteArguments, lease: Lease, attempt: &Attempt) -> Result<(), Failure> {
    add_lease(values, lease)?;
    add(values, i64::from(attempt.id.number()))?;
    add(values, attempt.started_at)?;
    add(values, i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX))?;
    add(values, i64::from(attempt.class.code()))?;
    add(values, attempt.status.map(i64::from))?;
    add(values, Some(attempt.response.to_vec()).filter(|response| !response.is_empty()))?;
    add(values, attempt.error.as_deref().map(str::to_owned))
}
