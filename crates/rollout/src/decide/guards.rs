//! Guards: which fail, and whether all that apply are good.

use super::look::{Failing, Look, millis};
use crate::decision::NoteKind;
use crate::observed::Reading;
use crate::spec::{Guard, ThresholdMetric};
use crate::state::{GuardStatus, Phase, Progress, Verdict};

/// Evidence that is missing.
pub(super) struct Lacking {
    /// One sentence that does not change from look to look.
    pub(super) text: String,
    /// Time until the present window is whole, if that is what is waited for.
    pub(super) window_ms: u64,
}

impl Look<'_> {
    /// Reads every guard, while a version is under test; before it has traffic, alerts only.
    pub(super) fn read_guards(&mut self) {
        let alone = self.state.phase == Phase::Preparing;
        if !alone && !matches!(self.state.phase, Phase::Progressing | Phase::Observing) {
            return;
        }
        let Some(mut progress) = self.take_progress() else { return };
        progress.guards.retain(|name, _| self.plan.guards.iter().any(|guard| guard.name == *name));
        for guard in self.plan.guards.iter().filter(|guard| !alone || guard.alerts.is_some()) {
            let mut status = progress.guards.remove(&guard.name).unwrap_or_default();
            let before = status.verdict;
            self.read_guard(guard, &progress, &mut status);
            self.notice_failure(guard, before, &status);
            progress.guards.insert(guard.name.clone(), status);
        }
        self.state.rollout = Some(progress);
    }

    fn read_guard(&self, guard: &Guard, progress: &Progress, status: &mut GuardStatus) {
        if let Some(compare) = &guard.compare {
            self.read_comparison(compare.metric, progress, status);
        } else if let Some(threshold) = &guard.threshold {
            self.read_threshold(guard, threshold, progress, status);
        } else if guard.alerts.is_some() {
            self.read_alerts(guard, progress, status);
        } else if let Some(budget) = &guard.budget {
            self.read_budget(guard, budget, progress, status);
        }
    }

    /// Any alert that fires fails at once.
    fn read_alerts(&self, guard: &Guard, progress: &Progress, status: &mut GuardStatus) {
        (status.verdict, status.text) = match self.fresh(&guard.name, progress) {
            Ok(Reading::Alerts { firing, .. }) if firing.is_empty() => (Verdict::Good, "no alert fires".to_owned()),
            Ok(Reading::Alerts { firing, .. }) => (Verdict::Failed, format!("{} fires", shown(firing))),
            Ok(Reading::Nothing { reason, .. }) => (Verdict::Inconclusive, reason.clone()),
            Ok(_) => (Verdict::Inconclusive, "what was read are no alerts".to_owned()),
            Err(why) => (Verdict::Inconclusive, why),
        };
    }

    /// Remembers a failure, and tells when it is new.
    pub(super) fn notice_failure(&mut self, guard: &Guard, before: Verdict, status: &GuardStatus) {
        if status.verdict != Verdict::Failed {
            return;
        }
        let failure = format!("guard `{}` failed: {}", guard.name, status.text);
        if before != Verdict::Failed {
            self.note(NoteKind::Guard, capital(&failure));
        }
        self.failing.get_or_insert(Failing { guard: format!("guard `{}` fails", guard.name), reason: failure });
    }

    /// Forgets what guards said: a step, an observation or another try begins.
    pub(super) fn reset_guards(&mut self) {
        let now = self.now;
        if let Some(progress) = self.progress_mut() {
            progress.guards.clear();
            progress.memory.entered_at = now;
        }
        self.failing = None;
    }

    /// The first guard that applies now and is not good.
    pub(super) fn lacking(&self) -> Option<Lacking> {
        let progress = self.state.rollout.as_ref()?;
        self.plan.guards.iter().filter(|guard| self.applies(guard, progress)).find_map(|guard| {
            let unread = GuardStatus::default();
            let status = progress.guards.get(&guard.name).unwrap_or(&unread);
            if status.verdict == Verdict::Good {
                return None;
            }
            let window_ms = match &guard.threshold {
                Some(threshold) if status.windows_beyond == 0 && measures_requests(guard) => {
                    threshold.window.map_or(0, |window| millis(window.0)).saturating_add(2 * self.interval_ms())
                }
                _ => 0,
            };
            Some(Lacking { text: format!("guard `{}` {}", guard.name, why(guard, status)), window_ms })
        })
    }

    /// Whether a guard has to be good for the step, or the observation, to end well.
    fn applies(&self, guard: &Guard, progress: &Progress) -> bool {
        if guard.compare.is_some() {
            return self.is_comparable(progress);
        }
        if guard.budget.is_some() {
            // Budgets hold by themselves, and an observation is not held by them.
            return false;
        }
        if measures_requests(guard) && progress.weight == 0 && progress.mirror == 0 {
            return false;
        }
        let status = progress.guards.get(&guard.name);
        let silent = status.is_none_or(|status| status.verdict == Verdict::Inconclusive && status.windows_beyond == 0);
        !(silent && self.plan.optional_guards.contains(&guard.name))
    }
}

fn measures_requests(guard: &Guard) -> bool {
    use ThresholdMetric::{ErrorRatio, LatencyP50, LatencyP95, LatencyP99};
    let metric = guard.threshold.as_ref().and_then(|threshold| threshold.metric);
    matches!(metric, Some(ErrorRatio | LatencyP50 | LatencyP95 | LatencyP99))
}

/// Why a guard is not good, without numbers that change.
fn why(guard: &Guard, status: &GuardStatus) -> &'static str {
    match (status.verdict, guard.compare.is_some()) {
        (Verdict::Failed, _) => "fails",
        (_, true) if status.value.is_none() => "has no requests of both versions to compare",
        (_, true) => {
            "has neither shown the candidate to be worse nor proven it no worse: more requests or `promote` decide"
        }
        (_, false) if status.windows_beyond > 0 => "is beyond its limit",
        (_, false) => "has no data",
    }
}

/// Names of alerts, not too many.
fn shown(firing: &[String]) -> String {
    const MOST: usize = 5;
    let names: Vec<String> = firing.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    let more = firing.len().saturating_sub(MOST);
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}

/// A sentence from what stands within one.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect::<String>() + ".")
}
