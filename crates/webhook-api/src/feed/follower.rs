//! Finds events as they come into a store, each once.
//!
//! Ids are in the order of receipt, events become visible in the order of their commits, and clocks of nodes differ: an event may appear behind
//! others that have later ids. So each look begins some time before the newest known event, and what was found is remembered.

use std::collections::BTreeSet;

use spillway_model::{EventId, SourceId, UnixMillis};
use spillway_store::{Store, StoreError};

/// How far back most looks begin.
const NARROW_MS: i64 = 1_000;
/// How far back some looks begin: as long as a commit may take by default.
const WIDE_MS: i64 = 10_000;
/// One look of so many is a wide one.
const WIDE_EVERY: u32 = 8;
/// Wide looks are left out where they would read more than this.
const MOST_WIDE: usize = 8_192;
/// More known events than this in some seconds are many.
const MANY_KNOWN: usize = 2_048;
/// Ids that are remembered.
const MOST_KNOWN: usize = 32_768;
/// Ids read at once, and how many such pages one look reads.
const PAGE: usize = 1_000;
const MOST_PAGES: usize = 16;

/// What a look found.
#[derive(Debug)]
pub(crate) struct Look {
    /// Events that were not known, in the order of their ids.
    pub(crate) ids: Vec<EventId>,
    /// Whether there are more.
    pub(crate) has_more: bool,
    /// Everything up to here was looked at.
    position: EventId,
    /// Nothing before it will be looked at again.
    settled: EventId,
}

/// Finds events of a source, or of all, from some id on.
#[derive(Debug)]
pub(crate) struct Follower {
    source: Option<SourceId>,
    begin: EventId,
    position: EventId,
    known: BTreeSet<EventId>,
    /// The latest id that was remembered once and is not any more.
    forgotten: EventId,
    n_looks: u32,
}

impl Follower {
    /// Finds events with this id or a later one.
    pub(crate) fn new(source: Option<SourceId>, begin: EventId) -> Self {
        let nothing = EventId::from_u128(0);
        Self { source, begin, position: before(begin), known: BTreeSet::new(), forgotten: nothing, n_looks: 0 }
    }

    /// Whether so much comes in that looking often would read the same many times.
    pub(crate) fn is_busy(&self) -> bool {
        self.known.len() > MANY_KNOWN
    }

    /// Looks for at most `most` events. What is found stays unknown until it is kept, so that a look can be made again.
    pub(crate) async fn look(&mut self, store: &dyn Store, now: UnixMillis, most: usize) -> Result<Look, StoreError> {
        let is_wide = self.n_looks.is_multiple_of(WIDE_EVERY) && self.known.len() <= MOST_WIDE;
        self.n_looks = self.n_looks.wrapping_add(1);
        let window = |milliseconds| before(EventId::first_of(now - milliseconds));
        let back = window(if is_wide { WIDE_MS } else { NARROW_MS });
        let mut position = self.position.min(back).max(before(self.begin)).max(self.forgotten);
        let settled = self.position.min(window(WIDE_MS));
        let (mut ids, mut has_more) = (Vec::new(), true);
        for _ in 0..MOST_PAGES {
            let page = store.following(self.source, position, PAGE).await?;
            has_more = page.len() == PAGE;
            position = page.last().copied().unwrap_or(position);
            ids.extend(page.into_iter().filter(|id| !self.known.contains(id)));
            if !has_more || ids.len() >= most {
                break;
            }
        }
        if ids.len() > most {
            ids.truncate(most);
            has_more = true;
            position = ids.last().copied().unwrap_or(position);
        }
        Ok(Look { ids, has_more, position, settled })
    }

    /// Remembers what a look found.
    pub(crate) fn keep(&mut self, look: &Look) {
        self.position = self.position.max(look.position);
        self.known = self.known.split_off(&look.settled);
        for id in &look.ids {
            self.mark(*id);
        }
    }

    /// Remembers an event. Returns whether it was not known.
    pub(crate) fn mark(&mut self, id: EventId) -> bool {
        let is_new = id > self.forgotten && self.known.insert(id);
        if self.known.len() > MOST_KNOWN
            && let Some(oldest) = self.known.pop_first()
        {
            self.forgotten = self.forgotten.max(oldest);
        }
        is_new
    }
}

/// The id before this one, where there is one.
fn before(id: EventId) -> EventId {
    EventId::from_u128(id.to_u128().saturating_sub(1))
}
