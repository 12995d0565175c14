//! Replays: sending what was received again, as a durable job.

use serde::{Deserialize, Serialize};

use crate::{ConnectionId, DeliveryId, DeliveryState, DestinationId, EventId, ReplayId, SourceId, UnixMillis};

/// Which deliveries to send again. All conditions hold together; none at all is every delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Only those of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// Only those of events of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    /// Only those to this destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<DestinationId>,
    /// Only those of this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Only those in this state; `None` is every state but pending and queued, which are on their way already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Only those of events received at or after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<UnixMillis>,
    /// Only those of events received before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<UnixMillis>,
}

/// Where a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayState {
    /// A node works on it, or the next free one will.
    Running,
    /// Everything selected is due again.
    Done,
    /// Stopped by a person; what was made due until then stays so.
    Cancelled,
}

impl ReplayState {
    /// Every state, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Cancelled];

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
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A replay as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Identifier.
    pub id: ReplayId,
    /// What it sends again, as it was when it was made: later deliveries do not join.
    pub selection: Selection,
    /// Deliveries made due in a second, at most.
    pub per_second: u32,
    /// Where it stands.
    pub state: ReplayState,
    /// Deliveries that matched when it was made; `None` when they were too many to count.
    pub total: Option<u64>,
    /// Deliveries made due so far.
    pub retried: u64,
    /// Deliveries passed over because their event is gone or they are on their way already.
    pub skipped: u64,
    /// The last delivery that was looked at: it goes on behind it, also on another node.
    pub cursor: Option<DeliveryId>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it last went on or ended.
    pub updated_at: UnixMillis,
}
