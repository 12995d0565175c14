//! What a run will do: every option resolved, checked and scaled.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use spillway_slo::threshold::{Aggregation, Threshold};
use url::Url;

use crate::segment::Segment;

/// A load test that is ready to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Scenarios in the order of their names.
    pub scenarios: Vec<ScenarioPlan>,
    /// Conditions for the run to pass.
    pub thresholds: Vec<Threshold>,
    /// The part of the whole test that this generator runs.
    pub segment: Segment,
    /// Base of the paths that flows request; `None` when every request names its own URL.
    pub target: Option<Url>,
    /// Tags of every sample.
    pub tags: BTreeMap<String, String>,
    /// The header `User-Agent`, unless a request has its own.
    pub user_agent: Option<String>,
    /// Take any certificate.
    pub insecure_skip_tls_verify: bool,
    /// A connection of its own for each request.
    pub no_connection_reuse: bool,
    /// Keep no body that no check or capture asks for.
    pub discard_response_bodies: bool,
    /// Most requests per second of all users together; `None` is unlimited.
    pub rps: Option<u32>,
    /// Longest time of the flow `setup`.
    pub setup_timeout: Duration,
    /// Longest time of the flow `teardown`.
    pub teardown_timeout: Duration,
    /// What the summary says of a trend.
    pub summary_trend_stats: Vec<Aggregation>,
    /// The unit of times in the summary; `None` fits each value.
    pub summary_time_unit: Option<TimeUnit>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
}

/// A unit of times in summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum TimeUnit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
}

/// One scenario: who runs what, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioPlan {
    /// Its name.
    pub name: String,
    /// When iterations start, and on how many users.
    pub executor: ExecutorPlan,
    /// From the start of the run to its own.
    pub start_time: Duration,
    /// How long iterations may go on after its end.
    pub graceful_stop: Duration,
    /// Values that its requests may use as `{{env.NAME}}`; they hide those of the process.
    pub env: BTreeMap<String, String>,
    /// Tags of its samples, those of the run among them.
    pub tags: BTreeMap<String, String>,
    /// The flow, or the built-in workload, that an iteration runs.
    pub exec: String,
}

/// An executor with its options.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutorPlan {
    /// Users draw from one counter of iterations.
    SharedIterations {
        /// Users.
        vus: u32,
        /// Iterations of all users together.
        iterations: u64,
        /// After this no iteration starts.
        max_duration: Duration,
    },
    /// Each user runs so many iterations.
    PerVuIterations {
        /// Users.
        vus: u32,
        /// Iterations of each user.
        iterations: u64,
        /// After this no iteration starts.
        max_duration: Duration,
    },
    /// Users loop until the end.
    ConstantVus {
        /// Users.
        vus: u32,
        /// How long.
        duration: Duration,
    },
    /// A number of users that changes; they loop.
    RampingVus {
        /// Users at the start.
        start_vus: u32,
        /// One after the other; targets are users.
        stages: Vec<Stage>,
        /// How long a leaving user's iteration may go on.
        graceful_ramp_down: Duration,
    },
    /// Iterations start at a fixed rate.
    ConstantArrivalRate {
        /// Iterations in each `time_unit`.
        rate: f64,
        /// The unit of `rate`.
        time_unit: Duration,
        /// How long.
        duration: Duration,
        /// Users made before the start.
        pre_allocated_vus: u32,
        /// Users there may be.
        max_vus: u32,
        /// How starts lie between their scheduled places.
        spacing: Spacing,
    },
    /// Iterations start at a rate that changes.
    RampingArrivalRate {
        /// Iterations in each `time_unit` at the start.
        start_rate: f64,
        /// The unit of all rates.
        time_unit: Duration,
        /// One after the other; targets are rates.
        stages: Vec<Stage>,
        /// Users made before the start.
        pre_allocated_vus: u32,
        /// Users there may be.
        max_vus: u32,
        /// How starts lie between their scheduled places.
        spacing: Spacing,
    },
    /// A number of users that is changed from outside while it runs.
    ExternallyControlled {
        /// Users at the start.
        vus: u32,
        /// Users there may be.
        max_vus: u32,
        /// How long; `None` until it is stopped.
        duration: Option<Duration>,
    },
}

/// A stretch of time at whose end a target is reached. A stage without length is a jump.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Its length.
    pub duration: Duration,
    /// Users or iterations per time unit at its end. Users are whole numbers.
    pub target: f64,
}

/// How the starts of an arrival-rate executor lie in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spacing {
    /// At the instants that the rate gives, as in k6.
    #[default]
    Even,
    /// As a Poisson process of that rate: independent senders. The same seed gives the same instants.
    Poisson {
        /// Of the random numbers.
        seed: u64,
    },
}

impl ExecutorPlan {
    /// The name in options files.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SharedIterations { .. } => "shared-iterations",
            Self::PerVuIterations { .. } => "per-vu-iterations",
            Self::ConstantVus { .. } => "constant-vus",
            Self::RampingVus { .. } => "ramping-vus",
            Self::ConstantArrivalRate { .. } => "constant-arrival-rate",
            Self::RampingArrivalRate { .. } => "ramping-arrival-rate",
            Self::ExternallyControlled { .. } => "externally-controlled",
        }
    }
}

/// What a plan would run, for people and scripts.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct Description {
    /// From the start to the end of the last scenario, its grace not included; `None` when it has no end.
    pub duration: Option<Duration>,
    /// Users of all scenarios together at most.
    pub max_vus: u64,
    /// Each scenario, in the order of the names.
    pub scenarios: Vec<ScenarioDescription>,
}

/// What a scenario would run.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct ScenarioDescription {
    /// Its name.
    pub name: String,
    /// The executor's name.
    pub executor: String,
    /// What an iteration runs.
    pub exec: String,
    /// Users at the start, or made before it.
    pub vus: u64,
    /// Users at most.
    pub max_vus: u64,
    /// Iterations, where the schedule knows their number.
    pub iterations: Option<u64>,
    /// From the start of the run.
    pub start: Duration,
    /// From the start of the run, grace not included; `None` when it has no end.
    pub end: Option<Duration>,
    /// The schedule in a few words, such as `100 → 250/s in 30s, 250/s for 2m`.
    pub schedule: String,
}
