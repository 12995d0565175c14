//! One look a second at each source, from the start of the run to its end.

use std::path::PathBuf;
use std::time::Duration;

use spillway_model::{Clock, SystemClock, UnixMillis};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Observed;
use super::cgroup::Cgroup;
use super::process::Process;
use super::prometheus::Prometheus;
use super::recording::Recording;
use super::scrape::Scrape;

/// Sources of one run.
const MOST_SOURCES: usize = 32;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// The end of the run is looked at too, unless the last look is as young as this: processor time is told in steps of 10 ms.
const YOUNG: Duration = Duration::from_millis(250);

/// Where measurements of the target come from. The default is nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Processes of this machine.
    pub pids: Vec<u32>,
    /// Folders of control groups (version 2), such as `/sys/fs/cgroup/system.slice/spillway.service`.
    pub cgroups: Vec<PathBuf>,
    /// Where the target exposes metrics of its own, in the text form of Prometheus or OpenMetrics.
    pub metrics: Vec<Url>,
    /// Metrics to take from there, beside processor, memory and open files: each summed over its labels, a counter as its gain
    /// per second.
    pub metric_names: Vec<String>,
    /// A Prometheus server.
    pub prometheus: Option<Url>,
    /// What to ask it. The end of a name tells the unit, such as `_bytes`, `_seconds`, `_percent` or `_per_second`.
    pub queries: Vec<Query>,
}

/// A question to Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What the answer is called.
    pub name: String,
    /// PromQL.
    pub expression: String,
}

/// A source that cannot be used. Each text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObserveError {
    /// Nothing runs under this number.
    #[error(
        "there is no process {pid} on this machine: give the number that `pgrep -f NAME` prints, or use the target's metrics \
         (--target-metrics) when it runs elsewhere"
    )]
    NoProcess {
        /// The number.
        pid: u32,
    },
    /// No control group of version 2.
    #[error(
        "{path} is no control group of version 2, because it has no cpu.stat with usage_usec: give a folder below \
         /sys/fs/cgroup; `cat /proc/PID/cgroup` prints a process's own after `0::`", path = path.display()
    )]
    NoCgroup {
        /// The folder.
        path: PathBuf,
    },
    /// No metrics at this address.
    #[error(
        "cannot read the target's metrics at {url}: {reason}; give the whole address, such as http://HOST:PORT/metrics"
    )]
    Metrics {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// No Prometheus at this address.
    #[error("cannot ask Prometheus at {url}: {reason}; give its address without /api/v1, such as http://HOST:9090")]
    Prometheus {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// Prometheus refuses a question.
    #[error("Prometheus refuses the query {name}={expression}: {reason}")]
    Query {
        /// Its name.
        name: String,
        /// The question.
        expression: String,
        /// What Prometheus says.
        reason: String,
    },
    /// More sources than allowed.
    #[error("{n} processes, control groups and addresses are to be observed, and at most {MOST_SOURCES} can be")]
    TooMany {
        /// How many were given.
        n: usize,
    },
}

/// Watches the target. Dropped, it stops.
pub struct Observer {
    probes: Vec<Probe>,
    prometheus: Option<Prometheus>,
    warnings: Vec<String>,
    running: Option<Running>,
}

struct Running {
    /// Each with its place among the sources.
    watches: JoinSet<(usize, Observed)>,
    end: CancellationToken,
    started_at: UnixMillis,
}

enum Probe {
    Process(Process),
    Cgroup(Cgroup),
    Scrape(Box<Scrape>),
}

impl Observer {
    /// Looks once at each source.
    ///
    /// # Errors
    /// When a process or control group is not there, an address does not answer, or Prometheus refuses a query.
    pub async fn new(sources: Sources) -> Result<Self, ObserveError> {
        let n = sources.pids.len() + sources.cgroups.len() + sources.metrics.len();
        if n > MOST_SOURCES {
            return Err(ObserveError::TooMany { n });
        }
        let (mut probes, mut warnings) = (Vec::new(), Vec::new());
        for &pid in &sources.pids {
            probes.push(Probe::Process(Process::find(pid)?));
        }
        for path in &sources.cgroups {
            probes.push(Probe::Cgroup(Cgroup::open(path)?));
        }
        for url in &sources.metrics {
            let (scrape, missing) = Scrape::open(url, &sources.metric_names).await?;
            probes.push(Probe::Scrape(Box::new(scrape)));
            warnings.extend(missing);
        }
        let prometheus = match &sources.prometheus {
            Some(url) => Some(Prometheus::open(url, sources.queries).await?),
            None => None,
        };
        Ok(Self { probes, prometheus, warnings, running: None })
    }

    /// What is allowed and probably not meant, for the user to hear before the run.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Begins to look once a second. `origin` is the start of the run, from which the times of all points count.
    ///
    /// Must be called on a runtime. A second call does nothing.
    pub fn begin(&mut self, origin: Instant) {
        if self.running.is_some() {
            return;
        }
        let end = CancellationToken::new();
        let mut watches = JoinSet::new();
        for (place, probe) in std::mem::take(&mut self.probes).into_iter().enumerate() {
            let end = end.clone();
            watches.spawn(async move { (place, watch(probe, origin, end).await) });
        }
        let since = Instant::now().saturating_duration_since(origin).as_millis();
        let started_at = SystemClock.now().saturating_sub_unsigned(u64::try_from(since).unwrap_or(u64::MAX));
        self.running = Some(Running { watches, end, started_at });
    }

    /// Ends the watch and asks Prometheus. Empty when it never began. Returns after some seconds also when nothing answers any more.
    pub async fn end(self) -> Vec<Observed> {
        let Some(Running { mut watches, end, started_at }) = self.running else { return Vec::new() };
        let ended_at = SystemClock.now();
        end.cancel();
        let mut observed = Vec::new();
        while let Some(watched) = watches.join_next().await {
            // A watch that panicked has lost what it measured.
            observed.extend(watched.ok());
        }
        observed.sort_by_key(|(place, _)| *place);
        let mut observed: Vec<Observed> = observed.into_iter().map(|(_, observed)| observed).collect();
        if let Some(prometheus) = self.prometheus {
            observed.push(prometheus.ask(started_at, ended_at).await);
        }
        observed
    }
}

impl Probe {
    fn source(&self) -> String {
        match self {
            Self::Process(process) => process.source(),
            Self::Cgroup(cgroup) => cgroup.source(),
            Self::Scrape(scrape) => scrape.source(),
        }
    }

    /// Takes a reading. False when there will be no other.
    async fn sample(&mut self, origin: Instant, recording: &mut Recording) -> bool {
        match self {
            Self::Process(process) => process.sample(origin, recording),
            Self::Cgroup(cgroup) => cgroup.sample(origin, recording),
            Self::Scrape(scrape) => {
                scrape.sample(origin, recording).await;
                true
            }
        }
    }
}

async fn watch(mut probe: Probe, origin: Instant, end: CancellationToken) -> Observed {
    let mut recording = Recording::new(probe.source());
    let mut ticks = tokio::time::interval_at(origin, PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut looked = None;
    loop {
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            biased;
            // A target that no longer answers must not hold the end back twice.
            () = end.cancelled() => break,
            more = probe.sample(origin, &mut recording) => if !more { return recording.end() },
        }
        looked = Some(Instant::now());
    }
    if looked.is_none_or(|looked| looked.elapsed() > YOUNG) {
        probe.sample(origin, &mut recording).await;
    }
    if let Probe::Scrape(scrape) = &probe {
        scrape.end(&mut recording);
    }
    recording.end()
}

#[cfg(test)]
mod tests;
