//! Rows of live events, for one client.

use std::collections::HashSet;
use std::sync::Arc;

use spillway_model::{EventId, EventSummary};
use spillway_store::EventFilter;

use super::super::error::ApiError;
use super::super::events::view;
use super::session::{Beat, Ending, Session};
use crate::feed::{FeedBatch, FeedEvent, FeedFilter, FeedStatus, FeedSubscription};
use crate::gateway::Gateway;

/// Missed events that a client which comes back is shown, and how many are looked at for that.
const MOST_SHOWN: usize = 100;
const MOST_READ: usize = 1_000;
/// Batches in which an event may come that was read from the store before.
const OVERLAP: u32 = 40;

/// A client's rows.
pub(super) struct Tail {
    session: Session,
    subscription: FeedSubscription,
    missed: Option<FeedBatch>,
    /// Events that were read from the store and may come from the feed, too.
    known: HashSet<EventId>,
    n_batches: u32,
}

/// What to send next.
pub(super) enum Next {
    Batch(FeedBatch),
    Alive,
    End(Ending),
}

impl Tail {
    /// Rows from now on; after this event those that were missed since come first.
    pub(super) async fn begin(session: Session, filter: FeedFilter, after: Option<EventId>) -> Result<Self, ApiError> {
        // Before the store is read: nothing is stored between the two.
        let subscription = session.gateway.streams.feed().subscribe(filter.clone());
        let missed = match after {
            Some(after) => Some(missed(&session.gateway, &filter, after).await?),
            None => None,
        };
        let (missed, known) = missed.map_or_else(Default::default, |(batch, known)| (Some(batch), known));
        Ok(Self { session, subscription, missed, known, n_batches: 0 })
    }

    /// What to send next. Cancel safe.
    pub(super) async fn next(&mut self) -> Next {
        if let Some(missed) = self.missed.take().filter(|missed| !missed.is_empty()) {
            return self.shown(missed);
        }
        loop {
            tokio::select! {
                biased;
                beat = self.session.beat() => match beat {
                    Beat::Quiet => {}
                    Beat::Alive => return Next::Alive,
                    Beat::End(ending) => return Next::End(ending),
                },
                batch = self.subscription.next() => {
                    let Some(batch) = batch else { return Next::End(Ending::Stopping) };
                    let batch = self.unknown(batch);
                    if !batch.is_empty() {
                        return self.shown(batch);
                    }
                }
            }
        }
    }

    fn unknown(&mut self, batch: FeedBatch) -> FeedBatch {
        if self.known.is_empty() {
            return batch;
        }
        let rest = batch.without(&self.known);
        self.n_batches += 1;
        if self.n_batches == OVERLAP {
            self.known = HashSet::new();
        }
        rest
    }

    fn shown(&self, batch: FeedBatch) -> Next {
        self.session.count(batch.events.len(), batch.skipped);
        Next::Batch(batch)
    }
}

/// What came after this event: the latest of them, and the ids of all that were read.
async fn missed(
    gateway: &Gateway,
    filter: &FeedFilter,
    after: EventId,
) -> Result<(FeedBatch, HashSet<EventId>), ApiError> {
    let wanted = EventFilter {
        source: filter.source,
        before: None,
        from: Some(after),
        quarantined: filter.status == Some(FeedStatus::Quarantined),
        limit: MOST_READ,
    };
    let page = gateway.store.events(wanted).await?;
    let is_wanted = |row: &EventSummary| row.id > after && filter.matches(row);
    let rows: Vec<EventSummary> = page.rows.into_iter().filter(is_wanted).collect();
    let known = rows.iter().map(|row| row.id).collect();
    let skipped = rows.len().saturating_sub(MOST_SHOWN) as u64;
    let configuration = gateway.routing.load().configuration.clone();
    let written = |row: EventSummary| {
        let json = serde_json::to_vec(&view(row.clone(), &configuration)).unwrap_or_default();
        Arc::new(FeedEvent::written(row, json.into()))
    };
    let mut events: Vec<_> = rows.into_iter().take(MOST_SHOWN).map(written).collect();
    events.reverse();
    Ok((FeedBatch::own(events, skipped, page.next.is_some()), known))
}
