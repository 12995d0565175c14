//! Redis as it fails.

use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use spillway_coordination::{CacheKind, Coordination, RedisSettings};
use spillway_model::Rate;
use spillway_testkit::{Redis, Sentinel, wait_until};

use crate::nodes::{SOON, delivery, node, node_with, number, pop, push};

const STREAM: &str = "spillway:ready";

async fn client(server: &Redis) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).expect("a valid URL");
    client.get_multiplexed_async_connection().await.expect("the server runs")
}

fn one_an_hour() -> Rate {
    "1/h".parse().expect("a rate")
}

/// Every contract answers within a fraction of a second, open and empty.
async fn works_on_without_redis(node: &Coordination) {
    let started = Instant::now();
    assert!(node.ready.try_reserve(1, 1).is_none() && !node.ready.is_healthy());
    for _ in 0..3 {
        let decision = node.rate.check("key", one_an_hour()).await;
        assert_eq!((decision.allowed, decision.limit, decision.remaining), (true, 1, 1));
    }
    node.cache.put(CacheKind::ApiKey, "local", Bytes::from_static(b"1")).await;
    assert_eq!(node.cache.get(CacheKind::ApiKey, "local").await.as_deref(), Some(&b"1"[..]));
    node.cache.invalidate(CacheKind::ApiKey, "local").await;
    assert_eq!(node.cache.get(CacheKind::ApiKey, "local").await, None);
    let version = *node.changes.subscribe().borrow() + 1;
    node.changes.announce(version).await;
    assert_eq!(*node.changes.subscribe().borrow(), version);
    assert!(started.elapsed() < Duration::from_millis(500), "took {:?}", started.elapsed());
}

