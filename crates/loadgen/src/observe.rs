//! What the target used during the run: of a process, of a control group, by the target's own metrics, by a Prometheus server.
//!
//! Where to look is checked before the run, so that a wrong place costs no run. What fails during the run is a warning.

mod cgroup;
mod exposition;
mod observer;
mod process;
mod prometheus;
mod recording;
mod scrape;
mod unit;

use serde::{Deserialize, Serialize};

pub use observer::{ObserveError, Observer, Query, Sources};

/// Measurements of the target from one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Where they come from, such as `pid 4711` or `prometheus http://127.0.0.1:9090`.
    pub source: String,
    /// What was measured, over the time of the run.
    pub series: Vec<ObservedSeries>,
    /// What could not be measured, for people.
    pub warnings: Vec<String>,
}

/// One measured quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedSeries {
    /// Such as `cpu` or `memory`.
    pub name: String,
    /// What its numbers mean.
    pub unit: ObservedUnit,
    /// Milliseconds from the start of the run, and the value then; at most [`MOST_SECONDS`](crate::metrics::MOST_SECONDS) of them.
    pub points: Vec<(f64, f64)>,
}

/// What the numbers of a series mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservedUnit {
    /// Percent of one processor.
    Percent,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// A number of things.
    Count,
    /// A number of things per second.
    PerSecond,
    /// Milliseconds.
    Milliseconds,
}
