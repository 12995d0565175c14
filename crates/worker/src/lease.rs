//! Claims and their ends, in the store's unit of time.

use std::time::Duration;

use spillway_model::{Claimed, Lease, NextState, Settlement, UnixMillis};

/// The duration in milliseconds; one that is too long to be added to a time is cut.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

/// What names the claim.
pub(crate) fn lease_of(claimed: &Claimed) -> Lease {
    Lease { delivery: claimed.id, generation: claimed.generation }
}

/// Ends the claim untried: the delivery is due at `due_at`, for anybody.
pub(crate) fn released(lease: Lease, due_at: UnixMillis) -> Settlement {
    Settlement { lease, next: NextState::Pending { due_at }, attempt: None }
}
