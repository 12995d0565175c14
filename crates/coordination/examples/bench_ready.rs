//! Nanoseconds per delivery through the ready queue, and per rate check: in process, and on Redis when `SPILLWAY_TEST_REDIS_URL`
//! names a server.
//!
//! `cargo run --release -p spillway-coordination --example bench_ready`

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spillway_coordination::{Coordination, CoordinationSettings, RedisSettings, in_process, redis};
use spillway_model::{
    Claimed, ConnectionId, DestinationId, Event, EventId, HeaderBlock, IdGenerator, Rate, SourceId, SystemClock,
};

const BATCH: usize = 32;
const BODY_BYTES: usize = 1024;
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let local = in_process(&CoordinationSettings::default());
    measure("in process", &local, 20_000).await?;
    #[expect(clippy::disallowed_methods, reason = "a switch of the benchmark, not a setting of the product")]
    if let Ok(url) = std::env::var("SPILLWAY_TEST_REDIS_URL") {
        let mut settings = RedisSettings::at(url);
        settings.key_prefix = format!("spillway-bench-{}:", std::process::id());
        let shared = redis(&settings).await?;
        measure("redis", &shared, 2_000).await?;
    }
    Ok(())
}

async fn measure(engine: &str, nodes: &Coordination, batches: usize) -> Result<(), Box<dyn std::error::Error>> {
    let template = template();
    let mut ready = Vec::new();
    let mut rate = Vec::new();
    let limit: Rate = "1000000/s".parse()?;
    for _ in 0..ROUNDS {
        ready.push(push_and_pop(nodes, &template, batches).await / (batches * BATCH) as f64);
        let started = Instant::now();
        for _ in 0..batches {
            nodes.rate.check("key", limit).await;
        }
        rate.push(nanoseconds(started.elapsed()) / batches as f64);
    }
    report(&format!("{engine}: push + pop, per delivery"), &mut ready);
    report(&format!("{engine}: rate check"), &mut rate);
    Ok(())
}

/// One task pushes as long as there is room, one pops. Returns nanoseconds for all.
async fn push_and_pop(nodes: &Coordination, template: &Claimed, batches: usize) -> f64 {
    let started = Instant::now();
    let push = async {
        for _ in 0..batches {
            let batch = vec![template.clone(); BATCH];
            let reservation = loop {
                match nodes.ready.try_reserve(BATCH, BATCH * BODY_BYTES) {
                    Some(reservation) => break reservation,
                    None => tokio::task::yield_now().await,
                }
            };
            nodes.ready.push(reservation, batch).await;
        }
    };
    let pop = async {
        let mut popped = 0;
        while popped < batches * BATCH {
            popped += nodes.ready.pop(BATCH).await.len();
        }
    };
    tokio::join!(push, pop);
    nanoseconds(started.elapsed())
}

fn template() -> Claimed {
    let ids = IdGenerator::random(Arc::new(SystemClock));
    let event = Event {
        quarantine: None,
        id: EventId::from_u128(ids.event().to_u128()),
        source: SourceId::from_u128(1),
        event_type: Some("push".into()),
        headers: HeaderBlock::encode([("content-type", &b"application/json"[..])]),
        body: Bytes::from(vec![b'x'; BODY_BYTES]),
        trace: None,
    };
    Claimed {
        order: None,
        id: event.id.delivery(0),
        destination: DestinationId::from_u128(2),
        connection: ConnectionId::from_u128(3),
        generation: 1,
        attempts: 0,
        lease_until: i64::MAX,
        event: Arc::new(event),
        received: Some(Instant::now()),
    }
}

fn report(what: &str, rounds: &mut [f64]) {
    rounds.sort_by(f64::total_cmp);
    let (least, median, most) = (rounds[0], rounds[rounds.len() / 2], rounds[rounds.len() - 1]);
    println!("{what}: {median:.0} ns ({least:.0} to {most:.0})");
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}
