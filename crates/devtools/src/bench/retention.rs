//! What intake notices of retention: acknowledgements at a steady rate beside many old events, left alone and being removed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spillway_model::{
    Attempt, AttemptClass, Clock, Configuration, Event, HeaderBlock, IdGenerator, Lease, ManualClock, NewDelivery,
    NewEvent, NextState, Settlement, SystemClock,
};
use spillway_store::{ClaimRequest, Store};

use super::BenchArgs;
use super::client::{Seen, open_loop};
use super::intake::{OPEN_LOOP_CONNECTIONS, WARM_UP, check};
use super::requests::requests;
use super::setup::{Bench, Ground, Plan};
use super::table::{Bar, Figure, Table};
use crate::Failure;

const BATCH: usize = 1_000;
/// How old the events are: of a day that is not over, so that they go by their ids and not with their partition. Between 1 and 2 o'clock (UTC) there
/// is no such day.
const AGE: Duration = Duration::from_secs(2 * 60 * 60);
const KEPT: &str = "events = \"forever\"";
const REMOVED: &str = "events = \"1h\"";
/// In which retention must have begun after a start.
const BEGINS: Duration = Duration::from_secs(30);

pub(crate) async fn run(arguments: &BenchArgs, old: usize, rate: f64) -> Result<Table, Failure> {
    let mut table = Table::new(format!(
        "intake, open loop at {rate}/s, {} s a round, beside {old} old events with a delivery and an attempt each",
        arguments.seconds
    ));
    for engine in arguments.engines() {
        let [mut p50, mut p99] = <[[Vec<f64>; 2]; 2]>::default();
        let mut removed = Vec::new();
        for _ in 0..arguments.rounds() {
            let plan = Plan { more: format!("[retention]\n{KEPT}"), ..Plan::held(engine) };
            let ground = Bench::start(arguments, plan).await?.stop()?;
            fill(&ground, old, AGE, None).await?;
            let bench = ground.start()?;
            let alone = load(&bench, rate, arguments.round()).await?;
            let ground = bench.stop()?;
            ground.edit_settings(KEPT, REMOVED)?;
            let bench = ground.start()?;
            let (before, begun) = (begin(&bench).await?, Instant::now());
            let beside = load(&bench, rate, arguments.round()).await?;
            let events = removed_events(&bench).await? - before;
            removed.push(events / begun.elapsed().as_secs_f64());
            if before + events >= old as f64 {
                return Err("all old events were removed before the round was over: store more with --old".into());
            }
            bench.stop()?;
            for (n, seen) in [&alone, &beside].into_iter().enumerate() {
                p50[n].push(seen.quantile_ms(0.5));
                p99[n].push(seen.quantile_ms(0.99));
            }
        }
        let name = engine.name();
        for (quantile, [alone, beside]) in [("p50", p50), ("p99", p99)] {
            let alone = Figure::new(format!("{name}: {quantile} while nothing is removed"), "ms", alone);
            let beside =
                Figure::new(format!("{name}: {quantile} while old events are removed"), "ms", beside).against(&alone);
            table.push(alone);
            table.push(if quantile == "p99" { beside.bar(Bar::RatioAtMost(2.0)) } else { beside });
        }
        table.push(Figure::new(format!("{name}: old events removed meanwhile"), "/s", removed));
    }
    Ok(table)
}

async fn load(bench: &Bench, rate: f64, duration: Duration) -> Result<Seen, Failure> {
    let (address, connections) = (bench.address()?, OPEN_LOOP_CONNECTIONS);
    open_loop(address, requests(false)?, connections, rate, WARM_UP).await?;
    let seen = open_loop(address, requests(false)?, connections, rate, duration).await?;
    check(&seen)?;
    Ok(seen)
}

/// Waits until the first old events are gone. Returns how many are.
async fn begin(bench: &Bench) -> Result<f64, Failure> {
    let begun = Instant::now();
    loop {
        let removed = removed_events(bench).await?;
        if removed > 0.0 {
            return Ok(removed);
        }
        if begun.elapsed() > BEGINS {
            return Err(format!("retention has removed nothing within {BEGINS:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn removed_events(bench: &Bench) -> Result<f64, Failure> {
    bench.metric("spillway_retention_removed_total{what=\"events\"}").await
}

/// Stores events of this age, delivered at once, or given up at once: one of `dead`.
pub(super) async fn fill(ground: &Ground, old: usize, age: Duration, dead: Option<usize>) -> Result<(), Failure> {
    let store = ground.open_store().await?;
    let configuration = store.configuration().await?;
    let now = SystemClock.now();
    let then = now - i64::try_from(age.as_millis())?;
    let clock = Arc::new(ManualClock::at(then));
    let ids = IdGenerator::new(clock.clone(), rand::random());
    for begin in (0..old).step_by(BATCH) {
        let batch = BATCH.min(old - begin);
        let events = (0..batch).map(|_| event(&ids, &configuration)).collect::<Option<_>>();
        store.append(events.ok_or("the gateway has no source, destination or connection")?).await?;
        deliver(store.as_ref(), batch, now, dead).await?;
        clock.advance(1);
    }
    store.close().await;
    // What was only handed to the system must not be written while the gateway is measured.
    if let Some(postgres) = &ground.postgres {
        postgres.query("VACUUM ANALYZE").await;
        postgres.query("CHECKPOINT").await;
    }
    rustix::fs::sync();
    Ok(())
}

fn event(ids: &IdGenerator, configuration: &Configuration) -> Option<NewEvent> {
    let connection = configuration.connections.first()?;
    let id = ids.event();
    let headers = HeaderBlock::encode([("content-type", &b"application/json"[..])]);
    let body = Bytes::from(vec![b'x'; 1_024]);
    let event = Event { quarantine: None, id, source: connection.source, event_type: None, headers, body, trace: None };
    let delivery = NewDelivery {
        order: None,
        id: id.delivery(0),
        destination: connection.destination,
        connection: connection.id,
        due_at: id.timestamp(),
        generation: 0,
    };
    Some(NewEvent { event: Arc::new(event), idempotency: None, deliveries: vec![delivery] })
}

async fn deliver(store: &dyn Store, max: usize, now: i64, dead: Option<usize>) -> Result<(), Failure> {
    let request =
        ClaimRequest { now, lease_until: now + 60_000, max, max_per_destination: max, ..ClaimRequest::default() };
    let settlements = store.claim(request).await?.into_iter().enumerate().map(|(n, claimed)| {
        let at = claimed.id.timestamp();
        let is_dead = dead.is_some_and(|dead| n % dead == 0);
        let (next, class, status) = match is_dead {
            true => (NextState::Dead { at }, AttemptClass::ServerError, 503),
            false => (NextState::Delivered { at }, AttemptClass::Success, 204),
        };
        let attempt = Attempt {
            id: claimed.id.attempt(1),
            started_at: at,
            duration: Duration::from_millis(12),
            class,
            status: Some(status),
            response: Bytes::new(),
            error: None,
        };
        let lease = Lease { delivery: claimed.id, generation: claimed.generation };
        Settlement { order: None, lease, next, attempt: Some(attempt) }
    });
    store.settle(settlements.collect()).await?;
    Ok(())
}
