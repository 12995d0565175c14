//! When it fails, and what follows.

use super::guards::capital;
use super::look::{Look, millis, millis_between};
use crate::spec::OnFailure;
use crate::state::RollbackCause;

/// A version that takes traffic and has no ready replica is given up after this, or after two looks.
const UNREADY_MS: u64 = 10_000;

impl Look<'_> {
    /// Whether the version under test is no longer ready or a guard fails; then what the plan says is done.
    pub(super) fn fails(&mut self) -> bool {
        let reason = self.lost_readiness().or_else(|| self.failing.as_ref().map(|failing| failing.reason.clone()));
        if let Some(reason) = &reason {
            self.fail(reason);
        }
        reason.is_some()
    }

    /// The guard that fails, in words that do not change.
    pub(super) fn failing_guard(&self) -> Option<String> {
        self.failing.as_ref().map(|failing| failing.guard.clone())
    }

    /// Why a version that was ready is given up. Some replicas may be missing for as long as they may take to start; all of them only
    /// for two looks.
    pub(super) fn lost_readiness(&mut self) -> Option<String> {
        let ready = self.is_ready();
        let now = self.now;
        let progress = self.state.rollout.as_mut()?;
        if ready {
            progress.memory.unready_since = None;
            return None;
        }
        let since = *progress.memory.unready_since.get_or_insert(now);
        let slot = self.observed.slots.get(progress.slot);
        let some = slot.revision.as_ref() == Some(&progress.revision) && slot.ready_replicas > 0;
        let grows = some && progress.grows();
        let grace = if some { millis(self.plan.progress_deadline) } else { (2 * self.interval_ms()).max(UNREADY_MS) };
        let lost = millis_between(since, now) >= grace;
        let counts = (slot.ready_replicas, slot.desired_replicas);
        lost.then(|| match (grows, counts) {
            (true, (ready, all)) => {
                format!("{} did not get its replicas for more traffic: {ready} of {all} are ready", self.revision())
            }
            (false, _) => format!("{} is no longer ready", self.revision()),
        })
    }

    /// A failure acts as the plan says. While it is paused nothing moves.
    pub(super) fn fail(&mut self, reason: &str) {
        if self.state.paused {
            let reason = self.failing_guard().unwrap_or_else(|| reason.to_owned());
            self.hold(format!("Paused, though {reason}: `abort` goes back, `resume` lets the plan decide."));
            return;
        }
        match self.plan.on_failure {
            OnFailure::Rollback => self.begin_rollback(RollbackCause::Failure, reason),
            OnFailure::Hold => {
                if let Some(progress) = self.progress_mut() {
                    progress.failure.get_or_insert_with(|| reason.to_owned());
                }
                let text = self.standing_failure().unwrap_or_default();
                self.hold(text);
            }
        }
    }

    /// A failure that holds until a person decides.
    pub(super) fn standing_failure(&self) -> Option<String> {
        let failure = self.state.rollout.as_ref()?.failure.as_ref()?;
        Some(capital(&format!("{failure}; `abort` goes back, `resume` tries again")))
    }
}
