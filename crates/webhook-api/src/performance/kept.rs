//! The coarse rings in the store's documents.
//!
//! Each node has documents of its own: `NODE/hour-00` to `-24` and `NODE/day-00` to `-31`, which are replaced as time goes around. One document
//! lists the nodes with when they wrote last, so that those of nodes that are gone are removed when nothing in them is young enough to be read.

use std::collections::BTreeMap;

use bytes::Bytes;
use spillway_model::UnixMillis;
use spillway_performance::Segment;
use spillway_store::{Document, Store, StoreError};

use crate::gateway::Gateway;

const KIND: &str = "trend";
const NODES: &str = "nodes";
/// A node that wrote nothing for so long has nothing left that a ring would hold.
const GONE_AFTER_MS: i64 = 31 * 86_400_000;
/// Nodes that are listed. More than so many at once leave documents behind.
const MAX_NODES: usize = 1_000;

/// When each node wrote last.
type Nodes = BTreeMap<String, UnixMillis>;

/// Takes in what an earlier process of this node wrote. What cannot be read is told and left out: trends are no reason not to start.
pub(super) async fn load(gateway: &Gateway) {
    let node = &gateway.performance.settings.node;
    for key in Segment::keys() {
        match gateway.store.document(KIND, &format!("{node}/{key}")).await {
            Ok(Some(document)) => restore(gateway, &document),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "the trends of before the start cannot be read; they begin anew");
                return;
            }
        }
    }
    enter(gateway).await;
}

/// Enters this node into the list of those that have documents: at the start, and now and then, or others would take it for gone.
pub(super) async fn enter(gateway: &Gateway) {
    if let Err(error) = list(gateway).await {
        tracing::warn!(code = error.code(), %error, "the list of nodes with trends cannot be kept up");
    }
}

fn restore(gateway: &Gateway, document: &Document) {
    let now_s = gateway.clock.now().div_euclid(1_000);
    if let Err(error) = gateway.performance.with(|state| state.recorder.restore(&document.body, now_s)) {
        tracing::warn!(key = %document.key, %error, "a document of trends cannot be used");
    }
}

/// Writes the segments that are under way. Those that ended since the last writing are written once more, or their last minute would be
/// lost.
pub(super) async fn save(gateway: &Gateway) {
    let node = &gateway.performance.settings.node;
    let now = gateway.clock.now();
    let now_s = now.div_euclid(1_000);
    let segments = segments(now_s);
    let documents = gateway.performance.with(|state| {
        let document = |segment: &Segment| Document {
            kind: KIND.to_owned(),
            key: format!("{node}/{}", segment.key()),
            at: now,
            body: Bytes::from(state.recorder.document(*segment)),
        };
        segments.iter().map(document).collect::<Vec<_>>()
    });
    for document in documents {
        if let Err(error) = gateway.store.put_document(document).await {
            tracing::debug!(code = error.code(), %error, "the trends could not be written; they are in memory, and are tried again in a minute");
            return;
        }
    }
}

/// The segments of now and of two minutes ago.
fn segments(now_s: i64) -> Vec<Segment> {
    let mut segments = Segment::at(now_s).to_vec();
    segments.extend(Segment::at(now_s - 120).into_iter().filter(|segment| !Segment::at(now_s).contains(segment)));
    segments
}

/// Brings the list up to date, and removes what nodes that are gone left behind.
async fn list(gateway: &Gateway) -> Result<(), StoreError> {
    let (store, now) = (&*gateway.store, gateway.clock.now());
    let written = store.document(KIND, NODES).await?;
    let mut nodes: Nodes = written.and_then(|it| serde_json::from_slice(&it.body).ok()).unwrap_or_default();
    nodes.insert(gateway.performance.settings.node.clone(), now);
    for node in gone(&mut nodes, now) {
        remove(store, &node).await?;
    }
    let body = Bytes::from(serde_json::to_vec(&nodes).unwrap_or_default());
    store.put_document(Document { kind: KIND.to_owned(), key: NODES.to_owned(), at: now, body }).await
}

/// Takes nodes that are gone, and the longest silent ones of too many, out of the list.
fn gone(nodes: &mut Nodes, now: UnixMillis) -> Vec<String> {
    let mut silent: Vec<_> = nodes.iter().map(|(node, at)| (*at, node.clone())).collect();
    silent.sort_unstable();
    let n_too_many = nodes.len().saturating_sub(MAX_NODES);
    let is_gone = |(place, (at, _)): &(usize, (UnixMillis, String))| *place < n_too_many || now - at > GONE_AFTER_MS;
    let gone: Vec<_> = silent.into_iter().enumerate().filter(is_gone).map(|(_, (_, node))| node).collect();
    nodes.retain(|node, _| !gone.contains(node));
    gone
}

async fn remove(store: &dyn Store, node: &str) -> Result<(), StoreError> {
    for key in Segment::keys() {
        store.delete_document(KIND, &format!("{node}/{key}")).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_just_ended_is_written_once_more() {
        let hour = 1_767_225_600 / 3_600;
        assert_eq!(segments(hour * 3_600 + 1_800).len(), 2);
        assert_eq!(
            segments(hour * 3_600 + 3_600 + 60),
            [Segment::Hour(hour + 1), Segment::Day(hour / 24), Segment::Hour(hour),]
        );
    }

    #[test]
    fn nodes_that_are_gone_leave_the_list() {
        let now = 100 * GONE_AFTER_MS;
        let mut nodes: Nodes = (0..1_003).map(|n| (format!("node-{n:04}"), now - n)).collect();
        nodes.insert("old".to_owned(), now - GONE_AFTER_MS - 1);
        assert_eq!(gone(&mut nodes, now), ["old", "node-1002", "node-1001", "node-1000"]);
        assert_eq!(nodes.len(), MAX_NODES);
    }
}
