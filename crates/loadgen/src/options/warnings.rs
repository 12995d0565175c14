//! What is allowed and probably not meant.

use spillway_slo::threshold::{Aggregation, Threshold};

use super::document::Value;
use super::thresholds::OWN_TAGS;
use super::{ExecutorPlan, Options, Overrides, Plan, SETUP, ScenarioPlan, TEARDOWN, limits};
use crate::schedule;
use crate::segment::SegmentedIndex;

pub(super) fn add(options: &Options, overrides: &Overrides, plan: &mut Plan) {
    let mut found = Vec::new();
    flows(options, plan, &mut found);
    scenarios(options, plan, &mut found);
    thresholds(options, overrides, plan, &mut found);
    tags(options, &mut found);
    plan.warnings.append(&mut found);
}

fn flows(options: &Options, plan: &Plan, found: &mut Vec<String>) {
    for name in options.flows().keys() {
        let once = name == SETUP || name == TEARDOWN;
        let run = plan.scenarios.iter().find(|scenario| scenario.exec == *name);
        let place = options.place(&["flows", name]);
        match run {
            None if !once => found.push(format!("{place}: no scenario runs the flow {name}")),
            Some(scenario) if once => {
                found.push(format!(
                    "{place}: the flow {name} runs once by itself, and scenario {} runs it again",
                    scenario.name
                ));
            }
            _ => {}
        }
    }
}

fn scenarios(options: &Options, plan: &Plan, found: &mut Vec<String>) {
    let index = SegmentedIndex::new(&plan.segment);
    for scenario in &plan.scenarios {
        let place = options.place(&["scenarios", &scenario.name]);
        let ScenarioPlan { name, executor, .. } = scenario;
        if schedule::max_vus(executor) == 0 {
            found.push(format!("{place}: scenario {name} never has a user"));
        } else if index.share(u64::from(schedule::max_vus(executor))) == 0 {
            found.push(format!("{place}: the segment {} has none of the users of scenario {name}", plan.segment));
        }
        if let ExecutorPlan::RampingArrivalRate { .. } = executor
            && limits::peak_per_second(executor) == 0.0
        {
            found.push(format!("{place}: scenario {name} never starts an iteration: all its rates are 0"));
        }
        if let Some(rps) = plan.rps
            && limits::peak_per_second(executor) > f64::from(rps)
        {
            found.push(format!(
                "{place}: scenario {name} starts more iterations per second than the {rps} requests that rps allows"
            ));
        }
        if options.file.scenarios.get(name).is_some_and(|written| written.seed.is_some())
            && options.document.get(&["scenarios", name, "spacing"]).is_none()
        {
            found.push(format!("{place}: the seed of scenario {name} changes nothing without spacing = \"poisson\""));
        }
    }
    if let Some(first) = plan.scenarios.iter().map(|scenario| scenario.start_time).min()
        && !first.is_zero()
    {
        found.push(format!("nothing runs for the first {}", spillway_slo::duration::Timespan(first)));
    }
}

fn thresholds(options: &Options, overrides: &Overrides, plan: &Plan, found: &mut Vec<String>) {
    for (selector, node) in options.document.entries(&["thresholds"]) {
        if let Value::List(conditions) = &node.value
            && conditions.is_empty()
        {
            found.push(format!("{}: {selector} has no condition", options.place(&["thresholds", selector])));
        }
    }
    for threshold in &plan.thresholds {
        let Threshold { selector, expression, .. } = threshold;
        if let Some((_, wanted)) = selector.tags.iter().find(|(tag, _)| tag == "scenario")
            && !plan.scenarios.iter().any(|scenario| scenario.name == *wanted)
        {
            found.push(format!("threshold {selector}: {expression} has no samples: there is no scenario {wanted}"));
        }
        if !threshold.delay_abort_eval.is_zero() && !threshold.abort_on_fail {
            found.push(format!(
                "threshold {selector}: {expression}: delayAbortEval changes nothing without abortOnFail"
            ));
        }
        let throughput = matches!(
            selector.metric.as_str(),
            "http_reqs" | "iterations" | "data_sent" | "data_received" | "ws_sessions"
        );
        let scaled = match expression.aggregation {
            Aggregation::Rate => overrides.scale != 1.0,
            Aggregation::Count => overrides.scale != 1.0 || overrides.time_scale != 1.0,
            _ => false,
        };
        if throughput && scaled {
            found.push(format!("threshold {selector}: {expression} is not scaled with the test"));
        }
    }
}

fn tags(options: &Options, found: &mut Vec<String>) {
    for name in options.file.tags.keys().filter(|name| OWN_TAGS.contains(&name.as_str())) {
        found.push(format!(
            "{}: samples have a tag {name} of their own, which hides this one",
            options.place(&["tags", name])
        ));
    }
}
