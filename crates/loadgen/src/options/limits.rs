//! What no plan exceeds, after scaling.

use std::time::Duration;

use super::{ConfigurationError, ExecutorPlan, Options, Plan, ScenarioPlan};
use crate::schedule;

/// Users of a test.
const MOST_VUS: u64 = 1_000_000;

/// Iterations of a scenario per second.
const MOST_RATE: f64 = 10_000_000.0;

/// From the start to the end of a scenario that has one, and its grace.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

pub(super) fn check(options: &Options, plan: &Plan) -> Result<(), ConfigurationError> {
    let vus: u64 = plan.scenarios.iter().map(|scenario| u64::from(schedule::max_vus(&scenario.executor))).sum();
    if vus > MOST_VUS {
        let message = format!("{vus} users are too many: a test has at most {MOST_VUS}");
        return Err(options.document.refuse(&["scenarios"], message));
    }
    for scenario in &plan.scenarios {
        let refuse = |message: String| {
            let path: &[&str] = &["scenarios", &scenario.name];
            options.document.refuse(path, message)
        };
        if peak_per_second(&scenario.executor) > MOST_RATE {
            return Err(refuse(format!("a scenario starts at most {MOST_RATE} iterations per second")));
        }
        if longest(scenario) > LONGEST {
            return Err(refuse(format!(
                "a scenario is over within {} days, its grace included",
                LONGEST.as_secs() / 86_400
            )));
        }
        let shortest = schedule::end(&scenario.executor);
        if shortest < Duration::from_millis(1) {
            return Err(refuse("a scenario lasts at least 1ms".to_owned()));
        }
    }
    Ok(())
}

fn longest(scenario: &ScenarioPlan) -> Duration {
    let endless = matches!(scenario.executor, ExecutorPlan::ExternallyControlled { duration: None, .. });
    let end = if endless { Duration::ZERO } else { schedule::end(&scenario.executor) };
    let ramp_down = match scenario.executor {
        ExecutorPlan::RampingVus { graceful_ramp_down, .. } => graceful_ramp_down,
        _ => Duration::ZERO,
    };
    scenario.start_time.saturating_add(end).saturating_add(scenario.graceful_stop.max(ramp_down))
}

/// The highest rate of an arrival-rate executor; zero for others.
pub(super) fn peak_per_second(executor: &ExecutorPlan) -> f64 {
    let (rate, time_unit) = match executor {
        ExecutorPlan::ConstantArrivalRate { rate, time_unit, .. } => (*rate, *time_unit),
        ExecutorPlan::RampingArrivalRate { start_rate, time_unit, stages, .. } => {
            (stages.iter().map(|stage| stage.target).fold(*start_rate, f64::max), *time_unit)
        }
        _ => return 0.0,
    };
    rate / time_unit.as_secs_f64()
}
