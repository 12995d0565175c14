//! What is remembered between two looks, and what people are shown. It is saved whole after every decision.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;

use crate::decision::NoteKind;
use crate::judge::Judge;
use crate::slot::Slot;

/// The memory of a Rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Where it is.
    pub phase: Phase,
    /// The slot that is live.
    pub live_slot: Slot,
    /// The revision that is live; `None` until the first look.
    pub live_revision: Option<String>,
    /// The revision that was live before the last promotion.
    pub previous_revision: Option<String>,
    /// The rollout under way, or the last one.
    pub rollout: Option<Progress>,
    /// Why it does not go on, one sentence; `None` when it does.
    pub held: Option<String>,
    /// A person said pause, or the plan does.
    pub paused: bool,
    /// End of the last window that was judged.
    pub last_block: Option<UnixMillis>,
    /// State of each budget guard, by name.
    pub budgets: BTreeMap<String, spillway_slo::budget::Budget>,
    /// A frozen budget holds nothing until then.
    pub override_until: Option<UnixMillis>,
    /// Ids of the commands that were applied or refused, the newest last, at most [`State::MAX_COMMANDS`].
    pub commands: Vec<String>,
    /// What happened, the newest last, at most [`State::MAX_HISTORY`].
    pub history: Vec<Happened>,
    /// Who said pause; `None` when it is the plan, or nobody.
    pub paused_by: Option<String>,
    /// Since when it is paused.
    pub paused_since: Option<UnixMillis>,
    /// A revision that failed, was stopped or undone, or was a shadow only: it does not start again by itself, until another one is wanted or
    /// a person says retry.
    pub finished_revision: Option<String>,
    /// The router showed what was decided last, so that a difference is drift.
    pub router_seen: bool,
    /// The slots showed what was decided last, so that a difference is drift.
    pub slots_seen: bool,
    /// What the judge learnt of the live version while nothing was rolled out.
    pub learnt: Judge,
    /// The live version's requests while nothing was rolled out, the older ones fading.
    pub baseline: Total,
}

impl State {
    /// Commands that are remembered, so that none is applied twice.
    pub const MAX_COMMANDS: usize = 64;
    /// Happenings that are kept.
    pub const MAX_HISTORY: usize = 200;

    /// The slot whose requests are the candidate's in a [`Block`](crate::observed::Block): that of the rollout under way, also after its
    /// promotion; the idle one when there is none.
    #[must_use]
    pub fn candidate_slot(&self) -> Slot {
        match (self.phase, &self.rollout) {
            (Phase::Preparing | Phase::Progressing | Phase::Observing | Phase::RollingBack, Some(rollout)) => {
                rollout.slot
            }
            _ => self.live_slot.other(),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            phase: Phase::Idle,
            live_slot: Slot::Blue,
            live_revision: None,
            previous_revision: None,
            rollout: None,
            held: None,
            paused: false,
            last_block: None,
            budgets: BTreeMap::new(),
            override_until: None,
            commands: Vec::new(),
            history: Vec::new(),
            paused_by: None,
            paused_since: None,
            finished_revision: None,
            router_seen: false,
            slots_seen: false,
            learnt: Judge::default(),
            baseline: Total::default(),
        }
    }
}

/// Where a Rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Nothing to do: the wanted revision is live.
    Idle,
    /// The candidate starts; it takes no traffic yet.
    Preparing,
    /// A step is under way.
    Progressing,
    /// The candidate is live at 100 % and the old version still runs.
    Observing,
    /// The rollout ended well.
    Succeeded,
    /// Traffic goes back to the live slot, and it is verified that its metrics are back at baseline.
    RollingBack,
    /// The rollout failed; the live slot has all traffic.
    RolledBack,
    /// A person stopped the rollout; the live slot has all traffic.
    Aborted,
}

/// A rollout under way, or ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The revision that is rolled out.
    pub revision: String,
    /// The slot it runs in.
    pub slot: Slot,
    /// 1, and one more after each retry.
    pub attempt: u32,
    /// When it began.
    pub started_at: UnixMillis,
    /// When the candidate became ready for the first time.
    pub ready_at: Option<UnixMillis>,
    /// When it ended, well or not.
    pub ended_at: Option<UnixMillis>,
    /// Position of the step, from 0.
    pub step: usize,
    /// What the step does now.
    pub stage: Stage,
    /// When the stage began.
    pub stage_since: UnixMillis,
    /// Milliseconds of this stage that do not count, because it was paused.
    pub paused_ms: u64,
    /// Weight of the candidate now, percent.
    pub weight: u8,
    /// Mirror to the candidate now, percent.
    pub mirror: u8,
    /// How often the bake of this step was repeated.
    pub extensions: u32,
    /// The judge's evidence.
    pub judge: Judge,
    /// Each guard, by name.
    pub guards: BTreeMap<String, GuardStatus>,
    /// Gates that ended or run, in their order.
    pub gates: Vec<GateStatus>,
    /// Requests to the candidate and its errors over the whole rollout.
    pub candidate_total: Total,
    /// The live version's over the same windows.
    pub live_total: Total,
    /// Why it was rolled back, or would have been if a failure did not hold, one sentence.
    pub failure: Option<String>,
    /// What the decision remembers beside what people are shown.
    #[serde(default)]
    pub memory: ProgressMemory,
}

