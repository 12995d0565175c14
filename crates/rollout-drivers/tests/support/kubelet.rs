//! What a cluster's controllers and kubelets do with Deployments, as far as a rollout looks at it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Time between two looks at the Deployments.
const INTERVAL: Duration = Duration::from_millis(50);
/// Label with the name of the Deployment that a pod was made for.
const MADE_FOR: &str = "spillway.dev/test-deployment";

/// Makes all replicas of every Deployment of a namespace ready, unless it is told otherwise. Ends on drop.
///
/// There are no ReplicaSets, and pods only on request. A version is recognised by an image in its pod template.
pub struct Kubelet {
    behaviour: watch::Sender<Behaviour>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Behaviour {
    never_ready: BTreeSet<String>,
    ready_at_most: BTreeMap<String, i32>,
    restarts: BTreeMap<String, u32>,
    makes_pods: bool,
}

impl Kubelet {
    pub fn start(client: Client, namespace: &str) -> Self {
        let behaviour = watch::Sender::new(Behaviour::default());
        let node = Node {
            deployments: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client, namespace),
            behaviour: behaviour.subscribe(),
        };
        Self { behaviour, task: tokio::spawn(node.run()) }
    }

    /// From now on there are pods too, with the Deployment's labels, readiness and restarts.
    pub fn with_pods(self) -> Self {
        self.behaviour.send_modify(|behaviour| behaviour.makes_pods = true);
        self
    }

    /// Pods with this image do not become ready, and those that were are no more.
    pub fn never_ready(&self, image: &str) {
        self.behaviour.send_modify(|behaviour| {
            behaviour.never_ready.insert(image.to_owned());
        });
    }

    /// Of each Deployment with this image at most so many replicas become ready.
    pub fn ready_at_most(&self, image: &str, replicas: i32) {
        self.behaviour.send_modify(|behaviour| {
            behaviour.ready_at_most.insert(image.to_owned(), replicas);
        });
    }

    /// Takes [`Kubelet::never_ready`] and [`Kubelet::ready_at_most`] back.
    pub fn becomes_ready(&self, image: &str) {
        self.behaviour.send_modify(|behaviour| {
            behaviour.never_ready.remove(image);
            behaviour.ready_at_most.remove(image);
        });
    }

