//! A world that obeys: slots, a router and gates that do what was decided, without anything real.

use std::collections::BTreeMap;

use spillway_model::UnixMillis;

use crate::decide::decide;
use crate::decision::{Decision, Desired, DesiredSlot, GateRequest};
use crate::observed::{Block, Command, CommandAction, GateState, Observed, Reading, RouterObserved, SlotObserved};
use crate::plan::Plan;
use crate::slot::{Slot, Slots};
use crate::state::State;

/// Slots, a router and gates. What is decided is carried out at once; a slot becomes ready after [`World::ready_after_ms`].
#[derive(Debug, Clone)]
pub struct World {
    /// The time.
    pub now: UnixMillis,
    /// What a look sees. Blocks are those since the last look; readings and commands are put in by whoever plays.
    pub observed: Observed,
    /// The state that was saved last.
    pub state: State,
    /// How long a slot takes to become ready; `None` when it never does.
    pub ready_after_ms: Option<u64>,
    /// Replicas that the whole load needs; `None` where slots are not scaled.
    pub replicas: Option<u32>,
    /// How gates end, by a part of their id; others pass.
    pub gate_ends: BTreeMap<String, GateState>,
    since: Slots<UnixMillis>,
    commands: u64,
}

impl World {
    /// A live version in the blue slot, with all traffic, that is wanted, too.
    #[must_use]
    pub fn with_live(revision: &str, now: UnixMillis) -> Self {
        let live = SlotObserved {
            revision: Some(revision.to_owned()),
            desired_replicas: 1,
            ready_replicas: 1,
            ..SlotObserved::default()
        };
        let observed = Observed {
            wanted_revision: Some(revision.to_owned()),
            slots: Slots { blue: live, green: SlotObserved::default() },
            router: Some(RouterObserved::all_to(Slot::Blue)),
            ..Observed::default()
        };
        Self {
            now,
            observed,
            state: State::default(),
            ready_after_ms: Some(5000),
            replicas: None,
            gate_ends: BTreeMap::new(),
            since: Slots::make(|_| now),
            commands: 0,
        }
    }

    /// Another revision is wanted.
    pub fn want(&mut self, revision: &str) {
        self.observed.wanted_revision = Some(revision.to_owned());
    }

    /// A person gives a command.
    pub fn command(&mut self, by: &str, action: CommandAction) {
        self.commands += 1;
        let id = format!("command-{}", self.commands);
        self.observed.commands.push(Command { id, at: self.now, by: by.to_owned(), action, reason: None });
    }

    /// A guard reads something now.
    pub fn read(&mut self, guard: &str, reading: Reading) {
        self.observed.readings.insert(guard.to_owned(), reading);
    }

    /// A window that ends now.
    pub fn measure(&mut self, block: Block) {
        self.observed.blocks.push(block);
    }

    /// Lets time pass.
    pub fn pass(&mut self, milliseconds: u64) {
        self.now = self.now.saturating_add(i64::try_from(milliseconds).unwrap_or(i64::MAX));
        for slot in Slot::BOTH {
            let age = u64::try_from(self.now.saturating_sub(*self.since.get(slot))).unwrap_or(0);
            let observed = self.observed.slots.get_mut(slot);
            if observed.revision.is_some()
                && observed.restarts == 0
                && self.ready_after_ms.is_some_and(|after| age >= after)
            {
                observed.ready_replicas = observed.desired_replicas;
            }
        }
    }

    /// Decides, saves and carries out.
    pub fn look(&mut self, plan: &Plan) -> Decision {
        let decision = decide(plan, &self.state, &self.observed, self.now);
        self.state = decision.state.clone();
        self.obey(&decision.desired);
        decision
    }

    /// Carries out what was decided.
    pub fn obey(&mut self, desired: &Desired) {
        self.observed.router = Some(desired.router);
        for slot in Slot::BOTH {
            let observed = self.observed.slots.get_mut(slot);
            match desired.slots.get(slot) {
                DesiredSlot::Running { revision } if observed.revision.as_ref() != Some(revision) => {
                    let revision = Some(revision.clone());
                    *observed = SlotObserved { revision, desired_replicas: 1, ..SlotObserved::default() };
                    *self.since.get_mut(slot) = self.now;
                }
                DesiredSlot::Stopped => *observed = SlotObserved::default(),
                DesiredSlot::Running { .. } | DesiredSlot::AsIs => {}
            }
            self.scale(slot, *desired.capacity.get(slot));
        }
        self.observed.gates.retain(|id, _| desired.gates.iter().any(|request| request.id == *id));
        for GateRequest { id, .. } in &desired.gates {
            let passed = || GateState::Passed { summary: "all as expected".to_owned(), report: None };
            let end = self.gate_ends.iter().find(|(part, _)| id.contains(part.as_str())).map(|(_, end)| end.clone());
            self.observed.gates.entry(id.clone()).or_insert_with(|| end.unwrap_or_else(passed));
        }
        self.observed.blocks.clear();
        let applied = &self.state.commands;
        self.observed.commands.retain(|command| !applied.contains(&command.id));
    }

    /// Gives a slot the replicas for a share of the load; new ones become ready as a new slot does.
    fn scale(&mut self, slot: Slot, capacity: u8) {
        let (Some(replicas), now) = (self.replicas, self.now) else { return };
        let observed = self.observed.slots.get_mut(slot);
        if observed.revision.is_none() {
            return;
        }
        let wanted = (replicas * u32::from(capacity)).div_ceil(100).max(1);
        if wanted > observed.desired_replicas {
            *self.since.get_mut(slot) = now;
        }
        observed.desired_replicas = wanted;
        observed.ready_replicas = observed.ready_replicas.min(wanted);
        observed.capacity = u8::try_from((wanted * 100 / replicas.max(1)).min(100)).ok();
    }
}
