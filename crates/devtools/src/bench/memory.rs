//! Whether resident memory stays flat.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::client::open_loop_until;
use super::end_to_end::all_arrive;
use super::intake::{OPEN_LOOP_CONNECTIONS, check};
use super::process;
use super::requests::requests;
use super::servers::Sink;
use super::setup::{Bench, Plan};
use super::table::{Bar, Figure, Table};
use super::{BenchArgs, Engine};
use crate::Failure;

/// The load is looked at in as many parts; of ten minutes each is one.
const PARTS: usize = 10;
/// Samples in each part: every 10 s of ten minutes.
const SAMPLES: usize = 6;
/// What an event takes on disk, write-ahead log included, at most.
const BYTES_AN_EVENT: f64 = 4_096.0;
/// The load ends early, as a failure, when no more than this is left on the disk.
const LEAST_FREE: f64 = 2e9;

pub(crate) async fn run(arguments: &BenchArgs, minutes: f64, rate: f64) -> Result<Table, Failure> {
    let mut table =
        Table::new(format!("resident memory over {minutes} min, end to end, open loop at {rate}/s, 1 KiB, signed"));
    let duration = Duration::try_from_secs_f64(minutes * 60.0)?;
    let needed = LEAST_FREE + rate * duration.as_secs_f64() * BYTES_AN_EVENT;
    std::fs::create_dir_all("target/bench")?;
    let places = [Path::new("target/bench").to_owned(), std::env::temp_dir()];
    for place in &places {
        if free_bytes(place)? < needed {
            let gigabytes = needed / 1e9;
            return Err(format!(
                "{} needs {gigabytes:.0} GB of free space for this load; lower --rate or --minutes",
                place.display()
            )
            .into());
        }
    }
    for engine in arguments.engines() {
        let samples = sample(arguments, engine, duration, rate, &places).await?;
        let name = engine.name();
        let part = |n: usize| samples[n * SAMPLES..(n + 1) * SAMPLES].to_vec();
        let early = Figure::new(format!("{name}: resident memory, second tenth of the time"), "MB", part(1));
        let late = Figure::new(format!("{name}: resident memory, last tenth of the time"), "MB", part(PARTS - 1));
        let late = late.against(&early).bar(Bar::RatioAtMost(1.05));
        table.push(early);
        table.push(late);
        let all = Figure::new(format!("{name}: resident memory, all the time"), "MB", samples);
        table.push(all.bar(Bar::AtMost(120.0)));
    }
    Ok(table)
}

/// Resident megabytes of the gateway, at even distances while it receives and delivers.
async fn sample(
    arguments: &BenchArgs,
    engine: Engine,
    duration: Duration,
    rate: f64,
    places: &[std::path::PathBuf],
) -> Result<Vec<f64>, Failure> {
    let sink = Sink::default();
    let bench = Bench::start(arguments, Plan::to(engine, sink.listen().await?)).await?;
    let (stop, requests) = (Arc::new(AtomicBool::new(false)), requests(false)?);
    let begun = Instant::now();
    let load =
        tokio::spawn(open_loop_until(stop.clone(), bench.address()?, requests.clone(), OPEN_LOOP_CONNECTIONS, rate));
    let n_samples = u32::try_from(PARTS * SAMPLES)?;
    let mut samples = Vec::new();
    for n in 1..=n_samples {
        tokio::time::sleep_until((begun + duration * n / n_samples).into()).await;
        samples.push(process::resident_mb(bench.gateway.pid()));
        for place in places {
            if free_bytes(place)? < LEAST_FREE {
                return Err(format!("the disk of {} is nearly full; lower --rate or --minutes", place.display()).into());
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    check(&load.await??)?;
    all_arrive(&sink, requests.sent()).await?;
    bench.stop()?;
    Ok(samples)
}

fn free_bytes(place: &Path) -> Result<f64, Failure> {
    let disk = rustix::fs::statvfs(place)?;
    Ok(disk.f_bavail as f64 * disk.f_frsize as f64)
}
