//! A plan in a few words.

use std::time::Duration;

use spillway_slo::duration::Timespan;

use super::{Description, ExecutorPlan, Plan, ScenarioDescription, ScenarioPlan, Spacing, Stage};
use crate::schedule;

/// Stages that are written out.
const MOST_STAGES: usize = 12;

impl Plan {
    /// What it would run; numbers are those of all segments together.
    #[must_use]
    pub fn describe(&self) -> Description {
        let scenarios: Vec<_> = self.scenarios.iter().map(scenario).collect();
        Description {
            duration: scenarios
                .iter()
                .map(|scenario| scenario.end)
                .collect::<Option<Vec<_>>>()
                .and_then(|ends| ends.into_iter().max()),
            max_vus: scenarios.iter().map(|scenario| scenario.max_vus).sum(),
            scenarios,
        }
    }
}

fn scenario(plan: &ScenarioPlan) -> ScenarioDescription {
    let endless = matches!(plan.executor, ExecutorPlan::ExternallyControlled { duration: None, .. });
    ScenarioDescription {
        name: plan.name.clone(),
        executor: plan.executor.name().to_owned(),
        exec: plan.exec.clone(),
        vus: schedule::pre_allocated_vus(&plan.executor).into(),
        max_vus: schedule::max_vus(&plan.executor).into(),
        iterations: schedule::iterations(&plan.executor),
        start: plan.start_time,
        end: (!endless).then(|| plan.start_time.saturating_add(schedule::end(&plan.executor))),
        schedule: text(&plan.executor),
    }
}

fn text(executor: &ExecutorPlan) -> String {
    match executor {
        ExecutorPlan::SharedIterations { vus, iterations, max_duration } => {
            format!(
                "{} shared by {}, at most {}",
                counted(*iterations, "iteration"),
                counted(*vus, "user"),
                Timespan(*max_duration)
            )
        }
        ExecutorPlan::PerVuIterations { vus, iterations, max_duration } => {
            format!(
                "{} by each of {}, at most {}",
                counted(*iterations, "iteration"),
                counted(*vus, "user"),
                Timespan(*max_duration)
            )
        }
        ExecutorPlan::ConstantVus { vus, duration } => format!("{} for {}", counted(*vus, "user"), Timespan(*duration)),
        ExecutorPlan::RampingVus { start_vus, stages, .. } => staged(f64::from(*start_vus), stages, " users"),
        ExecutorPlan::ConstantArrivalRate { rate, time_unit, duration, spacing, .. } => {
            format!("{}{} for {}{}", number(*rate), per(*time_unit), Timespan(*duration), random(*spacing))
        }
        ExecutorPlan::RampingArrivalRate { start_rate, time_unit, stages, spacing, .. } => {
            format!("{}{}", staged(*start_rate, stages, &per(*time_unit)), random(*spacing))
        }
        ExecutorPlan::ExternallyControlled { vus, max_vus, duration } => {
            let end = duration
                .map_or_else(|| "until it is stopped".to_owned(), |duration| format!("for {}", Timespan(duration)));
            format!("{} at first, at most {max_vus}, as controlled from outside, {end}", counted(*vus, "user"))
        }
    }
}

fn counted(n: impl Into<u64>, thing: &str) -> String {
    match n.into() {
        1 => format!("1 {thing}"),
        n => format!("{n} {thing}s"),
    }
}

fn staged(mut from: f64, stages: &[Stage], unit: &str) -> String {
    let mut parts = Vec::new();
    for stage in stages.iter().take(MOST_STAGES) {
        let (length, target) = (Timespan(stage.duration), number(stage.target));
        parts.push(if stage.duration.is_zero() {
            format!("at once {target}{unit}")
        } else if stage.target == from {
            format!("{target}{unit} for {length}")
        } else {
            format!("{} → {target}{unit} in {length}", number(from))
        });
        from = stage.target;
    }
    if stages.len() > MOST_STAGES {
        parts.push(format!("{} more stages", stages.len() - MOST_STAGES));
    }
    parts.join(", ")
}

/// A rate without the digits that scaling leaves behind.
fn number(rate: f64) -> String {
    let rounded = (rate * 1e6).round() / 1e6;
    if rounded == 0.0 { rate.to_string() } else { rounded.to_string() }
}

fn per(unit: Duration) -> String {
    match (unit.as_secs(), unit.subsec_nanos()) {
        (1, 0) => "/s".to_owned(),
        (60, 0) => "/min".to_owned(),
        (3_600, 0) => "/h".to_owned(),
        _ => format!(" each {}", Timespan(unit)),
    }
}

fn random(spacing: Spacing) -> String {
    match spacing {
        Spacing::Even => String::new(),
        Spacing::Poisson { seed } => format!(", Poisson (seed {seed})"),
    }
}
