//! The instants of one exchange, and the phases they bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// k6's phases of one exchange. They add up to the time from its begin to its end; a phase that was not reached is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Before anything went to the network: the look at an idle connection and the host's name. Unlike k6's, without connecting.
    pub blocked: Duration,
    /// The TCP connection, when a new one was needed.
    pub connecting: Duration,
    /// The TLS handshake, when a new connection was needed.
    pub tls_handshaking: Duration,
    /// From the first to the last byte of the request, as the operating system took them.
    pub sending: Duration,
    /// From there to the head of the answer.
    pub waiting: Duration,
    /// From there to the end of the answer's body.
    pub receiving: Duration,
}

impl Timings {
    /// `http_req_duration`: sending, waiting and receiving.
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }
}

/// What crossed one connection, TLS included.
#[derive(Debug)]
pub(super) struct Meter {
    born: Instant,
    sent: AtomicU64,
    received: AtomicU64,
    /// Nanoseconds from `born` to the newest write.
    last_write: AtomicU64,
}

impl Meter {
    pub(super) fn new() -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Self { born: Instant::now(), sent: zero(), received: zero(), last_write: zero() })
    }

    pub(super) fn wrote(&self, n: usize) {
        let since = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last_write.store(since, Ordering::Relaxed);
        self.sent.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self, n: usize) {
        self.received.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// Bytes sent and received so far.
    pub(super) fn total(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    fn last_write(&self) -> Instant {
        self.born + Duration::from_nanos(self.last_write.load(Ordering::Relaxed))
    }
}

/// The instants of one exchange, filled in while it runs, so that an exchange that is cut off has its phases too.
#[derive(Debug)]
pub(super) struct Trace {
    begun: Instant,
    resolved: Option<Instant>,
    connected: Option<Instant>,
    tls: bool,
    secured: Option<Instant>,
    sending: Option<Instant>,
    sent: Option<Instant>,
    head: Option<Instant>,
    meter: Option<Arc<Meter>>,
    before: (u64, u64),
}

impl Trace {
    pub(super) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            resolved: None,
            connected: None,
            tls: false,
            secured: None,
            sending: None,
            sent: None,
            head: None,
            meter: None,
            before: (0, 0),
        }
    }

    pub(super) fn resolved(&mut self) {
        self.resolved = Some(Instant::now());
    }

    /// The TCP connection stands; a TLS handshake follows if `tls`.
    pub(super) fn connected(&mut self, meter: Arc<Meter>, tls: bool) {
        self.connected = Some(Instant::now());
        self.tls = tls;
        self.meter = Some(meter);
    }

    pub(super) fn secured(&mut self) {
        self.secured = Some(Instant::now());
    }

    /// A connection that was there already is taken.
    pub(super) fn reuse(&mut self, meter: Arc<Meter>) {
        self.before = meter.total();
        self.meter = Some(meter);
        self.sending = Some(Instant::now());
    }

    /// The connection taken was found dead: the exchange begins again on another.
    pub(super) fn retry(&mut self) {
        *self = Self { begun: self.begun, ..Self::begin() };
    }

    /// The answer's head is there: the last write before it was the end of the request.
    pub(super) fn head(&mut self) {
        self.head = Some(Instant::now());
        self.sent = self.meter.as_ref().map(|meter| meter.last_write());
    }

    /// The phases, when the exchange ends at `end`.
    pub(super) fn timings(&self, end: Instant) -> Timings {
        let until = |later: Option<Instant>, earlier: Instant| later.unwrap_or(end).saturating_duration_since(earlier);
        let secured = if self.tls { self.secured } else { self.connected };
        let mut timings = Timings {
            blocked: until(self.resolved.or(self.sending), self.begun),
            connecting: self.resolved.map(|resolved| until(self.connected, resolved)).unwrap_or_default(),
            tls_handshaking: match self.connected {
                Some(connected) if self.tls => until(secured, connected),
                _ => Duration::ZERO,
            },
            ..Timings::default()
        };
        let sending = self.sending.or(secured);
        if let Some(sending) = sending {
            let answered = self.head.unwrap_or(end);
            let sent = self.sent.or_else(|| self.meter.as_ref().map(|meter| meter.last_write()));
            let sent = sent.unwrap_or(sending).clamp(sending, answered.max(sending));
            timings.sending = sent.saturating_duration_since(sending);
            timings.waiting = answered.saturating_duration_since(sent);
            timings.receiving = until(None, answered);
        }
        timings
    }

    /// Bytes that this exchange sent and received, with the handshakes of its connection.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let Some(meter) = &self.meter else { return (0, 0) };
        let (sent, received) = meter.total();
        (sent - self.before.0, received - self.before.1)
    }
}
