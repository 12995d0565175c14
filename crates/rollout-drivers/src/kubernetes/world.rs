//! The workload and its slots as they are.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;
use spillway_rollout::observed::SlotObserved;
use spillway_rollout::ports::PortError;
use spillway_rollout::spec::WorkloadTarget;
use spillway_rollout::{Slot, Slots};

use super::call::Cluster;
use super::raw::Raw;
use super::resource::RolloutObject;
use super::revision::{REVISION_LABEL, ROLLOUT_LABEL, SLOT_LABEL, revision_of};
use super::router::service_name;

/// Annotation of the workload: replicas that it had when its pods were taken over.
pub(crate) const REPLICAS_ANNOTATION: &str = "spillway.dev/replicas";
/// Annotation of a slot: its pod template, from which it is put right when someone changes it.
pub(crate) const TEMPLATE_ANNOTATION: &str = "spillway.dev/template";

/// Pods of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Pods {
    ready: u32,
    /// Of all their containers.
    restarts: u32,
}

/// What is there at one moment.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The Deployment that the plan names; `None` when it is not there.
    pub(crate) workload: Option<Raw<Deployment>>,
    /// The slots' Deployments.
    pub(crate) slots: Slots<Option<Raw<Deployment>>>,
    /// Pods of the revision that is in each slot.
    pods: Slots<Pods>,
}

impl World {
    /// Reads everything. Pods are only counted; a namespace where they may not be listed is an error.
    pub(crate) async fn read(
        cluster: &Cluster,
        rollout: &RolloutObject,
        target: &WorkloadTarget,
    ) -> Result<Self, PortError> {
        let namespace = rollout.namespace();
        let name = |slot| service_name(rollout.name(), slot);
        let (blue_name, green_name) = (name(Slot::Blue), name(Slot::Green));
        let pods_of = format!("{ROLLOUT_LABEL}={}", rollout.name());
        let (workload, blue, green, pods) = tokio::try_join!(
            cluster.get(namespace, &target.deployment),
            cluster.get(namespace, &blue_name),
            cluster.get(namespace, &green_name),
            cluster.list::<Pod>(namespace, &pods_of),
        )?;
        let slots = Slots { blue, green };
        let pods = Slots::make(|slot| pods_in(&pods, slot, slots.get(slot).as_ref()));
        Ok(Self { workload, slots, pods })
    }

    /// The revision that shall be live: that of the workload's template.
    pub(crate) fn wanted_revision(&self) -> Option<String> {
        Some(revision_of(self.workload.as_ref()?.spec.get("template")?))
    }

    /// A slot as the decision sees it. One without replicas is empty.
    pub(crate) fn observed(&self, target: &WorkloadTarget, slot: Slot) -> SlotObserved {
        let Some(deployment) = self.slots.get(slot) else { return SlotObserved::default() };
        let desired_replicas = deployment.replicas();
        if desired_replicas == 0 {
            return SlotObserved::default();
        }
        SlotObserved {
            revision: deployment.annotation(REVISION_LABEL).map(str::to_owned),
            desired_replicas,
            ready_replicas: ready_replicas(deployment, *self.pods.get(slot)),
            restarts: self.pods.get(slot).restarts,
            capacity: target.autoscaler.is_none().then(|| capacity(desired_replicas, self.wanted_replicas(target))),
        }
    }

    /// Replicas for a share of the whole load, percent: at least what the plan says, at most what the whole load needs.
    pub(crate) fn replicas_for(&self, target: &WorkloadTarget, share: u8) -> u32 {
        let all = self.wanted_replicas(target);
        let needed = all.saturating_mul(u32::from(share.min(100))).div_ceil(100);
        needed.max(target.min_replicas.unwrap_or(1)).clamp(1, all)
    }

    /// The template of a revision, wherever it is still known.
    pub(crate) fn template_of(&self, revision: &str) -> Option<Value> {
        let of_workload = self.workload.iter().filter_map(|workload| workload.spec.get("template").cloned());
        let slots = || [&self.slots.blue, &self.slots.green].into_iter().flatten();
        let kept = slots().filter_map(|slot| serde_json::from_str(slot.annotation(TEMPLATE_ANNOTATION)?).ok());
        let of_slots = slots().filter_map(|slot| slot.spec.get("template").cloned());
        of_workload.chain(kept).chain(of_slots).find(|template| revision_of(template) == revision)
    }

    /// Replicas of a slot that takes traffic, unless an autoscaler says otherwise: what the plan says, or what the workload had. At least one.
    pub(crate) fn wanted_replicas(&self, target: &WorkloadTarget) -> u32 {
        let of_workload = self.workload.as_ref().and_then(|workload| match workload.replicas() {
            0 => workload.annotation(REPLICAS_ANNOTATION).and_then(|text| text.parse().ok()),
            replicas => Some(replicas),
        });
        let of_slots = || [&self.slots.blue, &self.slots.green].into_iter().flatten().map(Raw::replicas).max();
        target.replicas.or(of_workload).or_else(of_slots).unwrap_or(1).max(1)
    }
}

/// Share of the whole load that so many replicas can take, percent.
fn capacity(replicas: u32, of: u32) -> u8 {
    u8::try_from(replicas.saturating_mul(100) / of.max(1)).unwrap_or(100).min(100)
}

