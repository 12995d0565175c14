//! What came of a flood.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tally::Tally;
use crate::generator::{Health, MOST_CPU_PERCENT, MOST_LAG};
use crate::metrics::Trend;

/// The result of a flood. Its JSON is what `flood --output json` prints; times are in milliseconds, exact to the microsecond.
///
/// Latencies are those of whole answers, whatever their status, and of requests that ran out of time, which count as their time limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FloodReport {
    /// Whole answers in each second of `duration_s`.
    pub requests_per_second: f64,
    /// Whole answers.
    pub requests: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests of the schedule that were never sent: each had waited `most_wait` for a free connection, or the flood was interrupted.
    pub dropped: u64,
    /// Requests that were sent and whose answers were not waited for, because the flood was interrupted.
    pub unfinished: u64,
    /// From the start to the end of the load or the last answer, whichever came later.
    pub duration_s: f64,
    /// Connections.
    pub connections: usize,
    /// Threads.
    pub threads: usize,
    /// Requests per second that were asked for; `None` for as many as are answered.
    pub rate: Option<f64>,
    /// From sending a request to the end of its answer.
    pub latency_ms: Quantiles,
    /// From when a request was due to the end of its answer. Empty without a rate.
    pub from_intended_ms: Quantiles,
    /// From when a request was due to when it was sent. Empty without a rate.
    pub start_delay_ms: Quantiles,
    /// Answers by status.
    pub status_codes: BTreeMap<u16, u64>,
    /// What kept answers from coming, by kind: requests that failed, and connections that could not be opened.
    pub errors: BTreeMap<String, u64>,
    /// Bytes of requests and answers.
    pub bytes: Bytes,
    /// Whether the generator was the bottleneck.
    pub generator: Generator,
    /// All latencies. Not part of the JSON.
    #[serde(skip)]
    pub histograms: Histograms,
}

/// Bytes of HTTP, and of TLS where there is some.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// To the server.
    pub sent: u64,
    /// From the server.
    pub received: u64,
}

/// A summary of times in milliseconds. `None` without samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The median.
    pub p50: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl From<&Trend> for Quantiles {
    fn from(trend: &Trend) -> Self {
        let ms = |micros: f64| micros.round() / 1e3;
        let at = |percent| trend.percentile(percent).map(ms);
        Self { p50: at(50.0), p95: at(95.0), p99: at(99.0), max: trend.max().map(|max| ms(max as f64)) }
    }
}

/// The times that a flood measures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histograms {
    /// From sending a request to the end of its answer.
    pub latency: Trend,
    /// From when it was due to the end of its answer.
    pub from_intended: Trend,
    /// From when it was due to when it was sent.
    pub start_delay: Trend,
}

impl Histograms {
    pub(super) fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.from_intended.merge(&other.from_intended);
        self.start_delay.merge(&other.start_delay);
    }
}

/// What the generator used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// The generator was not the bottleneck. Without a rate it may well be: such a flood asks how fast, not how late.
    pub valid: bool,
    /// Why it was the bottleneck.
    pub invalid: Option<String>,
    /// Mean share of the processors this process may run on, in percent, without the time in which it only looked at the clock.
    pub cpu_percent: f64,
    /// Share of one processor that the busiest thread used, in percent, without that time.
    pub busiest_thread_percent: f64,
    /// Processors this process may run on.
    pub cores: usize,
    /// How much later than asked for a timer woke a task: 99th percentile.
    pub lag_p99_ms: f64,
    /// Largest number of open file descriptors.
    pub file_descriptors: u64,
    /// Largest resident memory.
    pub memory_bytes: u64,
}

impl Generator {
    /// `spun` and `busiest` are shares of one processor in percent.
    fn new(health: &Health, spun: f64, busiest: f64) -> Self {
        let cpu_percent = (health.cpu_percent - spun / health.cores.max(1) as f64).max(0.0);
        let most_lag_ms = MOST_LAG.as_secs_f64() * 1e3;
        let lag_p99_ms = health.lag_p99_ms;
        let invalid = if cpu_percent.max(busiest) > MOST_CPU_PERCENT {
            Some(format!(
                "the generator used {cpu_percent:.0} % of its {} core(s) and its busiest thread {busiest:.0} % of one, more than \
                 {MOST_CPU_PERCENT:.0} %: lower the rate, or give it more cores and threads",
                health.cores
            ))
        } else if lag_p99_ms > most_lag_ms {
            Some(format!(
                "the generator's timers were {lag_p99_ms:.1} ms late (99th percentile), more than {most_lag_ms:.0} ms: lower the \
                 rate, or keep other work off its cores"
            ))
        } else {
            None
        };
        Self {
            valid: invalid.is_none(),
            invalid,
            cpu_percent: tenth(cpu_percent),
            busiest_thread_percent: tenth(busiest),
            cores: health.cores,
            lag_p99_ms: (lag_p99_ms * 1e3).round() / 1e3,
            file_descriptors: health.file_descriptors,
            memory_bytes: health.memory_bytes,
        }
    }
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// What a report says beside the counts.
pub(super) struct Setup {
    pub(super) connections: usize,
    pub(super) threads: usize,
    pub(super) rate: Option<f64>,
    pub(super) elapsed: Duration,
    pub(super) health: Health,
}

impl FloodReport {
    pub(super) fn new(tally: Tally, setup: Setup) -> Self {
        let Setup { connections, threads, rate, elapsed, health } = setup;
        let seconds = elapsed.as_secs_f64();
        let per_second = |n: f64| if seconds > 0.0 { n / seconds } else { 0.0 };
        Self {
            requests_per_second: tenth(per_second(tally.answered as f64)),
            requests: tally.answered,
            failed: tally.failed,
            dropped: tally.dropped,
            unfinished: tally.sent - tally.answered - tally.failed,
            duration_s: (seconds * 1e3).round() / 1e3,
            connections,
            threads,
            rate,
            latency_ms: Quantiles::from(&tally.histograms.latency),
            from_intended_ms: Quantiles::from(&tally.histograms.from_intended),
            start_delay_ms: Quantiles::from(&tally.histograms.start_delay),
            status_codes: tally.statuses(),
            errors: tally.errors.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect(),
            bytes: Bytes { sent: tally.bytes_sent, received: tally.bytes_received },
            generator: Generator::new(
                &health,
                per_second(tally.spun.as_secs_f64()) * 100.0,
                per_second(tally.busy.as_secs_f64()) * 100.0,
            ),
            histograms: tally.histograms,
        }
    }
}
