//! Between rollouts: what is wanted starts one.

use super::guards::capital;
use super::look::Look;
use crate::decision::NoteKind;
use crate::state::{Phase, Progress, RollbackCause};

impl Look<'_> {
    /// Nothing is rolled out: begins when another revision than the live one is wanted.
    pub(super) fn rest(&mut self) {
        let Some(wanted) = self.startable() else {
            if self.state.phase == Phase::Succeeded {
                self.clean_up();
            }
            return;
        };
        if self.state.paused {
            self.hold_quietly(format!("paused: {wanted} waits for `resume`"));
        } else if let Some(reason) = self.frozen() {
            self.hold(format!("{} {wanted} waits.", capital(&reason)));
        } else {
            self.start(wanted);
        }
    }

    /// The wanted revision, if it may start by itself.
    fn startable(&self) -> Option<String> {
        let wanted = self.wanted()?;
        let live = self.state.live_revision.as_deref()?;
        let finished = self.state.finished_revision.as_deref();
        (wanted != live && Some(wanted) != finished).then(|| wanted.to_owned())
    }

    pub(super) fn wanted(&self) -> Option<&str> {
        self.observed.wanted_revision.as_deref().filter(|revision| !revision.is_empty())
    }

    pub(super) fn start(&mut self, revision: String) {
        let slot = self.state.live_slot.other();
        let last = self.state.rollout.as_ref().filter(|last| last.revision == revision);
        let attempt = last.map_or(1, |last| last.attempt.saturating_add(1));
        self.state.phase = Phase::Preparing;
        self.state.rollout = Some(Progress::new(revision.clone(), slot, attempt, self.now));
        self.ask_for_capacity(self.portion(0));
        let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
        let live = self.live();
        self.note(NoteKind::Started, format!("{revision} starts in the {slot} slot beside {live}{again}."));
    }

    /// What is wanted changes: a revision that is done with may be wanted anew, and a rollout that is no longer wanted ends.
    pub(super) fn follow_wanted(&mut self) {
        let Some(wanted) = self.wanted().map(str::to_owned) else { return };
        match &self.state.finished_revision {
            // It is why the present revision is rolled out: an undo.
            Some(finished) if *finished == wanted => return,
            Some(_) => self.state.finished_revision = None,
            None => {}
        }
        let rolled = self.state.rollout.as_ref().map(|progress| progress.revision.as_str());
        if self.state.paused || rolled == Some(wanted.as_str()) {
            return;
        }
        match self.state.phase {
            Phase::Preparing | Phase::Progressing => {
                let again = self.state.live_revision.as_ref() == Some(&wanted);
                let reason = format!("{wanted} is wanted {}", if again { "again" } else { "now" });
                self.begin_rollback(RollbackCause::Superseded, &reason);
            }
            Phase::Observing if self.state.previous_revision.as_ref() == Some(&wanted) => {
                self.return_to_previous(&wanted)
            }
            Phase::Observing => self.end_observation_for(&wanted),
            Phase::Idle | Phase::Succeeded | Phase::RollingBack | Phase::RolledBack | Phase::Aborted => {}
        }
    }
}
