//! Takes measured windows, each once and in order.

use super::look::Look;
use crate::observed::{Block, Counts};
use crate::spec::Guard;
use crate::state::{Phase, Progress, Stage, Total};

/// The baseline forgets half of itself at this many requests.
const FADES_AT: u64 = 1_000_000;

impl Look<'_> {
    pub(super) fn take_blocks(&mut self) {
        for block in &self.observed.blocks {
            let known = self.state.last_block.is_some_and(|last| block.at <= last);
            if known || block.at > self.now {
                continue;
            }
            self.state.last_block = Some(block.at);
            match self.state.phase {
                Phase::Idle | Phase::Succeeded | Phase::RolledBack | Phase::Aborted | Phase::Preparing => {
                    self.learn(block);
                }
                Phase::Progressing | Phase::Observing => self.watch(block),
                Phase::RollingBack => self.watch_calm(block),
            }
        }
    }

    fn watch(&mut self, block: &Block) {
        let Some(mut progress) = self.take_progress() else { return };
        progress.candidate_total.add(block.candidate.as_ref());
        progress.live_total.add(block.live.as_ref());
        if self.is_fair(&progress, block) {
            self.weigh(&mut progress, block);
            for guard in &self.plan.guards {
                self.gather(guard, &mut progress, block, block.candidate.as_ref());
            }
        }
        self.state.rollout = Some(progress);
    }

    /// Whether the whole window was measured under the present weight, warm, and without a load test.
    fn is_fair(&self, progress: &Progress, block: &Block) -> bool {
        let testing = self.state.phase == Phase::Progressing && progress.stage == Stage::LoadTest;
        progress.memory.shown_at.is_some() && !testing && block.begins_at() >= progress.memory.counts_from
    }

    fn gather(&mut self, guard: &Guard, progress: &mut Progress, block: &Block, counts: Option<&Counts>) {
        let Some(threshold) = &guard.threshold else { return };
        let mut status = progress.guards.remove(&guard.name).unwrap_or_default();
        let before = status.verdict;
        self.gather_window(threshold, &mut status, block, counts);
        self.notice_failure(guard, before, &status);
        progress.guards.insert(guard.name.clone(), status);
    }
}

impl Block {
    /// Start of the window.
    pub(super) fn begins_at(&self) -> i64 {
        self.at.saturating_sub(i64::try_from(self.window_ms).unwrap_or(i64::MAX))
    }
}

impl Total {
    fn add(&mut self, counts: Option<&Counts>) {
        if let Some(counts) = counts {
            self.requests = self.requests.saturating_add(counts.requests);
            self.errors = self.errors.saturating_add(counts.errors.min(counts.requests));
        }
    }

    /// Adds, and forgets half of what was before when it gets much.
    pub(super) fn fade_and_add(&mut self, counts: &Counts) {
        self.add(Some(counts));
        if self.requests >= FADES_AT {
            self.requests /= 2;
            self.errors /= 2;
        }
    }

    /// Errors per request; `None` without requests.
    #[expect(clippy::cast_precision_loss, reason = "a share of more than 2^53 requests is exact enough")]
    pub(super) fn ratio(self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }
}
