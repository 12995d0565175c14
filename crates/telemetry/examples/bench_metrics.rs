//! What observing costs on the hot path, in nanoseconds: `cargo run --release -p spillway-telemetry --example bench_metrics`.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use spillway_telemetry::{AttemptClass, IntakeOutcome, Metrics, SpanName, TraceContext, Tracer};

const ROUNDS: u32 = 5;
const OPERATIONS: u32 = 1_000_000;

fn main() {
    let metrics = Metrics::new("bench", "unknown");
    let source = metrics.intake_for_source("github");
    let route = metrics.http_requests.for_route("POST", "/in/{source}");
    let took = Duration::from_micros(700);
    let parent = TraceContext { trace_id: 1, span_id: 2, flags: 0 };
    let sampled = TraceContext { flags: 1, ..parent };

    measure("counter of a source and outcome", || source.record(black_box(IntakeOutcome::Accepted)));
    measure("counter of an attempt's class", || {
        metrics.attempts.get(black_box(AttemptClass::Success)).inc();
    });
    measure("histogram", || metrics.intake_ack.observe(black_box(took)));
    measure("histogram, sampled: with exemplar", || metrics.commit.observe_traced(black_box(took), Some(sampled)));
    measure("HTTP request of a known route", || route.observe(black_box(202), took, None));
    measure("unsampled span, new trace", || drop(black_box(Tracer::disabled().start(SpanName::Intake, None))));
    measure("unsampled span, sender's trace", || {
        drop(black_box(Tracer::disabled().start(SpanName::Intake, Some(black_box(parent)))));
    });

    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let both = |name: &str, observe: &(dyn Fn() + Sync)| {
        let started = Instant::now();
        thread::scope(|scope| {
            for _ in 0..n_threads {
                scope.spawn(|| (0..OPERATIONS).for_each(|_| observe()));
            }
        });
        println!("{:>8.1} ns  {name}, {n_threads} threads at once", nanoseconds(started.elapsed()));
    };
    both("counter of a source and outcome", &|| source.record(IntakeOutcome::Accepted));
    both("histogram", &|| metrics.intake_ack.observe(took));

    let started = Instant::now();
    let bytes = metrics.encode().map_or(0, |text| text.len());
    println!("{:>8.1} µs  scrape of {bytes} bytes", started.elapsed().as_secs_f64() * 1e6);
}

/// Prints the median of several rounds.
fn measure(name: &str, observe: impl Fn()) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            (0..OPERATIONS).for_each(|_| observe());
            nanoseconds(started.elapsed())
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{:>8.1} ns  {name}", rounds[rounds.len() / 2]);
}

fn nanoseconds(total: Duration) -> f64 {
    total.as_secs_f64() * 1e9 / f64::from(OPERATIONS)
}
