//! Floods: prepared requests to one URL, as fast as they are answered or on an absolute schedule.
//!
//! Each thread is a runtime of its own with its own connections, its own part of the schedule and its own histograms; threads share
//! nothing but three counters for the progress. HTTP/1.1 without TLS is written and read by this engine itself, anything else by hyper.
//!
//! Memory is bounded by the connections and does not grow with the number of requests.

mod alarm;
mod answer;
mod lane;
mod report;
mod requests;
mod tally;
mod target;
mod turns;
mod wire;
mod worker;

pub use report::{Bytes, FloodReport, Generator, Histograms, Quantiles};
pub use requests::{Content, MAX_BODY, PLACEHOLDER, RequestPlan, Requests, Signing};
pub use target::Target;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::generator::{Watch, cores, make_room_for_files};
use crate::http::{ErrorClass, Failure, Protocol, Transport};
use report::Setup;
use tally::{Live, Tally};
use turns::Share;
use worker::{How, Work};

/// Most connections of one flood.
pub const MAX_CONNECTIONS: usize = 100_000;

/// Highest rate of one flood, in requests per second.
pub const MAX_RATE: f64 = 10_000_000.0;

/// Longest duration, wait and time limit of a flood.
pub const MAX_TIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Requests per second for which one thread is enough with room to spare.
const RATE_OF_A_THREAD: f64 = 25_000.0;

/// Requests per second of one thread from which on it does not sleep between them.
const SPIN_RATE: f64 = 1_000.0;

/// How long the first connection may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// From the moment all threads are ready to the common start.
const LEAD: Duration = Duration::from_millis(5);

/// What decides when a request is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Each connection sends its next request as soon as the last one is answered.
    Closed,
    /// Request i is due at `i / rate` after the start, whatever became of those before. It is sent on the connection that has been free
    /// for longest; without a free one it waits, and is dropped once it has waited for `most_wait`.
    Open {
        /// Requests per second.
        rate: f64,
        /// Longest wait for a free connection.
        most_wait: Duration,
    },
}

/// A flood that is ready to run.
#[derive(Debug, Clone)]
pub struct Flood {
    /// Where to.
    pub target: Target,
    /// What is sent.
    pub requests: Requests,
    /// Connections, each with one request under way at most.
    pub connections: usize,
    /// How long requests are sent. Those under way at its end are waited for.
    pub duration: Duration,
    /// When they are sent.
    pub load: Load,
    /// Longest time from sending a request to the end of its answer.
    pub timeout: Duration,
    /// HTTP/2 instead of HTTP/1.1; without TLS by prior knowledge.
    pub http2: bool,
    /// Takes any certificate.
    pub insecure_skip_tls_verify: bool,
    /// Threads; `None` is one for each core that this process may use, with a rate one for each 25,000/s of it at most. Never more than
    /// connections.
    ///
    /// A thread that sends 1,000/s or more looks at the clock all the time instead of sleeping, for start delays far below a
    /// millisecond, if the machine has a processor left beside those of the flood.
    pub threads: Option<usize>,
}

/// The progress of a flood, once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Second {
    /// Seconds since the start.
    pub number: u64,
    /// Answers since the last second.
    pub answered: u64,
    /// Failed requests so far.
    pub failed: u64,
    /// Dropped requests so far.
    pub dropped: u64,
}

/// Why a flood did not take place.
#[derive(Debug, thiserror::Error)]
pub enum FloodError {
    /// Not a URL that requests can be sent to.
    #[error("{url:?} is no target: {reason}; write http://HOST:PORT/PATH or https://…")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting that cannot be used.
    #[error("{name}: {reason}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Too few files may be opened.
    #[error("{0}")]
    Files(String),
    /// No connection could be opened, so nothing was sent.
    #[error("no connection to {url}: {failure}; {}", advice(failure.class))]
    Unreachable {
        /// Where to.
        url: String,
        /// What came instead.
        failure: Failure,
    },
    /// A thread of the generator could not do its work.
    #[error("a thread of the generator ended early: {0}")]
    Thread(String),
}

