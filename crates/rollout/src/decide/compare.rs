//! What the judge says of a comparison.

use super::look::{Look, millis_between};
use super::text::percent;
use crate::judge::Evidence;
use crate::observed::Block;
use crate::spec::CompareMetric;
use crate::state::{GuardStatus, Phase, Progress, Verdict};

/// Looks without a window of both slots, after which a proof is taken for old.
const STALE_LOOKS: u64 = 5;
const STALE_LEAST_MS: u64 = 60_000;

impl Look<'_> {
    /// Whether both versions have requests at all, so that a comparison applies.
    pub(super) fn is_comparable(&self, progress: &Progress) -> bool {
        let split = progress.weight > 0 && progress.weight < 100;
        self.state.phase == Phase::Progressing && (split || progress.mirror > 0)
    }

    /// Learns how the live version behaves while nothing is rolled out.
    pub(super) fn learn(&mut self, block: &Block) {
        let Some(live) = &block.live else { return };
        self.state.baseline.fade_and_add(live);
        if !self.plan.judge.metrics.is_empty() {
            self.state.learnt.learn(&self.plan.judge, block);
        }
    }

    /// Hands a window to the judge.
    pub(super) fn weigh(&self, progress: &mut Progress, block: &Block) {
        if self.plan.judge.metrics.is_empty() || !self.is_comparable(progress) {
            return;
        }
        progress.judge.look(&self.plan.judge, block);
        if block.candidate.is_some() && block.live.is_some() {
            for guard in self.plan.guards.iter().filter(|guard| guard.compare.is_some()) {
                progress.guards.entry(guard.name.clone()).or_default().last_window = Some(block.at);
            }
        }
    }

    /// How a comparison stands, if the judge was asked for it.
    pub(super) fn evidence(&self, progress: &Progress, metric: CompareMetric) -> Option<Evidence> {
        if self.plan.judge.metrics.is_empty() {
            return None;
        }
        progress.judge.evidence(&self.plan.judge).into_iter().find(|evidence| evidence.metric == metric)
    }

    pub(super) fn read_comparison(&self, metric: CompareMetric, progress: &Progress, status: &mut GuardStatus) {
        if !self.is_comparable(progress) {
            *status = GuardStatus { text: "only one version has requests".to_owned(), ..GuardStatus::default() };
            return;
        }
        let Some(evidence) = self.evidence(progress, metric) else {
            *status = GuardStatus { text: "nothing is compared".to_owned(), ..GuardStatus::default() };
            return;
        };
        let stale = (STALE_LOOKS * self.interval_ms()).max(STALE_LEAST_MS);
        let measured = status.last_window.is_some_and(|at| millis_between(at, self.now) <= stale);
        status.value = evidence.candidate_ratio.filter(|ratio| ratio.is_finite());
        status.limit = None;
        // What once was evidence enough stays so, though the e-value may fall again.
        let failed = status.verdict == Verdict::Failed || evidence.roll_back >= evidence.roll_back_limit;
        status.verdict = if failed {
            Verdict::Failed
        } else if measured && evidence.candidate_requests > 0 && evidence.pass >= evidence.pass_limit {
            Verdict::Good
        } else {
            Verdict::Inconclusive
        };
        status.text = describe(&evidence, status.verdict, measured);
    }
}

fn describe(evidence: &Evidence, verdict: Verdict, measured: bool) -> String {
    if evidence.candidate_requests == 0 || !measured {
        return "no requests of both versions".to_owned();
    }
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "–".to_owned(), percent);
    let (candidate, live) = (ratio(evidence.candidate_ratio), ratio(evidence.live_ratio));
    let numbers = match (evidence.metric, evidence.boundary) {
        (CompareMetric::Latency, Some(boundary)) => {
            format!("{candidate} slower than {boundary} s, {live} on the live version")
        }
        (CompareMetric::Latency, None) => format!("{candidate} slow, {live} on the live version"),
        (CompareMetric::Errors, _) => format!("{candidate} errors, {live} on the live version"),
    };
    match verdict {
        Verdict::Failed => format!("worse: {numbers}"),
        Verdict::Good => format!("no worse: {numbers}"),
        Verdict::Inconclusive => numbers,
    }
}
