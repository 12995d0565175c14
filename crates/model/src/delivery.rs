//! Deliveries: one event on its way to one destination.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::{Attempt, ConnectionId, DeliveryId, DestinationId, Event, OrderKey, UnixMillis};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Due, waiting for its next attempt, or in the hands of a worker.
    Pending,
    /// The destination took it.
    Delivered,
    /// No attempt is left, or the destination said that there is no use: a dead letter.
    Dead,
    /// Withdrawn by an operator, or its destination was deleted.
    Cancelled,
    /// Waits for an earlier delivery with the same [`OrderKey`]; becomes pending when that one has ended.
    Queued,
}

impl DeliveryState {
    /// Every state, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Delivered, Self::Dead, Self::Cancelled, Self::Queued];

    /// The number that stands for it in the store.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The state with this number, if there is one.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// The name used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Queued => "queued",
        }
    }
}

/// A delivery to insert with its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewDelivery {
    /// Derived from the event's id.
    pub id: DeliveryId,
    /// Where it goes.
    pub destination: DestinationId,
    /// Which connection asked for it.
    pub connection: ConnectionId,
    /// When it is due. For one that is born claimed, the end of its lease.
    pub due_at: UnixMillis,
    /// 1 when it is born claimed (handed to a worker right after the commit), else 0.
    pub generation: u32,
    /// What it must stay in order with. A delivery with a key is never born claimed.
    pub order: Option<OrderKey>,
}

/// A delivery as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Identifier; names the event.
    pub id: DeliveryId,
    /// Where it goes.
    pub destination: DestinationId,
    /// Which connection asked for it.
    pub connection: ConnectionId,
    /// Where it stands.
    pub state: DeliveryState,
    /// While pending, when it is next due (or its lease ends); afterwards, when it ended.
    pub at: UnixMillis,
    /// Raised by each claim; a settlement with an older one changes nothing.
    pub generation: u32,
    /// Attempts made so far.
    pub attempts: u16,
}

/// A delivery that a worker holds until its lease ends, with its payload.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The delivery.
    pub id: DeliveryId,
    /// Where it goes.
    pub destination: DestinationId,
    /// Which connection asked for it.
    pub connection: ConnectionId,
    /// The claim's number; settlements must name it.
    pub generation: u32,
    /// Attempts made before this claim.
    pub attempts: u16,
    /// When others may claim it.
    pub lease_until: UnixMillis,
    /// What it stays in order with; its settlement must name it.
    pub order: Option<OrderKey>,
    /// The payload.
    pub event: Arc<Event>,
    /// When intake had read the request, if this very process received it: finer than the id's milliseconds.
    pub received: Option<Instant>,
}

/// What names a claim: enough to renew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The claim's number.
    pub generation: u32,
}

/// The state a claim leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextState {
    /// The destination took it at this time.
    Delivered {
        /// When.
        at: UnixMillis,
    },
    /// Due again at this time, after an attempt or after a release without one.
    Pending {
        /// When.
        due_at: UnixMillis,
    },
    /// A dead letter since this time.
    Dead {
        /// When.
        at: UnixMillis,
    },
    /// Withdrawn at this time.
    Cancelled {
        /// When.
        at: UnixMillis,
    },
}

impl NextState {
    /// The state to store.
    #[must_use]
    pub const fn state(self) -> DeliveryState {
        match self {
            Self::Delivered { .. } => DeliveryState::Delivered,
            Self::Pending { .. } => DeliveryState::Pending,
            Self::Dead { .. } => DeliveryState::Dead,
            Self::Cancelled { .. } => DeliveryState::Cancelled,
        }
    }

    /// The time to store with it: when it is due, or when it ended.
    #[must_use]
    pub const fn at(self) -> UnixMillis {
        match self {
            Self::Delivered { at } | Self::Dead { at } | Self::Cancelled { at } => at,
            Self::Pending { due_at } => due_at,
        }
    }
}

/// The end of a claim: what was tried, and what the delivery is now. Both are written in one transaction, or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The claim that ends.
    pub lease: Lease,
    /// What the delivery is now.
    pub next: NextState,
    /// The attempt, or `None` when the claim is released untried.
    pub attempt: Option<Attempt>,
    /// [`Claimed::order`]: when the delivery ends, the next one with this key becomes due.
    pub order: Option<OrderKey>,
}