fn advice(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Dns => "check the host's name",
        ErrorClass::Refused => "start the server, or check the port",
        ErrorClass::Unreachable => "check the address and the network",
        ErrorClass::Timeout => "check the address, and that no firewall drops the packets",
        ErrorClass::Tls => "check whether it speaks TLS on this port, and its certificate",
        ErrorClass::TooManyOpenFiles => "raise the limit of open files",
        _ => "check that the server takes connections",
    }
}

impl Flood {
    /// 64 connections for 10 seconds as fast as answers come, with 20 seconds for each.
    pub fn new(target: Target, requests: Requests) -> Self {
        Self {
            target,
            requests,
            connections: 64,
            duration: Duration::from_secs(10),
            load: Load::Closed,
            timeout: Duration::from_secs(20),
            http2: false,
            insecure_skip_tls_verify: false,
            threads: None,
        }
    }

    /// Opens the connections, sends the requests and waits for their answers. `on_second` is called once a second.
    ///
    /// When `stop` is cancelled nothing more is sent, and answers under way are waited for a second. Dropping the future does the same
    /// without a report.
    ///
    /// # Errors
    /// A setting that cannot be used, too few files, a target that takes no connection. What fails later is counted in the report.
    pub async fn run(
        self,
        stop: &CancellationToken,
        mut on_second: impl FnMut(Second),
    ) -> Result<FloodReport, FloodError> {
        self.check()?;
        let threads = self.threads();
        make_room_for_files((self.connections + 4 * threads) as u64).map_err(FloodError::Files)?;
        let how = self.probe().await?;
        let stop = stop.child_token();
        let _stops_when_dropped = stop.clone().drop_guard();
        let (begin, start) = watch::channel(None);
        let mut crew = self.crew(threads, &how, &stop, &start)?;
        let mut watch = None;
        for member in &mut crew {
            match (&mut member.ready).await {
                Ok(own) => watch = watch.or(own),
                Err(_) => return Err(member.end().await.err().unwrap_or_else(ended)),
            }
        }
        let mut watch: Watch = watch.ok_or_else(ended)?;
        let start = Instant::now() + LEAD;
        begin.send_replace(Some(start));
        let tally = observe(&mut crew, start, &mut watch, &mut on_second).await?;
        let ended = tally.last.unwrap_or(start).max(if stop.is_cancelled() { start } else { start + self.duration });
        Ok(FloodReport::new(
            tally,
            Setup {
                connections: self.connections,
                threads,
                rate: match self.load {
                    Load::Closed => None,
                    Load::Open { rate, .. } => Some(rate),
                },
                elapsed: ended.duration_since(start),
                health: watch.end(),
            },
        ))
    }

    fn check(&self) -> Result<(), FloodError> {
        let setting = |name, reason: String| Err(FloodError::Setting { name, reason });
        if !(1..=MAX_CONNECTIONS).contains(&self.connections) {
            return setting("connections", format!("{} is not from 1 to {MAX_CONNECTIONS}", self.connections));
        }
        if self.threads == Some(0) {
            return setting("threads", "at least one is needed".to_owned());
        }
        let mut times = vec![("duration", self.duration), ("timeout", self.timeout)];
        if let Load::Open { rate, most_wait } = self.load {
            if !(rate > 0.0 && rate <= MAX_RATE) {
                return setting("rate", format!("{rate} is not above 0 and at most {MAX_RATE}"));
            }
            times.push(("most-wait", most_wait));
        }
        for (name, time) in times {
            if time > MAX_TIME || (time.is_zero() && name != "most-wait") {
                return setting(name, format!("{time:?} is not above 0 and at most {MAX_TIME:?}"));
            }
        }
        Ok(())
    }

    fn threads(&self) -> usize {
        let useful = match self.load {
            Load::Closed => usize::MAX,
            Load::Open { rate, .. } => (rate / RATE_OF_A_THREAD).ceil() as usize,
        };
        self.threads.unwrap_or_else(|| cores().min(useful)).clamp(1, self.connections)
    }

    fn spins(&self, threads: usize) -> bool {
        let Load::Open { rate, .. } = self.load else { return false };
        rate / threads as f64 >= SPIN_RATE && threads < processors()
    }

