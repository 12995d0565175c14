//! What drivers saw. A recorded sequence of [`Observed`] is all that is needed to repeat every decision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;

use crate::slot::{Slot, Slots};

/// Everything that a decision rests on, beside the plan, the [`State`](crate::state::State) and the time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// The revision that shall be live: what the plan or the Deployment says now.
    pub wanted_revision: Option<String>,
    /// The slots as they are.
    pub slots: Slots<SlotObserved>,
    /// The router as it is; `None` when it could not be read.
    pub router: Option<RouterObserved>,
    /// Measured windows that ended since [`State::last_block`](crate::state::State::last_block), oldest first.
    pub blocks: Vec<Block>,
    /// What thresholds, alerts and budgets read, by the guard's name. A guard of the plan without an entry was not asked yet.
    pub readings: BTreeMap<String, Reading>,
    /// Gates that were started, by [`GateRequest::id`](crate::decision::GateRequest::id).
    pub gates: BTreeMap<String, GateState>,
    /// What people asked for, oldest first. Commands stay here until the state lists them as applied.
    pub commands: Vec<Command>,
    /// What could not be observed, one sentence each. Never a reason to go on, never a reason to roll back.
    pub troubles: Vec<String>,
}

/// A slot as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlotObserved {
    /// The revision in it; `None` when it is empty.
    pub revision: Option<String>,
    /// Replicas that shall be there.
    pub desired_replicas: u32,
    /// Replicas that can take traffic.
    pub ready_replicas: u32,
    /// Restarts of its processes since the revision was put there.
    pub restarts: u32,
    /// Share of the whole load that its desired replicas can take, in percent; `None` where slots are not scaled: all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u8>,
}

/// The router as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterObserved {
    /// Share of requests that each slot is given, in percent.
    pub weights: Slots<u8>,
    /// Share of requests that are copied to each slot, in percent.
    pub mirror: Slots<u8>,
}

/// What happened in both slots during one window.
///
/// Counts are differences of counters, as integers, with resets of counters accounted for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Block {
    /// End of the window.
    pub at: UnixMillis,
    /// Length of the window, milliseconds.
    pub window_ms: u64,
    /// Upper limits of the latency histogram's buckets, seconds, ascending, without +Inf. Empty without a histogram.
    pub boundaries: Vec<f64>,
    /// The candidate's, also after its promotion as long as it is observed; `None` when it could not be measured in this window.
    pub candidate: Option<Counts>,
    /// The live version's, while a rollout is under way that of the slot beside the candidate; `None` when it could not be measured in
    /// this window.
    pub live: Option<Counts>,
}

/// Requests of one slot in one window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// All requests.
    pub requests: u64,
    /// Those that failed for the platform's own reasons.
    pub errors: u64,
    /// Requests in the latency histogram. Usually `requests`.
    pub timed: u64,
    /// For each boundary: how many of `timed` were slower.
    pub slower: Vec<u64>,
}

/// What a guard read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Reading {
    /// A value of a threshold that does not come from blocks: a query, pool usage, restarts, memory.
    Value {
        /// In the value's own unit.
        value: f64,
        /// When it was read.
        at: UnixMillis,
    },
    /// Alerts that fire, by name; none when all is well.
    Alerts {
        /// Their names.
        firing: Vec<String>,
        /// When they were read.
        at: UnixMillis,
    },
    /// What is left of a budget.
    Budget {
        /// What was read.
        reading: spillway_slo::budget::Reading,
        /// When it was read.
        at: UnixMillis,
    },
    /// There is no answer, and why.
    Nothing {
        /// One sentence.
        reason: String,
        /// When it was tried.
        at: UnixMillis,
    },
}

/// How far a gate is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum GateState {
    /// It is under way.
    Running {
        /// What it does now, for people; may be empty.
        progress: String,
    },
    /// It passed.
    Passed {
        /// What it found, one sentence.
        summary: String,
        /// Address or file of its report.
        report: Option<String>,
    },
    /// It failed.
    Failed {
        /// What it found, one sentence.
        summary: String,
        /// Address or file of its report.
        report: Option<String>,
    },
    /// It could not be carried out, so it says nothing: inconclusive.
    Broken {
        /// Why, one sentence.
        summary: String,
    },
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Unique; a command is applied once.
    pub id: String,
    /// When it was given.
    pub at: UnixMillis,
    /// Who gave it.
    pub by: String,
    /// What.
    pub action: CommandAction,
    /// Why, if said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum CommandAction {
    /// Ends the present step now, as if its evidence were good; with `full`, goes to 100 % at once. A guard that fails still rolls back.
    Promote {
        /// All remaining steps.
        full: bool,
    },
    /// Holds everything where it is.
    Pause,
    /// Ends a pause, or a hold.
    Resume,
    /// All traffic back to the live slot now.
    Abort,
    /// Starts the revision that failed or was aborted again, from the first step.
    Retry,
    /// Makes the version that was live before the last promotion live again, at once when it still runs.
    Undo,
    /// Passes the approval that the step waits for.
    Approve,
    /// A frozen budget does not hold rollouts until this time.
    Override {
        /// End of the exception.
        until: UnixMillis,
    },
}

impl SlotObserved {
    /// Whether all of it can take traffic.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.desired_replicas > 0 && self.ready_replicas >= self.desired_replicas
    }
}

impl RouterObserved {
    /// All traffic to one slot, no copies.
    #[must_use]
    pub fn all_to(slot: Slot) -> Self {
        Self { weights: Slots::make(|each| if each == slot { 100 } else { 0 }), mirror: Slots::make(|_| 0) }
    }
}
