//! The engine alone: how fast events with one delivery each are stored, and settled, in batches.
//!
//! ```text
//! cargo run --release -p spillway-store --example bench_append -- sqlite:FILE|postgres://… [SECONDS [APPENDS_AT_ONCE]]
//! ```
//!
//! Without a number, as many appends are under way at once as the engine asks for. Prints one JSON document: for each batch size the events (each an event row and a delivery row) and the settlements
//! (each an update and an attempt row) per second, as median, least and most of three rounds.

#![allow(clippy::unwrap_used, reason = "a measurement that fails is of no use")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use spillway_model::{
    Attempt, AttemptClass, Clock, ConnectionId, DeliveryId, DestinationId, Event, HeaderBlock, IdGenerator, Lease,
    NewDelivery, NewEvent, NextState, Settlement, SourceId, SystemClock,
};
use spillway_store::postgres::{PostgresSettings, PostgresStore};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{Store, Unobserved};

const ROUNDS: usize = 3;
const LEASE: i64 = 60_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().expect("name a database: sqlite:FILE or postgres://…");
    let seconds = arguments.next().map_or(5, |seconds| seconds.parse().expect("a number of seconds"));
    let at_once: Option<usize> = arguments.next().map(|number| number.parse().expect("a number of appends"));
    let store: Arc<dyn Store> = match place.strip_prefix("sqlite:") {
        Some(file) => Arc::new(SqliteStore::open(SqliteSettings::new(file), Arc::new(Unobserved)).await.unwrap()),
        None => Arc::new(PostgresStore::connect(PostgresSettings::new(place), Arc::new(Unobserved)).await.unwrap()),
    };
    let at_once = at_once.unwrap_or(store.parallel_appends().lanes);
    let mut results = serde_json::Map::new();
    for batch in [64, 256] {
        let (mut appended, mut settled) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (appends, claims) = append(&store, batch, at_once, Duration::from_secs(seconds)).await;
            appended.push(appends);
            settled.push(settle(&store, batch, claims).await);
        }
        results.insert(format!("events_per_second_{batch}"), summary(appended));
        results.insert(format!("settlements_per_second_{batch}"), summary(settled));
    }
    results.insert("engine".into(), store.engine().into());
    store.close().await;
    println!("{:#}", serde_json::Value::Object(results));
}

fn summary(mut rates: Vec<f64>) -> serde_json::Value {
    rates.sort_by(f64::total_cmp);
    serde_json::json!({ "median": rates[ROUNDS / 2].round(), "min": rates[0].round(), "max": rates[ROUNDS - 1].round() })
}

/// Appends for some time, some batches at once. Returns the rate, and the claims that were born.
async fn append(store: &Arc<dyn Store>, batch: usize, at_once: usize, time: Duration) -> (f64, VecDeque<DeliveryId>) {
    let ids = Arc::new(IdGenerator::random(Arc::new(SystemClock)));
    let body = Bytes::from((0..1_024_u32).map(|n| b' ' + (n * 31 % 90) as u8).collect::<Vec<_>>());
    let headers = HeaderBlock::encode([("content-type", &b"application/json"[..]), ("user-agent", b"bench")]);
    let (source, destination) = (ids.source(), ids.destination());
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (store, ids, body, headers) = (store.clone(), ids.clone(), body.clone(), headers.clone());
        tasks.spawn(async move {
            let mut born = Vec::new();
            while begun.elapsed() < time {
                let events: Vec<_> = (0..batch).map(|_| event(&ids, source, destination, &headers, &body)).collect();
                born.extend(events.iter().map(|event| event.deliveries[0].id));
                store.append(events).await.unwrap();
            }
            born
        });
    }
    let born: VecDeque<DeliveryId> = tasks.join_all().await.concat().into();
    (born.len() as f64 / begun.elapsed().as_secs_f64(), born)
}

fn event(
    ids: &IdGenerator,
    source: SourceId,
    destination: DestinationId,
    headers: &HeaderBlock,
    body: &Bytes,
) -> NewEvent {
    let event = Event {
        quarantine: None,
        id: ids.event(),
        source,
        event_type: Some("push".into()),
        headers: headers.clone(),
        body: body.clone(),
        trace: None,
    };
    let delivery = NewDelivery {
        order: None,
        id: event.id.delivery(0),
        destination,
        connection: ConnectionId::from_u128(1),
        due_at: event.received_at() + LEASE,
        generation: 1,
    };
    NewEvent { event: Arc::new(event), idempotency: None, deliveries: vec![delivery] }
}

/// Settles all claims, two batches at once. Returns the rate.
async fn settle(store: &Arc<dyn Store>, batch: usize, claims: VecDeque<DeliveryId>) -> f64 {
    let n_claims = claims.len();
    let claims = Arc::new(std::sync::Mutex::new(claims));
    let settled = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (store, claims, settled) = (store.clone(), claims.clone(), settled.clone());
        tasks.spawn(async move {
            loop {
                let some: Vec<_> = {
                    let mut claims = claims.lock().unwrap();
                    let n = batch.min(claims.len());
                    claims.drain(..n).map(delivered).collect()
                };
                if some.is_empty() {
                    return;
                }
                settled.fetch_add(some.len() as u64, Ordering::Relaxed);
                assert_eq!(store.settle(some).await.unwrap(), []);
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(settled.load(Ordering::Relaxed), n_claims as u64);
    n_claims as f64 / begun.elapsed().as_secs_f64()
}

fn delivered(delivery: DeliveryId) -> Settlement {
    let now = SystemClock.now();
    let attempt = Attempt {
        id: delivery.attempt(1),
        started_at: now,
        duration: Duration::from_millis(3),
        class: AttemptClass::Success,
        status: Some(200),
        response: Bytes::from_static(b"ok"),
        error: None,
    };
    let lease = Lease { delivery, generation: 1 };
    Settlement { order: None, lease, next: NextState::Delivered { at: now }, attempt: Some(attempt) }
}
