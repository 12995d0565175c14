//! The world differs from what was decided.

use super::look::Look;
use crate::decision::{DesiredSlot, NoteKind};
use crate::slot::Slot;

impl Look<'_> {
    /// Tells, once, that router or slots no longer are what they were seen to be; that they are put right is part of every decision.
    pub(super) fn notice_drift(&mut self) {
        if self.state.live_revision.is_none() {
            return;
        }
        let expected = self.desired();
        if let Some(router) = self.observed.router {
            let right = router == expected.router;
            if self.state.router_seen && !right {
                let (blue, green) = (router.weights.blue, router.weights.green);
                let text = format!(
                    "The router has blue at {blue} % and green at {green} %, which nobody decided: it is put right."
                );
                self.note(NoteKind::Drift, text);
            }
            self.state.router_seen = right;
        }
        let wrong = Slot::BOTH.into_iter().find(|slot| {
            let runs = self.observed.slots.get(*slot).revision.as_ref();
            match expected.slots.get(*slot) {
                DesiredSlot::Running { revision } => runs != Some(revision),
                DesiredSlot::Stopped => runs.is_some(),
                DesiredSlot::AsIs => false,
            }
        });
        if let Some(slot) = wrong.filter(|_| self.state.slots_seen) {
            let runs = self.observed.slots.get(slot).revision.as_deref().unwrap_or("nothing");
            let text = format!("The {slot} slot runs {runs}, which nobody decided: it is put right.");
            self.note(NoteKind::Drift, text);
        }
        self.state.slots_seen = wrong.is_none();
    }
}