    /// Each pod with this image has been restarted so often. Pods have to be asked for with [`Kubelet::with_pods`].
    pub fn restarts(&self, image: &str, restarts: u32) {
        self.behaviour.send_modify(|behaviour| {
            behaviour.restarts.insert(image.to_owned(), restarts);
        });
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Node {
    deployments: Api<Deployment>,
    pods: Api<Pod>,
    behaviour: watch::Receiver<Behaviour>,
}

impl Node {
    async fn run(mut self) {
        loop {
            let behaviour = self.behaviour.borrow_and_update().clone();
            // An object that changed or went meanwhile is seen again in the next look.
            let _ = self.look(&behaviour).await;
            let changed = tokio::time::timeout(INTERVAL, self.behaviour.changed());
            if matches!(changed.await, Ok(Err(_))) {
                return;
            }
        }
    }

    async fn look(&self, behaviour: &Behaviour) -> kube::Result<()> {
        let deployments = self.deployments.list(&ListParams::default()).await?.items;
        for deployment in &deployments {
            let status = behaviour.status_of(deployment);
            let now = serde_json::to_value(&deployment.status).unwrap_or_default();
            if status.as_object().is_some_and(|status| status.iter().any(|(name, value)| now[name] != *value)) {
                let patch = Patch::Merge(json!({ "status": status }));
                self.deployments.patch_status(&deployment.name_any(), &PatchParams::default(), &patch).await?;
            }
        }
        if behaviour.makes_pods { self.make_pods(behaviour, &deployments).await } else { Ok(()) }
    }

    async fn make_pods(&self, behaviour: &Behaviour, deployments: &[Deployment]) -> kube::Result<()> {
        let existing = self.pods.list(&ListParams::default().labels(MADE_FOR)).await?.items;
        let wanted: BTreeMap<String, Pod> = deployments.iter().flat_map(pods_of).collect();
        for pod in existing.iter().filter(|pod| !wanted.contains_key(&pod.name_any())) {
            self.pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        }
        for (name, pod) in wanted {
            let now = match existing.iter().find(|pod| pod.name_any() == name) {
                Some(pod) => pod.clone(),
                None => self.pods.create(&PostParams::default(), &pod).await?,
            };
            let status = behaviour.pod_status(&now);
            if is_different(&now, &status) {
                let patch = Patch::Merge(json!({ "status": status }));
                self.pods.patch_status(&name, &PatchParams::default(), &patch).await?;
            }
        }
        Ok(())
    }
}

impl Behaviour {
    fn status_of(&self, deployment: &Deployment) -> Value {
        let spec = deployment.spec.as_ref();
        let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let images = spec.map(|spec| images(&spec.template)).unwrap_or_default();
        let most = images.iter().filter_map(|image| self.ready_at_most.get(image)).min().copied().unwrap_or(replicas);
        let ready = if images.iter().any(|image| self.never_ready.contains(image)) { 0 } else { replicas.min(most) };
        let condition = |kind: &str, holds: bool, reason: &str| json!({ "type": kind, "status": if holds { "True" } else { "False" }, "reason": reason });
        let (available, progress) = if ready == replicas {
            (condition("Available", true, "MinimumReplicasAvailable"), "NewReplicaSetAvailable")
        } else {
            (condition("Available", false, "MinimumReplicasUnavailable"), "ReplicaSetUpdated")
        };
        // The server leaves out zeros, which `null` compares with.
        let count = |n: i32| if n == 0 { Value::Null } else { n.into() };
        json!({
            "observedGeneration": deployment.metadata.generation,
            "replicas": count(replicas),
            "updatedReplicas": count(replicas),
            "readyReplicas": count(ready),
            "availableReplicas": count(ready),
            "unavailableReplicas": count(replicas - ready),
            "conditions": [available, condition("Progressing", true, progress)],
        })
    }

    fn pod_status(&self, pod: &Pod) -> Value {
        let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
        let image = |index: usize| containers[index].image.clone().unwrap_or_default();
        let is_ready = (0..containers.len()).all(|index| !self.never_ready.contains(&image(index)));
        let container = |index: usize| {
            let restarts = self.restarts.get(&image(index)).copied().unwrap_or(0);
            json!({
                "name": containers[index].name, "image": image(index), "imageID": image(index),
                "ready": is_ready, "restartCount": restarts,
            })
        };
        json!({
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": if is_ready { "True" } else { "False" } }],
            "containerStatuses": (0..containers.len()).map(container).collect::<Vec<_>>(),
        })
    }
}

/// Names and pods of a Deployment.
fn pods_of(deployment: &Deployment) -> Vec<(String, Pod)> {
    let Some(spec) = &deployment.spec else { return Vec::new() };
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(&spec.template).unwrap_or_default().hash(&mut hasher);
    let revision = hasher.finish() % 100_000;
    let name = deployment.name_any();
    let make = |index: i32| {
        let mut metadata = spec.template.metadata.clone().unwrap_or_default();
        metadata.name = Some(format!("{name}-{revision}-{index}"));
        metadata.labels.get_or_insert_default().insert(MADE_FOR.to_owned(), name.clone());
        metadata.owner_references = deployment.controller_owner_ref(&()).map(|owner| vec![owner]);
        (metadata.name.clone().unwrap_or_default(), Pod { metadata, spec: spec.template.spec.clone(), status: None })
    };
    (0..spec.replicas.unwrap_or(1)).map(make).collect()
}

fn images(template: &PodTemplateSpec) -> Vec<String> {
    let containers = template.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    containers.iter().filter_map(|container| container.image.clone()).collect()
}

/// Whether a pod's readiness or restarts differ from `status`.
fn is_different(pod: &Pod, status: &Value) -> bool {
    let now = serde_json::to_value(&pod.status).unwrap_or_default();
    let facts = |status: &Value| {
        let containers = status["containerStatuses"].as_array().cloned().unwrap_or_default();
        containers.iter().map(|one| (one["ready"].clone(), one["restartCount"].clone())).collect::<Vec<_>>()
    };
    facts(&now) != facts(status)
}
