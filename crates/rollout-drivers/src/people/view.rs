//! How a Rollout stands: all that is shown of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;
use spillway_rollout::judge::Evidence;
use spillway_rollout::observed::{Observed, RouterObserved, SlotObserved};
use spillway_rollout::plan::PlanStep;
use spillway_rollout::spec::{Guard, Strategy, ThresholdMetric};
use spillway_rollout::state::{GuardStatus, Phase, Progress, Stage, State};
use spillway_rollout::{Plan, Slot, Slots};
use spillway_slo::budget::Budget;

/// How a Rollout stands. Complete: what draws it needs neither plan nor clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// When it stood so.
    pub at: UnixMillis,
    /// Name of the Rollout.
    pub name: String,
    /// Namespace on Kubernetes.
    #[serde(default)]
    pub namespace: Option<String>,
    /// How traffic moves.
    pub strategy: Strategy,
    /// The steps of the plan.
    pub steps: Vec<StepView>,
    /// How long the new version is watched at 100 %, milliseconds.
    pub observation_ms: u64,
    /// The guards of the plan.
    pub guards: Vec<GuardView>,
    /// What is remembered.
    pub state: State,
    /// How each comparison stands.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// The slots as they were seen; `None` when nobody looked.
    #[serde(default)]
    pub slots: Option<Slots<SlotObserved>>,
    /// The router as it was seen.
    #[serde(default)]
    pub router: Option<RouterObserved>,
    /// What could not be observed, one sentence each.
    #[serde(default)]
    pub troubles: Vec<String>,
}

/// A step of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Share of the traffic, percent.
    pub weight: u8,
    /// Share of the requests that are copied, percent.
    pub mirror: u8,
    /// How long it is watched, milliseconds.
    pub bake_ms: u64,
    /// What has to pass: `smoke`, webhooks by name, `load test`, `approval`.
    pub gates: Vec<String>,
}

/// A guard of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardView {
    /// Its name.
    pub name: String,
    /// What its value is.
    pub unit: GuardUnit,
    /// Consecutive windows beyond the limit until it fails.
    pub windows: u32,
}

/// What a guard's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GuardUnit {
    /// None: the judge's evidence stands for it.
    Comparison,
    /// A share from 0 to 1.
    Share,
    /// Seconds.
    Seconds,
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Alerts that fire.
    Alerts,
    /// The share of a budget that is spent.
    Budget,
    /// Whatever a query gives.
    Number,
}

impl View {
    /// How it stands at `at`, as far as plan and state say.
    #[must_use]
    pub fn new(plan: &Plan, state: &State, at: UnixMillis) -> Self {
        let evidence = state.rollout.as_ref().map_or_else(Vec::new, |rollout| rollout.judge.evidence(&plan.judge));
        Self {
            at,
            name: plan.name.clone(),
            namespace: plan.namespace.clone(),
            strategy: plan.strategy,
            steps: plan.steps.iter().map(StepView::new).collect(),
            observation_ms: milliseconds(plan.observation),
            guards: plan.guards.iter().map(GuardView::new).collect(),
            state: state.clone(),
            evidence,
            slots: None,
            router: None,
            troubles: Vec::new(),
        }
    }

    /// With what was seen of slots and router.
    #[must_use]
    pub fn seen(mut self, observed: &Observed) -> Self {
        self.slots = Some(observed.slots.clone());
        self.router = observed.router;
        self.troubles.clone_from(&observed.troubles);
        self
    }

    /// The rollout under way, or the last one.
    #[must_use]
    pub fn rollout(&self) -> Option<&Progress> {
        self.state.rollout.as_ref()
    }

