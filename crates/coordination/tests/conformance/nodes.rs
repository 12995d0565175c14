use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use spillway_coordination::{
    CacheKind, Coordination, CoordinationObserver, CoordinationSettings, ReadyQueue, RedisSettings, in_process, redis,
};
use spillway_model::{Claimed, ConnectionId, DestinationId, Event, EventId, HeaderBlock, SourceId, TraceContext};
use spillway_testkit::{Redis, wait_until};

pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Two nodes of one installation; in process they are one.
pub(crate) struct Nodes {
    pub(crate) a: Coordination,
    pub(crate) b: Coordination,
    pub(crate) seen: Arc<Seen>,
    _server: Option<Redis>,
}

/// What the observer of node `a` was told.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) cache: Mutex<Vec<(CacheKind, bool)>>,
    pub(crate) degraded: Mutex<Vec<bool>>,
    pub(crate) malformed: Mutex<usize>,
}

impl CoordinationObserver for Seen {
    fn cache(&self, kind: CacheKind, hit: bool) {
        self.cache.lock().push((kind, hit));
    }

    fn degraded(&self, degraded: bool) {
        self.degraded.lock().push(degraded);
    }

    fn malformed_ready_entries(&self, n_entries: usize) {
        *self.malformed.lock() += n_entries;
    }
}

impl Nodes {
    pub(crate) fn in_process() -> Self {
        let seen = Arc::new(Seen::default());
        let a = in_process(&small(seen.clone()));
        Self { b: a.clone(), a, seen, _server: None }
    }

    pub(crate) async fn redis() -> Self {
        let server = Redis::start().await;
        let (a, seen) = node(&server).await;
        let (b, _) = node(&server).await;
        Self { a, b, seen, _server: Some(server) }
    }
}

/// A patient node on `server`, so that a busy machine is not taken for a lost server; and what its observer sees.
pub(crate) async fn node(server: &Redis) -> (Coordination, Arc<Seen>) {
    node_with(RedisSettings { answer_timeout: SOON, check_timeout: SOON, ..RedisSettings::at(server.url()) }).await
}

/// A node with room for 100 deliveries and 64 KiB, and what its observer sees.
pub(crate) async fn node_with(settings: RedisSettings) -> (Coordination, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let settings = RedisSettings { common: small(seen.clone()), ..settings };
    (redis(&settings).await.expect("a valid URL"), seen)
}

/// Room for 100 deliveries and 64 KiB.
fn small(observer: Arc<Seen>) -> CoordinationSettings {
    CoordinationSettings { ready_deliveries: 100, ready_bytes: 64 << 10, observer, ..CoordinationSettings::default() }
}

/// The delivery number `n`, with a payload of its own.
pub(crate) fn delivery(n: u128) -> Claimed {
    let event = Event {
        quarantine: None,
        id: EventId::from_u128(n << 80),
        source: SourceId::from_u128(n + 1),
        event_type: (!n.is_multiple_of(2)).then(|| format!("type-{n}").into()),
        headers: HeaderBlock::encode([("x-n", n.to_string().as_bytes())]),
        body: Bytes::from(format!("\0\u{ff}{n}")),
        trace: n.is_multiple_of(3).then_some(TraceContext { trace_id: n + 1, span_id: 7, flags: 1 }),
    };
    Claimed {
        order: None,
        id: event.id.delivery(1),
        destination: DestinationId::from_u128(n + 2),
        connection: ConnectionId::from_u128(n + 3),
        generation: 1,
        attempts: 4,
        lease_until: 1_700_000_000_000,
        event: Arc::new(event),
        received: None,
    }
}

/// Number of a delivery made by [`delivery`].
pub(crate) fn number(claimed: &Claimed) -> u128 {
    claimed.event.id.to_u128() >> 80
}

/// Pushes the deliveries with these numbers as one batch, as soon as there is room.
pub(crate) async fn push(queue: &dyn ReadyQueue, numbers: std::ops::Range<u128>) {
    let batch: Vec<_> = numbers.map(delivery).collect();
    let mut room = None;
    wait_until("room in the ready queue", SOON, async || {
        room = queue.try_reserve(batch.len(), batch.len() * 16);
        room.is_some()
    })
    .await;
    queue.push(room.expect("there is room"), batch).await;
}

/// Pops until `n_deliveries` have come, at most `max` at a time; returns their numbers.
pub(crate) async fn pop(queue: &dyn ReadyQueue, n_deliveries: usize, max: usize) -> Vec<u128> {
    let mut numbers = Vec::new();
    while numbers.len() < n_deliveries {
        let popped = tokio::time::timeout(SOON, queue.pop(max)).await.expect("more deliveries in time");
        assert!((1..=max).contains(&popped.len()), "popped {} of at most {max}", popped.len());
        numbers.extend(popped.iter().map(number));
    }
    numbers
}
