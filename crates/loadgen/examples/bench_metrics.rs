//! Nanoseconds per sample: a request and an iteration through a recorder, folding and ticks included, beside one `hdrhistogram` record.
//! With one series, and with those of 50 endpoints and 3 statuses.
//!
//! `cargo run --release -p spillway-loadgen --example bench_metrics`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use spillway_loadgen::metrics::{HttpSample, Registry, RegistrySettings, Series, Tags};

const SAMPLES: u64 = 1_000_000;
const ROUNDS: usize = 5;

/// Samples between two ticks, as at 100,000/s.
const SECOND: u64 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut reference = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3)?;
    report("hdrhistogram: record", |n| reference.saturating_record(micros(n)));
    for endpoints in [1, 150] {
        let registry = Registry::new(RegistrySettings::default());
        let tags = |n| Tags { name: format!("/{n}"), status: Some(200), ..Tags::default() };
        let series: Vec<Series> = (0..endpoints).map(|n| registry.series(&tags(n))).collect();
        let scenario = registry.series(&Tags::scenario("peak", &BTreeMap::new()));
        let recorder = registry.recorder();
        report(&format!("{endpoints} series: http"), |n| {
            recorder.http(&HttpSample {
                sending: Duration::from_micros(3),
                waiting: Duration::from_micros(micros(n)),
                receiving: Duration::from_micros(n % 20),
                sent: 300,
                received: 1_000,
                ..HttpSample::new(series[n as usize % series.len()])
            });
            tick(&registry, n);
        });
        report(&format!("{endpoints} series: iteration"), |n| {
            let time = Duration::from_micros(micros(n));
            recorder.iteration(scenario, time, Some(time / 100), Some(time));
            tick(&registry, n);
        });
        let known = tags(0);
        report(&format!("{endpoints} series: look up tags"), |_| _ = std::hint::black_box(registry.series(&known)));
        let started = Instant::now();
        let json = serde_json::to_vec(&registry.snapshot())?;
        println!("{endpoints} series: snapshot of {} KiB in {:.1?}", json.len() / 1024, started.elapsed());
    }
    Ok(())
}

fn tick(registry: &Registry, n: u64) {
    if n.is_multiple_of(SECOND) {
        registry.tick(tokio::time::Instant::now());
    }
}

/// 0.1 ms to 100 ms, as many in each doubling.
fn micros(n: u64) -> u64 {
    let random = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44;
    let least = 100 << (random % 10);
    least + random / 10 % least
}

fn report(name: &str, mut operation: impl FnMut(u64)) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            (0..SAMPLES).for_each(&mut operation);
            started.elapsed().as_nanos() as f64 / SAMPLES as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name}: {:.0} ns (median of {ROUNDS})", rounds[ROUNDS / 2]);
}
