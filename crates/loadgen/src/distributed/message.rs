//! What shards and their coordinator say to each other.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::executor::{Progress, Wanted};
use crate::generator::Health;
use crate::metrics::{Second, Snapshot, Values};

/// Version of the protocol. Another version is refused.
pub const PROTOCOL_VERSION: u32 = 1;

/// `POST /v1/join`: a process that wants to be a shard. The same member may ask again and gets the same place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// [`PROTOCOL_VERSION`].
    pub version: u32,
    /// A name that the process made up for itself.
    pub member: Uuid,
    /// The place it wants, from 0; `None` takes the first free one.
    pub index: Option<u32>,
}

/// `POST /v1/ready`: how far a shard is with its preparations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// Who says so.
    pub member: Uuid,
    /// Everything is there to start. Otherwise the message only says that the shard lives.
    pub ready: bool,
    /// Why it will never be ready.
    pub failure: Option<String>,
}

/// `POST /v1/report`: everything a shard has measured so far. A report that is not newer than what is there changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Who measured it.
    pub member: Uuid,
    /// From the shard's start, in microseconds.
    pub elapsed_us: u64,
    /// Everything since the start. Its sequence number is that of the report, and its `last` says that the shard has ended.
    pub snapshot: Snapshot,
    /// The window of each threshold, in the order of the thresholds; `None` for one without a window.
    pub windows: Vec<Option<WindowValues>>,
    /// Number of the first of `seconds`, from 0.
    pub first_second: u64,
    /// Seconds that the coordinator has not acknowledged.
    pub seconds: Vec<Second>,
    /// Each scenario, by name.
    pub scenarios: BTreeMap<String, Progress>,
    /// Share of its processors that the shard used in the last second, in percent.
    pub cpu_percent: f64,
    /// How the shard's generator fared, once it has ended.
    pub health: Option<Health>,
    /// Somebody stopped the shard itself, such as the system that it runs on.
    pub interrupted: bool,
    /// Why it could not go on.
    pub failure: Option<String>,
}

/// The samples in the window of a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowValues {
    /// They.
    pub values: Values,
    /// How much of the run lies in the window, in microseconds.
    pub covered_us: u64,
}

/// What the coordinator answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Not yet: say the same again.
    Wait,
    /// The shard's place and work.
    Assigned(Box<Assignment>),
    /// Everybody starts.
    Start {
        /// From this answer, in microseconds.
        in_us: u64,
    },
    /// The report is known; go on.
    GoOn {
        /// Number of seconds of the shard's time line that are known.
        seconds: u64,
        /// What the control asks of externally controlled scenarios, users of all shards together.
        wanted: Option<WantedUsers>,
    },
    /// The run ends.
    Stop {
        /// Why, for people.
        reason: String,
        /// Without the grace of the scenarios.
        now: bool,
        /// The run has no result.
        failed: bool,
        /// Number of seconds of the shard's time line that are known.
        seconds: u64,
    },
}

/// A shard's place in the run and what it has to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Its place, from 0.
    pub index: u32,
    /// Shards of the run.
    pub shards: u32,
    /// Its part of the whole, such as `1/3:2/3`.
    pub execution_segment: String,
    /// How the whole is divided, such as `0,1/3,2/3,1`.
    pub execution_segment_sequence: String,
    /// What to run. The protocol does not look into it.
    pub job: serde_json::Value,
    /// Values that the flow `setup` has captured.
    pub setup: BTreeMap<String, String>,
    /// Time after which a side that was not heard counts as lost, in milliseconds.
    pub silence_ms: u64,
}

/// [`Wanted`] on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedUsers {
    /// Users that iterate.
    pub vus: u32,
    /// No iteration starts while this holds.
    pub paused: bool,
}

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs, such as `wrong_version`.
    pub code: String,
    /// For people: what to do.
    pub message: String,
}

impl From<Wanted> for WantedUsers {
    fn from(Wanted { vus, paused }: Wanted) -> Self {
        Self { vus, paused }
    }
}

impl From<WantedUsers> for Wanted {
    fn from(WantedUsers { vus, paused }: WantedUsers) -> Self {
        Self { vus, paused }
    }
}

impl Assignment {
    /// The part of shard `index` among `shards`, and how the whole is divided.
    pub(super) fn segment(index: u32, shards: u32) -> (String, String) {
        let end = |at: u32| match at {
            0 => "0".to_owned(),
            at if at == shards => "1".to_owned(),
            at => format!("{at}/{shards}"),
        };
        let sequence: Vec<String> = (0..=shards).map(end).collect();
        (format!("{}:{}", end(index), end(index + 1)), sequence.join(","))
    }

    /// [`silence_ms`](Self::silence_ms) as a duration.
    pub fn silence(&self) -> Duration {
        Duration::from_millis(self.silence_ms)
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
