//! The same test for a smaller machine, or in less time.

use std::time::Duration;

use super::{ConfigurationError, ExecutorPlan, Overrides, Plan, Stage};

/// Multiplies users, shared iterations, rates and `rps` by `scale`, durations and start times by `time_scale`.
///
/// Numbers of things are rounded and stay at least 1 where they were; what was 0 stays 0.
pub(super) fn apply(plan: &mut Plan, overrides: &Overrides) -> Result<(), ConfigurationError> {
    for (name, factor) in [("--scale", overrides.scale), ("--time-scale", overrides.time_scale)] {
        if !(factor.is_finite() && factor > 0.0) {
            return Err(ConfigurationError::command_line(format!("{name}: give a number greater than 0, such as 0.1")));
        }
    }
    let by = Factors { size: overrides.scale, time: overrides.time_scale };
    plan.rps = plan.rps.map(|rps| by.number(rps));
    for scenario in &mut plan.scenarios {
        by.time(&mut scenario.start_time);
        by.executor(&mut scenario.executor);
    }
    Ok(())
}

struct Factors {
    size: f64,
    time: f64,
}

impl Factors {
    fn executor(&self, executor: &mut ExecutorPlan) {
        match executor {
            ExecutorPlan::SharedIterations { vus, iterations, max_duration } => {
                *vus = self.number(*vus);
                if self.size != 1.0 && *iterations > 0 {
                    *iterations = ((*iterations as f64 * self.size).round() as u64).max(1);
                }
                self.time(max_duration);
            }
            ExecutorPlan::PerVuIterations { vus, max_duration, .. } => {
                *vus = self.number(*vus);
                self.time(max_duration);
            }
            ExecutorPlan::ConstantVus { vus, duration } => {
                *vus = self.number(*vus);
                self.time(duration);
            }
            ExecutorPlan::RampingVus { start_vus, stages, .. } => {
                *start_vus = self.number(*start_vus);
                self.stages(stages, |target| f64::from(self.number(target as u32)));
            }
            ExecutorPlan::ConstantArrivalRate { rate, duration, pre_allocated_vus, max_vus, .. } => {
                *rate *= self.size;
                self.time(duration);
                *pre_allocated_vus = self.number(*pre_allocated_vus);
                *max_vus = self.number(*max_vus);
            }
            ExecutorPlan::RampingArrivalRate { start_rate, stages, pre_allocated_vus, max_vus, .. } => {
                *start_rate *= self.size;
                self.stages(stages, |target| target * self.size);
                *pre_allocated_vus = self.number(*pre_allocated_vus);
                *max_vus = self.number(*max_vus);
            }
            ExecutorPlan::ExternallyControlled { vus, max_vus, duration } => {
                *vus = self.number(*vus);
                *max_vus = self.number(*max_vus);
                if let Some(duration) = duration {
                    self.time(duration);
                }
            }
        }
    }

    fn stages(&self, stages: &mut [Stage], target: impl Fn(f64) -> f64) {
        for stage in stages {
            stage.target = target(stage.target);
            self.time(&mut stage.duration);
        }
    }

    /// At most the largest number, which the limits refuse.
    fn number(&self, number: u32) -> u32 {
        match number {
            0 => 0,
            number => ((f64::from(number) * self.size).round() as u32).max(1),
        }
    }

    /// At most the longest duration, which the limits refuse.
    fn time(&self, duration: &mut Duration) {
        if self.time != 1.0 {
            *duration = Duration::try_from_secs_f64(duration.as_secs_f64() * self.time).unwrap_or(Duration::MAX);
        }
    }
}