    /// Opens a first connection, so that a flood against nobody ends before it begins.
    async fn probe(&self) -> Result<How, FloodError> {
        let unreachable = |failure| FloodError::Unreachable { url: self.target.to_string(), failure };
        let origin = &self.target.origin;
        let transport = Transport::new(self.insecure_skip_tls_verify);
        let probe = async {
            transport.probe(origin).await?;
            if origin.tls || self.http2 {
                let protocol = if self.http2 { Protocol::Http2 } else { Protocol::Http1 };
                return Ok(How::Hyper { target: self.target.clone(), transport: transport.clone(), protocol });
            }
            let host = origin.address.map_or_else(|| origin.host.clone(), |address| address.to_string());
            let addresses = tokio::net::lookup_host((host, origin.port)).await?;
            Ok(How::Raw(addresses.collect()))
        };
        let outcome = tokio::time::timeout(PROBE_TIMEOUT, probe).await;
        outcome.unwrap_or_else(|_| Err(Failure::timeout())).map_err(unreachable)
    }

    fn crew(
        &self,
        threads: usize,
        how: &How,
        stop: &CancellationToken,
        start: &watch::Receiver<Option<Instant>>,
    ) -> Result<Vec<Member>, FloodError> {
        let mut crew = Vec::with_capacity(threads);
        for part in 0..threads {
            let (ready, is_ready) = oneshot::channel();
            let (end, ended) = oneshot::channel();
            let live = Arc::new(Live::default());
            let work = Work {
                share: Share { part: part as u64, parts: threads as u64 },
                connections: self.connections / threads + usize::from(part < self.connections % threads),
                how: how.clone(),
                requests: self.requests.clone(),
                load: self.load,
                spins: self.spins(threads),
                duration: self.duration,
                timeout: self.timeout,
                live: live.clone(),
                stop: stop.clone(),
                ready,
                start: start.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("flood-{part}"));
            let spawned = thread.spawn(move || drop(end.send(worker::run(work))));
            spawned.map_err(|error| FloodError::Thread(error.to_string()))?;
            crew.push(Member { live, ready: is_ready, end: ended });
        }
        Ok(crew)
    }
}

/// Processors of the machine, whether this process may use them or not.
fn processors() -> usize {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let ranges = online.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.parse::<usize>().ok()?.checked_sub(first.parse().ok()?)? + 1)
    });
    ranges.sum::<usize>().max(cores())
}

/// One thread, seen from outside.
struct Member {
    live: Arc<Live>,
    ready: oneshot::Receiver<Option<Watch>>,
    end: oneshot::Receiver<std::io::Result<Tally>>,
}

impl Member {
    async fn end(&mut self) -> Result<Tally, FloodError> {
        let outcome = (&mut self.end).await.map_err(|_| ended())?;
        outcome.map_err(|error| FloodError::Thread(error.to_string()))
    }
}

fn ended() -> FloodError {
    FloodError::Thread("it left no result".to_owned())
}

/// Tells each second how far the threads are, until all have ended; everything they counted.
async fn observe(
    crew: &mut [Member],
    start: Instant,
    watch: &mut Watch,
    on_second: &mut impl FnMut(Second),
) -> Result<Tally, FloodError> {
    let lives: Vec<Arc<Live>> = crew.iter().map(|member| member.live.clone()).collect();
    let sum = |counter: fn(&Live) -> &AtomicU64| -> u64 {
        lives.iter().map(|live| counter(live).load(Ordering::Relaxed)).sum()
    };
    let all = async {
        let mut total = Tally::new();
        for member in crew {
            total.merge(&member.end().await?);
        }
        Ok(total)
    };
    let mut all = std::pin::pin!(all);
    let mut seconds = tokio::time::interval_at((start + Duration::from_secs(1)).into(), Duration::from_secs(1));
    let (mut number, mut before) = (0, 0);
    loop {
        tokio::select! {
            biased;
            total = &mut all => return total,
            _ = seconds.tick() => {}
        }
        watch.tick();
        let answered = sum(|live| &live.answered);
        number += 1;
        on_second(Second {
            number,
            answered: answered - before,
            failed: sum(|live| &live.failed),
            dropped: sum(|live| &live.dropped),
        });
        before = answered;
    }
}
