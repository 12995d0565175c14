//! What a cluster's Job controller and a kubelet do with a Job, as far as the gate looks at it.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::Cluster;

/// Time between two looks at the Jobs.
const INTERVAL: Duration = Duration::from_millis(50);

/// How every Job ends.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Its container exits with 0.
    Completes,
    /// Its container exits with another code, and these were its last lines.
    Exits { code: i32, message: String },
}

/// Ends every Job of a namespace at once. Ends on drop.
pub struct Jobs(JoinHandle<()>);

impl Jobs {
    pub fn start(cluster: &Cluster, outcome: Outcome) -> Self {
        let jobs = Api::namespaced(cluster.client.clone(), cluster.namespace());
        let pods = Api::namespaced(cluster.client.clone(), cluster.namespace());
        Self(tokio::spawn(async move {
            loop {
                // An object that changed or went meanwhile is seen again in the next look.
                let _ = look(&jobs, &pods, &outcome).await;
                tokio::time::sleep(INTERVAL).await;
            }
        }))
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn look(jobs: &Api<Job>, pods: &Api<Pod>, outcome: &Outcome) -> kube::Result<()> {
    for job in jobs.list(&ListParams::default()).await?.items {
        if job.status.as_ref().is_some_and(|status| status.conditions.is_some()) {
            continue;
        }
        let name = job.name_any();
        let (code, message, ended) = match outcome {
            Outcome::Completes => (0, "", condition("Complete", "")),
            Outcome::Exits { code, message } => (*code, message.as_str(), condition("Failed", "BackoffLimitExceeded")),
        };
        if pods.get_opt(&name).await?.is_none() {
            pods.create(&PostParams::default(), &pod_of(&job)).await?;
        }
        let terminated = json!({ "exitCode": code, "message": message });
        let container = json!({
            "name": "loadgen", "image": "loadgen", "imageID": "loadgen", "ready": false, "restartCount": 0,
            "state": { "terminated": terminated },
        });
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let pod = json!({ "status": { "phase": phase, "containerStatuses": [container] } });
        pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(pod)).await?;
        let status = json!({ "status": { "conditions": [ended] } });
        jobs.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
    }
    Ok(())
}

fn condition(kind: &str, reason: &str) -> Value {
    json!({ "type": kind, "status": "True", "reason": reason })
}

/// The pod that the Job asks for.
fn pod_of(job: &Job) -> Pod {
    let template = job.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    let mut metadata = template.metadata.unwrap_or_default();
    metadata.name = Some(job.name_any());
    metadata.labels.get_or_insert_default().insert("job-name".to_owned(), job.name_any());
    metadata.owner_references = job.controller_owner_ref(&()).map(|owner| vec![owner]);
    Pod { metadata, spec: template.spec, status: None }
}
