//! When iterations start and how many users there are, computed from a plan alone and only as far as it is asked for.
//!
//! All times count from the start of the scenario.

mod arrivals;
mod users;

use std::time::Duration;

pub use arrivals::arrivals;
pub use users::{VuChange, vu_changes};

use crate::options::{ExecutorPlan, Spacing};

/// When the executor's schedule is over, grace not included. Of iterations that are counted it is their time limit; of an externally
/// controlled executor without end it is [`Duration::MAX`].
#[must_use]
pub fn end(executor: &ExecutorPlan) -> Duration {
    match executor {
        ExecutorPlan::SharedIterations { max_duration, .. } | ExecutorPlan::PerVuIterations { max_duration, .. } => {
            *max_duration
        }
        ExecutorPlan::ConstantVus { duration, .. } | ExecutorPlan::ConstantArrivalRate { duration, .. } => *duration,
        ExecutorPlan::RampingVus { stages, .. } | ExecutorPlan::RampingArrivalRate { stages, .. } => {
            stages.iter().fold(Duration::ZERO, |end, stage| end.saturating_add(stage.duration))
        }
        ExecutorPlan::ExternallyControlled { duration, .. } => duration.unwrap_or(Duration::MAX),
    }
}

/// Users made before the first iteration, of all segments together.
#[must_use]
pub fn pre_allocated_vus(executor: &ExecutorPlan) -> u32 {
    match executor {
        ExecutorPlan::SharedIterations { vus, .. }
        | ExecutorPlan::PerVuIterations { vus, .. }
        | ExecutorPlan::ConstantVus { vus, .. }
        | ExecutorPlan::ExternallyControlled { vus, .. } => *vus,
        ExecutorPlan::RampingVus { start_vus, .. } => *start_vus,
        ExecutorPlan::ConstantArrivalRate { pre_allocated_vus, .. }
        | ExecutorPlan::RampingArrivalRate { pre_allocated_vus, .. } => *pre_allocated_vus,
    }
}

/// Users there may be at most, of all segments together.
#[must_use]
pub fn max_vus(executor: &ExecutorPlan) -> u32 {
    match executor {
        ExecutorPlan::SharedIterations { vus, .. }
        | ExecutorPlan::PerVuIterations { vus, .. }
        | ExecutorPlan::ConstantVus { vus, .. } => *vus,
        ExecutorPlan::RampingVus { start_vus, stages, .. } => {
            stages.iter().map(|stage| stage.target as u32).fold(*start_vus, u32::max)
        }
        ExecutorPlan::ConstantArrivalRate { max_vus, .. }
        | ExecutorPlan::RampingArrivalRate { max_vus, .. }
        | ExecutorPlan::ExternallyControlled { max_vus, .. } => *max_vus,
    }
}

/// Iterations of all segments together; `None` when time or chance decides.
#[must_use]
pub fn iterations(executor: &ExecutorPlan) -> Option<u64> {
    match executor {
        ExecutorPlan::SharedIterations { iterations, .. } => Some(*iterations),
        ExecutorPlan::PerVuIterations { vus, iterations, .. } => Some(iterations.saturating_mul(u64::from(*vus))),
        ExecutorPlan::ConstantArrivalRate { spacing: Spacing::Even, .. }
        | ExecutorPlan::RampingArrivalRate { spacing: Spacing::Even, .. } => Some(arrivals::number(executor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
