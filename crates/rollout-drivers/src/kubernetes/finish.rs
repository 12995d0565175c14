//! The end of a Rollout: traffic and replicas go back to the workload before the slots go.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};
use spillway_rollout::Slot;
use spillway_rollout::ports::PortError;
use spillway_rollout::spec::WorkloadTarget;

use super::autoscaler;
use super::call::Cluster;
use super::raw::Raw;
use super::resource::RolloutObject;
use super::revision::{REVISION_LABEL, bare, revision_of};
use super::router::service_name;
use super::slots::Site;
use super::world::{REPLICAS_ANNOTATION, World};

/// Keeps a Rollout until its workload has everything back.
pub const FINALIZER: &str = "spillway.dev/rollout";

/// How far the end is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Not there yet: one sentence.
    Waits(String),
    /// Everything was given back, and the Rollout may go.
    Done,
}

/// Takes one step towards the end. It can be interrupted anywhere and begins where it was.
///
/// The workload gets its replicas back, with the template of the live revision if its own is not live; when it is ready, both slots' Services lead to
/// its pods, so that routes that name them go on; then the slots' Deployments and autoscalers go. The Services stay.
pub(crate) async fn finish(
    cluster: &Cluster,
    rollout: &RolloutObject,
    target: &WorkloadTarget,
    live: Slot,
) -> Result<Finish, PortError> {
    let world = World::read(cluster, rollout, target).await?;
    if let Some(workload) = &world.workload {
        if let Some(change) = given_back(&world, workload, target, live) {
            let namespace = rollout.namespace();
            let name = &target.deployment;
            let changed: Raw<Deployment> = cluster.merge(namespace, name, &change.0).await?;
            if let Some(template) = change.1 {
                let parts = [("/spec/template", &template)];
                cluster.replace_parts::<Raw<Deployment>>(namespace, name, changed.version(), &parts).await?;
            }
            return Ok(Finish::Waits(format!("the Deployment {name} gets its replicas back")));
        }
        let (ready, wanted) = (workload.counted("availableReplicas"), workload.replicas());
        let serves = world.observed(target, live).ready_replicas > 0;
        if serves && !(workload.is_observed() && ready >= wanted && workload.counted("updatedReplicas") >= wanted) {
            return Ok(Finish::Waits(format!(
                "the Deployment {} starts again: {ready} of {wanted} pods are ready",
                target.deployment
            )));
        }
        for slot in Slot::BOTH {
            hand_over(cluster, rollout, slot, workload).await?;
        }
    }
    let site = Site { cluster, rollout, target };
    for slot in Slot::BOTH {
        autoscaler::remove(&site, slot).await?;
        if let Some(deployment) = world.slots.get(slot).as_ref().filter(|slot| slot.belongs_to(rollout)) {
            let uid = deployment.metadata.uid.clone();
            cluster.delete::<Raw<Deployment>>(rollout.namespace(), &service_name(rollout.name(), slot), uid).await?;
        }
    }
    Ok(Finish::Done)
}

/// What the workload has to get back, as a merge patch and a template that replaces its own; `None` when it has everything.
fn given_back(
    world: &World,
    workload: &Raw<Deployment>,
    target: &WorkloadTarget,
    live: Slot,
) -> Option<(Value, Option<Value>)> {
    let slot = world.slots.get(live).as_ref();
    let serving = slot.map_or(0, Raw::replicas);
    let was_taken = workload.annotation(REPLICAS_ANNOTATION).is_some() || (workload.replicas() == 0 && serving > 0);
    let live_revision = slot.and_then(|slot| slot.annotation(REVISION_LABEL));
    let wanted_revision = workload.spec.get("template").map(revision_of);
    let template = match live_revision {
        Some(live) if was_taken && wanted_revision.as_deref() != Some(live) => {
            world.template_of(live).map(|template| bare(&template))
        }
        _ => None,
    };
    if !was_taken && template.is_none() {
        return None;
    }
    // While the annotation is there, not everything was given back; it goes with the last change.
    let had = workload.annotation(REPLICAS_ANNOTATION).and_then(|text| text.parse().ok());
    let replicas = had.unwrap_or_else(|| world.wanted_replicas(target)).max(serving);
    let annotation = if template.is_some() { Value::from(replicas.to_string()) } else { Value::Null };
    let change = json!({
        "metadata": { "resourceVersion": workload.version(), "annotations": { REPLICAS_ANNOTATION: annotation } },
        "spec": { "replicas": if template.is_some() { 0 } else { replicas } },
    });
    Some((change, template))
}

/// Lets a slot's Service lead to the workload's pods, and keeps it when the Rollout goes.
async fn hand_over(
    cluster: &Cluster,
    rollout: &RolloutObject,
    slot: Slot,
    workload: &Raw<Deployment>,
) -> Result<(), PortError> {
    let (namespace, name) = (rollout.namespace(), service_name(rollout.name(), slot));
    let Some(service) = cluster.get::<Raw<Service>>(namespace, &name).await? else { return Ok(()) };
    let Some(selector) = workload.spec.pointer("/selector/matchLabels") else { return Ok(()) };
    let is_free = service.metadata.owner_references.as_ref().is_none_or(Vec::is_empty);
    if !service.belongs_to(rollout) || (is_free && service.spec.get("selector") == Some(selector)) {
        return Ok(());
    }
    let nobody = json!([]);
    let parts = [("/spec/selector", selector), ("/metadata/ownerReferences", &nobody)];
    cluster.replace_parts::<Raw<Service>>(namespace, &name, service.version(), &parts).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::fake::FakeApi;
    use crate::kubernetes::fence::Fence;

    #[tokio::test]
    async fn a_workload_that_is_gone_holds_no_rollout_back() {
        let api = FakeApi::default();
        api.put("/api/v1/namespaces/shop/pods", json!({ "metadata": {}, "items": [] }));
        let metadata = json!({ "name": "web-blue", "uid": "2", "labels": { "spillway.dev/rollout": "web" } });
        let slot = "/apis/apps/v1/namespaces/shop/deployments/web-blue";
        api.put(slot, json!({ "metadata": metadata, "spec": { "replicas": 2 } }));
        let rollout = json!({ "metadata": { "name": "web", "namespace": "shop", "uid": "1" }, "spec": {} });
        let rollout = serde_json::from_value(rollout).expect("a Rollout");
        let target = serde_json::from_value(json!({ "deployment": "web", "port": 80 })).expect("a target");
        let cluster = Cluster::new(api.client(), Fence::open());
        assert_eq!(finish(&cluster, &rollout, &target, Slot::Blue).await, Ok(Finish::Done));
        assert_eq!(api.get(slot), None);
    }
}
