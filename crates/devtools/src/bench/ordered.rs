//! Ordered deliveries: how fast keys move, one alone and many side by side, beside deliveries without an order.

use std::time::{Duration, Instant};

use spillway_model::OrderKey;

use super::backlog::fill_with;
use super::servers::Sink;
use super::setup::{Bench, Plan};
use super::table::{Bar, Figure, Table};
use super::{BenchArgs, Engine};
use crate::Failure;

/// Between two looks at what has arrived.
const LOOK: Duration = Duration::from_millis(2);
/// Nothing arrived for so long: the round is given up.
const STANDSTILL: Duration = Duration::from_secs(20);
/// With few keys a round needs fewer deliveries: so many for each key at most.
const PER_KEY: usize = 2_000;
/// What one key must move at least: each delivery waits for the flush of the one before it.
const ONE_KEY: f64 = 200.0;
/// What a thousand keys lose at most against no order.
const MANY_KEYS: f64 = 0.25;

pub(crate) async fn run(arguments: &BenchArgs, deliveries: usize) -> Result<Table, Failure> {
    let mut table = Table::new("overdue deliveries, 1 KiB, signed: received by the sink".to_owned());
    for engine in arguments.engines() {
        let name = engine.name();
        let unordered =
            Figure::new(format!("{name}: unordered"), "/s", rounds(arguments, engine, deliveries, None).await?);
        table.push(unordered.clone());
        for keys in [1, 10, 1_000] {
            let rates = rounds(arguments, engine, deliveries, Some(keys)).await?;
            let figure = Figure::new(format!("{name}: {keys} {}", if keys == 1 { "key" } else { "keys" }), "/s", rates);
            let figure = figure.against(&unordered);
            table.push(match keys {
                1 => figure.bar(Bar::AtLeast(ONE_KEY)),
                1_000 => figure.bar(Bar::RatioAtLeast(MANY_KEYS)),
                _ => figure,
            });
        }
    }
    Ok(table)
}

async fn rounds(
    arguments: &BenchArgs,
    engine: Engine,
    deliveries: usize,
    keys: Option<usize>,
) -> Result<Vec<f64>, Failure> {
    let deliveries = keys.map_or(deliveries, |keys| deliveries.min(keys * PER_KEY));
    let mut rates = Vec::new();
    for _ in 0..arguments.rounds() {
        let sink = Sink::default();
        let ground = Bench::start(arguments, Plan::to(engine, sink.listen().await?)).await?.stop()?;
        fill_with(&ground, deliveries, |n| keys.map(|keys| OrderKey((n % keys) as i64))).await?;
        let bench = ground.start()?;
        rates.push(arrivals_per_second(&sink, deliveries as u64).await?);
        bench.stop()?;
    }
    Ok(rates)
}

/// From the first arrival to the last.
async fn arrivals_per_second(sink: &Sink, deliveries: u64) -> Result<f64, Failure> {
    let (mut first, mut last) = (None, (0, Instant::now()));
    loop {
        let received = sink.received();
        if received > last.0 {
            last = (received, Instant::now());
            first.get_or_insert(last);
        }
        if received >= deliveries {
            let (before, begun) = first.unwrap_or(last);
            return Ok((received - before) as f64 / last.1.duration_since(begun).as_secs_f64().max(0.001));
        }
        if last.1.elapsed() > STANDSTILL {
            return Err(format!("{received} of {deliveries} deliveries arrived, and then no more").into());
        }
        tokio::time::sleep(LOOK).await;
    }
}
