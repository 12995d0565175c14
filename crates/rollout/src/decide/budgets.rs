//! Error budgets hold rollouts, and roll back what spent them.

use std::collections::BTreeMap;

use spillway_slo::budget::{Budget, Reading as Counts};
use spillway_slo::burn;

use super::look::{Look, millis_between};
use super::text::percent;
use crate::decision::NoteKind;
use crate::observed::Reading;
use crate::spec::{self, CompareMetric, Guard};
use crate::state::{GuardStatus, Phase, Progress, Verdict};

/// A budget is read over days: what was read within this time still holds.
const FRESH_MS: u64 = 10 * 60 * 1000;
/// Fewer events since a step began say nothing about how fast it burns.
const LEAST_EVENTS: f64 = 100.0;
/// From half of the evidence for a rollback on, the judge says who spent the budget.
const ATTRIBUTES: f64 = 0.5;

impl Look<'_> {
    /// Moves every budget on by what was read now.
    pub(super) fn weigh_budgets(&mut self) {
        let mut budgets = BTreeMap::new();
        for (guard, budget) in budget_guards(&self.plan.guards) {
            let consumed = self.consumed(&guard.name, budget);
            let before = self.state.budgets.get(&guard.name).copied().unwrap_or_default();
            let next = before.next(consumed);
            budgets.insert(guard.name.clone(), next);
            if before.crosses_into_emergency(next)
                && matches!(self.state.phase, Phase::Preparing | Phase::Progressing | Phase::Observing)
                && let Some(progress) = self.progress_mut()
            {
                progress.memory.crossed.insert(guard.name.clone());
            }
            if next != before && !(before == Budget::Unknown && next == Budget::Healthy) {
                let spent = consumed.map_or_else(
                    || "what is spent is not known".to_owned(),
                    |spent| format!("{} spent", percent(spent)),
                );
                self.note(NoteKind::Budget, format!("Budget `{}` is {}: {spent}.", guard.name, word(next)));
            }
        }
        self.state.budgets = budgets;
    }

    /// Why no rollout may start or go on, if a budget says so.
    pub(super) fn frozen(&self) -> Option<String> {
        if self.is_exempt() {
            return None;
        }
        budget_guards(&self.plan.guards).find_map(|(guard, _)| {
            let budget = self.state.budgets.get(&guard.name).copied().unwrap_or_default();
            let name = &guard.name;
            match budget {
                Budget::Frozen | Budget::Emergency => Some(format!(
                    "budget `{name}` is spent: nothing is rolled out until less than 70 % of it are, except fixes and by `override`"
                )),
                Budget::Unknown => Some(format!("budget `{name}` is not known: there is no data that says that anything is left")),
                Budget::Healthy | Budget::Warning => None,
            }
        })
    }

    /// Whether a budget asks for longer bakes.
    pub(super) fn is_warned(&self) -> bool {
        self.state.budgets.values().any(|budget| *budget == Budget::Warning)
    }

    /// Fixes, and everything during an override.
    pub(super) fn is_exempt(&self) -> bool {
        self.plan.is_fix || self.state.override_until.is_some_and(|until| self.now < until)
    }

    /// How a budget's guard stands. It fails when the budget crossed into the emergency during this rollout and the rollout did it.
    pub(super) fn read_budget(
        &self,
        guard: &Guard,
        budget: &spec::Budget,
        progress: &Progress,
        status: &mut GuardStatus,
    ) {
        let stands = self.state.budgets.get(&guard.name).copied().unwrap_or_default();
        let counts = self.counts(&guard.name);
        status.value = self.consumed(&guard.name, budget);
        status.limit = Some(spillway_slo::budget::FREEZES_AT);
        if status.gathered.len() != 2
            && let Some(counts) = counts
        {
            status.gathered = vec![whole(counts.total), whole(counts.bad)];
        }
        let spent = status.value.map_or_else(|| "no data".to_owned(), |spent| format!("{} spent", percent(spent)));
        let emergency = stands == Budget::Emergency && progress.memory.crossed.contains(&guard.name);
        let cause = emergency.then(|| self.attributed(budget, counts, progress, status)).flatten();
        (status.verdict, status.text) = match cause {
            Some(cause) => (Verdict::Failed, format!("{spent}, and {cause}")),
            None if status.value.is_none() => (Verdict::Inconclusive, spent),
            None if stands.allows() || self.is_exempt() => (Verdict::Good, spent),
            None => (Verdict::Inconclusive, format!("{spent}: {}", word(stands))),
        };
    }

    /// Why this rollout is taken for the one that spent the budget.
    fn attributed(
        &self,
        budget: &spec::Budget,
        counts: Option<Counts>,
        progress: &Progress,
        status: &GuardStatus,
    ) -> Option<&'static str> {
        if let Some(evidence) = self.evidence(progress, CompareMetric::Errors)
            && evidence.roll_back >= ATTRIBUTES * evidence.roll_back_limit
        {
            return Some("the candidate has more errors than the live version");
        }
        let (counts, [total, bad]) = (counts?, <[u64; 2]>::try_from(status.gathered.as_slice()).ok()?);
        let since = Counts { bad: counts.bad - float(bad), total: counts.total - float(total) };
        let rate = burn::rate(since, budget.target).filter(|_| since.total >= LEAST_EVENTS)?;
        (rate > burn::RULES[0].factor).then_some("it burns fast since the step began")
    }

    fn consumed(&self, name: &str, budget: &spec::Budget) -> Option<f64> {
        self.counts(name)?.consumed(budget.target, budget.minimum_events.unwrap_or(1000))
    }

    fn counts(&self, name: &str) -> Option<Counts> {
        match self.observed.readings.get(name)? {
            Reading::Budget { reading, at } if millis_between(*at, self.now) <= FRESH_MS => Some(*reading),
            _ => None,
        }
    }
}

fn budget_guards(guards: &[Guard]) -> impl Iterator<Item = (&Guard, &spec::Budget)> {
    guards.iter().filter_map(|guard| Some((guard, guard.budget.as_ref()?)))
}

fn word(budget: Budget) -> &'static str {
    match budget {
        Budget::Unknown => "unknown",
        Budget::Healthy => "healthy",
        Budget::Warning => "nearly spent",
        Budget::Frozen => "spent, and frozen",
        Budget::Emergency => "far overspent: an emergency",
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, which is what a count needs"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

#[expect(clippy::cast_precision_loss, reason = "a difference of counts beyond 2^53 is exact enough")]
fn float(count: u64) -> f64 {
    count as f64
}
