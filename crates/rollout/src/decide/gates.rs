//! Gates of a step: asked for until their end is known, and tried again when they could not be carried out.

use super::look::{Look, later};
use crate::decision::{Gate, GateRequest, NoteKind};
use crate::observed::GateState;
use crate::plan::PlanStep;
use crate::spec::OnInconclusive;
use crate::state::{BrokenGate, GateStatus, Phase, Progress, Stage, Verdict};

/// Time before a gate that could not be carried out is tried again.
const RETRY_MS: u64 = 30_000;
/// How often a broken gate is tried again with `onInconclusive: extend`, as a bake is.
pub(super) const MOST_EXTENSIONS: u32 = 3;

/// How the gates of a stage stand, together.
pub(super) enum Gates {
    Passed,
    Waiting,
    /// Why.
    Failed(String),
    /// Why.
    Broken(String),
}

/// A gate of the present stage.
struct Planned {
    /// Its id at the first try.
    base: String,
    name: String,
    gate: Gate,
}

impl Look<'_> {
    /// Takes over how the gates of the present stage stand.
    pub(super) fn tend_gates(&mut self) -> Gates {
        let Some(mut progress) = self.take_progress() else { return Gates::Waiting };
        let mut all = Gates::Passed;
        for planned in self.planned(&progress) {
            let stands = self.tend_gate(&planned, &mut progress);
            all = match (all, stands) {
                (Gates::Failed(why), _) | (_, Gates::Failed(why)) => Gates::Failed(why),
                (Gates::Broken(why), _) | (_, Gates::Broken(why)) => Gates::Broken(why),
                (Gates::Waiting, _) | (_, Gates::Waiting) => Gates::Waiting,
                (Gates::Passed, Gates::Passed) => Gates::Passed,
            };
        }
        self.state.rollout = Some(progress);
        all
    }

    fn tend_gate(&mut self, planned: &Planned, progress: &mut Progress) -> Gates {
        let id = current_id(&planned.base, progress);
        let name = &planned.name;
        let place = progress.gates.iter().position(|gate| gate.id.starts_with(&planned.base) && gate.name == *name);
        let place = place.unwrap_or_else(|| {
            let step = progress.step;
            let (verdict, summary) = (Verdict::Inconclusive, String::new());
            progress.gates.push(GateStatus {
                id: id.clone(),
                step,
                name: name.clone(),
                verdict,
                summary,
                report: None,
            });
            progress.gates.len() - 1
        });
        let status = &mut progress.gates[place];
        match status.verdict {
            Verdict::Good => return Gates::Passed,
            Verdict::Failed if status.id == id => return Gates::Failed(failed(name, &status.summary)),
            _ => {}
        }
        status.id.clone_from(&id);
        match self.observed.gates.get(&id) {
            None => {
                // A try that broke keeps saying why until the next one says something.
                if progress.memory.broken.get(&planned.base).is_some_and(|broken| broken.at.is_some()) {
                    return Gates::Broken(broken(name, &progress.gates[place].summary));
                }
                Gates::Waiting
            }
            Some(GateState::Running { progress: now }) => {
                status.verdict = Verdict::Inconclusive;
                status.summary.clone_from(now);
                Gates::Waiting
            }
            Some(GateState::Passed { summary, report }) => {
                status.verdict = Verdict::Good;
                status.summary.clone_from(summary);
                status.report.clone_from(report);
                progress.memory.broken.remove(&planned.base);
                self.note(NoteKind::Gate, format!("Gate {name} passed: {summary}"));
                Gates::Passed
            }
            Some(GateState::Failed { summary, report }) => {
                status.verdict = Verdict::Failed;
                status.summary.clone_from(summary);
                status.report.clone_from(report);
                self.note(NoteKind::Gate, format!("Gate {name} failed: {summary}"));
                Gates::Failed(failed(name, summary))
            }
            Some(GateState::Broken { summary }) => {
                status.verdict = Verdict::Inconclusive;
                status.summary.clone_from(summary);
                let now = self.now;
                let tries = progress.memory.broken.entry(planned.base.clone()).or_default();
                *tries = BrokenGate { tries: tries.tries.saturating_add(1), at: Some(now) };
                self.note(NoteKind::Gate, format!("Gate {name} could not be carried out: {summary}"));
                Gates::Broken(broken(name, summary))
            }
        }
    }

    /// Forgets gates of the present stage that failed or broke, so that they are tried again under other ids.
    pub(super) fn retry_gates(&mut self) {
        let Some(mut progress) = self.take_progress() else { return };
        for planned in self.planned(&progress) {
            let failed = progress.gates.iter_mut().find(|gate| {
                gate.id.starts_with(&planned.base) && gate.name == planned.name && gate.verdict == Verdict::Failed
            });
            if let Some(gate) = failed {
                gate.verdict = Verdict::Inconclusive;
                let tries = &mut progress.memory.broken.entry(planned.base.clone()).or_default().tries;
                *tries = tries.saturating_add(1);
            }
            if let Some(broken) = progress.memory.broken.get_mut(&planned.base) {
                broken.at = None;
            }
        }
        self.state.rollout = Some(progress);
    }

    /// Gates that shall run now.
    pub(super) fn gate_requests(&self) -> Vec<GateRequest> {
        let Some(progress) = self.state.rollout.as_ref().filter(|_| self.state.phase == Phase::Progressing) else {
            return Vec::new();
        };
        let wanted = self.planned(progress).into_iter().filter_map(|planned| {
            let id = current_id(&planned.base, progress);
            let status =
                progress.gates.iter().find(|gate| gate.id.starts_with(&planned.base) && gate.name == planned.name);
            let ended = status.is_some_and(|status| match status.verdict {
                Verdict::Good => true,
                Verdict::Failed => status.id == id,
                Verdict::Inconclusive => false,
            });
            let waits = progress.memory.broken.get(&planned.base).is_some_and(|broken| self.waits(*broken));
            let request = GateRequest {
                id,
                slot: progress.slot,
                gate: planned.gate,
                step: progress.step,
                revision: progress.revision.clone(),
            };
            (!ended && !waits).then_some(request)
        });
        wanted.collect()
    }

    fn waits(&self, broken: BrokenGate) -> bool {
        let spent = self.plan.on_inconclusive == OnInconclusive::Extend && broken.tries > MOST_EXTENSIONS;
        broken.at.is_some_and(|at| spent || self.now < later(at, RETRY_MS))
    }

    fn planned(&self, progress: &Progress) -> Vec<Planned> {
        let Some(step) = self.plan.steps.get(progress.step) else { return Vec::new() };
        of_stage(step, progress.stage)
            .into_iter()
            .map(|(suffix, name, gate)| Planned { base: format!("{}-{suffix}", prefix(progress)), name, gate })
            .collect()
    }
}

