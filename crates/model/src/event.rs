//! Events: what was received or published.

use std::sync::Arc;

use bytes::Bytes;

use crate::{EventId, HeaderBlock, NewDelivery, SourceId, TraceContext, UnixMillis};

/// One event with its payload, exactly as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Identifier; carries the time of receipt.
    pub id: EventId,
    /// Where it came from.
    pub source: SourceId,
    /// The sender's name for this kind of event, if the scheme has one.
    pub event_type: Option<Box<str>>,
    /// End-to-end headers of the request.
    pub headers: HeaderBlock,
    /// The body's bytes.
    pub body: Bytes,
    /// The sender's trace, or the one that intake began.
    pub trace: Option<TraceContext>,
    /// Why it was put into quarantine instead of being delivered, if it was.
    pub quarantine: Option<Box<str>>,
}

impl Event {
    /// When it was received.
    #[must_use]
    pub const fn received_at(&self) -> UnixMillis {
        self.id.timestamp()
    }

    /// Whether retention removed its headers and body: there is nothing left to send.
    #[must_use]
    pub fn payload_is_removed(&self) -> bool {
        self.headers.is_removed()
    }
}

/// What lists show of an event: all but headers and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSummary {
    /// Identifier; carries the time of receipt.
    pub id: EventId,
    /// Where it came from.
    pub source: SourceId,
    /// The sender's name for this kind of event, if the scheme has one.
    pub event_type: Option<Box<str>>,
    /// Size of the body in bytes.
    pub body_bytes: u64,
    /// Why it was put into quarantine instead of being delivered, if it was.
    pub quarantine: Option<Box<str>>,
}

/// Source and idempotency key, hashed to 128 bits (the first half of a SHA-256).
pub type IdempotencyHash = u128;

/// An event to append, with the deliveries that are born with it.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The event.
    pub event: Arc<Event>,
    /// What makes it the same as another one; `None` when every request is an event of its own.
    pub idempotency: Option<IdempotencyHash>,
    /// One for each destination; may be empty.
    pub deliveries: Vec<NewDelivery>,
}

/// What became of an event that was handed to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Stored, with its deliveries.
    Accepted {
        /// The event's id.
        id: EventId,
    },
    /// The same event was stored before; nothing was written.
    Duplicate {
        /// The id of the event that was stored first.
        id: EventId,
    },
}

impl Appended {
    /// The id to answer with.
    #[must_use]
    pub const fn id(self) -> EventId {
        match self {
            Self::Accepted { id } | Self::Duplicate { id } => id,
        }
    }
}
