//! What is decided: a state to remember, a world to bring about, and what to tell people.

use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;

use crate::observed::RouterObserved;
use crate::slot::{Slot, Slots};
use crate::spec::{HttpCheck, LoadTest, Webhook};
use crate::state::State;

/// The outcome of one look. The driver saves `state` first, then brings `desired` about, then tells `notes`; when it is interrupted
/// anywhere, the next look starts from what was saved and decides the same again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// To be saved before anything is done.
    pub state: State,
    /// How the world shall be. Always complete: a driver compares and changes what differs.
    pub desired: Desired,
    /// What happened by this decision. Empty when nothing did.
    pub notes: Vec<Note>,
    /// When to look again at the latest, milliseconds from now.
    pub look_again_ms: u64,
}

/// How the world shall be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// Weights and mirror of the router.
    pub router: RouterObserved,
    /// What each slot runs.
    pub slots: Slots<DesiredSlot>,
    /// Share of the whole load that each slot has to be able to take, in percent. A driver that can scale a slot gives it the replicas for it,
    /// before it gets the traffic; more are taken away after its traffic has left. Others ignore it.
    #[serde(default = "everything")]
    pub capacity: Slots<u8>,
    /// Gates that shall run now. A gate that runs and is not listed is stopped.
    pub gates: Vec<GateRequest>,
}

/// Both slots can take the whole load.
fn everything() -> Slots<u8> {
    Slots { blue: 100, green: 100 }
}

/// What a slot runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "run")]
pub enum DesiredSlot {
    /// This revision, ready for its share of traffic.
    Running {
        /// The revision.
        revision: String,
    },
    /// Nothing: it takes no traffic and its processes stop.
    Stopped,
    /// Whatever is there: nothing is known of it yet.
    AsIs,
}

/// A gate that shall run. Asked for again at every look until its end is known; `id` makes it the same one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateRequest {
    /// Unique for rollout, attempt, step and gate, such as `v2-1-0-smoke`: letters, digits and hyphens.
    pub id: String,
    /// The slot that is tested.
    pub slot: Slot,
    /// What is done.
    pub gate: Gate,
    /// Position of the step, from 0.
    pub step: usize,
    /// Name of the revision that is tested.
    pub revision: String,
}

/// What a gate does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gate {
    /// Requests that have to be answered as expected, in order.
    Smoke(Vec<HttpCheck>),
    /// A webhook that has to answer 2xx.
    Webhook(Webhook),
    /// A load test that has to pass.
    LoadTest(LoadTest),
}

/// Something that happened, for events, notifications and the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: UnixMillis,
    /// What kind of thing.
    pub kind: NoteKind,
    /// One sentence that reads alone.
    pub text: String,
}

/// Kinds of what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoteKind {
    /// A rollout began.
    Started,
    /// A new weight or mirror.
    Weight,
    /// A gate passed, failed or broke.
    Gate,
    /// A guard failed, or was close.
    Guard,
    /// A step ended well.
    StepPassed,
    /// It waits for a person.
    WaitingForApproval,
    /// It stays where it is, and why.
    Held,
    /// It goes on after a pause or hold.
    Resumed,
    /// The candidate became live.
    Promoted,
    /// The observation ended well and the old version was cleaned up.
    Succeeded,
    /// All traffic went back to the live slot.
    RolledBack,
    /// A person stopped it.
    Aborted,
    /// The budget changed its state.
    Budget,
    /// A person's command was carried out, or refused.
    Command,
    /// The world differs from what was decided and is put right.
    Drift,
}

impl NoteKind {
    /// Whether a person is needed.
    #[must_use]
    pub fn is_problem(self) -> bool {
        matches!(self, Self::WaitingForApproval | Self::Held | Self::RolledBack | Self::Aborted | Self::Budget)
    }
}