fn of_stage(step: &PlanStep, stage: Stage) -> Vec<(String, String, Gate)> {
    let named = |suffix: &str, name: &str, gate| (suffix.to_owned(), name.to_owned(), gate);
    match stage {
        Stage::Smoke if !step.smoke.is_empty() => vec![named("smoke", "smoke", Gate::Smoke(step.smoke.clone()))],
        Stage::Webhooks => {
            let each = step.webhooks.iter().enumerate();
            each.map(|(place, webhook)| {
                named(&format!("webhook-{place}"), &format!("webhook {}", webhook.name), Gate::Webhook(webhook.clone()))
            })
            .collect()
        }
        Stage::LoadTest => {
            let test = step.load_test.iter();
            test.map(|test| named("load-test", "load test", Gate::LoadTest(test.clone()))).collect()
        }
        _ => Vec::new(),
    }
}

fn failed(name: &str, summary: &str) -> String {
    format!("gate {name} failed: {summary}")
}

fn broken(name: &str, summary: &str) -> String {
    format!("gate {name} could not be carried out: {summary}")
}

/// The id of the present try.
fn current_id(base: &str, progress: &Progress) -> String {
    match progress.memory.broken.get(base) {
        Some(broken) if broken.tries > 0 => format!("{base}-r{}", broken.tries.saturating_add(1)),
        _ => base.to_owned(),
    }
}

/// Revision, a mark of this very rollout, attempt and step: at most 43 characters.
fn prefix(progress: &Progress) -> String {
    const LONGEST: usize = 20;
    let slug: String = progress
        .revision
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let slug = slug.trim_matches('-');
    let slug = if slug.is_empty() { "r" } else { slug };
    let mark = fingerprint(&progress.revision, progress.started_at);
    format!("{slug}-{mark:06x}-{}-{}", progress.attempt, progress.step)
}

/// FNV-1a over revision and start, folded to 24 bits.
fn fingerprint(revision: &str, started_at: i64) -> u64 {
    let bytes = revision.bytes().chain(started_at.to_le_bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 24) ^ (hash >> 48)) & 0x00ff_ffff
}
