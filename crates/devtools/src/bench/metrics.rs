//! What counting and timing cost, in nanoseconds.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use spillway_telemetry::{AttemptClass, DeliveryOutcome, IntakeOutcome, Metrics, SpanName, Tracer};

use super::table::Figure;

const OPERATIONS: u32 = 1_000_000;

/// One atomic increment, and all that a request at intake and an attempt observe, by one thread and by one on each processor.
pub(super) fn figures(rounds: usize) -> Vec<Figure> {
    let metrics = Metrics::new("bench", "unknown");
    let source = metrics.intake_for_source("bench");
    let route = metrics.http_requests.for_route("POST", "/in/{source}");
    let took = Duration::from_micros(700);
    let bare = AtomicU64::new(0);
    let increment = || {
        black_box(bare.fetch_add(1, Ordering::Relaxed));
    };
    let request = || {
        let span = black_box(Tracer::disabled().start(SpanName::Intake, None));
        source.record(black_box(IntakeOutcome::Accepted));
        metrics.intake_ack.observe_traced(black_box(took), span.exemplar());
        route.observe(black_box(202), took, None);
    };
    let attempt = || {
        drop(black_box(Tracer::disabled().start(SpanName::Attempt, None)));
        metrics.attempts.get(black_box(AttemptClass::Success)).inc();
        metrics.attempt.observe(black_box(took));
        metrics.delivery_latency.observe(black_box(took));
        metrics.deliveries.get(black_box(DeliveryOutcome::Delivered)).inc();
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let mut figures = Vec::new();
    for threads in [1, processors] {
        let at_once = if threads == 1 { "one thread".to_owned() } else { format!("{threads} threads at once") };
        let of = |operation: &(dyn Fn() + Sync)| (0..rounds).map(|_| nanoseconds(threads, operation)).collect();
        let alone = Figure::new(format!("one atomic increment, {at_once}"), "ns", of(&increment));
        let metered = [("metrics of a request at intake", of(&request)), ("metrics of an attempt", of(&attempt))];
        let metered =
            metered.map(|(what, rounds)| Figure::new(format!("{what}, {at_once}"), "ns", rounds).against(&alone));
        figures.push(alone);
        figures.extend(metered);
    }
    figures
}

/// Of one operation, each thread's.
fn nanoseconds(threads: usize, operation: &(dyn Fn() + Sync)) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..OPERATIONS).for_each(|_| operation()));
        }
    });
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(OPERATIONS)
}
