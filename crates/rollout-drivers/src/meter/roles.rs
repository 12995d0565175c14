//! Which slot is what.

use spillway_rollout::Slot;
use spillway_rollout::state::{Phase, State};

/// The roles of the slots at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Roles {
    /// The slot of the rollout under way; `None` when none is.
    pub(super) candidate: Option<Slot>,
    /// Whether the candidate should answer. While it starts and stops nobody is told when it does not.
    pub(super) is_candidate_expected: bool,
    /// The slot that it is compared with: the other one while a rollout is under way, also after the promotion; else the live one.
    pub(super) live: Slot,
    /// Whether that one should answer. After the promotion it may be gone.
    pub(super) is_live_expected: bool,
}

impl Roles {
    pub(super) fn of(state: &State) -> Self {
        let is_under_way = match state.phase {
            Phase::Preparing | Phase::Progressing | Phase::Observing | Phase::RollingBack => true,
            Phase::Idle | Phase::Succeeded | Phase::RolledBack | Phase::Aborted => false,
        };
        let Some(progress) = state.rollout.as_ref().filter(|_| is_under_way) else {
            return Self {
                candidate: None,
                is_candidate_expected: false,
                live: state.live_slot,
                is_live_expected: state.live_revision.is_some(),
            };
        };
        Self {
            candidate: Some(progress.slot),
            is_candidate_expected: progress.ready_at.is_some()
                && matches!(state.phase, Phase::Progressing | Phase::Observing),
            live: progress.slot.other(),
            is_live_expected: state.phase != Phase::Observing,
        }
    }
}
