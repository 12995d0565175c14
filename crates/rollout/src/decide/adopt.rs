//! The first look: what runs is taken over as it is.

use super::look::{Look, sums_to_all};
use crate::decision::NoteKind;
use crate::slot::Slot;

impl Look<'_> {
    /// Without a live revision: the slot that has the traffic is live, with what runs in it, or with the wanted revision when it is empty.
    pub(super) fn adopt(&mut self) {
        if self.state.live_revision.is_some() {
            return;
        }
        let slot = self.slot_with_traffic();
        let wanted = self.observed.wanted_revision.clone().filter(|revision| !revision.is_empty());
        let Some(revision) = self.revision_in(slot).or(wanted) else { return };
        self.state.live_slot = slot;
        self.state.live_revision = Some(revision.clone());
        self.note(NoteKind::Started, format!("{revision} in the {slot} slot was adopted as the live version."));
    }

    fn revision_in(&self, slot: Slot) -> Option<String> {
        self.observed.slots.get(slot).revision.clone().filter(|revision| !revision.is_empty())
    }

    /// The slot with the larger weight. Where that does not tell: the only one that is occupied; of two the one that does not run the
    /// wanted revision, as that one is the candidate.
    fn slot_with_traffic(&self) -> Slot {
        if let Some(router) = self.observed.router.filter(sums_to_all)
            && router.weights.blue != router.weights.green
        {
            return if router.weights.blue > router.weights.green { Slot::Blue } else { Slot::Green };
        }
        match (self.revision_in(Slot::Blue), self.revision_in(Slot::Green)) {
            (None, Some(_)) => Slot::Green,
            (Some(blue), Some(_)) if Some(&blue) == self.observed.wanted_revision.as_ref() => Slot::Green,
            _ => Slot::Blue,
        }
    }
}
