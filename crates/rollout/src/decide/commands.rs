//! What people asked for: each once, and refused with the reason when it makes no sense.

use super::look::Look;
use crate::decision::NoteKind;
use crate::observed::{Command, CommandAction};
use crate::state::{Phase, Progress, RollbackCause, Skip, Stage, State};

/// What was done, or why not.
type Outcome = Result<String, String>;

impl Look<'_> {
    pub(super) fn carry_out_commands(&mut self) {
        for command in &self.observed.commands {
            if self.state.commands.contains(&command.id) {
                continue;
            }
            if !self.make_room() {
                // Whoever hands commands over has not yet seen that the earlier ones are done.
                return;
            }
            self.state.commands.push(command.id.clone());
            let outcome = self.carry_out(command);
            let (word, by) = (word(command.action), name(&command.by));
            let reason = command.reason.as_deref().filter(|reason| !reason.trim().is_empty());
            let reason = reason.map_or_else(String::new, |reason| format!(" Reason: {reason}"));
            let text = match outcome {
                Ok(done) => format!("`{word}` by {by}: {done}.{reason}"),
                Err(why) => format!("`{word}` by {by} was refused: {why}."),
            };
            self.note(NoteKind::Command, text);
        }
    }

    /// Forgets the oldest command that is not asked for any more, when the list is full.
    fn make_room(&mut self) -> bool {
        if self.state.commands.len() < State::MAX_COMMANDS {
            return true;
        }
        let asked = |id: &String| self.observed.commands.iter().any(|command| command.id == *id);
        let Some(oldest) = self.state.commands.iter().position(|id| !asked(id)) else { return false };
        self.state.commands.remove(oldest);
        true
    }

    fn carry_out(&mut self, command: &Command) -> Outcome {
        match command.action {
            CommandAction::Promote { full } => self.promote_by_hand(full),
            CommandAction::Pause => self.pause(&command.by),
            CommandAction::Resume => self.resume(),
            CommandAction::Abort => self.abort(&command.by),
            CommandAction::Retry => self.retry(),
            CommandAction::Undo => self.undo(&command.by),
            CommandAction::Approve => self.approve(),
            CommandAction::Override { until } => self.override_budgets(until),
        }
    }

    fn promote_by_hand(&mut self, full: bool) -> Outcome {
        if self.state.paused {
            return Err("it is paused, say `resume` first".to_owned());
        }
        match self.state.phase {
            Phase::Progressing => {
                if let Some(reason) = self.forbids_moving_now() {
                    return Err(reason);
                }
                let Some(progress) = self.progress_mut() else { return Err("nothing is rolled out".to_owned()) };
                progress.failure = None;
                progress.memory.skip = if full { Skip::Rest } else { Skip::Step };
                Ok(format!("step {} ends now", self.step_name()))
            }
            Phase::Observing => {
                if let Some(guard) = self.failing_guard() {
                    return Err(guard);
                }
                self.succeed();
                Ok("the observation ends now".to_owned())
            }
            Phase::Preparing => Err(format!("{} is not ready yet", self.revision())),
            Phase::RollingBack => Err("it is going back".to_owned()),
            Phase::Idle | Phase::Succeeded | Phase::RolledBack | Phase::Aborted => {
                Err("nothing is rolled out".to_owned())
            }
        }
    }

    /// As [`Self::forbids_moving`]; the router may still be about to show a weight.
    fn forbids_moving_now(&self) -> Option<String> {
        let shifting = self.state.rollout.as_ref().is_some_and(|progress| progress.stage == Stage::Shifting);
        if shifting && self.failing.is_none() && self.is_ready() { self.frozen() } else { self.forbids_moving() }
    }

    fn pause(&mut self, by: &str) -> Outcome {
        if self.state.paused_by.is_some() {
            return Err("it is paused already".to_owned());
        }
        self.state.paused_by = Some(by.to_owned());
        self.mark_pause();
        Ok("everything stays where it is".to_owned())
    }

    fn resume(&mut self) -> Outcome {
        if self.plan.paused {
            self.state.paused_by = None;
            return Err("the plan says `paused: true`, change it there".to_owned());
        }
        if self.state.paused_by.take().is_some() {
            self.mark_pause();
            return Ok("it goes on".to_owned());
        }
        let failed = self.state.rollout.as_ref().is_some_and(|progress| progress.failure.is_some());
        let active = matches!(self.state.phase, Phase::Preparing | Phase::Progressing | Phase::Observing);
        if !active || !(failed || self.before.held.is_some()) {
            return Err("it is neither paused nor held".to_owned());
        }
        self.try_again(failed);
        Ok(if failed { "evidence is gathered anew" } else { "the present wait begins anew" }.to_owned())
    }

    /// After a failure that held: guards, judge and gates begin anew. After an inconclusive bake it is repeated.
    fn try_again(&mut self, failed: bool) {
        let stage = self.state.rollout.as_ref().map_or(Stage::Shifting, |progress| progress.stage);
        if stage != Stage::Approval {
            self.enter_stage(stage);
        }
        self.retry_gates();
        if failed {
            self.reset_guards();
            let learnt = self.state.learnt.clone();
            let comparable = self.state.rollout.as_ref().is_some_and(|progress| self.is_comparable(progress));
            let compares = comparable && !self.plan.judge.metrics.is_empty();
            let settings = &self.plan.judge;
            if let Some(progress) = self.progress_mut() {
                progress.failure = None;
                progress.memory.unready_since = None;
                if compares {
                    progress.judge = learnt;
                    progress.judge.begin_step(settings);
                }
            }
        }
    }

    fn abort(&mut self, by: &str) -> Outcome {
        match self.state.phase {
            Phase::Preparing | Phase::Progressing => {
                self.begin_rollback(RollbackCause::Person, &format!("{} said abort", name(by)));
                Ok("all traffic goes to the live slot".to_owned())
            }
            Phase::Observing => self.go_back_from_observation(&format!("{} said abort", name(by))),
            Phase::RollingBack => Err("it is going back already".to_owned()),
            Phase::Idle | Phase::Succeeded | Phase::RolledBack | Phase::Aborted => {
                Err("nothing is rolled out".to_owned())
            }
        }
    }

    fn go_back_from_observation(&mut self, reason: &str) -> Outcome {
        if !self.previous_runs() {
            return Err("the version before runs no longer: `promote`, then `undo` starts it again".to_owned());
        }
        self.begin_rollback(RollbackCause::Person, reason);
        Ok("all traffic goes back to the version before".to_owned())
    }

    fn retry(&mut self) -> Outcome {
        if !self.is_at_rest() {
            return Err(format!("{} is still rolled out", self.revision()));
        }
        let Some(finished) = self.state.finished_revision.clone() else {
            return Err("no revision failed, was stopped or undone".to_owned());
        };
        if self.state.live_revision.as_ref() == Some(&finished) {
            return Err(format!("{finished} is live"));
        }
        if let Some(wanted) = self.wanted().filter(|wanted| *wanted != finished) {
            return Err(format!("{wanted} is wanted now"));
        }
        self.state.finished_revision = None;
        if self.wanted().is_none() {
            if let Some(reason) = self.frozen() {
                self.state.finished_revision = Some(finished);
                return Err(reason);
            }
            self.start(finished.clone());
        }
        Ok(format!("{finished} starts again from the first step"))
    }

    fn undo(&mut self, by: &str) -> Outcome {
        if self.state.phase == Phase::Observing {
            return self.go_back_from_observation(&format!("{} said undo", name(by)));
        }
        if !self.is_at_rest() {
            return Err("nothing was promoted yet: `abort` goes back".to_owned());
        }
        let Some(previous) = self.state.previous_revision.clone() else {
            return Err("no version before is known".to_owned());
        };
        let undone = self.live();
        let finished = self.wanted().map_or_else(|| undone.clone(), str::to_owned);
        if self.previous_runs() {
            let slot = self.state.live_slot.other();
            self.state.live_slot = slot;
            self.state.live_revision = Some(previous.clone());
            self.state.previous_revision = Some(undone);
            let mut progress = Progress::new(previous.clone(), slot, 1, self.now);
            progress.ready_at = Some(self.now);
            progress.memory.restarts_before = self.observed.slots.get(slot).restarts;
            self.state.rollout = Some(progress);
            self.begin_observation();
            self.state.finished_revision = Some(finished);
            return Ok(format!("{previous} still runs and is live again"));
        }
        if self.state.paused {
            return Err("it is paused, say `resume` first".to_owned());
        }
        if let Some(reason) = self.frozen() {
            return Err(reason);
        }
        self.start(previous.clone());
        self.state.finished_revision = Some(finished);
        Ok(format!("{previous} runs no longer and is rolled out again"))
    }

    fn approve(&mut self) -> Outcome {
        let waits = self.state.phase == Phase::Progressing
            && self.state.rollout.as_ref().is_some_and(|progress| progress.stage == Stage::Approval);
        match self.progress_mut().filter(|_| waits) {
            Some(progress) => {
                progress.memory.approved = true;
                Ok(format!("step {} is approved", self.step_name()))
            }
            None => Err("no step waits for an approval".to_owned()),
        }
    }

    fn override_budgets(&mut self, until: i64) -> Outcome {
        if until <= self.now {
            return Err("its end is over already".to_owned());
        }
        self.state.override_until = Some(until);
        let minutes = super::look::millis_between(self.now, until).div_ceil(60_000);
        Ok(format!("budgets hold nothing for {minutes} minutes"))
    }

    fn is_at_rest(&self) -> bool {
        matches!(self.state.phase, Phase::Idle | Phase::Succeeded | Phase::RolledBack | Phase::Aborted)
    }
}

fn name(by: &str) -> &str {
    if by.trim().is_empty() { "somebody" } else { by }
}

fn word(action: CommandAction) -> &'static str {
    match action {
        CommandAction::Promote { full: false } => "promote",
        CommandAction::Promote { full: true } => "promote --full",
        CommandAction::Pause => "pause",
        CommandAction::Resume => "resume",
        CommandAction::Abort => "abort",
        CommandAction::Retry => "retry",
        CommandAction::Undo => "undo",
        CommandAction::Approve => "approve",
        CommandAction::Override { .. } => "override",
    }
}
