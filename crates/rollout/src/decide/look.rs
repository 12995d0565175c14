//! One look at everything, and what comes of it.

use std::time::Duration;

use spillway_model::UnixMillis;

use crate::decision::{Decision, Note, NoteKind};
use crate::observed::{Observed, RouterObserved};
use crate::plan::{Plan, PlanStep};
use crate::state::{Happened, Phase, Progress, Stage, State};

/// Looks while something is about to happen.
const SOON_MS: u64 = 1000;
/// A router that does not show its weights for this long is worth telling.
pub(super) const PATIENCE_MS: u64 = 60_000;
/// No look comes sooner than this after another.
const SOONEST_MS: u64 = 100;

pub(super) struct Look<'a> {
    pub(super) plan: &'a Plan,
    pub(super) observed: &'a Observed,
    pub(super) now: UnixMillis,
    /// As it will be saved.
    pub(super) state: State,
    /// As it was.
    pub(super) before: &'a State,
    pub(super) notes: Vec<Note>,
    /// A guard that fails in this look.
    pub(super) failing: Option<Failing>,
    hold: Option<Hold>,
    /// Weight of a rollout that was taken out of the state, to be changed.
    taken_weight: u8,
}

/// A guard that fails.
pub(super) struct Failing {
    /// That it does, in words that stay the same from look to look.
    pub(super) guard: String,
    /// That it does, with its numbers.
    pub(super) reason: String,
}

/// Why it does not go on.
struct Hold {
    text: String,
    /// People know already.
    quiet: bool,
}

impl<'a> Look<'a> {
    pub(super) fn new(plan: &'a Plan, before: &'a State, observed: &'a Observed, now: UnixMillis) -> Self {
        let state = before.clone();
        Self { plan, observed, now, state, before, notes: Vec::new(), failing: None, hold: None, taken_weight: 0 }
    }

    /// Repairs what a clock that was set back, another plan or a damaged state left behind, so that nothing after this meets it.
    pub(super) fn mend(&mut self) {
        let now = self.now;
        let live = self.state.live_slot;
        let state = &mut self.state;
        state.last_block = state.last_block.map(|at| at.min(now));
        state.paused_since = state.paused_since.map(|at| at.min(now));
        let needs_rollout =
            matches!(state.phase, Phase::Preparing | Phase::Progressing | Phase::Observing | Phase::RollingBack);
        if needs_rollout && (state.rollout.is_none() || state.live_revision.is_none()) {
            state.phase = Phase::Idle;
        }
        let Some(progress) = &mut state.rollout else { return };
        progress.stage_since = progress.stage_since.min(now);
        progress.step = progress.step.min(self.plan.steps.len().saturating_sub(1));
        progress.weight = progress.weight.min(100);
        progress.mirror = progress.mirror.min(100);
        let memory = &mut progress.memory;
        memory.entered_at = memory.entered_at.min(now);
        memory.shown_at = memory.shown_at.map(|at| at.min(now));
        memory.unready_since = memory.unready_since.map(|at| at.min(now));
        memory.counts_from = memory.counts_from.min(later(now, millis(self.plan.analysis.warmup)));
        for broken in memory.broken.values_mut() {
            broken.at = broken.at.map(|at| at.min(now));
        }
        for status in progress.guards.values_mut() {
            status.last_window = status.last_window.map(|at| at.min(now));
        }
        progress.ready_at = progress.ready_at.map(|at| at.min(now));
        match state.phase {
            Phase::Observing => progress.slot = live,
            Phase::Preparing | Phase::Progressing | Phase::RollingBack => progress.slot = live.other(),
            Phase::Idle | Phase::Succeeded | Phase::RolledBack | Phase::Aborted => {}
        }
        if matches!(state.phase, Phase::Preparing | Phase::RollingBack) {
            progress.weight = 0;
            progress.mirror = 0;
        }
        progress.memory.capacity = progress.memory.capacity.min(100);
    }

    /// Whether a person or the plan said pause.
    pub(super) fn mark_pause(&mut self) {
        let paused = self.state.paused_by.is_some() || self.plan.paused;
        self.state.paused = paused;
        match (paused, self.state.paused_since) {
            (true, None) => self.state.paused_since = Some(self.now),
            (false, Some(since)) => {
                self.state.paused_since = None;
                let now = self.now;
                if let Some(progress) = &mut self.state.rollout {
                    let paused_ms = millis_between(since.max(progress.stage_since), now);
                    progress.paused_ms = progress.paused_ms.saturating_add(paused_ms);
                }
            }
            _ => {}
        }
    }

    /// The rollout under way or the last one.
    pub(super) fn progress_mut(&mut self) -> Option<&mut Progress> {
        self.state.rollout.as_mut()
    }

    /// Takes the rollout out of the state, to be put back as `state.rollout`.
    pub(super) fn take_progress(&mut self) -> Option<Progress> {
        let progress = self.state.rollout.take()?;
        self.taken_weight = progress.weight;
        Some(progress)
    }

