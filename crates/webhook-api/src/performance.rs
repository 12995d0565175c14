//! What a node knows about its own performance, and how it gets to know it.
//!
//! A [`Sampler`] reads the metrics every second into rings of fixed length, looks every few seconds at the alerts, asks the dependencies every
//! ten, and writes the coarse rings to the store every minute, so that they are there again after a restart.

mod alerts;
mod counters;
mod host;
mod kept;
mod objectives;
mod sampler;

pub(crate) use alerts::runbook;
pub(crate) use counters::{CLASSES, of_cache};
pub(crate) use host::HostReading;
pub(crate) use objectives::{ObjectiveReport, WINDOW_S, objectives};
pub use sampler::Sampler;

use std::path::PathBuf;

use parking_lot::Mutex;
use spillway_model::UnixMillis;
use spillway_performance::Recorder;
use spillway_performance::alerts::{Board, Limits};

use crate::api::PoolLimits;
use counters::Counters;

/// What a node is called and what it watches.
#[derive(Debug, Clone)]
pub struct PerformanceSettings {
    /// The node's name, which its documents in the store carry: the same after a restart, and another one for each node.
    pub node: String,
    /// A folder on the volume that holds the store; `None` when the store is elsewhere.
    pub volume: Option<PathBuf>,
    /// When the server's certificate expires; `None` without one.
    pub certificate_expires_at: Option<UnixMillis>,
    /// When the store's pool is said to be too full.
    pub pool: PoolLimits,
}

/// What a node knows about its own performance. Its memory is bounded: below 4 MB with all rings full.
#[derive(Debug)]
pub struct Performance {
    pub(crate) settings: PerformanceSettings,
    state: Mutex<State>,
}

/// Everything that changes. The lock is held for well below a millisecond.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) recorder: Recorder,
    pub(crate) board: Board,
    pub(crate) host: HostReading,
    pub(crate) checks: Checks,
    before: Counters,
}

/// How the dependencies answered last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Checks {
    /// Whether the store answered; `None` before the first time it was asked.
    pub(crate) store_answers: Option<bool>,
}

impl Performance {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(settings: PerformanceSettings) -> Self {
        let limits = Limits {
            pool_warning_ratio: settings.pool.warning_ratio,
            pool_critical_ratio: settings.pool.critical_ratio,
        };
        let state = State {
            recorder: Recorder::default(),
            board: Board::new(&limits),
            host: HostReading::default(),
            checks: Checks::default(),
            before: Counters::default(),
        };
        Self { settings, state: Mutex::new(state) }
    }

    /// Reads, or changes, what is known.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Bytes that the rings have allocated now.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.with(|state| state.recorder.memory_bytes())
    }
}
