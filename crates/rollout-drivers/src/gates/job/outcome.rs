//! What a Job and its Pods say about a load test.

use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use spillway_rollout::observed::GateState;

use crate::gates::answer::excerpt;
use crate::gates::broken;
use crate::gates::process::Meaning;

/// How the load test ended; `None` while it runs.
pub(super) fn outcome(job: &Job, pods: &[Pod]) -> Option<GateState> {
    let conditions = job.status.as_ref()?.conditions.as_deref().unwrap_or_default();
    let ended = conditions.iter().find(|one| one.status == "True" && matches!(&*one.type_, "Complete" | "Failed"))?;
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let report = Some(format!("Job {name}"));
    if ended.type_ == "Complete" {
        return Some(GateState::Passed { summary: "the load test passed: all thresholds held".to_owned(), report });
    }
    if ended.reason.as_deref() == Some("DeadlineExceeded") {
        let summary = "the load test took longer than its timeout and was stopped".to_owned();
        return Some(GateState::Failed { summary, report });
    }
    Some(match terminated(pods) {
        Some(terminated) => {
            let said = terminated.message.as_deref().map(str::trim).unwrap_or_default();
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("see the Job's logs");
            Meaning::of(Some(terminated.exit_code)).state(&excerpt(last), report)
        }
        None => broken(format!("Job {name} could not run: {}", reason(ended))),
    })
}

/// What a Job that runs does now.
pub(super) fn progress(job: &Job, pods: &[Pod]) -> String {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let waits = pods.iter().flat_map(|pod| pod.status.iter()).find_map(|status| {
        let container = status.container_statuses.as_ref()?.first()?;
        container.state.as_ref()?.waiting.as_ref()?.reason.clone()
    });
    match waits {
        Some(reason) => format!("Job {name} waits: {reason}"),
        None if job.status.as_ref().is_some_and(|status| status.active.unwrap_or(0) > 0) => {
            format!("Job {name} runs")
        }
        None => format!("Job {name} starts"),
    }
}

fn terminated(pods: &[Pod]) -> Option<&ContainerStateTerminated> {
    let containers = pods.iter().flat_map(|pod| pod.status.iter());
    let containers = containers.flat_map(|status| status.container_statuses.iter().flatten());
    containers.filter_map(|container| container.state.as_ref()?.terminated.as_ref()).next_back()
}

fn reason(condition: &JobCondition) -> String {
    let text = condition.message.as_deref().or(condition.reason.as_deref());
    excerpt(text.unwrap_or("the cluster gives no reason"))
}

#[cfg(test)]
mod tests;
