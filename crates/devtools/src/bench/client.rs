//! A lean HTTP/1.1 client: prepared requests over kept connections. What it costs, the server under test does not get.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::alarm::Alarm;
use crate::Failure;

/// Latencies from a microsecond to a minute, three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants")]
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("valid bounds")
}

/// What a run saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Microseconds from sending (closed loop) or from the intended instant (open loop) to the whole answer.
    pub(crate) latency: Histogram<u64>,
    pub(crate) answered: u64,
    /// Answers that were not 2xx.
    pub(crate) refused: u64,
    /// Those of them that were 5xx.
    pub(crate) server_errors: u64,
    /// The first scheduled instant.
    pub(crate) begun: Instant,
    pub(crate) elapsed: Duration,
}

impl Seen {
    fn new() -> Self {
        let (begun, elapsed) = (Instant::now(), Duration::ZERO);
        Self { latency: histogram(), answered: 0, refused: 0, server_errors: 0, begun, elapsed }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }

    fn add(&mut self, other: &Self) {
        // Equal bounds: nothing can be lost.
        let _ = self.latency.add(&other.latency);
        self.answered += other.answered;
        self.refused += other.refused;
        self.server_errors += other.server_errors;
    }
}

/// Digits of the number that each request carries in place of [`NUMBER`].
const DIGITS: usize = 16;
/// Where a prepared request holds this text, its number is written, so that every request is another one.
pub(crate) const NUMBER: &str = "################";

/// Requests to send, in turn, numbered. Shared by all connections.
#[derive(Debug)]
pub(crate) struct Requests {
    prepared: Vec<(Vec<u8>, Option<usize>)>,
    next: AtomicU64,
    sent: AtomicU64,
}

impl Requests {
    pub(crate) fn new(prepared: Vec<Vec<u8>>) -> Arc<Self> {
        let number = |request: &[u8]| request.windows(DIGITS).position(|window| window == NUMBER.as_bytes());
        let prepared = prepared.into_iter().map(|request| (number(&request), request)).map(|(at, r)| (r, at)).collect();
        Arc::new(Self { prepared, next: AtomicU64::new(0), sent: AtomicU64::new(0) })
    }

    /// Requests sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes request `n` into `buffer`.
    fn prepare(&self, n: u64, buffer: &mut Vec<u8>) {
        let (request, number) = &self.prepared[n as usize % self.prepared.len()];
        buffer.clear();
        buffer.extend_from_slice(request);
        if let Some(at) = number {
            let mut rest = n;
            for digit in buffer[*at..at + DIGITS].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    }
}

/// One connection and what it has read.
pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::with_capacity(4_096), buffer: Vec::with_capacity(4_096) })
    }

    /// Asks for `path`, reads the answer to the end, returns the status.
    pub(crate) async fn get(&mut self, path: &str) -> Result<u16, Failure> {
        self.request.clear();
        self.request.extend_from_slice(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").as_bytes());
        self.exchange().await
    }

    /// Sends the prepared request as one of `requests`, reads its answer to the end, returns the status.
    async fn send(&mut self, requests: &Requests) -> Result<u16, Failure> {
        requests.sent.fetch_add(1, Ordering::Relaxed);
        self.exchange().await
    }

    /// Sends the prepared request, reads its answer to the end, returns the status.
    async fn exchange(&mut self) -> Result<u16, Failure> {
        self.stream.write_all(&self.request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if let Some(status) = complete(&self.buffer) {
                return Ok(status);
            }
        }
    }
}

/// The status of an answer that is all there, or `None`.
fn complete(answer: &[u8]) -> Option<u16> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
    let lower = answer[..head].to_ascii_lowercase();
    let name = b"content-length: ";
    let length = match lower.windows(name.len()).position(|window| window == name) {
        Some(at) => {
            let digits = lower[at + name.len()..].iter().take_while(|b| b.is_ascii_digit());
            digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
        }
        None => 0,
    };
    (answer.len() >= head + length).then_some(status)
}

/// Each connection sends its next request when the answer to the last one has come.
pub(crate) async fn closed_loop(
    address: SocketAddr,
    requests: Arc<Requests>,
    connections: usize,
    duration: Duration,
) -> Result<Seen, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (requests, stop) = (requests.clone(), stop.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await?;
                let mut seen = Seen::new();
                while !stop.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    requests.prepare(requests.next(), &mut connection.request);
                    let status = connection.send(&requests).await?;
                    record(&mut seen, status, sent);
                }
                Ok::<_, Failure>(seen)
            })
        })
        .collect();
    tokio::time::sleep(duration).await;
    let elapsed = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut all = Seen::new();
    for task in tasks {
        all.add(&task.await??);
    }
    all.elapsed = elapsed;
    Ok(all)
}

/// Requests are sent at instants fixed beforehand, whether the server keeps up or not, and measured from these instants.
pub(crate) async fn open_loop(
    address: SocketAddr,
    requests: Arc<Requests>,
    connections: usize,
    per_second: f64,
    duration: Duration,
) -> Result<Seen, Failure> {
    let total = (per_second * duration.as_secs_f64()) as u64;
    paced(address, requests, connections, per_second, total, Arc::default()).await
}

/// The same until `stop` is set.
pub(crate) async fn open_loop_until(
    stop: Arc<AtomicBool>,
    address: SocketAddr,
    requests: Arc<Requests>,
    connections: usize,
    per_second: f64,
) -> Result<Seen, Failure> {
    paced(address, requests, connections, per_second, u64::MAX, stop).await
}

async fn paced(
    address: SocketAddr,
    requests: Arc<Requests>,
    connections: usize,
    per_second: f64,
    total: u64,
    stop: Arc<AtomicBool>,
) -> Result<Seen, Failure> {
    let begun = Instant::now() + Duration::from_millis(50);
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (requests, stop) = (requests.clone(), stop.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await?;
                let (mut seen, mut alarm) = (Seen::new(), Alarm::new()?);
                loop {
                    let n = requests.next();
                    if n >= total {
                        return Ok::<_, Failure>(seen);
                    }
                    requests.prepare(n, &mut connection.request);
                    let intended = begun + Duration::from_secs_f64(n as f64 / per_second);
                    alarm.sleep_until(intended).await?;
                    if stop.load(Ordering::Relaxed) {
                        return Ok(seen);
                    }
                    let status = connection.send(&requests).await?;
                    record(&mut seen, status, intended);
                }
            })
        })
        .collect();
    let mut all = Seen::new();
    for task in tasks {
        all.add(&task.await??);
    }
    all.begun = begun;
    all.elapsed = begun.elapsed();
    Ok(all)
}

fn record(seen: &mut Seen, status: u16, since: Instant) {
    let microseconds = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
    seen.latency.saturating_record(microseconds.max(1));
    seen.answered += 1;
    if !(200..300).contains(&status) {
        seen.refused += 1;
    }
    if status >= 500 {
        seen.server_errors += 1;
    }
}
