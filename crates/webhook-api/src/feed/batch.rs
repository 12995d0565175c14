//! Batches of live events, written once for all who get them.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use spillway_model::{EventId, EventSummary};

/// A live event, with its JSON once somebody is shown it.
#[derive(Debug)]
pub struct FeedEvent {
    summary: EventSummary,
    json: OnceLock<Bytes>,
}

impl FeedEvent {
    pub(super) fn new(summary: EventSummary) -> Self {
        Self { summary, json: OnceLock::new() }
    }

    /// An event whose JSON is known.
    pub(crate) fn written(summary: EventSummary, json: Bytes) -> Self {
        Self { summary, json: OnceLock::from(json) }
    }

    /// The event without its payload.
    #[must_use]
    pub fn summary(&self) -> &EventSummary {
        &self.summary
    }

    /// The event as the list of events shows it, in JSON.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        self.json.get().map_or(b"null", |json| json)
    }

    pub(super) fn write_with(&self, write: impl FnOnce(&EventSummary) -> Bytes) {
        self.json.get_or_init(|| write(&self.summary));
    }
}

/// A batch as all clients of a channel get it.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) events: Arc<[Arc<FeedEvent>]>,
    /// Matching events of the channel so far, shown or not.
    pub(super) total: u64,
    /// Those of this batch that are not shown.
    pub(super) skipped: u64,
    message: OnceLock<Utf8Bytes>,
    frame: OnceLock<Bytes>,
}

impl Published {
    pub(super) fn new(events: Vec<Arc<FeedEvent>>, total: u64, skipped: u64) -> Self {
        Self { events: events.into(), total, skipped, message: OnceLock::new(), frame: OnceLock::new() }
    }
}

/// Events that came since the last batch, the oldest first.
#[derive(Debug, Clone)]
pub struct FeedBatch {
    /// The latest of them.
    pub events: Arc<[Arc<FeedEvent>]>,
    /// Events that matched and are not among them: there were too many, or the client was too slow.
    pub skipped: u64,
    /// Whether more may have been missed than `skipped` counts.
    pub(crate) is_incomplete: bool,
    shared: Option<Arc<Published>>,
}

impl FeedBatch {
    pub(super) fn new(published: Arc<Published>, skipped: u64) -> Self {
        let shared = (skipped == published.skipped).then(|| published.clone());
        Self { events: published.events.clone(), skipped, is_incomplete: false, shared }
    }

    /// A batch for one client.
    pub(crate) fn own(events: Vec<Arc<FeedEvent>>, skipped: u64, is_incomplete: bool) -> Self {
        Self { events: events.into(), skipped, is_incomplete, shared: None }
    }

    /// The batch without these events.
    pub(crate) fn without(self, known: &HashSet<EventId>) -> Self {
        let is_known = |event: &Arc<FeedEvent>| known.contains(&event.summary.id);
        if !self.events.iter().any(is_known) {
            return self;
        }
        let events = self.events.iter().filter(|event| !is_known(event)).cloned().collect();
        Self::own(events, self.skipped, self.is_incomplete)
    }

    /// Whether there is nothing to say.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.skipped == 0 && !self.is_incomplete
    }

    /// The batch as a text message of a WebSocket.
    pub(crate) fn message(&self) -> Utf8Bytes {
        let write = || Utf8Bytes::from(self.json());
        match &self.shared {
            Some(shared) => shared.message.get_or_init(write).clone(),
            None => write(),
        }
    }

    /// The batch as an event of an event stream (server-sent events), which clients may resume after.
    pub(crate) fn frame(&self) -> Bytes {
        let write = || {
            let id = self.events.iter().map(|event| event.summary.id).max();
            let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
            Bytes::from(format!("{id}event: events\ndata: {}\n\n", self.message().as_str()))
        };
        match &self.shared {
            Some(shared) => shared.frame.get_or_init(write).clone(),
            None => write(),
        }
    }

    fn json(&self) -> String {
        let length = self.events.iter().map(|event| event.json().len() + 1).sum::<usize>();
        let mut text = String::with_capacity(length + 64);
        text.push_str("{\"type\":\"events\",\"events\":[");
        for (position, event) in self.events.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            // JSON is UTF-8.
            text.push_str(std::str::from_utf8(event.json()).unwrap_or("null"));
        }
        text.push_str(&format!("],\"skipped\":{}", self.skipped));
        text.push_str(if self.is_incomplete { ",\"incomplete\":true}" } else { "}" });
        text
    }
}

#[cfg(test)]
mod tests {
    use spillway_model::SourceId;

    use super::*;

    fn event(id: u128) -> Arc<FeedEvent> {
        let id = EventId::from_u128(id);
        let summary =
            EventSummary { id, source: SourceId::from_u128(1), event_type: None, body_bytes: 0, quarantine: None };
        Arc::new(FeedEvent::written(summary, Bytes::from(format!("{{\"n\":{}}}", id.to_u128()))))
    }

    #[test]
    fn clients_that_missed_the_same_share_their_text() {
        let published = Arc::new(Published::new(vec![event(1), event(2)], 5, 3));
        let (one, other) = (FeedBatch::new(published.clone(), 3), FeedBatch::new(published.clone(), 3));
        assert_eq!(one.message().as_str(), r#"{"type":"events","events":[{"n":1},{"n":2}],"skipped":3}"#);
        assert_eq!(one.message().as_str().as_ptr(), other.message().as_str().as_ptr());
        assert_eq!(one.frame().as_ptr(), other.frame().as_ptr());
        let slow = FeedBatch::new(published, 9);
        assert_eq!(slow.message().as_str(), r#"{"type":"events","events":[{"n":1},{"n":2}],"skipped":9}"#);
    }

    #[test]
    fn a_frame_has_the_id_to_resume_after() {
        let batch = FeedBatch::own(vec![event(2), event(1)], 0, true);
        let expected = format!(
            "id: {}\nevent: events\ndata: {{\"type\":\"events\",\"events\":[{{\"n\":2}},{{\"n\":1}}],\"skipped\":0,\"incomplete\":true}}\n\n",
            EventId::from_u128(2)
        );
        assert_eq!(batch.frame(), expected.as_bytes());
    }

    #[test]
    fn what_a_client_has_already_is_left_out() {
        let batch = FeedBatch::own(vec![event(1), event(2)], 0, false);
        let rest = batch.without(&HashSet::from([EventId::from_u128(1)]));
        assert_eq!(rest.events.iter().map(|event| event.summary.id.to_u128()).collect::<Vec<_>>(), [2]);
        assert!(rest.without(&HashSet::from([EventId::from_u128(2)])).is_empty());
    }
}
