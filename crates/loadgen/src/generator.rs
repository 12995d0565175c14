//! Is the generator itself the bottleneck? Processor time, scheduler lag and file descriptors of this process.
//!
//! A run in which the generator was the bottleneck measures the generator. It is neither passed nor failed but invalid.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::ClockId;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::metrics::Trend;

/// Share of the processor time it may use at which the generator counts as the bottleneck.
pub const MOST_CPU_PERCENT: f64 = 90.0;

/// Scheduler lag (99th percentile) at which the generator counts as the bottleneck.
pub const MOST_LAG: Duration = Duration::from_millis(25);

/// Pause between two measurements of the lag.
const LAG_PAUSE: Duration = Duration::from_millis(10);

/// What the generator used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Mean share of the processors this process may run on, in percent.
    pub cpu_percent: f64,
    /// Highest share within one second.
    pub cpu_percent_max: f64,
    /// Processors this process may run on.
    pub cores: usize,
    /// How much later than asked for the scheduler woke a task: 99th percentile.
    pub lag_p99_ms: f64,
    /// Largest number of open file descriptors.
    pub file_descriptors: u64,
    /// How many the system allows.
    pub file_descriptor_limit: u64,
    /// Largest resident memory.
    pub memory_bytes: u64,
    /// Why the run is worth nothing, if it is.
    pub invalid: Option<String>,
}

impl Health {
    /// Two generators of one run: the worst of each number, processors added up. One that was the bottleneck makes the run invalid.
    pub(crate) fn worse(&self, other: &Self) -> Self {
        let share = |health: &Self| health.file_descriptors as f64 / health.file_descriptor_limit.max(1) as f64;
        let nearest = if share(self) > share(other) { self } else { other };
        Self {
            cpu_percent: self.cpu_percent.max(other.cpu_percent),
            cpu_percent_max: self.cpu_percent_max.max(other.cpu_percent_max),
            cores: self.cores.saturating_add(other.cores),
            lag_p99_ms: self.lag_p99_ms.max(other.lag_p99_ms),
            file_descriptors: nearest.file_descriptors,
            file_descriptor_limit: nearest.file_descriptor_limit,
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            invalid: match (&self.invalid, &other.invalid) {
                (Some(one), Some(other)) => Some(format!("{one}; {other}")),
                (one, other) => one.clone().or_else(|| other.clone()),
            },
        }
    }
}

/// Watches this process from the moment it is made.
pub struct Watch {
    cores: usize,
    begun: Reading,
    last: Reading,
    cpu_percent_max: f64,
    file_descriptors: u64,
    memory_bytes: u64,
    lag: Arc<Mutex<Trend>>,
    lag_task: tokio::task::JoinHandle<()>,
}

#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    cpu: Duration,
}

impl Reading {
    fn now() -> Self {
        Self { at: Instant::now(), cpu: cpu_time(ClockId::ProcessCPUTime) }
    }
}

/// Processor time of the calling thread so far.
pub(crate) fn thread_cpu_time() -> Duration {
    cpu_time(ClockId::ThreadCPUTime)
}

fn cpu_time(clock: ClockId) -> Duration {
    let spent = rustix::time::clock_gettime(clock);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

impl Watch {
    /// Begins to watch. Must be called on the runtime that generates the load.
    pub fn begin() -> Self {
        let lag = Arc::new(Mutex::new(Trend::new()));
        let own = lag.clone();
        let lag_task = tokio::spawn(async move {
            loop {
                let wanted = Instant::now() + LAG_PAUSE;
                tokio::time::sleep_until(wanted).await;
                own.lock().record(Instant::now().saturating_duration_since(wanted));
            }
        });
        let now = Reading::now();
        Self {
            cores: cores(),
            begun: now,
            last: now,
            cpu_percent_max: 0.0,
            file_descriptors: 0,
            memory_bytes: 0,
            lag,
            lag_task,
        }
    }

    /// Takes a reading; called each second. Returns the share of the processors used since the last one, in percent.
    pub fn tick(&mut self) -> f64 {
        let now = Reading::now();
        let percent = self.share(self.last, now);
        self.last = now;
        self.cpu_percent_max = self.cpu_percent_max.max(percent);
        self.file_descriptors = self.file_descriptors.max(open_files());
        self.memory_bytes = self.memory_bytes.max(resident_bytes());
        percent
    }

    fn share(&self, from: Reading, to: Reading) -> f64 {
        let wall = to.at.saturating_duration_since(from.at).as_secs_f64();
        if wall > 0.0 { 100.0 * to.cpu.saturating_sub(from.cpu).as_secs_f64() / wall / self.cores as f64 } else { 0.0 }
    }

    /// Ends the watch and judges it.
    pub fn end(mut self) -> Health {
        if self.last.at.elapsed() > Duration::from_millis(100) {
            self.tick();
        }
        self.lag_task.abort();
        let cpu_percent = self.share(self.begun, Reading::now());
        let lag_p99_ms = self.lag.lock().percentile(99.0).unwrap_or(0.0) / 1e3;
        let most_lag = MOST_LAG.as_secs_f64() * 1e3;
        let invalid = if cpu_percent > MOST_CPU_PERCENT {
            Some(format!(
                "the generator used {cpu_percent:.0} % of its {} core(s), more than {MOST_CPU_PERCENT:.0} %: \
                 lower the load (--scale), give it more cores or split it into shards",
                self.cores
            ))
        } else if lag_p99_ms > most_lag {
            Some(format!(
                "the generator's scheduler was {lag_p99_ms:.1} ms late (99th percentile), more than {most_lag:.0} ms: \
                 lower the load (--scale) or keep other work off its cores"
            ))
        } else {
            None
        };
        Health {
            cpu_percent,
            cpu_percent_max: self.cpu_percent_max,
            cores: self.cores,
            lag_p99_ms,
            file_descriptors: self.file_descriptors,
            file_descriptor_limit: rustix::process::getrlimit(rustix::process::Resource::Nofile)
                .current
                .unwrap_or(u64::MAX),
            memory_bytes: self.memory_bytes,
            invalid,
        }
    }
}

/// Processors this process may run on.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Raises the limit of open files to what the system allows, and tells whether `wanted` more fit into it.
///
/// # Errors
/// With what to do when they do not.
pub fn make_room_for_files(wanted: u64) -> Result<(), String> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // What cannot be raised shows in the comparison below.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = wanted + open_files() + 32;
    if needed <= most {
        return Ok(());
    }
    Err(format!(
        "{needed} open files are needed and the system allows {most}: raise the hard limit (`ulimit -Hn {needed}` as root, or \
         LimitNOFILE= of the service), or lower the load (--scale)"
    ))
}

fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64)
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
