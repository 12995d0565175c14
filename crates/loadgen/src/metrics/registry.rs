use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use spillway_slo::threshold::Threshold;
use tokio::time::Instant;

use super::aggregates::Aggregates;
use super::metric::Metric;
use super::recorder::{BATCH, Entry, LOG_LIMIT, Log, Recorder};
use super::snapshot::Snapshot;
use super::tags::{Series, Tags};
use super::timeline::Second;
use super::values::Values;

/// What a registry must know before the first sample.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Thresholds that will be judged. Their windows are kept, and what their selectors name is measured apart.
    pub thresholds: Vec<Threshold>,
    /// Which part of a distributed run this is; `None` when it is the whole run.
    pub shard: Option<u32>,
    /// Sets of tags that are told apart. The samples of any more get the tags `name:other` alone, see [`OTHER`](super::OTHER).
    ///
    /// A series whose requests take 0.1 to 100 ms needs about 35 KiB, one that fills every bucket 95 KiB.
    pub max_series: usize,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self { thresholds: Vec::new(), shard: None, max_series: 1_000 }
    }
}

/// Everything that a run measures. Shared by its recorders, the engine's clock and whoever shows it.
#[derive(Debug)]
pub struct Registry {
    shard: Option<u32>,
    max_series: usize,
    known: RwLock<HashMap<Arc<Tags>, Series>>,
    logs: Box<[Log]>,
    recorders: AtomicUsize,
    /// Active users in the upper half, possible users in the lower one; [`NO_VUS`] until somebody said.
    vus: AtomicU64,
    sequence: AtomicU64,
    aggregates: Mutex<Aggregates>,
}

const NO_VUS: u64 = u64::MAX;

impl Registry {
    /// One without samples. The time line begins now; see [`begin`](Self::begin).
    ///
    /// A threshold on a metric that does not exist never gets a value.
    pub fn new(settings: RegistrySettings) -> Arc<Self> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let registry = Self {
            shard: settings.shard,
            max_series: settings.max_series,
            known: RwLock::default(),
            logs: (0..threads).map(|_| Log::default()).collect(),
            recorders: AtomicUsize::new(0),
            vus: AtomicU64::new(NO_VUS),
            sequence: AtomicU64::new(0),
            aggregates: Mutex::new(Aggregates::new(&settings.thresholds, Instant::now())),
        };
        registry.intern(Tags::other());
        registry.intern(Tags::default());
        Arc::new(registry)
    }

    /// The time line and the windows begin at this instant, and not when the registry was made. What was recorded before counts in the
    /// first second.
    pub fn begin(&self, now: Instant) {
        self.aggregates.lock().begin(now);
    }

    /// The series of these tags. Costs about a hundred nanoseconds, and no allocation, when the tags are known.
    pub fn series(&self, tags: &Tags) -> Series {
        if let Some(series) = self.known.read().get(tags) {
            return *series;
        }
        self.intern(tags.clone())
    }

    fn intern(&self, tags: Tags) -> Series {
        let mut known = self.known.write();
        if let Some(series) = known.get(&tags) {
            return *series;
        }
        // The two series that are always there do not count.
        if known.len() >= self.max_series.saturating_add(2) {
            return Series::OTHER;
        }
        let tags = Arc::new(tags);
        let series = self.aggregates.lock().open_series(tags.clone());
        known.insert(tags, series);
        series
    }

    /// A recorder for one worker thread. There are as many logs as the machine has threads; more recorders share them.
    pub fn recorder(self: &Arc<Self>) -> Recorder {
        let log = self.recorders.fetch_add(1, Ordering::Relaxed) % self.logs.len();
        Recorder::new(self.clone(), log)
    }

    /// Users that iterate now, and users that there may be.
    pub fn set_vus(&self, active: u32, max: u32) {
        self.vus.store(u64::from(active) << 32 | u64::from(max), Ordering::Relaxed);
    }

    pub(crate) fn push(&self, log: usize, entry: Entry) {
        let mut log = self.logs[log].0.lock();
        log.push(entry);
        if log.len() >= BATCH {
            let free = if log.len() < LOG_LIMIT { self.aggregates.try_lock() } else { Some(self.aggregates.lock()) };
            if let Some(mut aggregates) = free {
                log.drain(..).for_each(|entry| aggregates.fold(&entry));
            }
        }
    }

    /// Folds what is in the logs. No log is held while the aggregates are, because recorders take them the other way round.
    fn drain(&self) {
        for log in &self.logs {
            let entries = std::mem::replace(&mut *log.0.lock(), Vec::with_capacity(BATCH));
            let mut aggregates = self.aggregates.lock();
            entries.iter().for_each(|entry| aggregates.fold(entry));
        }
    }

    /// Ends a second: what was recorded until now becomes a point of the time line and a slice of each window. Called once a second.
    pub fn tick(&self, now: Instant) {
        self.drain();
        let mut aggregates = self.aggregates.lock();
        let vus = self.vus.load(Ordering::Relaxed);
        let active = if vus == NO_VUS { 0 } else { vus >> 32 };
        if vus != NO_VUS {
            aggregates.observe(Metric::Vus, Series::RUN, active);
            aggregates.observe(Metric::VusMax, Series::RUN, vus & u64::from(u32::MAX));
        }
        aggregates.tick(now, active as u32);
    }

    /// Everything since the start, with a number larger than that of any snapshot before.
    pub fn snapshot(&self) -> Snapshot {
        self.drain();
        let series = self.aggregates.lock().series();
        Snapshot::new(self.shard, self.sequence.fetch_add(1, Ordering::Relaxed) + 1, series)
    }

    /// What a threshold shall be compared with, as of the last [`tick`](Self::tick): over the whole run, `elapsed` so far, or over its
    /// window if it has one. `None` without samples; a counter without samples is zero.
    ///
    /// A window reaches back from the last tick by its length, and by up to a thirtieth more. A gauge is its newest value in any window.
    /// A window that was not among [`RegistrySettings::thresholds`] has no value.
    pub fn value(&self, threshold: &Threshold, elapsed: Duration) -> Option<f64> {
        self.aggregates.lock().value(threshold, elapsed)
    }

    /// The samples in a threshold's window as of the last [`tick`](Self::tick), and how much of the run lies in it, so that windows of
    /// several generators can be added up. `None` for a threshold without a window, one on a gauge, and one that was not among
    /// [`RegistrySettings::thresholds`].
    pub fn window(&self, threshold: &Threshold) -> Option<(Values, Duration)> {
        self.aggregates.lock().window(threshold)
    }

    /// The second that ended with the last [`tick`](Self::tick).
    pub fn last_second(&self) -> Second {
        self.aggregates.lock().timeline.last().clone()
    }

    /// All seconds so far; in a long run each point stands for several, see [`MOST_SECONDS`](super::MOST_SECONDS).
    pub fn timeline(&self) -> Vec<Second> {
        self.aggregates.lock().timeline.seconds()
    }
}

#[cfg(test)]
mod tests;
