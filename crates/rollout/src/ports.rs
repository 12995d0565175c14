//! What drivers do. They observe and actuate, and decide nothing.

use std::collections::BTreeMap;

use async_trait::async_trait;
use spillway_model::UnixMillis;

use crate::decision::{Desired, GateRequest, Note};
use crate::observed::{Block, Command, GateState, Reading, RouterObserved, SlotObserved};
use crate::plan::Plan;
use crate::slot::Slots;
use crate::state::State;

/// Why a driver could not do its work: one sentence that says what to do, and whether trying again may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// The world refused for now: unreachable, busy, a conflict. The next look tries again.
    #[error("{0}")]
    Temporary(String),
    /// It will not work until a person changes something.
    #[error("{0}")]
    Permanent(String),
}

/// Slots and router: nginx and processes on a host, or a cluster.
#[async_trait]
pub trait Target: Send + Sync {
    /// What this router can do.
    fn capabilities(&self) -> Capabilities;

    /// Reads revision, slots and router as they are.
    ///
    /// # Errors
    /// When it cannot be read; nothing is decided on then.
    async fn observe(&mut self, plan: &Plan, state: &State) -> Result<TargetObserved, PortError>;

    /// Brings slots and router about, changing only what differs. Slots that shall run are started before weight goes to them, and stopped after it left them.
    ///
    /// # Errors
    /// When something was refused. Traffic is then where it was before.
    async fn apply(&mut self, plan: &Plan, desired: &Desired) -> Result<(), PortError>;
}

/// What a router can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Split by weight.
    pub weights: bool,
    /// Copy requests.
    pub mirror: bool,
}

/// What a [`Target`] saw.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetObserved {
    /// The revision that shall be live.
    pub wanted_revision: Option<String>,
    /// The slots.
    pub slots: Slots<SlotObserved>,
    /// The router; `None` when it could not be read.
    pub router: Option<RouterObserved>,
    /// What could not be observed, one sentence each.
    pub troubles: Vec<String>,
}

/// Measures both slots and reads guards.
#[async_trait]
pub trait Meter: Send + Sync {
    /// Takes a sample now, and returns the window since the one before: `None` at the first one, and when `State::last_block` is not older. Trouble of one
    /// slot is a window without its counts, and a sentence.
    async fn sample(&mut self, plan: &Plan, state: &State, now: UnixMillis) -> Measured;
}

/// What a [`Meter`] measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// The windows that ended, oldest first.
    pub blocks: Vec<Block>,
    /// What the guards read that do not come from blocks.
    pub readings: BTreeMap<String, Reading>,
    /// What could not be measured, one sentence each.
    pub troubles: Vec<String>,
}

/// Carries gates out.
#[async_trait]
pub trait Gatekeeper: Send + Sync {
    /// Starts what is asked for and does not run, stops what runs and is not asked for, and returns how all that are asked for stand. Never waits for a gate's end.
    async fn tend(&mut self, plan: &Plan, requests: &[GateRequest]) -> BTreeMap<String, GateState>;
}

/// Remembers the state and receives commands.
#[async_trait]
pub trait Memory: Send + Sync {
    /// The state that was saved last; the default one when there is none.
    ///
    /// # Errors
    /// When it cannot be read. It is never taken for empty then.
    async fn load(&mut self) -> Result<State, PortError>;

    /// Saves the state, whole or not at all.
    ///
    /// # Errors
    /// When it was not saved. Nothing may be done then.
    async fn save(&mut self, state: &State) -> Result<(), PortError>;

    /// Commands that people gave and the state does not list as applied.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn commands(&mut self, state: &State) -> Result<Vec<Command>, PortError>;
}

/// Tells people. Never fails a rollout: trouble is logged.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Tells what happened.
    async fn tell(&self, plan: &Plan, state: &State, notes: &[Note]);
}
