//! What one thread counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::report::Histograms;
use super::turns::Ticket;
use crate::http::ErrorClass;

/// Everything a thread knows at its end.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) histograms: Histograms,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) dropped: u64,
    /// By status, from 0 to 999.
    statuses: Vec<u64>,
    pub(super) errors: BTreeMap<&'static str, u64>,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    /// When the newest request ended.
    pub(super) last: Option<Instant>,
    /// Time spent looking at the clock with nothing to do.
    pub(super) spun: Duration,
    /// Processor time between start and end without that; of several threads, the busiest one's.
    pub(super) busy: Duration,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            histograms: Histograms::default(),
            sent: 0,
            answered: 0,
            failed: 0,
            dropped: 0,
            statuses: vec![0; 1_000],
            errors: BTreeMap::new(),
            bytes_sent: 0,
            bytes_received: 0,
            last: None,
            spun: Duration::ZERO,
            busy: Duration::ZERO,
        }
    }

    /// A request goes out.
    pub(super) fn sent(&mut self, ticket: &Ticket, at: Instant) {
        self.sent += 1;
        if let Some(due) = ticket.due {
            self.histograms.start_delay.record(at.saturating_duration_since(due));
        }
    }

    /// Its answer is whole after `latency`.
    pub(super) fn answered(&mut self, ticket: &Ticket, latency: Duration, at: Instant, status: u16) {
        self.answered += 1;
        if let Some(n) = self.statuses.get_mut(usize::from(status)) {
            *n += 1;
        }
        self.ended(ticket, latency, at);
    }

    /// It failed. One that ran out of time took at least that long, which would be missing among the latencies.
    pub(super) fn failed(&mut self, ticket: &Ticket, latency: Duration, at: Instant, class: ErrorClass) {
        self.failed += 1;
        self.error(class);
        if class == ErrorClass::Timeout {
            self.ended(ticket, latency, at);
        }
        self.last = Some(at);
    }

    fn ended(&mut self, ticket: &Ticket, latency: Duration, at: Instant) {
        self.histograms.latency.record(latency);
        if let Some(due) = ticket.due {
            self.histograms.from_intended.record(at.saturating_duration_since(due));
        }
        self.last = Some(at);
    }

    /// Something kept answers from coming.
    pub(super) fn error(&mut self, class: ErrorClass) {
        *self.errors.entry(class.name()).or_default() += 1;
    }

    /// Adds another thread's.
    pub(super) fn merge(&mut self, other: &Self) {
        self.histograms.merge(&other.histograms);
        self.sent += other.sent;
        self.answered += other.answered;
        self.failed += other.failed;
        self.dropped += other.dropped;
        for (own, other) in self.statuses.iter_mut().zip(&other.statuses) {
            *own += other;
        }
        for (name, n) in &other.errors {
            *self.errors.entry(name).or_default() += n;
        }
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.last = self.last.max(other.last);
        self.spun += other.spun;
        self.busy = self.busy.max(other.busy);
    }

    /// How often each status came.
    pub(super) fn statuses(&self) -> BTreeMap<u16, u64> {
        (0..).zip(&self.statuses).filter(|(_, n)| **n > 0).map(|(status, n)| (status, *n)).collect()
    }
}

/// What other threads see of it while the flood runs.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) answered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) dropped: AtomicU64,
}

impl Live {
    pub(super) fn show(&self, tally: &Tally) {
        self.answered.store(tally.answered, Ordering::Relaxed);
        self.failed.store(tally.failed, Ordering::Relaxed);
    }
}
