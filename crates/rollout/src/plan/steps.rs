//! The steps, in order.

use std::time::Duration;

use super::problems::Problems;
use super::target::Router;
use super::{LONGEST_BAKE, MINUTE, PlanStep, gates};
use crate::spec::{RolloutSpec, Step, Strategy};

const MOST_STEPS: usize = 50;
const BAKE: Duration = Duration::from_secs(30 * MINUTE.as_secs());

pub(super) fn complete(
    spec: &RolloutSpec,
    router: Router,
    interval: Duration,
    problems: &mut Problems,
) -> Vec<PlanStep> {
    problems.at_most("spec.steps", spec.steps.len(), MOST_STEPS);
    let written = if spec.steps.is_empty() { usual(spec.strategy) } else { spec.steps.clone() };
    let mut before = 0;
    let mut steps = Vec::new();
    for (position, step) in written.iter().enumerate() {
        let at = if spec.steps.is_empty() { "spec.strategy".to_owned() } else { format!("spec.steps[{position}]") };
        let weight = weight(&format!("{at}.weight"), step, before, spec.strategy, problems);
        before = weight;
        let mirror = mirror(&at, step, weight, spec.strategy, router, problems);
        let traffic = weight > 0 || mirror > 0;
        let (default, least) = if traffic { (BAKE, interval) } else { (Duration::ZERO, Duration::ZERO) };
        steps.push(PlanStep {
            weight,
            mirror,
            bake: problems.span(format!("{at}.bake"), step.bake, default.max(least), least, LONGEST_BAKE),
            smoke: gates::smoke(&format!("{at}.smoke"), &step.smoke, problems),
            webhooks: gates::webhooks(&format!("{at}.webhooks"), &step.webhooks, problems),
            load_test: gates::load_test(&format!("{at}.loadTest"), step.load_test.as_ref(), router, problems),
            approval: step.approval,
        });
    }
    if spec.strategy != Strategy::Shadow && before != 100 {
        let at = format!("spec.steps[{}].weight", steps.len().saturating_sub(1));
        problems.add(at, format!("is {before}: the last step has weight 100, or the new version never takes over"));
    }
    steps
}

fn usual(strategy: Strategy) -> Vec<Step> {
    let weights: &[u8] = match strategy {
        Strategy::Canary => &[10, 25, 50, 100],
        Strategy::BlueGreen => &[10, 50, 100],
        Strategy::Shadow => &[0],
    };
    weights.iter().map(|weight| Step { weight: Some(*weight), ..Step::default() }).collect()
}

fn weight(at: &str, step: &Step, before: u8, strategy: Strategy, problems: &mut Problems) -> u8 {
    let weight = step.weight.unwrap_or(before);
    if strategy == Strategy::Shadow {
        if weight > 0 {
            problems.add(at, "is more than 0: a shadow takes no traffic; leave it out, or use `strategy: canary`");
        }
        return 0;
    }
    if weight > 100 {
        problems.add(at, format!("is {weight}: write a share from 0 to 100 percent"));
        return 100;
    }
    if weight < before {
        problems
            .add(at, format!("is {weight} after {before}: weights never fall from step to step; put them in order"));
        return before;
    }
    weight
}

fn mirror(at: &str, step: &Step, weight: u8, strategy: Strategy, router: Router, problems: &mut Problems) -> u8 {
    let shadow = strategy == Strategy::Shadow;
    let mirror = step.mirror.unwrap_or(if shadow { 100 } else { 0 });
    let at_mirror = format!("{at}.mirror");
    if mirror > 100 {
        problems.add(at_mirror, format!("is {mirror}: write a share from 0 to 100 percent"));
        return 100;
    }
    if mirror > 0 && !router.mirrors {
        let place = if shadow { "spec.strategy".to_owned() } else { at_mirror };
        let text = format!("{} cannot copy requests: use `strategy: canary` without mirror", router.name);
        problems.add(place, text);
    } else if mirror > 0 && weight == 100 {
        problems.add(at_mirror, "is of no use at weight 100: nothing goes to the live slot that could be copied");
    } else if mirror == 0 && shadow {
        problems.add(at_mirror, "is 0: a shadow without copies sees nothing");
    }
    mirror
}
