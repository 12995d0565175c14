use bytes::Bytes;
use spillway_coordination::{CacheKind, VALUE_LIMIT_BYTES};
use spillway_testkit::wait_until;

use crate::nodes::{Nodes, SOON};

crate::on_both_engines!(
    what_one_node_puts_the_other_gets,
    kinds_and_keys_are_separate,
    an_invalidated_value_is_forgotten_by_every_node,
    a_value_over_the_limit_is_not_kept,
    hits_and_misses_are_told,
);

const VALUE: Bytes = Bytes::from_static(b"\0value\xff");

async fn what_one_node_puts_the_other_gets(nodes: &Nodes) {
    nodes.a.cache.put(CacheKind::ApiKey, "key", VALUE).await;
    for node in [&nodes.a, &nodes.b, &nodes.b] {
        assert_eq!(node.cache.get(CacheKind::ApiKey, "key").await, Some(VALUE));
    }
}

async fn kinds_and_keys_are_separate(nodes: &Nodes) {
    for kind in CacheKind::ALL {
        nodes.a.cache.put(kind, "a:b", Bytes::from_static(kind.as_str().as_bytes())).await;
    }
    for kind in CacheKind::ALL {
        assert_eq!(nodes.b.cache.get(kind, "a:b").await.as_deref(), Some(kind.as_str().as_bytes()));
        assert_eq!(nodes.b.cache.get(kind, "a").await, None);
    }
}

async fn an_invalidated_value_is_forgotten_by_every_node(nodes: &Nodes) {
    nodes.a.cache.put(CacheKind::Configuration, "a:b", VALUE).await;
    assert_eq!(nodes.b.cache.get(CacheKind::Configuration, "a:b").await, Some(VALUE));
    nodes.a.cache.invalidate(CacheKind::Configuration, "a:b").await;
    assert_eq!(nodes.a.cache.get(CacheKind::Configuration, "a:b").await, None);
    let forgotten = async || nodes.b.cache.get(CacheKind::Configuration, "a:b").await.is_none();
    wait_until("the other node to forget", SOON, forgotten).await;
}

async fn a_value_over_the_limit_is_not_kept(nodes: &Nodes) {
    let largest = Bytes::from(vec![0; VALUE_LIMIT_BYTES]);
    nodes.a.cache.put(CacheKind::Statistics, "key", largest.clone()).await;
    assert_eq!(nodes.b.cache.get(CacheKind::Statistics, "key").await, Some(largest));
    nodes.a.cache.put(CacheKind::Statistics, "key", Bytes::from(vec![0; VALUE_LIMIT_BYTES + 1])).await;
    assert_eq!(nodes.a.cache.get(CacheKind::Statistics, "key").await, None);
}

async fn hits_and_misses_are_told(nodes: &Nodes) {
    nodes.a.cache.get(CacheKind::ApiKey, "key").await;
    nodes.a.cache.put(CacheKind::ApiKey, "key", VALUE).await;
    nodes.a.cache.get(CacheKind::ApiKey, "key").await;
    assert_eq!(*nodes.seen.cache.lock(), [(CacheKind::ApiKey, false), (CacheKind::ApiKey, true)]);
}
