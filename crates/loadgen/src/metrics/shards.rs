use std::collections::{BTreeMap, BTreeSet};

use super::metric::Metric;
use super::snapshot::Snapshot;
use super::values::Values;

/// Puts the snapshots of a distributed run together. They may come late, in any order and more than once.
#[derive(Debug, Clone)]
pub struct Shards {
    expected: BTreeSet<u32>,
    newest: BTreeMap<u32, Snapshot>,
}

/// Why there is no whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// A snapshot of a shard that does not belong to this run.
    #[error("a snapshot came from {}, which does not belong to this run", shard.map_or("no shard".to_owned(), |shard| format!("shard {shard}")))]
    Unexpected {
        /// Its shard.
        shard: Option<u32>,
    },
    /// Some shards have not sent their last snapshot.
    #[error("no final results from shard {}: the run is not complete, run it again", list(missing))]
    Missing {
        /// These.
        missing: Vec<u32>,
    },
}

fn list(shards: &[u32]) -> String {
    shards.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

impl Shards {
    /// Waits for these shards.
    pub fn new(expected: impl IntoIterator<Item = u32>) -> Self {
        Self { expected: expected.into_iter().collect(), newest: BTreeMap::new() }
    }

    /// Takes a snapshot. One that is not newer than what is there changes nothing.
    ///
    /// # Errors
    /// [`ShardError::Unexpected`] when its shard is none of those expected.
    pub fn receive(&mut self, snapshot: Snapshot) -> Result<(), ShardError> {
        let shard = snapshot.shard.filter(|shard| self.expected.contains(shard));
        let shard = shard.ok_or(ShardError::Unexpected { shard: snapshot.shard })?;
        if self.newest.get(&shard).is_none_or(|known| known.sequence < snapshot.sequence) {
            self.newest.insert(shard, snapshot);
        }
        Ok(())
    }

    /// Shards that have not sent their last snapshot.
    pub fn missing(&self) -> Vec<u32> {
        let is_open = |shard: &&u32| !self.newest.get(shard).is_some_and(|snapshot| snapshot.last);
        self.expected.iter().filter(is_open).copied().collect()
    }

    /// What is there, of shards that run, have ended or were lost: for the display, not for a verdict.
    pub fn so_far(&self) -> Snapshot {
        let sequence = self.newest.values().map(|snapshot| snapshot.sequence).sum();
        Snapshot::new(None, sequence, Snapshot::sum(self.newest.values()))
    }

    /// A metric over all series that have these tags, of all shards as far as they are known. `None` without samples, but a counter is
    /// zero then.
    pub fn total(&self, metric: Metric, tags: &[(String, String)]) -> Option<Values> {
        let series = self.newest.values().flat_map(|snapshot| &snapshot.series);
        let matching = series.filter(|series| series.tags.matches(tags));
        Values::total(metric.kind(), matching.filter_map(|series| series.values.get(&metric)))
    }

    /// The whole run, as one generator would have measured it.
    ///
    /// # Errors
    /// [`ShardError::Missing`] unless each shard has sent its last snapshot.
    pub fn merged(&self) -> Result<Snapshot, ShardError> {
        let missing = self.missing();
        if missing.is_empty() {
            Ok(Snapshot { last: true, ..self.so_far() })
        } else {
            Err(ShardError::Missing { missing })
        }
    }
}

#[cfg(test)]
mod tests;