async fn works_with_redis(a: &Coordination, b: &Coordination) {
    wait_until("healthy nodes", SOON, async || a.ready.is_healthy() && b.ready.is_healthy()).await;
    push(&*a.ready, 500..530).await;
    assert_eq!(pop(&*b.ready, 30, 10).await, (500..530).collect::<Vec<_>>());
    let mut n = 0;
    wait_until("a refusal that both nodes agree on", SOON, async || {
        n += 1;
        let key = format!("fresh-{n}");
        a.rate.check(&key, one_an_hour()).await.allowed && !b.rate.check(&key, one_an_hour()).await.allowed
    })
    .await;
    let mut learned = b.changes.subscribe();
    let version = *learned.borrow_and_update() + 100;
    wait_until("the other node to listen again", SOON, async || {
        a.changes.announce(version).await;
        *learned.borrow() == version
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_costs_no_time_and_is_found_again() {
    let mut server = Redis::start().await;
    let (a, seen) = node(&server).await;
    let (b, _) = node(&server).await;
    works_with_redis(&a, &b).await;
    let waiting = tokio::spawn({
        let ready = b.ready.clone();
        async move { ready.pop(10).await }
    });
    server.kill().await;
    wait_until("the loss to be noticed", Duration::from_secs(1), async || a.ready.try_reserve(1, 1).is_none()).await;
    works_on_without_redis(&a).await;
    assert_eq!(*seen.degraded.lock(), [true]);
    server.restart().await;
    wait_until("the nodes to recover", SOON, async || a.ready.is_healthy() && b.ready.is_healthy()).await;
    push(&*a.ready, 0..1).await;
    let popped = tokio::time::timeout(SOON, waiting).await.expect("the pop goes on").expect("no panic");
    assert_eq!(popped.iter().map(number).collect::<Vec<_>>(), [0]);
    works_with_redis(&a, &b).await;
    assert_eq!(*seen.degraded.lock(), [true, false]);
}

#[tokio::test]
async fn a_push_into_a_server_that_was_just_killed_is_dropped_and_gives_its_room_back() {
    let mut server = Redis::start().await;
    let (a, _) = node(&server).await;
    let room = a.ready.try_reserve(100, 1000).expect("all of the room");
    server.kill().await;
    let started = Instant::now();
    a.ready.push(room, (0..100).map(delivery).collect()).await;
    assert!(started.elapsed() < Duration::from_millis(250));
    server.restart().await;
    wait_until("all of the room", SOON, async || a.ready.try_reserve(100, 1000).is_some()).await;
}

#[tokio::test]
async fn a_server_that_hangs_holds_nobody_up() {
    let server = Redis::start().await;
    let (a, seen) = node_with(RedisSettings::at(server.url())).await;
    let (b, _) = node_with(RedisSettings::at(server.url())).await;
    works_with_redis(&a, &b).await;
    server.pause();
    let started = Instant::now();
    let room = a.ready.try_reserve(1, 1).expect("not noticed yet");
    a.ready.push(room, vec![delivery(1)]).await;
    assert!(started.elapsed() < Duration::from_millis(100), "the push took {:?}", started.elapsed());
    let checked = Instant::now();
    assert!(a.rate.check("key", one_an_hour()).await.allowed);
    assert!(a.cache.get(CacheKind::ApiKey, "unknown").await.is_none());
    assert!(checked.elapsed() < Duration::from_millis(500), "check and get took {:?}", checked.elapsed());
    wait_until("the hang to be noticed", Duration::from_secs(2), async || !a.ready.is_healthy()).await;
    wait_until("the loss to be told", Duration::from_secs(2), async || *seen.degraded.lock() == [true]).await;
    works_on_without_redis(&a).await;
    server.resume();
    wait_until("healthy nodes", SOON, async || a.ready.is_healthy() && b.ready.is_healthy()).await;
    // The server may still execute what was sent before it hung.
    push(&*a.ready, 600..601).await;
    while !pop(&*b.ready, 1, 1).await.contains(&600) {}
    works_with_redis(&a, &b).await;
}

#[tokio::test]
async fn after_a_flush_the_group_is_made_again() {
    let server = Redis::start().await;
    let (a, seen) = node(&server).await;
    let (b, _) = node(&server).await;
    works_with_redis(&a, &b).await;
    server.flush_all().await;
    works_with_redis(&a, &b).await;
    // Now while a pop waits at the server.
    let waiting = tokio::spawn({
        let ready = b.ready.clone();
        async move { ready.pop(1).await }
    });
    let mut client = client(&server).await;
    wait_until("a blocked reader", SOON, async || {
        let info: String = redis::cmd("INFO").arg("clients").query_async(&mut client).await.expect("INFO");
        info.contains("blocked_clients:1")
    })
    .await;
    server.flush_all().await;
    push(&*a.ready, 3..4).await;
    let popped = tokio::time::timeout(SOON, waiting).await.expect("the pop goes on").expect("no panic");
    assert_eq!(popped.iter().map(number).collect::<Vec<_>>(), [3]);
    assert!(seen.degraded.lock().is_empty(), "a flush is no loss");
}

#[tokio::test]
async fn an_unreachable_server_at_start_is_not_an_error() {
    let mut server = Redis::start().await;
    server.kill().await;
    let (a, seen) = node(&server).await;
    let (b, _) = node(&server).await;
    assert_eq!(*seen.degraded.lock(), [true]);
    works_on_without_redis(&a).await;
    server.restart().await;
    works_with_redis(&a, &b).await;
    assert_eq!(*seen.degraded.lock(), [true, false]);
}

#[tokio::test]
async fn a_malformed_url_is_an_error_that_keeps_the_password() {
    for url in ["", "localhost", "http://user:hunter2@localhost", "redis://user:hunter2@:port", "redis://host/database"]
    {
        let error = spillway_coordination::redis(&RedisSettings::at(url)).await.err().expect("an error");
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(!format!("{error} {source} {error:?}").contains("hunter2"), "{error:?}");
        assert!(error.to_string().contains("redis://host:6379"), "{error}");
    }
}

/// The server speaks no TLS, so this shows that the cryptography is there and that a failed handshake is a loss like any other.
#[tokio::test]
async fn tls_is_built_in() {
    let server = Redis::start().await;
    let url = server.url().replace("redis://", "rediss://");
    let node = spillway_coordination::redis(&RedisSettings::at(url)).await.expect("a valid URL");
    works_on_without_redis(&node).await;
}

#[tokio::test]
async fn entries_that_cannot_be_read_are_dropped_and_counted() {
    let server = Redis::start().await;
    let (a, seen) = node(&server).await;
    let mut client = client(&server).await;
    for entry in [&[("d", "\u{9}junk")][..], &[("d", "\u{1}short")], &[("x", ""), ("y", "")]] {
        redis::cmd("XADD").arg(STREAM).arg("*").arg(entry).exec_async(&mut client).await.expect("XADD");
    }
    push(&*a.ready, 1..2).await;
    assert_eq!(pop(&*a.ready, 1, 10).await, [1]);
    assert_eq!(*seen.malformed.lock(), 3);
    wait_until("an empty stream", SOON, async || a.ready.depth() == 0).await;
}

#[tokio::test]
async fn what_a_dead_worker_has_read_does_not_fill_the_stream() {
    let server = Redis::start().await;
    let (a, _) = node(&server).await;
    // Makes the group.
    push(&*a.ready, 0..1).await;
    pop(&*a.ready, 1, 1).await;
    push(&*a.ready, 1..91).await;
    wait_until("90 entries", SOON, async || a.ready.depth() == 90).await;
    let mut client = client(&server).await;
    let mut read = redis::cmd("XREADGROUP");
    read.arg("GROUP").arg("workers").arg("dead").arg("COUNT").arg(80).arg("STREAMS").arg(STREAM).arg(">");
    read.exec_async(&mut client).await.expect("XREADGROUP");
    assert_eq!(pop(&*a.ready, 10, 10).await, (81..91).collect::<Vec<_>>());
    wait_until("all of the room", SOON, async || a.ready.try_reserve(100, 1000).is_some()).await;
    let length: usize = redis::cmd("XLEN").arg(STREAM).query_async(&mut client).await.expect("XLEN");
    assert_eq!(length, 0);
}

#[tokio::test]
async fn the_stream_stays_bounded_when_many_nodes_fill_it_at_once() {
    let server = Redis::start().await;
    let mut nodes = Vec::new();
    for _ in 0..8 {
        nodes.push(node(&server).await.0);
    }
    // Each believes that all of the room is its own.
    let rooms: Vec<_> = nodes.iter().map(|node| node.ready.try_reserve(100, 1000).expect("room")).collect();
    for (node, room) in nodes.iter().zip(rooms) {
        node.ready.push(room, (0..100).map(delivery).collect()).await;
    }
    let mut client = client(&server).await;
    wait_until("a full stream", SOON, async || nodes.iter().all(|node| node.ready.depth() >= 100)).await;
    let length: usize = redis::cmd("XLEN").arg(STREAM).query_async(&mut client).await.expect("XLEN");
    // Twice the bound of 100, and one node of the server's tree, which it removes as a whole.
    assert!((100..=300).contains(&length), "{length}");
    assert!(nodes.iter().all(|node| node.ready.try_reserve(1, 1).is_none()));
}

#[tokio::test]
async fn payloads_over_the_limit_are_left_to_the_database() {
    let server = Redis::start().await;
    let settings = RedisSettings::at(server.url());
    let node = spillway_coordination::redis(&settings).await.expect("a valid URL");
    let limit = node.ready.payload_limit();
    assert_eq!(limit, 64 << 10);
    assert!(node.ready.try_reserve(1, limit).is_some() && node.ready.try_reserve(1, limit + 1).is_none());
    assert!(node.ready.try_reserve(3, 3 * limit).is_some() && node.ready.try_reserve(3, 3 * limit + 1).is_none());
}

#[tokio::test]
async fn cached_values_and_rates_expire_on_the_server() {
    let server = Redis::start().await;
    let (a, _) = node(&server).await;
    let mut client = client(&server).await;
    a.cache.put(CacheKind::Statistics, "key", Bytes::from_static(b"1")).await;
    a.rate.check("key", "10/s".parse().expect("a rate")).await;
    for (key, longest_ms) in [("spillway:cache:statistics:key", 10_000), ("spillway:rate:key", 101)] {
        let ttl_ms: i64 = redis::cmd("PTTL").arg(key).query_async(&mut client).await.expect("PTTL");
        assert!((1..=longest_ms).contains(&ttl_ms) || key.contains("rate") && ttl_ms == -2, "{key}: {ttl_ms}");
    }
}

#[tokio::test]
async fn prefixes_keep_installations_apart() {
    let server = Redis::start().await;
    let (a, _) = node(&server).await;
    let (other, _) =
        node_with(RedisSettings { key_prefix: "other:".to_owned(), ..RedisSettings::at(server.url()) }).await;
    push(&*other.ready, 5..6).await;
    push(&*a.ready, 6..7).await;
    assert_eq!(pop(&*a.ready, 1, 10).await, [6]);
    assert!(a.rate.check("key", one_an_hour()).await.allowed && other.rate.check("key", one_an_hour()).await.allowed);
    a.cache.put(CacheKind::ApiKey, "key", Bytes::from_static(b"1")).await;
    assert_eq!(other.cache.get(CacheKind::ApiKey, "key").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_the_nodes_work_with_the_new_master() {
    let mut master = Redis::start().await;
    let replica = master.start_replica().await;
    wait_until("a replica that follows", SOON, async || replica.says("master_link_status:up").await).await;
    let sentinel = Sentinel::watch(&master).await;
    wait_until("a sentinel that knows both", SOON, async || sentinel.knows_a_replica().await).await;
    let settings = || RedisSettings { answer_timeout: SOON, check_timeout: SOON, ..RedisSettings::at(sentinel.url()) };
    let (a, seen) = node_with(settings()).await;
    let (b, _) = node_with(settings()).await;
    works_with_redis(&a, &b).await;
    master.kill().await;
    wait_until("the replica to be the master", SOON, async || replica.says("role:master").await).await;
    wait_until("both to work again", SOON, async || {
        a.ready.is_healthy() && b.ready.is_healthy() && seen.degraded.lock().ends_with(&[true, false])
    })
    .await;
    a.cache.put(CacheKind::Statistics, "after", Bytes::from_static(b"1")).await;
    let shared = async || b.cache.get(CacheKind::Statistics, "after").await.is_some();
    wait_until("a value on the new master", SOON, shared).await;
}
