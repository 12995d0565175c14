//! Slow networks: bandwidth by token buckets, latency by holding back what has arrived.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// The payload of a usual TCP segment: nothing smaller is worth a wake-up.
const SEGMENT: f64 = 1460.0;

/// The most that one read takes.
const LARGEST_READ: usize = 16 * 1024;

/// What an idle link may send at once, as time at its rate.
const BURST: Duration = Duration::from_millis(50);

/// A link as a client sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Network {
    /// Bits per second towards the client; `None` is unlimited.
    pub down: Option<u64>,
    /// Bits per second from the client; `None` is unlimited.
    pub up: Option<u64>,
    /// Round trip that the link adds.
    pub latency: Duration,
}

impl Network {
    /// The named links, with the values of WebPageTest's connectivity profiles.
    pub const NAMED: [(&'static str, Self); 8] = [
        ("2g", Self::new(280, 256, 800)),
        ("slow-3g", Self::new(400, 400, 400)),
        ("3g", Self::new(1_600, 768, 300)),
        ("fast-3g", Self::new(1_600, 768, 150)),
        ("4g", Self::new(9_000, 9_000, 170)),
        ("lte", Self::new(12_000, 12_000, 70)),
        ("dsl", Self::new(1_500, 384, 50)),
        ("cable", Self::new(5_000, 1_000, 28)),
    ];

    const fn new(down_kbit: u64, up_kbit: u64, latency_ms: u64) -> Self {
        Self { down: Some(down_kbit * 1_000), up: Some(up_kbit * 1_000), latency: Duration::from_millis(latency_ms) }
    }

    /// The link of that name in [`Network::NAMED`].
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, network)| *network)
    }
}

/// The link's state on one connection.
pub(super) struct Shaping {
    latency: Duration,
    down: Bucket,
    up: Bucket,
    arrival: Arrival,
    hold: Timer,
}

/// Where the bytes are that come next. Those that follow the first without a gap have travelled behind it already.
enum Arrival {
    Quiet,
    Due(Instant),
    Flowing,
}

impl Shaping {
    pub(super) fn new(network: &Network) -> Self {
        Self {
            latency: network.latency,
            down: Bucket::new(network.down),
            up: Bucket::new(network.up),
            arrival: Arrival::Quiet,
            hold: Timer::default(),
        }
    }

    /// Reads what the link has let through.
    pub(super) fn poll_read(
        &mut self,
        tcp: &mut TcpStream,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.arrival {
                Arrival::Quiet => {
                    ready!(tcp.poll_read_ready(cx))?;
                    // An idle user learns of the connection's end when it looks again, long after the end has arrived.
                    let mut first = [0];
                    if ready!(tcp.poll_peek(cx, &mut ReadBuf::new(&mut first)))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    self.arrival = Arrival::Due(Instant::now() + self.latency);
                }
                Arrival::Due(at) => {
                    ready!(self.hold.poll_until(at, cx));
                    self.arrival = Arrival::Flowing;
                }
                Arrival::Flowing => {
                    let allowed = ready!(self.down.poll_allowed(cx)).min(buffer.remaining()).min(LARGEST_READ);
                    let mut part = ReadBuf::new(buffer.initialize_unfilled_to(allowed));
                    let outcome = Pin::new(&mut *tcp).poll_read(cx, &mut part);
                    let n = part.filled().len();
                    if outcome.is_pending() {
                        self.arrival = Arrival::Quiet;
                    }
                    buffer.advance(n);
                    self.down.take(n);
                    return outcome;
                }
            }
        }
    }

    /// How many bytes may be written now.
    pub(super) fn poll_write_allowed(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        self.up.poll_allowed(cx)
    }

    /// So many bytes were written.
    pub(super) fn wrote(&mut self, n: usize) {
        self.up.take(n);
    }
}

/// A token bucket in bytes.
struct Bucket {
    /// Bytes per second; `None` is unlimited.
    rate: Option<f64>,
    capacity: f64,
    tokens: f64,
    filled: Instant,
    timer: Timer,
}

impl Bucket {
    fn new(bits_per_second: Option<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
        let rate = bits_per_second.map(|bits| bits as f64 / 8.0);
        let capacity = rate.map_or(0.0, |rate| (rate * BURST.as_secs_f64()).max(SEGMENT));
        Self { rate, capacity, tokens: capacity, filled: Instant::now(), timer: Timer::default() }
    }

    /// Bytes that may pass now: at least a segment.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "tokens are between a segment and the capacity"
    )]
    fn poll_allowed(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let Some(rate) = self.rate else { return Poll::Ready(usize::MAX) };
        loop {
            let now = Instant::now();
            self.tokens = self.capacity.min(self.tokens + rate * (now - self.filled).as_secs_f64());
            self.filled = now;
            if self.tokens >= SEGMENT {
                return Poll::Ready(self.tokens as usize);
            }
            let wait = Duration::from_secs_f64((SEGMENT - self.tokens) / rate).max(Duration::from_millis(1));
            ready!(self.timer.poll_until(now + wait, cx));
        }
    }

    fn take(&mut self, n: usize) {
        if self.rate.is_some() {
            #[expect(clippy::cast_precision_loss, reason = "one read or write is far below 2^52 bytes")]
            let taken = n as f64;
            self.tokens -= taken;
        }
    }
}

/// A timer that is made when it is first needed.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if deadline <= Instant::now() {
            return Poll::Ready(());
        }
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        sleep.as_mut().reset(deadline);
        sleep.as_mut().poll(cx)
    }
}
