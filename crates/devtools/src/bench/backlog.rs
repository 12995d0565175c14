//! A restart after an outage: a million deliveries are overdue, and new events keep coming.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use spillway_model::{Configuration, Event, HeaderBlock, IdGenerator, NewDelivery, NewEvent, OrderKey, SystemClock};

use super::client::{Seen, open_loop, open_loop_until};
use super::intake::{OPEN_LOOP_CONNECTIONS, check};
use super::requests::requests;
use super::servers::Sink;
use super::setup::{Bench, Ground, Plan};
use super::table::{Bar, Figure, Table};
use super::{BenchArgs, Engine};
use crate::Failure;

/// New events each second meanwhile.
const RATE: f64 = 500.0;
const BATCH: usize = 1_000;
/// Between two looks at whether all has arrived.
const LOOK: Duration = Duration::from_millis(2);
/// Overdue deliveries each second below which a round is given up.
const SLOWEST: f64 = 1_000.0;

pub(crate) async fn run(arguments: &BenchArgs, overdue: usize) -> Result<Table, Failure> {
    let mut table = Table::new(format!("{overdue} overdue deliveries, new events at {RATE}/s meanwhile"));
    for engine in arguments.engines() {
        let [mut drained, mut claims, mut without, mut with, mut ready] = <[Vec<f64>; 5]>::default();
        for _ in 0..arguments.rounds() {
            let sink = Sink::default();
            let bench = Bench::start(arguments, Plan::to(engine, sink.listen().await?)).await?;
            let seen = load(&bench, arguments.round()).await?;
            without.push(seen.quantile_ms(0.99));
            let ground = bench.stop()?;
            fill(&ground, overdue).await?;
            let before = sink.received();
            let bench = ground.start()?;
            ready.push(bench.gateway.start_time.as_secs_f64() * 1e3);
            let (seen, took) = load_until_drained(&bench, &sink, before, overdue).await?;
            with.push(seen.quantile_ms(0.99));
            drained.push(overdue as f64 / took.as_secs_f64());
            claims.push(bench.query_p95_ms("claim").await?);
            bench.stop()?;
        }
        let name = engine.name();
        let without = Figure::new(format!("{name}: acknowledgement p99 without backlog"), "ms", without);
        let with = Figure::new(format!("{name}: acknowledgement p99 with backlog"), "ms", with).against(&without);
        table.push(Figure::new(format!("{name}: start to ready"), "ms", ready).bar(Bar::AtMost(500.0)));
        table.push(Figure::new(format!("{name}: drained"), "/s", drained).bar(Bar::AtLeast(5_000.0)));
        table.push(Figure::new(format!("{name}: claim p95, not above"), "ms", claims).bar(Bar::AtMost(10.0)));
        table.push(without);
        table.push(with.bar(Bar::RatioAtMost(2.0)));
    }
    Ok(table)
}

async fn load(bench: &Bench, duration: Duration) -> Result<Seen, Failure> {
    let seen = open_loop(bench.address()?, requests(false)?, OPEN_LOOP_CONNECTIONS, RATE, duration).await?;
    check(&seen)?;
    Ok(seen)
}

/// Loads until everything has arrived, the overdue and the new. Returns what the senders saw, and how long that took.
async fn load_until_drained(
    bench: &Bench,
    sink: &Sink,
    before: u64,
    overdue: usize,
) -> Result<(Seen, Duration), Failure> {
    let (stop, requests) = (Arc::new(AtomicBool::new(false)), requests(false)?);
    let begun = Instant::now();
    let load =
        tokio::spawn(open_loop_until(stop.clone(), bench.address()?, requests.clone(), OPEN_LOOP_CONNECTIONS, RATE));
    let patience = Duration::from_secs_f64(60.0 + overdue as f64 / SLOWEST);
    while sink.received() - before < overdue as u64 + requests.sent() && begun.elapsed() < patience {
        tokio::time::sleep(LOOK).await;
    }
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    let seen = load.await??;
    check(&seen)?;
    if took >= patience {
        let arrived = sink.received() - before;
        return Err(format!("{arrived} of {overdue} overdue and new deliveries arrived in {took:?}").into());
    }
    Ok((seen, took))
}

/// Stores events whose deliveries have been due for a while.
pub(crate) async fn fill(ground: &Ground, overdue: usize) -> Result<(), Failure> {
    fill_with(ground, overdue, |_| None).await
}

/// The same, each delivery with what it must stay in order with.
pub(crate) async fn fill_with(
    ground: &Ground,
    overdue: usize,
    order_of: impl Fn(usize) -> Option<OrderKey>,
) -> Result<(), Failure> {
    let store = ground.open_store().await?;
    let configuration = store.configuration().await?;
    let ids = IdGenerator::random(Arc::new(SystemClock));
    if let Some(latest) = store.latest_event().await? {
        ids.resume_after(latest);
    }
    for begun in (0..overdue).step_by(BATCH) {
        let batch = BATCH.min(overdue - begun);
        let event = |n| event(&ids, &configuration, order_of(begun + n));
        let events = (0..batch).map(event).collect::<Option<_>>();
        store.append(events.ok_or("the gateway has no source, destination or connection")?).await?;
    }
    store.close().await;
    // What was only handed to the system must not be written while the gateway is measured.
    if let Some(postgres) = &ground.postgres {
        postgres.query("CHECKPOINT").await;
    }
    rustix::fs::sync();
    Ok(())
}

fn event(ids: &IdGenerator, configuration: &Configuration, order: Option<OrderKey>) -> Option<NewEvent> {
    let connection = configuration.connections.first()?;
    let id = ids.event();
    let headers = HeaderBlock::encode([("content-type", &b"application/json"[..])]);
    let body = Bytes::from(vec![b'x'; 1_024]);
    let event = Event { quarantine: None, id, source: connection.source, event_type: None, headers, body, trace: None };
    let delivery = NewDelivery {
        order,
        id: id.delivery(0),
        destination: connection.destination,
        connection: connection.id,
        due_at: id.timestamp() - 60_000,
        generation: 0,
    };
    Some(NewEvent { event: Arc::new(event), idempotency: None, deliveries: vec![delivery] })
}

/// Start to ready: on an empty database, and on a large one.
pub(crate) async fn start(arguments: &BenchArgs, stored: usize) -> Result<Table, Failure> {
    let mut table = Table::new("start of the gateway to ready, warm".to_owned());
    let [mut empty, mut large] = <[Vec<f64>; 2]>::default();
    let sink = Sink::default();
    let plan = Plan::to(Engine::Sqlite, sink.listen().await?);
    let mut ground = Bench::start(arguments, plan).await?.stop()?;
    for _ in 0..arguments.rounds() {
        let bench = ground.start()?;
        empty.push(bench.gateway.start_time.as_secs_f64() * 1e3);
        ground = bench.stop()?;
    }
    fill(&ground, stored).await?;
    for _ in 0..arguments.rounds() {
        let bench = ground.start()?;
        large.push(bench.gateway.start_time.as_secs_f64() * 1e3);
        ground = bench.stop()?;
    }
    table.push(Figure::new("embedded, empty", "ms", empty).bar(Bar::AtMost(150.0)));
    table.push(Figure::new(format!("embedded, {stored} stored events"), "ms", large).bar(Bar::AtMost(500.0)));
    Ok(table)
}
