//! Claims and their ends, in the store's unit of time.

use std::time::Duration;

use spillway_model::{Attempt, Claimed, DeliveryId, Lease, NextState, OrderKey, Settlement, UnixMillis};

/// The duration in milliseconds; one that is too long to be added to a time is cut.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

/// What names the claim, to renew it.
pub(crate) fn lease_of(claimed: &Claimed) -> Lease {
    Lease { delivery: claimed.id, generation: claimed.generation }
}

/// A claim that has to be ended: all that its settlement must name, so that nothing of it can be forgotten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    lease: Lease,
    order: Option<OrderKey>,
}

impl Claim {
    pub(crate) fn of(claimed: &Claimed) -> Self {
        Self { lease: lease_of(claimed), order: claimed.order }
    }

    pub(crate) fn delivery(self) -> DeliveryId {
        self.lease.delivery
    }

    /// Ends the claim after an attempt, or without one.
    pub(crate) fn settled(self, next: NextState, attempt: Option<Attempt>) -> Settlement {
        Settlement { lease: self.lease, next, attempt, order: self.order }
    }

    /// Ends the claim untried: the delivery is due at `due_at`, for anybody.
    pub(crate) fn released(self, due_at: UnixMillis) -> Settlement {
        self.settled(NextState::Pending { due_at }, None)
    }
}

/// Whether the settlement lets the next delivery with its key go.
pub(crate) fn moves_its_key(settlement: &Settlement) -> bool {
    settlement.order.is_some() && !matches!(settlement.next, NextState::Pending { .. })
}
