//! Steps: a weight, gates, a bake, an approval; then the next one.

use super::gates::{Gates, MOST_EXTENSIONS};
use super::guards::capital;
use super::look::{Look, PATIENCE_MS, later, millis};
use super::text;
use crate::decision::NoteKind;
use crate::plan::PlanStep;
use crate::spec::{OnInconclusive, Strategy};
use crate::state::{Phase, Progress, Skip, Stage};

/// The judge may end a bake after this part of it.
const EARLIEST: u64 = 5;

/// What the candidate gets when a step is entered, percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portion {
    pub(super) weight: u8,
    pub(super) mirror: u8,
}

impl Portion {
    /// Share of the whole load that the candidate has to be able to take for it.
    fn needs(self) -> u8 {
        self.weight.max(self.mirror)
    }

    /// Whether both versions get requests.
    fn compares(self) -> bool {
        self.weight < 100 && self.needs() > 0
    }
}

impl Look<'_> {
    /// The candidate starts; it takes no traffic yet.
    pub(super) fn prepare(&mut self) {
        if self.before.phase != Phase::Preparing {
            // A command began it in this look, in which no alert was read for it yet.
            return;
        }
        let first = self.portion(0);
        self.ask_for_capacity(first);
        let ready = self.has_replicas_for(first);
        let deadline = millis(self.plan.progress_deadline);
        let now = self.now;
        let slot = self.state.rollout.as_ref().map(|progress| self.observed.slots.get(progress.slot));
        if ready && let Some(progress) = self.progress_mut() {
            progress.ready_at.get_or_insert(now);
        }
        if self.state.paused {
            self.hold_quietly("paused: `resume` goes on");
        } else if let Some(failure) = self.standing_failure() {
            self.hold(failure);
        } else if ready {
            // An alert that fires before the candidate has traffic is not its doing, and no time to begin.
            if let Some(reason) = self.failing_guard().or_else(|| self.frozen()) {
                self.hold(capital(&reason));
                return;
            }
            self.state.phase = Phase::Progressing;
            if let Some(progress) = self.progress_mut() {
                progress.memory.restarts_before = slot.map_or(0, |slot| slot.restarts);
            }
            self.enter_step(0);
        } else if self.elapsed_ms() > deadline {
            let replicas = slot.map_or_else(String::new, |slot| {
                format!(" ({} of {} replicas)", slot.ready_replicas, slot.desired_replicas)
            });
            let within = text::span(self.plan.progress_deadline);
            self.fail(&format!("{} was not ready within {within}{replicas}", self.revision()));
        }
    }

    /// A step is under way.
    pub(super) fn progress(&mut self) {
        if self.fails() {
            return;
        }
        if self.state.paused {
            // What gates and guards say is taken over; nothing moves.
            let _ = self.tend_gates();
            self.hold_quietly("paused: `resume` goes on");
            return;
        }
        if let Some(failure) = self.standing_failure() {
            self.hold(failure);
            return;
        }
        // Each round enters a later stage, or ends.
        let rounds = 8 * (self.plan.steps.len() + 1);
        for _ in 0..rounds {
            if self.state.phase != Phase::Progressing || !self.go_through_stage() {
                return;
            }
        }
    }

    /// Whether a later stage was entered.
    fn go_through_stage(&mut self) -> bool {
        let Some(progress) = &self.state.rollout else { return false };
        let skip = progress.memory.skip != Skip::Nothing;
        match progress.stage {
            Stage::Shifting => self.shift(),
            _ if skip => self.end_step(),
            Stage::Smoke => self.go_through_gates(Stage::Webhooks),
            Stage::Webhooks => self.go_through_gates(Stage::LoadTest),
            Stage::LoadTest => self.go_through_gates(Stage::Baking),
            Stage::Baking => self.bake(),
            Stage::Approval => self.wait_for_approval(),
        }
    }

    /// Begins a step. The weight never falls, whatever the plan says now.
    pub(super) fn enter_step(&mut self, position: usize) {
        let Some(step) = self.plan.steps.get(position) else { return };
        let shadow = self.plan.strategy == Strategy::Shadow;
        let portion = self.portion(position);
        // The second portion of a step goes on with its evidence.
        let is_begun = self.has_begun(position);
        self.reset_guards();
        self.enter_stage(Stage::Shifting);
        let learnt = self.state.learnt.clone();
        let settings = &self.plan.judge;
        let Some(progress) = self.progress_mut() else { return };
        let had = (progress.weight, progress.mirror);
        progress.step = position;
        (progress.weight, progress.mirror) = (portion.weight, portion.mirror);
        progress.extensions = 0;
        progress.memory.shown_at = None;
        progress.memory.approved = false;
        if progress.memory.skip == Skip::Step {
            progress.memory.skip = Skip::Nothing;
        }
        if position == 0 && !is_begun {
            progress.judge = learnt;
        }
        if !settings.metrics.is_empty() && portion.compares() && !is_begun {
            progress.judge.begin_step(settings);
        }
        let (revision, weight, mirror) = (progress.revision.clone(), progress.weight, progress.mirror);
        if had != (weight, mirror) {
            let copies = if mirror > 0 { format!(", and copies of {mirror} % of the requests") } else { String::new() };
            let part = if weight < step.weight && !shadow {
                format!(", half of the way to {} %, because a budget is nearly spent", step.weight)
            } else {
                String::new()
            };
            self.note(NoteKind::Weight, format!("{weight} % of the traffic goes to {revision}{copies}{part}."));
        }
    }

    /// What the candidate gets next when a step is entered. While a budget is nearly spent that is half of the way to the step's weight, unless a
    /// person said go on; the other half follows as a portion of its own.
    pub(super) fn portion(&self, position: usize) -> Portion {
        let progress = self.state.rollout.as_ref();
        let had = progress.map_or(0, |progress| progress.weight);
        let Some(step) = self.plan.steps.get(position) else { return Portion { weight: had, mirror: 0 } };
        let by_hand = progress.is_some_and(|progress| progress.memory.skip != Skip::Nothing);
        let is_halved = self.is_warned() && !by_hand && !self.has_begun(position);
        let whole = match self.plan.strategy {
            Strategy::Shadow => 0,
            Strategy::Canary | Strategy::BlueGreen => step.weight.min(100).max(had),
        };
        let weight = if is_halved { had.min(whole) + whole.saturating_sub(had).div_ceil(2) } else { whole };
        Portion { weight, mirror: if weight == 100 { 0 } else { step.mirror.min(100) } }
    }

    /// Whether a part of this step's weight was given before.
    fn has_begun(&self, position: usize) -> bool {
        self.state.rollout.as_ref().is_some_and(|progress| progress.step == position && progress.weight > 0)
    }

    /// Whether a part of the present step's weight is still to come.
    fn is_in_part(&self) -> bool {
        let weight = self.state.rollout.as_ref().map_or(0, |progress| progress.weight);
        self.plan.strategy != Strategy::Shadow && self.step().is_some_and(|step| weight < step.weight.min(100))
    }

    /// Asks for the replicas that a portion needs.
    pub(super) fn ask_for_capacity(&mut self, portion: Portion) {
        if let Some(progress) = self.progress_mut() {
            progress.memory.capacity = progress.memory.capacity.max(portion.needs());
        }
    }

    /// Whether the candidate has the replicas for a portion, all of them ready.
    fn has_replicas_for(&self, portion: Portion) -> bool {
        let slot = self.state.rollout.as_ref().map(|progress| self.observed.slots.get(progress.slot));
        let enough = slot.is_some_and(|slot| slot.capacity.is_none_or(|capacity| capacity >= portion.needs()));
        enough && self.is_ready()
    }

    /// As [`Self::has_replicas_for`]; asks for them when it has not, and says so.
    fn can_take(&mut self, portion: Portion) -> bool {
        if self.has_replicas_for(portion) {
            return true;
        }
        let Some(progress) = &self.state.rollout else { return false };
        let slot = self.observed.slots.get(progress.slot);
        let text = format!(
            "{} gets replicas for {} % of the traffic: {} of {} are ready",
            progress.revision, portion.weight, slot.ready_replicas, slot.desired_replicas
        );
        self.ask_for_capacity(portion);
        self.hold_quietly(capital(&text));
        false
    }

    fn shift(&mut self) -> bool {
        if !self.router_shows() {
            if self.elapsed_ms() > PATIENCE_MS {
                self.hold("The router does not show the weights that were decided.");
            }
            return false;
        }
        let now = self.now;
        let warmup = millis(self.plan.analysis.warmup);
        if let Some(progress) = self.progress_mut() {
            let warm = later(progress.ready_at.unwrap_or(now), warmup);
            progress.memory.shown_at = Some(now);
            progress.memory.counts_from = warm.max(now);
        }
        self.enter_stage(Stage::Smoke);
        true
    }

    fn go_through_gates(&mut self, next: Stage) -> bool {
        match self.tend_gates() {
            Gates::Waiting => false,
            Gates::Failed(why) => {
                self.fail(&why);
                false
            }
            Gates::Broken(why) => {
                match self.plan.on_inconclusive {
                    OnInconclusive::Rollback => self.fail(&why),
                    OnInconclusive::Hold | OnInconclusive::Extend => self.hold(capital(&why)),
                }
                false
            }
            Gates::Passed => {
                if next == Stage::Baking && self.step().is_some_and(|step| step.load_test.is_some()) {
                    let now = self.now;
                    if let Some(progress) = self.progress_mut() {
                        progress.memory.counts_from = progress.memory.counts_from.max(now);
                    }
                }
                self.enter_stage(next);
                true
            }
        }
    }

    /// Length of the present step's bake, as it is now.
    pub(super) fn bake_ms(&self) -> u64 {
        let bake = self.step().map_or(0, |step| millis(step.bake));
        if self.is_warned() { bake.saturating_mul(PlanStep::WARNED_BAKE) } else { bake }
    }

    fn bake(&mut self) -> bool {
        let (bake, elapsed) = (self.bake_ms(), self.elapsed_ms());
        if bake == 0 {
            return self.end_bake();
        }
        let compares = self.plan.guards.iter().any(|guard| guard.compare.is_some());
        let proven = compares && self.state.rollout.as_ref().is_some_and(|progress| self.is_comparable(progress));
        let early = proven && elapsed.saturating_mul(EARLIEST) >= bake;
        if elapsed < bake && !early {
            return false;
        }
        match self.lacking() {
            None => self.end_bake(),
            Some(lacking) if elapsed >= bake.saturating_add(lacking.window_ms) => {
                self.inconclusive(&lacking.text);
                false
            }
            Some(_) => false,
        }
    }

    fn end_bake(&mut self) -> bool {
        let asks = self.asks_for_approval();
        self.enter_stage(Stage::Approval);
        if asks {
            let text =
                format!("Step {} waits for a person: `approve` lets {} go on.", self.step_name(), self.revision());
            self.note(NoteKind::WaitingForApproval, text);
        }
        true
    }

    /// A person is asked once for each step, when it has its whole weight.
    fn asks_for_approval(&self) -> bool {
        self.step().is_some_and(|step| step.approval) && !self.is_in_part()
    }

    fn wait_for_approval(&mut self) -> bool {
        let approved = self.state.rollout.as_ref().is_some_and(|progress| progress.memory.approved);
        if approved || !self.asks_for_approval() {
            return self.end_step();
        }
        self.hold_quietly("waits for a person: `approve` goes on");
        false
    }

    /// Evidence is missing at the end of a bake.
    fn inconclusive(&mut self, why: &str) {
        let text = capital(&format!("step {} is inconclusive: {why}", self.step_name()));
        let extensions = self.state.rollout.as_ref().map_or(0, |progress| progress.extensions);
        match self.plan.on_inconclusive {
            OnInconclusive::Rollback => self.fail(&format!("step {} was inconclusive: {why}", self.step_name())),
            OnInconclusive::Extend if extensions < MOST_EXTENSIONS => {
                self.enter_stage(Stage::Baking);
                if let Some(progress) = self.progress_mut() {
                    progress.extensions += 1;
                }
                let n = extensions + 1;
                self.note(NoteKind::Guard, format!("{text} The bake is repeated, {n} of {MOST_EXTENSIONS}."));
            }
            OnInconclusive::Hold | OnInconclusive::Extend => self.hold(text),
        }
    }

    /// Goes to the next step, if nothing speaks against more weight.
    fn end_step(&mut self) -> bool {
        let Some((step, skip)) = self.state.rollout.as_ref().map(|progress| (progress.step, progress.memory.skip))
        else {
            return false;
        };
        let last = self.plan.steps.len().saturating_sub(1);
        let in_part = self.is_in_part();
        let next = match skip {
            Skip::Rest if in_part || step < last => Some(last),
            _ if in_part => Some(step),
            _ => (step < last).then_some(step + 1),
        };
        // While it gets replicas for the next portion, that some are not ready is no reason to tell people.
        let grows = self.state.rollout.as_ref().is_some_and(Progress::grows);
        let portion = next.map(|next| self.portion(next));
        if let Some(portion) = portion.filter(|_| grows && self.failing.is_none())
            && !self.can_take(portion)
        {
            return false;
        }
        if let Some(reason) = self.forbids_moving() {
            self.hold(capital(&reason));
            return false;
        }
        if portion.is_some_and(|portion| !self.can_take(portion)) {
            return false;
        }
        if skip == Skip::Nothing {
            let rest = if in_part { " The rest of its weight follows." } else { "" };
            self.note(NoteKind::StepPassed, format!("Step {} passed.{rest}", self.step_name()));
        }
        match next {
            Some(next) => self.enter_step(next),
            None if self.plan.strategy == Strategy::Shadow => self.end_shadow(),
            None => self.promote(),
        }
        true
    }

    /// Why no more weight may be given, whoever asks.
    pub(super) fn forbids_moving(&self) -> Option<String> {
        if let Some(guard) = self.failing_guard() {
            return Some(guard);
        }
        if !self.is_ready() {
            return Some(format!("{} is not ready", self.revision()));
        }
        if !self.router_shows() {
            return Some("the router does not show the weights that were decided".to_owned());
        }
        self.frozen()
    }

    /// Whether all of the version under test can take traffic.
    pub(super) fn is_ready(&self) -> bool {
        self.state.rollout.as_ref().is_some_and(|progress| {
            let slot = self.observed.slots.get(progress.slot);
            slot.revision.as_ref() == Some(&progress.revision) && slot.is_ready()
        })
    }

    /// Position and weight, for people.
    pub(super) fn step_name(&self) -> String {
        let of = |progress: &Progress| {
            let share = if progress.mirror > 0 && progress.weight == 0 {
                format!("{} % copied", progress.mirror)
            } else {
                format!("{} %", progress.weight)
            };
            format!("{} of {} ({share})", progress.step + 1, self.plan.steps.len())
        };
        self.state.rollout.as_ref().map_or_else(String::new, of)
    }
}
