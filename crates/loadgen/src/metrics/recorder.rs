use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::metric::Metric;
use super::registry::Registry;
use super::tags::Series;

/// Samples after which a log is folded.
pub(crate) const BATCH: usize = 512;

/// Samples a log holds at most while somebody else is folding; then its recorder waits.
pub(crate) const LOG_LIMIT: usize = 8 * BATCH;

/// One finished request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpSample {
    /// What the request was.
    pub series: Series,
    /// Waiting for a connection.
    pub blocked: Duration,
    /// Establishing the TCP connection; zero when one was there.
    pub connecting: Duration,
    /// The TLS handshake; zero when there was none.
    pub tls: Duration,
    /// Writing the request.
    pub sending: Duration,
    /// From the request's last byte to the answer's first one.
    pub waiting: Duration,
    /// Reading the answer with its full body.
    pub receiving: Duration,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Whether it counts as failed.
    pub failed: bool,
}

impl HttpSample {
    /// A request that succeeded in no time.
    pub fn new(series: Series) -> Self {
        Self {
            series,
            blocked: Duration::ZERO,
            connecting: Duration::ZERO,
            tls: Duration::ZERO,
            sending: Duration::ZERO,
            waiting: Duration::ZERO,
            receiving: Duration::ZERO,
            sent: 0,
            received: 0,
            failed: false,
        }
    }

    /// k6's `http_req_duration`: sending, waiting and receiving.
    pub fn duration(&self) -> Duration {
        self.sending.saturating_add(self.waiting).saturating_add(self.receiving)
    }
}

/// A sample on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry {
    Http(HttpSample),
    Iteration { series: Series, duration: Duration, start_delay: Option<Duration>, from_intended: Option<Duration> },
    Value { metric: Metric, series: Series, value: u64 },
}

/// Samples that are not folded yet. On cache lines of its own, so that threads do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Log(pub(crate) Mutex<Vec<Entry>>);

/// Takes samples: tens of nanoseconds each, and every 512 the time to fold them. Nothing is allocated for a sample.
///
/// Clones share one log: give each worker thread a recorder of its own and each task on it a clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    registry: Arc<Registry>,
    log: usize,
}

impl Recorder {
    pub(crate) fn new(registry: Arc<Registry>, log: usize) -> Self {
        Self { registry, log }
    }

    /// Counts a request: `http_reqs`, `http_req_failed`, `http_req_duration` and its phases, `data_sent`, `data_received`.
    pub fn http(&self, sample: &HttpSample) {
        self.push(Entry::Http(*sample));
    }

    /// Counts an iteration that ran to its end: `iterations`, `iteration_duration`, and where it had a scheduled start
    /// `iteration_start_delay` and `response_from_intended`.
    pub fn iteration(
        &self,
        series: Series,
        duration: Duration,
        start_delay: Option<Duration>,
        from_intended: Option<Duration>,
    ) {
        self.push(Entry::Iteration { series, duration, start_delay, from_intended });
    }

    /// Counts `n` iterations that were due and never began.
    pub fn dropped(&self, series: Series, n: u64) {
        self.add(Metric::DroppedIterations, series, n);
    }

    /// Counts a check; the series has its name in the tag `check`.
    pub fn check(&self, series: Series, passed: bool) {
        self.add(Metric::Checks, series, u64::from(passed));
    }

    /// Adds a sample of any metric: an addend to a counter, a reading of a gauge, 0 or 1 for a rate, microseconds for a trend.
    pub fn add(&self, metric: Metric, series: Series, value: u64) {
        self.push(Entry::Value { metric, series, value });
    }

    fn push(&self, entry: Entry) {
        self.registry.push(self.log, entry);
    }
}
