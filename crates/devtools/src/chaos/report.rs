//! What a run showed, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Engine;
use super::schedule::FaultKind;
use crate::report::{duration, grouped};

/// A fault that happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ran {
    pub(super) kind: FaultKind,
    pub(super) begun: Instant,
    /// When what it broke worked again.
    pub(super) ended: Instant,
}

/// One line of the run's diary.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Entry {
    /// Which fault.
    pub kind: FaultKind,
    /// Milliseconds from the begin of the run.
    pub at_ms: u64,
    /// Milliseconds until what it broke worked again.
    pub lasted_ms: u64,
}

/// What a run showed.
#[derive(Debug, Clone, Serialize)]
pub struct ChaosReport {
    /// Gives the same faults again.
    pub seed: u64,
    /// Where the gateway kept its data.
    pub engine: Engine,
    /// Whether there was a Redis.
    pub redis: bool,
    /// Processes of each role; zero is one process with both.
    pub nodes: usize,
    /// Events whose 2xx answer was read to its end.
    pub acknowledged: usize,
    /// Requests that were refused or not answered. Their events were sent again under the same idempotency key.
    pub refused_requests: u64,
    /// Events that were still refused when the run ended.
    pub given_up: u64,
    /// Deliveries that a destination accepted, duplicates not counted.
    pub delivered: usize,
    /// Deliveries of acknowledged events that were neither accepted by their destination nor pending. Must be zero.
    pub lost: usize,
    /// Deliveries that were pending at the end and have a due time.
    pub pending: usize,
    /// Deliveries beyond the first, by what explains them.
    pub duplicates: BTreeMap<String, usize>,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<FaultKind, usize>,
    /// Faults that this machine cannot have, with the reason. They are violations unless they were allowed to be missing.
    pub not_run: BTreeMap<FaultKind, String>,
    /// Longest time between two acknowledgements, in milliseconds.
    pub longest_outage_ms: u64,
    /// Sent to received at the steady destination, 95th percentile in milliseconds, without any fault.
    pub steady_p95_calm_ms: f64,
    /// The same while the other destination hangs.
    pub steady_p95_hanging_ms: f64,
    /// How far a process's clock was behind (negative) and ahead, in seconds, as destinations saw it.
    pub clock_offsets_s: (i64, i64),
    /// Longest time from SIGTERM to the end of a process, in milliseconds.
    pub longest_stop_ms: u64,
    /// What happened when.
    pub diary: Vec<Entry>,
    /// Expectations that were not met; empty when all is well.
    pub violations: Vec<String>,
}

impl ChaosReport {
    /// Whether every expectation was met.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for ChaosReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: Vec<String>| if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        let count = |n: usize| grouped(n as f64);
        let redis = if self.redis { ", Redis" } else { "" };
        let processes = if self.nodes == 0 { 1 } else { 2 * self.nodes };
        writeln!(f, "set-up      {}{redis}, {processes} of our processes", self.engine.name())?;
        writeln!(f, "seed        {}", self.seed)?;
        writeln!(
            f,
            "events      {} acknowledged, {} deliveries accepted, {} pending, {} lost",
            count(self.acknowledged),
            count(self.delivered),
            count(self.pending),
            count(self.lost)
        )?;
        writeln!(
            f,
            "requests    {} refused and sent again, {} given up at the end",
            self.refused_requests, self.given_up
        )?;
        let total: usize = self.duplicates.values().sum();
        let reasons = self.duplicates.iter().map(|(reason, n)| format!("{n} by {reason}")).collect();
        writeln!(f, "duplicates  {}: {}", count(total), list(reasons))?;
        writeln!(
            f,
            "faults      {}",
            list(self.faults.iter().map(|(kind, n)| format!("{n} × {}", kind.name())).collect())
        )?;
        for (kind, reason) in &self.not_run {
            writeln!(f, "not run     {}: {reason}", kind.name())?;
        }
        writeln!(f, "outage      {} at most without an acknowledgement", milliseconds(self.longest_outage_ms as f64))?;
        writeln!(
            f,
            "isolation   steady destination p95 {} calm, {} while the other hangs",
            milliseconds(self.steady_p95_calm_ms),
            milliseconds(self.steady_p95_hanging_ms)
        )?;
        writeln!(f, "clock       {} s to {:+} s off", self.clock_offsets_s.0, self.clock_offsets_s.1)?;
        writeln!(f, "stop        drained in {} at most", milliseconds(self.longest_stop_ms as f64))?;
        for violation in &self.violations {
            writeln!(f, "FAILED      {violation}")?;
        }
        if self.is_ok() {
            writeln!(f, "ok          every acknowledged event was delivered or waits for its next attempt")?;
        }
        Ok(())
    }
}

fn milliseconds(value: f64) -> String {
    duration(Duration::from_secs_f64(value / 1e3))
}