    /// Name of the revision that is rolled out.
    pub(super) fn revision(&self) -> String {
        self.state.rollout.as_ref().map_or_else(|| "the candidate".to_owned(), |progress| progress.revision.clone())
    }

    /// Name of the live revision.
    pub(super) fn live(&self) -> String {
        self.state.live_revision.clone().unwrap_or_else(|| "the live version".to_owned())
    }

    pub(super) fn step(&self) -> Option<&'a PlanStep> {
        self.plan.steps.get(self.state.rollout.as_ref()?.step)
    }

    /// Milliseconds of the present stage, without pauses.
    pub(super) fn elapsed_ms(&self) -> u64 {
        let Some(progress) = &self.state.rollout else { return 0 };
        let paused =
            self.state.paused_since.map_or(0, |since| millis_between(since.max(progress.stage_since), self.now));
        millis_between(progress.stage_since, self.now).saturating_sub(progress.paused_ms).saturating_sub(paused)
    }

    pub(super) fn interval_ms(&self) -> u64 {
        millis(self.plan.analysis.interval)
    }

    /// Begins a stage, or the present one anew.
    pub(super) fn enter_stage(&mut self, stage: Stage) {
        let now = self.now;
        if let Some(progress) = &mut self.state.rollout {
            progress.stage = stage;
            progress.stage_since = now;
            progress.paused_ms = 0;
        }
    }

    /// Tells what happened.
    pub(super) fn note(&mut self, kind: NoteKind, text: impl Into<String>) {
        let note = Note { at: self.now, kind, text: text.into() };
        let weight = self.state.rollout.as_ref().map_or(self.taken_weight, |progress| progress.weight);
        self.state.history.push(Happened { at: note.at, kind, text: note.text.clone(), weight });
        self.notes.push(note);
    }

    /// It does not go on; the first reason counts.
    pub(super) fn hold(&mut self, text: impl Into<String>) {
        self.hold.get_or_insert(Hold { text: text.into(), quiet: false });
    }

    /// As [`Self::hold`], for what people did themselves or were told in another way.
    pub(super) fn hold_quietly(&mut self, text: impl Into<String>) {
        self.hold.get_or_insert(Hold { text: text.into(), quiet: true });
    }

    /// Whether the router shows what the state says.
    pub(super) fn router_shows(&self) -> bool {
        self.observed.router == Some(self.desired_router())
    }

    pub(super) fn finish(mut self) -> Decision {
        self.tell_holds();
        let state = &mut self.state;
        let surplus = state.history.len().saturating_sub(State::MAX_HISTORY);
        state.history.drain(..surplus);
        let desired = self.desired();
        let had = Look::new(self.plan, self.before, self.observed, self.now).desired();
        self.state.router_seen &= had.router == desired.router;
        self.state.slots_seen &= had.slots == desired.slots;
        let look_again_ms = self.look_again_ms();
        Decision { state: self.state, desired, notes: self.notes, look_again_ms }
    }

    fn tell_holds(&mut self) {
        let held = self.before.held.clone();
        match self.hold.take() {
            Some(hold) => {
                if held.as_ref() != Some(&hold.text) && !hold.quiet {
                    self.note(NoteKind::Held, hold.text.clone());
                }
                self.state.held = Some(hold.text);
            }
            None => {
                if held.is_some() && self.state.phase == self.before.phase && self.notes.is_empty() {
                    self.note(NoteKind::Resumed, "It goes on.");
                }
                self.state.held = None;
            }
        }
    }

    fn look_again_ms(&self) -> u64 {
        let interval = self.interval_ms();
        let stage = |state: &State| state.rollout.as_ref().map(|progress| (progress.step, progress.stage));
        let moved = self.state.phase != self.before.phase || stage(&self.state) != stage(self.before);
        let until = match (self.state.phase, self.state.rollout.as_ref().map(|progress| progress.stage)) {
            _ if moved => SOON_MS,
            (Phase::Progressing, Some(Stage::Baking)) => self.bake_ms().saturating_sub(self.elapsed_ms()),
            (Phase::Observing, _) => millis(self.plan.observation).saturating_sub(self.elapsed_ms()),
            (Phase::Progressing, Some(Stage::Approval)) | (Phase::Idle | Phase::RolledBack | Phase::Aborted, _) => {
                interval
            }
            _ => SOON_MS,
        };
        // Nothing is due: the end of a bake that is over is not waited for.
        let until = if until == 0 { interval } else { until };
        until.min(interval).max(SOONEST_MS)
    }
}

/// All traffic of a state without a rollout under way.
pub(super) fn sums_to_all(router: &RouterObserved) -> bool {
    u16::from(router.weights.blue) + u16::from(router.weights.green) == 100
}

/// Milliseconds from one time to a later one; 0 when it is not later.
pub(super) fn millis_between(from: UnixMillis, to: UnixMillis) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

/// A time some milliseconds after another.
pub(super) fn later(at: UnixMillis, by_ms: u64) -> UnixMillis {
    at.saturating_add(i64::try_from(by_ms).unwrap_or(i64::MAX))
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
