//! Load tests as Jobs of a cluster.

mod manifest;
mod outcome;

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use spillway_rollout::observed::GateState;
use tokio_util::sync::CancellationToken;

use super::{LoadRun, LoadTester, Progress, broken};

use manifest::{job, job_name};
use outcome::{outcome, progress};

/// Time between two looks at a Job.
const LOOK: Duration = Duration::from_secs(3);

/// Looks in a row that may fail until the gate is given up.
const MOST_FAILURES: u32 = 20;

/// Runs `spillway-loadgen` as a Job. Needs the rights to create, get and delete Jobs and to list Pods.
#[derive(Clone)]
pub struct JobLoadTester {
    client: Client,
    namespace: String,
    owner: Option<OwnerReference>,
}

impl JobLoadTester {
    /// Jobs go to `namespace`; with an `owner` the cluster removes them with it.
    #[must_use]
    pub fn new(client: Client, namespace: impl Into<String>, owner: Option<OwnerReference>) -> Self {
        Self { client, namespace: namespace.into(), owner }
    }

    /// One that ran before this program was restarted is the same one: ids are unique. One that is being deleted is waited for.
    async fn create(&self, manifest: &Job, name: &str) -> Result<(), kube::Error> {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut tries = 0;
        loop {
            match jobs.create(&PostParams::default(), manifest).await {
                Err(kube::Error::Api(status)) if status.code == 409 && tries < MOST_FAILURES => {
                    let there = jobs.get_opt(name).await?;
                    if there.is_some_and(|job| job.metadata.deletion_timestamp.is_none()) {
                        return Ok(());
                    }
                }
                created => return created.map(drop),
            }
            tries += 1;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn watch(&self, run: &LoadRun, name: &str, told: &Progress) -> GateState {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace);
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let of_job = ListParams::default().labels(&format!("job-name={name}")).limit(10);
        let mut failures = 0;
        loop {
            let looked = async { Ok::<_, kube::Error>((jobs.get_opt(name).await?, pods.list(&of_job).await?.items)) };
            match looked.await {
                Ok((Some(job), pods)) => {
                    failures = 0;
                    if let Some(state) = outcome(&job, &pods) {
                        return state;
                    }
                    told.tell(progress(&job, &pods));
                }
                Ok((None, _)) => return broken(format!("Job {name} was deleted while it ran")),
                Err(error) => {
                    failures += 1;
                    if failures >= MOST_FAILURES {
                        return broken(format!("Job {name} of the load test {} cannot be read: {error}", run.id));
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[async_trait]
impl LoadTester for JobLoadTester {
    async fn run(&self, run: LoadRun, told: &Progress, stop: CancellationToken) -> GateState {
        let manifest = match job(&run, &self.namespace, self.owner.as_ref()) {
            Ok(job) => job,
            Err(error) => return broken(error.to_string()),
        };
        let name = job_name(&run);
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace);
        told.tell(format!("Job {name} is created"));
        let work = async {
            match self.create(&manifest, &name).await {
                Ok(()) => self.watch(&run, &name, told).await,
                Err(error) => broken(format!("Job {name} cannot be created: {error}")),
            }
        };
        tokio::select! {
            state = work => state,
            () = stop.cancelled() => {
                if let Err(error) = jobs.delete(&name, &DeleteParams::background()).await {
                    tracing::warn!(job = name, %error, "the Job of a load test that is not wanted any more is still there");
                }
                broken("stopped".to_owned())
            }
        }
    }
}
