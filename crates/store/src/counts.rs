//! How many statements the database had to execute.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::QueryKind;

/// SQL statements executed since the start, by kind of work. `BEGIN` and `COMMIT` do not count; of several statements that go to
/// the database in one text each one does.
#[derive(Debug, Default)]
pub struct StatementCounts([AtomicU64; QueryKind::ALL.len()]);

impl StatementCounts {
    /// Counts `statements` more.
    pub fn add(&self, kind: QueryKind, statements: u32) {
        self.0[kind as usize].fetch_add(u64::from(statements), Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn get(&self, kind: QueryKind) -> u64 {
        self.0[kind as usize].load(Ordering::Relaxed)
    }
}
