//! After the promotion: the new version is live and watched, the old one still runs.

use super::guards::capital;
use super::look::{Look, millis, millis_between};
use crate::decision::NoteKind;
use crate::observed::SlotObserved;
use crate::spec::OnInconclusive;
use crate::state::{Phase, RollbackCause, Stage};

/// A slot that does not become empty keeps nobody waiting for longer.
const CLEANUP_MS: u64 = 60_000;

impl Look<'_> {
    /// The candidate becomes live in the slot where it was tested.
    pub(super) fn promote(&mut self) {
        let Some(progress) = &self.state.rollout else { return };
        let (slot, revision) = (progress.slot, progress.revision.clone());
        let old = self.state.live_revision.replace(revision.clone());
        self.state.previous_revision = old;
        self.state.live_slot = slot;
        self.begin_observation();
        self.note(NoteKind::Promoted, format!("{revision} in the {slot} slot is the live version now."));
    }

    /// Watches the live version; the other slot keeps the one before.
    pub(super) fn begin_observation(&mut self) {
        self.state.phase = Phase::Observing;
        self.reset_guards();
        self.enter_stage(Stage::Baking);
        let now = self.now;
        if let Some(progress) = self.progress_mut() {
            progress.weight = 100;
            progress.mirror = 0;
            progress.failure = None;
            progress.memory.shown_at = Some(now);
            progress.memory.counts_from = progress.memory.counts_from.max(now);
            progress.memory.unready_since = None;
        }
    }

    pub(super) fn observe(&mut self) {
        if self.fails() {
            return;
        }
        if self.state.paused {
            self.hold_quietly("paused: `resume` goes on");
            return;
        }
        if let Some(failure) = self.standing_failure() {
            self.hold(failure);
            return;
        }
        let observation = millis(self.plan.observation);
        let elapsed = self.elapsed_ms();
        if elapsed < observation {
            return;
        }
        match self.lacking().filter(|_| observation > 0) {
            None => self.succeed(),
            Some(lacking) if elapsed < observation.saturating_add(lacking.window_ms) => {}
            Some(lacking) if self.plan.on_inconclusive == OnInconclusive::Rollback => {
                self.fail(&format!("the observation was inconclusive: {}", lacking.text));
            }
            Some(lacking) => self.hold(capital(&format!("the observation is inconclusive: {}", lacking.text))),
        }
    }

    /// The rollout ended well; the old version is cleaned up.
    pub(super) fn succeed(&mut self) {
        let (revision, slot) = (self.revision(), self.state.live_slot.other());
        self.end(Phase::Succeeded);
        self.note(NoteKind::Succeeded, format!("The rollout of {revision} succeeded; the {slot} slot is cleaned up."));
    }

    /// A shadow ended well: nothing changes.
    pub(super) fn end_shadow(&mut self) {
        let revision = self.revision();
        self.state.finished_revision = Some(revision.clone());
        self.end(Phase::Succeeded);
        if let Some(progress) = self.progress_mut() {
            progress.mirror = 0;
        }
        let live = self.live();
        self.note(NoteKind::Succeeded, format!("The shadow of {revision} ended well; {live} stays live."));
    }

    pub(super) fn end(&mut self, phase: Phase) {
        self.state.phase = phase;
        let now = self.now;
        if let Some(progress) = self.progress_mut() {
            progress.ended_at = Some(now);
            progress.memory.skip = crate::state::Skip::Nothing;
        }
    }

    /// Whether the version before the promotion can take all traffic back.
    pub(super) fn previous_runs(&self) -> bool {
        let slot = self.observed.slots.get(self.state.live_slot.other());
        self.state.previous_revision.is_some() && slot.revision == self.state.previous_revision && slot.is_ready()
    }

    /// After success: idle as soon as the other slot is empty.
    pub(super) fn clean_up(&mut self) {
        let other = self.observed.slots.get(self.state.live_slot.other());
        let empty = other.revision.is_none()
            || *other == SlotObserved { revision: other.revision.clone(), ..SlotObserved::default() };
        let ended = self.state.rollout.as_ref().and_then(|progress| progress.ended_at).unwrap_or(self.now);
        if empty || millis_between(ended, self.now) >= CLEANUP_MS || ended > self.now {
            self.state.phase = Phase::Idle;
        }
    }

    /// Goes back to the version before the promotion, in its slot.
    pub(super) fn take_promotion_back(&mut self) -> bool {
        if !self.previous_runs() {
            return false;
        }
        self.state.live_slot = self.state.live_slot.other();
        self.state.live_revision = self.state.previous_revision.take();
        true
    }

    /// Another revision is wanted while the present one is observed, and the one before is not it: it has proven itself so far.
    pub(super) fn end_observation_for(&mut self, wanted: &str) {
        if self.failing.is_none() && self.standing_failure().is_none() {
            self.note(
                NoteKind::Resumed,
                format!("{wanted} is wanted now: the observation of {} ends.", self.revision()),
            );
            self.succeed();
        }
    }

    /// The revision before the promotion is wanted again.
    pub(super) fn return_to_previous(&mut self, wanted: &str) {
        self.begin_rollback(RollbackCause::Superseded, &format!("{wanted} is wanted again"));
    }
}