impl Progress {
    /// A rollout that begins: its candidate has to be started.
    #[must_use]
    pub fn new(revision: String, slot: Slot, attempt: u32, now: UnixMillis) -> Self {
        Self {
            revision,
            slot,
            attempt,
            started_at: now,
            ready_at: None,
            ended_at: None,
            step: 0,
            stage: Stage::Shifting,
            stage_since: now,
            paused_ms: 0,
            weight: 0,
            mirror: 0,
            extensions: 0,
            judge: Judge::default(),
            guards: BTreeMap::new(),
            gates: Vec::new(),
            candidate_total: Total::default(),
            live_total: Total::default(),
            failure: None,
            memory: ProgressMemory::default(),
        }
    }

    /// Whether the candidate was asked to be able to take more than it gets.
    #[must_use]
    pub fn grows(&self) -> bool {
        self.memory.capacity > self.weight.max(self.mirror)
    }
}

/// What the decision remembers of a rollout beside what people are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProgressMemory {
    /// When the step, or the observation, was decided on.
    pub entered_at: UnixMillis,
    /// When the router was first seen with the present weight; `None` until then.
    pub shown_at: Option<UnixMillis>,
    /// Windows that began earlier do not count: warm-up, another weight, a load test.
    pub counts_from: UnixMillis,
    /// A person ended what is left of the step or of all steps.
    pub skip: Skip,
    /// A person approved the step.
    pub approved: bool,
    /// Since when the version under test is not ready.
    pub unready_since: Option<UnixMillis>,
    /// Restarts of the candidate when it became ready.
    pub restarts_before: u32,
    /// Gates that could not be carried out, by their first id.
    pub broken: BTreeMap<String, BrokenGate>,
    /// Budgets that crossed into the emergency during this rollout.
    pub crossed: BTreeSet<String>,
    /// Why it goes back; `None` when it does not.
    pub rollback: Option<RollbackCause>,
    /// The candidate had traffic or copies, so that going back is verified with measurements.
    pub verify: bool,
    /// Windows in a row in which the live version was as good as before the rollout, after going back.
    pub calm_windows: u32,
    /// Share of the whole load that the candidate was asked to be able to take, percent.
    pub capacity: u8,
}

/// What a person ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Skip {
    /// Nothing.
    #[default]
    Nothing,
    /// The present step.
    Step,
    /// All steps.
    Rest,
}

/// A gate that could not be carried out, and is tried again under another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokenGate {
    /// Tries that are over.
    pub tries: u32,
    /// When the last one broke; `None` when a person said to try again.
    pub at: Option<UnixMillis>,
}

/// Why a rollout goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RollbackCause {
    /// A guard or a gate failed, the candidate did not become or stay ready, or there was no evidence.
    Failure,
    /// A person said abort or undo.
    Person,
    /// Another revision is wanted.
    Superseded,
}

/// What a step does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The router takes the weight.
    Shifting,
    /// Smoke checks run.
    Smoke,
    /// Webhooks are asked.
    Webhooks,
    /// The load test runs.
    LoadTest,
    /// The guards watch.
    Baking,
    /// A person has to approve.
    Approval,
}

/// Requests and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Total {
    /// Number of requests, whatever became of them.
    pub requests: u64,
    /// Number of requests that failed for the platform's own reasons.
    pub errors: u64,
}

/// How a guard stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GuardStatus {
    /// What it says.
    pub verdict: Verdict,
    /// Its present value in its own unit, if it has one.
    pub value: Option<f64>,
    /// Its limit in the same unit, if it has one.
    pub limit: Option<f64>,
    /// Consecutive windows beyond the limit.
    pub windows_beyond: u32,
    /// End of the last whole window that was counted for it.
    pub last_window: Option<UnixMillis>,
    /// Counts gathered for the window that is not whole yet: requests, bad ones.
    pub gathered: Vec<u64>,
    /// One sentence for people.
    pub text: String,
}

/// What a guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// There is no evidence yet, or no data. It holds, and never passes.
    #[default]
    Inconclusive,
    /// Good: there is data, and it is within the limit (a comparison: proven no worse).
    Good,
    /// Bad.
    Failed,
}

/// How a gate ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateStatus {
    /// Id of the gate: revision, attempt, step and kind.
    pub id: String,
    /// Position of its step in `spec.steps`, from 0.
    pub step: usize,
    /// Name for people, such as `smoke` or `webhook approve-deploy`.
    pub name: String,
    /// What it says: `good`, `failed`, or `inconclusive` while it runs or when it could not be carried out.
    pub verdict: Verdict,
    /// One sentence about how it ended, or how far it is.
    pub summary: String,
    /// Where its report is, if it has one: a file, or the Job of a load test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// When.
    pub at: UnixMillis,
    /// What kind of thing.
    pub kind: NoteKind,
    /// One sentence.
    pub text: String,
    /// Weight of the candidate after it.
    pub weight: u8,
}