/// Pods of the present template that are available. Of a slot in the middle of a change, the old ones do not count; while the change was not seen yet,
/// the status says nothing and the pods themselves count.
fn ready_replicas(deployment: &Raw<Deployment>, pods: Pods) -> u32 {
    if !deployment.is_observed() {
        return pods.ready.min(deployment.replicas());
    }
    let (all, updated) = (deployment.counted("replicas"), deployment.counted("updatedReplicas"));
    let old = all.saturating_sub(updated);
    deployment.counted("availableReplicas").saturating_sub(old).min(updated)
}

fn pods_in(pods: &[Pod], slot: Slot, deployment: Option<&Raw<Deployment>>) -> Pods {
    let revision = deployment.and_then(|deployment| deployment.annotation(REVISION_LABEL));
    let is_of = |pod: &&Pod| {
        let label = |name: &str| pod.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
        label(SLOT_LABEL) == Some(slot.name()) && label(REVISION_LABEL) == revision
    };
    pods.iter().filter(is_of).fold(Pods::default(), |sum, pod| {
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        let restarts = statuses.into_iter().flatten().map(|status| u32::try_from(status.restart_count).unwrap_or(0));
        Pods {
            ready: sum.ready.saturating_add(u32::from(is_ready(pod))),
            restarts: restarts.fold(sum.restarts, u32::saturating_add),
        }
    })
}

/// Whether a pod takes requests and goes on to.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().any(|each| each.type_ == "Ready" && each.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(generation: i64, status: Value) -> Raw<Deployment> {
        let object = json!({ "metadata": { "generation": generation }, "spec": { "replicas": 3 }, "status": status });
        serde_json::from_value(object).expect("a deployment")
    }

    #[test]
    fn only_available_pods_of_the_present_template_are_ready() {
        let pods = Pods { ready: 1, restarts: 0 };
        let settled = json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2 });
        assert_eq!(ready_replicas(&deployment(2, settled.clone()), pods), 2);
        assert_eq!(
            ready_replicas(&deployment(3, settled), pods),
            1,
            "the change was not seen yet: its pods are counted"
        );
        let changing = json!({ "observedGeneration": 2, "replicas": 4, "updatedReplicas": 1, "availableReplicas": 3 });
        assert_eq!(ready_replicas(&deployment(2, changing), pods), 0, "three available ones are old");
        assert_eq!(ready_replicas(&deployment(1, Value::Null), Pods::default()), 0);
    }

    #[test]
    fn only_pods_of_the_slots_own_revision_count() {
        let pod = |revision: &str, ready: &str, restarts: i32| -> Pod {
            let labels = json!({ "spillway.dev/slot": "blue", "spillway.dev/revision": revision });
            let container =
                json!({ "name": "a", "image": "a", "imageID": "a", "ready": true, "restartCount": restarts });
            let status =
                json!({ "conditions": [{ "type": "Ready", "status": ready }], "containerStatuses": [container] });
            serde_json::from_value(json!({ "metadata": { "labels": labels }, "status": status })).expect("a pod")
        };
        let slot = json!({ "metadata": { "annotations": { "spillway.dev/revision": "new" } }, "spec": {} });
        let slot: Raw<Deployment> = serde_json::from_value(slot).expect("a slot");
        let pods = [pod("new", "True", 2), pod("new", "False", 3), pod("old", "True", 9)];
        assert_eq!(pods_in(&pods, Slot::Blue, Some(&slot)), Pods { ready: 1, restarts: 5 });
        assert_eq!(pods_in(&pods, Slot::Green, Some(&slot)), Pods::default());
    }

    #[test]
    fn the_workloads_replicas_are_remembered_when_it_has_none_left() {
        let target: WorkloadTarget =
            serde_json::from_value(json!({ "deployment": "web", "port": 80 })).expect("a target");
        let workload = |replicas: u32| {
            let metadata = json!({ "annotations": { "spillway.dev/replicas": "4" } });
            serde_json::from_value(json!({ "metadata": metadata, "spec": { "replicas": replicas } }))
                .expect("a workload")
        };
        let world =
            |replicas| World { workload: Some(workload(replicas)), slots: Slots::default(), pods: Slots::default() };
        assert_eq!(world(0).wanted_replicas(&target), 4);
        assert_eq!(world(7).wanted_replicas(&target), 7, "someone gave it replicas again");
        let of_seven = |share| world(7).replicas_for(&target, share);
        assert_eq!([0, 10, 50, 100].map(of_seven), [1, 1, 4, 7]);
        assert!(
            [0, 10, 50, 100].into_iter().all(|share| capacity(of_seven(share), 7) >= share),
            "it can take its share"
        );
        let at_least = WorkloadTarget { min_replicas: Some(3), ..target.clone() };
        assert_eq!([10, 100].map(|share| world(7).replicas_for(&at_least, share)), [3, 7]);
        assert_eq!(world(7).replicas_for(&WorkloadTarget { min_replicas: Some(9), ..target.clone() }, 10), 7);
        assert_eq!(world(0).wanted_replicas(&WorkloadTarget { replicas: Some(2), ..target }), 2, "the plan says so");
    }
}
