//! How the world shall be, by what the state says alone.

use super::look::{Look, sums_to_all};
use crate::decision::{Desired, DesiredSlot};
use crate::observed::RouterObserved;
use crate::slot::Slots;
use crate::spec::Strategy;
use crate::state::Phase;

impl Look<'_> {
    pub(super) fn desired(&self) -> Desired {
        Desired {
            router: self.desired_router(),
            slots: self.desired_slots(),
            capacity: self.desired_capacity(),
            gates: self.gate_requests(),
        }
    }

    /// The live slot can always take everything, so that going back waits for nothing; so can the version before while the new one is watched.
    fn desired_capacity(&self) -> Slots<u8> {
        const EVERYTHING: u8 = 100;
        let known = self.state.live_revision.is_some();
        let candidate = match (self.state.phase, &self.state.rollout) {
            (Phase::Preparing | Phase::Progressing, Some(progress))
                if known && self.plan.strategy != Strategy::BlueGreen =>
            {
                progress.memory.capacity.max(progress.weight).max(progress.mirror).min(EVERYTHING)
            }
            (Phase::RollingBack, _) if known => 0,
            _ => EVERYTHING,
        };
        Slots::make(|slot| if slot == self.state.live_slot { EVERYTHING } else { candidate })
    }

    /// Weights always sum to 100.
    pub(super) fn desired_router(&self) -> RouterObserved {
        let live = self.state.live_slot;
        let all_live = RouterObserved::all_to(live);
        if self.state.live_revision.is_none() {
            // Nothing is known of it yet, so nothing of it is changed.
            return self.observed.router.filter(sums_to_all).unwrap_or(all_live);
        }
        let Some(progress) = self.state.rollout.as_ref().filter(|_| self.state.phase == Phase::Progressing) else {
            return all_live;
        };
        let weight = progress.weight.min(100);
        let weights = Slots::make(|slot| if slot == live { 100 - weight } else { weight });
        let mirror = Slots::make(|slot| if slot == live { 0 } else { progress.mirror.min(100) });
        RouterObserved { weights, mirror }
    }

    fn desired_slots(&self) -> Slots<DesiredSlot> {
        let Some(live_revision) = &self.state.live_revision else {
            return Slots::make(|_| DesiredSlot::AsIs);
        };
        let running = |revision: &str| DesiredSlot::Running { revision: revision.to_owned() };
        let other = match (self.state.phase, &self.state.rollout) {
            (Phase::Preparing | Phase::Progressing, Some(progress)) => running(&progress.revision),
            // It takes no traffic any more, and is kept for whoever looks for the reason until the live slot is seen to be well.
            (Phase::RollingBack, _) => DesiredSlot::AsIs,
            (Phase::Observing, _) => self.state.previous_revision.as_deref().map_or(DesiredSlot::AsIs, running),
            _ => DesiredSlot::Stopped,
        };
        Slots::make(|slot| if slot == self.state.live_slot { running(live_revision) } else { other.clone() })
    }
}