    /// Whether a rollout is under way: traffic moves, or is about to.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        matches!(self.state.phase, Phase::Preparing | Phase::Progressing | Phase::Observing | Phase::RollingBack)
    }

    /// Share of the traffic of a slot, percent: as seen, else as decided.
    #[must_use]
    pub fn weight(&self, slot: Slot) -> u8 {
        if let Some(router) = &self.router {
            return *router.weights.get(slot);
        }
        let live = self.state.live_slot;
        match self.rollout() {
            Some(rollout) if rollout.slot != live && slot == rollout.slot => rollout.weight,
            Some(rollout) if rollout.slot != live => 100_u8.saturating_sub(rollout.weight),
            _ if slot == live => 100,
            _ => 0,
        }
    }

    /// Milliseconds of the present stage that count.
    #[must_use]
    pub fn stage_ms(&self) -> u64 {
        let Some(rollout) = self.rollout() else { return 0 };
        let paused = self.state.paused_since.map_or(0, |paused| since(paused.max(rollout.stage_since), self.at));
        since(rollout.stage_since, self.at).saturating_sub(rollout.paused_ms).saturating_sub(paused)
    }

    /// How long a step is watched, milliseconds: longer while a budget is nearly spent.
    pub(super) fn bake_ms(&self, step: usize) -> Option<u64> {
        let planned = self.steps.get(step)?.bake_ms;
        Some(if self.is_warned() { planned.saturating_mul(PlanStep::WARNED_BAKE) } else { planned })
    }

    /// Whether a budget is nearly spent, so that steps are longer and smaller.
    fn is_warned(&self) -> bool {
        self.state.budgets.values().any(|budget| *budget == Budget::Warning)
    }

    /// Milliseconds until the present step or the observation ends by itself. `None` when it waits for something else than time.
    #[must_use]
    pub fn left_ms(&self) -> Option<u64> {
        let rollout = self.rollout()?;
        if self.state.paused || self.state.held.is_some() {
            return None;
        }
        match (self.state.phase, rollout.stage) {
            (Phase::Observing, _) => Some(self.observation_ms.saturating_sub(self.stage_ms())),
            (Phase::Progressing, Stage::Baking) => Some(self.bake_ms(rollout.step)?.saturating_sub(self.stage_ms())),
            _ => None,
        }
    }

    /// Milliseconds until the candidate is live, when every step takes its whole time. `None` when it waits for something else than time.
    #[must_use]
    pub fn promoted_in_ms(&self) -> Option<u64> {
        let rollout = self.rollout()?;
        let waits = self.state.paused || self.state.held.is_some() || rollout.stage == Stage::Approval;
        if waits || !matches!(self.state.phase, Phase::Preparing | Phase::Progressing) {
            return None;
        }
        let present = self.bake_ms(rollout.step)?;
        let mut left = if rollout.stage == Stage::Baking { present.saturating_sub(self.stage_ms()) } else { present };
        let mut had = rollout.weight;
        for (place, step) in self.steps.iter().enumerate().skip(rollout.step) {
            // While a budget is nearly spent a step is watched in two portions. The present one is counted already.
            let is_halved = self.is_warned() && step.weight.saturating_sub(had) > 1;
            let portions = if place > rollout.step {
                1 + u64::from(is_halved)
            } else if self.state.phase == Phase::Preparing {
                u64::from(is_halved)
            } else {
                u64::from(had < step.weight)
            };
            left = left.saturating_add(self.bake_ms(place)?.saturating_mul(portions));
            had = had.max(step.weight);
        }
        Some(left)
    }

    /// A guard of the plan and how it stands, in the plan's order; then those that the plan no longer has.
    pub(super) fn guards(&self) -> Vec<(GuardView, Option<&GuardStatus>)> {
        let known = self.rollout().map(|rollout| &rollout.guards);
        let status = |name: &str| known.and_then(|guards| guards.get(name));
        let planned = self.guards.iter().map(|guard| (guard.clone(), status(&guard.name)));
        let dropped = known.into_iter().flatten().filter(|(name, _)| !self.guards.iter().any(|one| one.name == **name));
        let dropped = dropped.map(|(name, status)| {
            (GuardView { name: name.clone(), unit: GuardUnit::Number, windows: 1 }, Some(status))
        });
        planned.chain(dropped).collect()
    }
}

impl StepView {
    fn new(step: &PlanStep) -> Self {
        let mut gates = Vec::new();
        gates.extend((!step.smoke.is_empty()).then(|| "smoke".to_owned()));
        gates.extend(step.webhooks.iter().map(|webhook| format!("webhook {}", webhook.name)));
        gates.extend(step.load_test.as_ref().map(|_| "load test".to_owned()));
        gates.extend(step.approval.then(|| "approval".to_owned()));
        Self { weight: step.weight, mirror: step.mirror, bake_ms: milliseconds(step.bake), gates }
    }
}

impl GuardView {
    fn new(guard: &Guard) -> Self {
        let threshold = guard.threshold.as_ref();
        let unit = match (threshold.map(|threshold| threshold.metric), &guard.alerts, &guard.budget) {
            (Some(Some(ThresholdMetric::ErrorRatio | ThresholdMetric::PoolUsage)), _, _) => GuardUnit::Share,
            (
                Some(Some(ThresholdMetric::LatencyP50 | ThresholdMetric::LatencyP95 | ThresholdMetric::LatencyP99)),
                _,
                _,
            ) => GuardUnit::Seconds,
            (Some(Some(ThresholdMetric::Restarts)), _, _) => GuardUnit::Count,
            (Some(Some(ThresholdMetric::MemoryBytes)), _, _) => GuardUnit::Bytes,
            (Some(None), _, _) => GuardUnit::Number,
            (None, Some(_), _) => GuardUnit::Alerts,
            (None, None, Some(_)) => GuardUnit::Budget,
            (None, None, None) => GuardUnit::Comparison,
        };
        let windows = threshold.and_then(|threshold| threshold.windows).unwrap_or(1);
        Self { name: guard.name.clone(), unit, windows }
    }
}

/// Milliseconds from one instant to another; none when the clock was set back.
pub(crate) fn since(from: UnixMillis, to: UnixMillis) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use spillway_rollout::state::Stage;

    use crate::people::sample;

    use super::*;

    #[test]
    fn a_budget_that_is_nearly_spent_makes_it_longer() {
        let mut view = sample::good();
        view.steps =
            [10, 25, 100].map(|weight| StepView { weight, mirror: 0, bake_ms: 1_000, gates: Vec::new() }).into();
        view.state.phase = Phase::Progressing;
        let rollout = view.state.rollout.as_mut().expect("a rollout");
        (rollout.step, rollout.weight, rollout.stage, rollout.stage_since) = (1, 25, Stage::Baking, view.at);
        assert_eq!(view.promoted_in_ms(), Some(2_000));
        view.state.budgets.insert("slo".to_owned(), Budget::Warning);
        assert_eq!(view.promoted_in_ms(), Some(3 * 2_000), "the present bake, and the last step in two portions");
        view.state.rollout.as_mut().expect("a rollout").weight = 18;
        assert_eq!(view.promoted_in_ms(), Some(4 * 2_000), "the other half of the present step as well");
    }
}
