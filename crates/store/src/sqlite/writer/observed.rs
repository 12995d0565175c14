//! What a transaction took, for the observer.

use std::time::Duration;

use super::n_chunks;
use crate::sqlite::operation::Operation;
use crate::{QueryKind, StoreObserver};

/// Statements of the work that is under way, tries that were given up included.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sqlite) struct Statements {
    pub(super) append: u32,
    pub(super) settle: u32,
    pub(super) tasks: u32,
}

impl Statements {
    /// Reports what each operation of a transaction took, `elapsed` for all of them together.
    pub(in crate::sqlite) fn observe(self, observer: &dyn StoreObserver, operations: &[Operation], elapsed: Duration) {
        let (mut appended, mut settled) = (0, 0);
        for operation in operations {
            match operation {
                Operation::Append { events, .. } => appended += events.len(),
                Operation::Settle { settlements, .. } => settled += settlements.len(),
                Operation::Renew { leases, .. } => {
                    let looked_up = u32::try_from(leases.len()).unwrap_or(u32::MAX);
                    observer.query(QueryKind::Renew, elapsed, looked_up + n_chunks(leases.len()), leases.len());
                }
                Operation::Retry { .. } => observer.query(QueryKind::Retry, elapsed, 2, 1),
                Operation::Configure { changes, .. } => {
                    let statements = u32::try_from(changes.len() + 1).unwrap_or(u32::MAX);
                    observer.query(QueryKind::Configuration, elapsed, statements, changes.len());
                }
                Operation::Deliver { to, .. } => observer.query(QueryKind::Retry, elapsed, 4, to.len()),
                Operation::AdvanceReplay { step, .. } => {
                    let retries = u32::try_from(2 * step.due.len()).unwrap_or(u32::MAX);
                    observer.query(QueryKind::Retry, elapsed, 2 + retries, step.due.len());
                }
                Operation::CreateReplay { .. } => observer.query(QueryKind::Retry, elapsed, 1, 1),
                Operation::CancelReplay { .. } => observer.query(QueryKind::Retry, elapsed, 2, 1),
                Operation::HoldReplay { .. } => observer.query(QueryKind::Maintenance, elapsed, 1, 1),
                Operation::Release { ended, .. } => {
                    observer.query(QueryKind::Maintenance, elapsed, 4 * n_chunks(ended.len()), ended.len());
                }
                Operation::Prune { .. } => observer.query(QueryKind::Maintenance, elapsed, 1, 1),
                Operation::Task(_) => observer.query(QueryKind::Maintenance, elapsed, self.tasks, 1),
                Operation::Claim { .. } | Operation::Close { .. } => {}
            }
        }
        if appended > 0 {
            observer.query(QueryKind::Append, elapsed, self.append, appended);
        }
        if settled > 0 {
            observer.query(QueryKind::Settle, elapsed, self.settle, settled);
        }
    }
}
