//! One destination hangs: what do the others notice?

use std::time::Duration;

use super::client::{histogram, open_loop};
use super::end_to_end::{WARM_UP, all_arrive};
use super::intake::check;
use super::requests::requests;
use super::servers::{self, Sink};
use super::setup::{Bench, Plan};
use super::table::{Bar, Figure, Table};
use super::{BenchArgs, Engine};
use crate::Failure;

/// Destinations that answer.
const HEALTHY: usize = 100;
/// Events each second, each to every destination.
const RATE: f64 = 20.0;
const CONNECTIONS: usize = 64;
/// The bar is a tenth, and what a round measures moves by half as much by itself.
const ROUNDS: u16 = 5;

pub(crate) async fn run(arguments: &BenchArgs) -> Result<Table, Failure> {
    let mut table =
        Table::new(format!("{HEALTHY} healthy destinations at {RATE} events/s each, with one more that hangs"));
    for engine in arguments.engines() {
        let [mut calm, mut hanging] = <[Vec<f64>; 2]>::default();
        for _ in 0..arguments.rounds_or(ROUNDS) {
            calm.push(p95(arguments, engine, false).await?);
            hanging.push(p95(arguments, engine, true).await?);
        }
        let name = engine.name();
        let calm = Figure::new(format!("{name}: p95 of the healthy ones, nothing hangs"), "ms", calm);
        let with = Figure::new(format!("{name}: p95 of the healthy ones, one hangs"), "ms", hanging).against(&calm);
        table.push(calm);
        table.push(with.bar(Bar::RatioAtMost(1.1)));
    }
    Ok(table)
}

async fn p95(arguments: &BenchArgs, engine: Engine, hang: bool) -> Result<f64, Failure> {
    let sink = Sink::noting();
    let address = sink.listen().await?;
    let mut destinations: Vec<String> = (0..HEALTHY).map(|n| format!("http://{address}/hooks/{n}")).collect();
    // Its deliveries are stored either way; without it the reference would have fewer rows to write.
    let other = if hang { servers::hanging_server().await? } else { Sink::default().listen().await? };
    destinations.push(format!("http://{other}/hooks"));
    let bench = Bench::start(arguments, Plan { destinations, ..Plan::to(engine, address) }).await?;
    let warm = requests(false)?;
    open_loop(bench.address()?, warm.clone(), CONNECTIONS, RATE, WARM_UP).await?;
    all_arrive(&sink, warm.sent() * HEALTHY as u64).await?;
    sink.take_arrivals();
    let requests = requests(false)?;
    let seen = open_loop(bench.address()?, requests.clone(), CONNECTIONS, RATE, arguments.round()).await?;
    check(&seen)?;
    all_arrive(&sink, (warm.sent() + requests.sent()) * HEALTHY as u64).await?;
    let mut latency = histogram();
    for arrival in sink.take_arrivals() {
        let intended = seen.begun + Duration::from_secs_f64(arrival.number as f64 / RATE);
        let microseconds = arrival.at.saturating_duration_since(intended).as_micros();
        latency.saturating_record(u64::try_from(microseconds).unwrap_or(u64::MAX).max(1));
    }
    // The hanging destination's attempts are under way: ending without them is a kill, not a drain.
    drop(bench);
    Ok(latency.value_at_quantile(0.95) as f64 / 1e3)
}
