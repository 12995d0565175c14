//! Lists: filters, pages and their opaque cursors.

use std::fmt;
use std::str::FromStr;

use spillway_model::{DeliveryState, DestinationId, EventId, SourceId};

/// Where the next page begins. Opaque to callers; stable under inserts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Time part of the order, for lists that are not ordered by id alone.
    pub at: i64,
    /// The last row's id.
    pub id: u128,
}

/// Text that is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is damaged: take it unchanged from the field \"next\" of the page before")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:032x}", self.at, self.id)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.len() != 48 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidCursor);
        }
        let at = u64::from_str_radix(&text[..16], 16).map_err(|_| InvalidCursor)?.cast_signed();
        let id = u128::from_str_radix(&text[16..], 16).map_err(|_| InvalidCursor)?;
        Ok(Self { at, id })
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page of at most `limit` rows out of up to `limit + 1` that were read.
    pub fn cut(mut rows: Vec<T>, limit: usize, cursor: impl Fn(&T) -> Cursor) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor);
        Self { rows, next }
    }
}

/// Which events to list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those of this source.
    pub source: Option<SourceId>,
    /// Only those before this id, exclusive: a page's cursor or a point in time.
    pub before: Option<EventId>,
    /// Only those from this id on, inclusive.
    pub from: Option<EventId>,
    /// Only those in quarantine.
    pub quarantined: bool,
    /// At most this many.
    pub limit: usize,
}

/// Which deliveries to list.
///
/// By event: in the order of its connections. By destination or state: the latest `at` first (due time while pending, else
/// when it ended). Without any: newest first, by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those of this event.
    pub event: Option<EventId>,
    /// Only those to this destination.
    pub destination: Option<DestinationId>,
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only those after this place.
    pub cursor: Option<Cursor>,
    /// At most this many.
    pub limit: usize,
}
