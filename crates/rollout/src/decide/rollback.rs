//! Back to the live slot: at once, then verified, then cleaned up. Nothing holds it.

use super::guards::capital;
use super::look::{Look, PATIENCE_MS, millis_between};
use crate::decision::NoteKind;
use crate::observed::Block;
use crate::state::{Phase, RollbackCause, Stage, Total};

/// Windows in a row in which the live version has to be as good as before.
const CALM_WINDOWS: u32 = 2;
/// As good as before: at most this multiple of the errors, and this many more.
const CALM_RATIO: f64 = 2.0;
const CALM_DIFFERENCE: f64 = 0.005;
/// Looks after which it is not waited for any longer, and limits for it.
const VERIFY_LOOKS: u64 = 10;
const VERIFY_LEAST_MS: u64 = 10_000;
const VERIFY_MOST_MS: u64 = 300_000;

impl Look<'_> {
    /// All traffic to the live slot. A promotion is taken back, if the version before still runs; otherwise there is nowhere to go and it holds.
    pub(super) fn begin_rollback(&mut self, cause: RollbackCause, reason: &str) {
        if self.state.phase == Phase::Observing && !self.take_promotion_back() {
            let reason = self.failing_guard().unwrap_or_else(|| reason.to_owned());
            self.hold(capital(&format!(
                "{reason}, and the version before runs no longer: there is nothing to go back to"
            )));
            return;
        }
        self.state.phase = Phase::RollingBack;
        self.enter_stage(Stage::Shifting);
        let revision = self.revision();
        let live = self.live();
        let Some(progress) = self.progress_mut() else { return };
        let had = progress.weight;
        progress.memory.verify = progress.memory.verify || progress.weight > 0 || progress.mirror > 0;
        progress.memory.rollback = Some(cause);
        progress.memory.shown_at = None;
        progress.memory.calm_windows = 0;
        progress.memory.skip = crate::state::Skip::Nothing;
        progress.weight = 0;
        progress.mirror = 0;
        progress.failure = Some(reason.to_owned());
        let text = format!("{revision} goes back from {had} %: {reason}. All traffic goes to {live}.");
        self.note(kind(cause), text);
    }

    pub(super) fn go_back(&mut self) {
        if !self.router_shows() {
            if self.elapsed_ms() > PATIENCE_MS {
                self.hold("The router does not show that all traffic goes to the live slot.");
            }
            return;
        }
        let now = self.now;
        let longest = VERIFY_LOOKS.saturating_mul(self.interval_ms()).clamp(VERIFY_LEAST_MS, VERIFY_MOST_MS);
        let Some(progress) = self.progress_mut() else { return };
        if progress.memory.shown_at.is_none() {
            progress.memory.counts_from = now;
        }
        let shown = *progress.memory.shown_at.get_or_insert(now);
        let calm = progress.memory.calm_windows >= CALM_WINDOWS;
        let verify = progress.memory.verify;
        if !verify {
            self.end_rollback("");
        } else if calm {
            self.end_rollback(" and has as few errors as before");
        } else if millis_between(shown, now) >= longest {
            self.end_rollback("; that it has as few errors as before could not be verified");
        }
    }

    fn end_rollback(&mut self, verified: &str) {
        let cause = self.state.rollout.as_ref().and_then(|progress| progress.memory.rollback);
        let cause = cause.unwrap_or(RollbackCause::Failure);
        let (revision, live, slot) = (self.revision(), self.live(), self.state.live_slot);
        // An undo that fails leaves what was undone done with.
        let undone = self.state.finished_revision.is_some() && self.state.finished_revision.as_deref() == self.wanted();
        if cause != RollbackCause::Superseded && !undone {
            self.state.finished_revision = Some(revision.clone());
        }
        self.end(if cause == RollbackCause::Failure { Phase::RolledBack } else { Phase::Aborted });
        let text = format!("{live} in the {slot} slot has all traffic{verified}; {revision} is stopped.");
        self.note(kind(cause), text);
    }

    /// Whether the live version is back at its baseline in a window after going back.
    pub(super) fn watch_calm(&mut self, block: &Block) {
        let baseline = self.state.baseline;
        let Some(progress) = self.progress_mut() else { return };
        if progress.memory.shown_at.is_none() || block.begins_at() < progress.memory.counts_from {
            return;
        }
        let Some(live) = &block.live else { return };
        let mut window = Total::default();
        window.fade_and_add(live);
        let Some(ratio) = window.ratio() else { return };
        let limit = CALM_RATIO.mul_add(baseline.ratio().unwrap_or(0.0), CALM_DIFFERENCE);
        let calm = &mut progress.memory.calm_windows;
        *calm = if ratio <= limit { calm.saturating_add(1) } else { 0 };
    }
}

fn kind(cause: RollbackCause) -> NoteKind {
    match cause {
        RollbackCause::Failure => NoteKind::RolledBack,
        RollbackCause::Person | RollbackCause::Superseded => NoteKind::Aborted,
    }
}
