//! Slots: a Deployment and a Service each, owned by server-side apply.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};
use spillway_rollout::ports::PortError;
use spillway_rollout::spec::WorkloadTarget;
use spillway_rollout::{Slot, Slots};

use super::autoscaler;
use super::call::{Cluster, FIELD_MANAGER};
use super::raw::Raw;
use super::resource::RolloutObject;
use super::revision::{REVISION_LABEL, ROLLOUT_LABEL, SLOT_LABEL, dressed, revision_of};
use super::router::service_name;
use super::world::{TEMPLATE_ANNOTATION, World};

/// Larger templates are not kept in an annotation; the API allows 256 KiB for all of them.
const MAX_KEPT_TEMPLATE_BYTES: usize = 128 << 10;
/// Fields of the workload's spec that are its own, not its slots'.
const NOT_COPIED: [&str; 4] = ["replicas", "selector", "template", "paused"];

/// Where slots are made, and for whom.
pub(crate) struct Site<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) rollout: &'a RolloutObject,
    pub(crate) target: &'a WorkloadTarget,
}

impl Site<'_> {
    /// Name of a slot's objects.
    pub(crate) fn name(&self, slot: Slot) -> String {
        service_name(self.rollout.name(), slot)
    }

    /// Makes a slot run a revision with the replicas for a share of the load. Nothing is written when it does already. An autoscaler's number of
    /// replicas is left alone.
    pub(crate) async fn run(
        &self,
        world: &mut World,
        slot: Slot,
        revision: &str,
        share: u8,
        is_autoscaled: bool,
    ) -> Result<(), PortError> {
        let template = world.template_of(revision).ok_or_else(|| {
            PortError::Permanent(format!(
                "revision {revision} is not known any more: apply its pod template to the Deployment {} again",
                self.target.deployment
            ))
        })?;
        let existing = world.slots.get(slot).clone();
        if let Some(existing) = &existing {
            self.must_belong("Deployment", existing)?;
        }
        let replicas = wanted_replicas(world, self.target, existing.as_ref(), share, is_autoscaled);
        let template = dressed(&template, self.rollout.name(), slot, revision);
        let wanted = self.deployment(world, slot, revision, &template, replicas);
        let is_right = |deployment: &Raw<Deployment>| {
            deployment.has(&wanted) && deployment.spec.get("template").is_some_and(|it| revision_of(it) == revision)
        };
        let found = match existing {
            Some(existing) if is_right(&existing) => existing,
            existing => self.write_deployment(slot, existing.as_ref(), wanted, &template, revision).await?,
        };
        *world.slots.get_mut(slot) = Some(found);
        Ok(())
    }

    /// Leaves a slot whose traffic has left no more replicas than a share of the load needs.
    pub(crate) async fn shrink(&self, world: &mut World, slot: Slot, share: u8) -> Result<(), PortError> {
        let enough = world.replicas_for(self.target, share);
        let Some(existing) = world.slots.get(slot).as_ref().filter(|existing| existing.replicas() > enough) else {
            return Ok(());
        };
        self.must_belong("Deployment", existing)?;
        autoscaler::remove(self, slot).await?;
        let change = json!({ "metadata": { "resourceVersion": existing.version() }, "spec": { "replicas": enough } });
        let smaller = self.cluster.merge(self.rollout.namespace(), &self.name(slot), &change).await?;
        *world.slots.get_mut(slot) = Some(smaller);
        Ok(())
    }

    /// Takes a slot's replicas away. Its template stays, so that it can run again at once.
    pub(crate) async fn stop(&self, world: &mut World, slot: Slot) -> Result<(), PortError> {
        let Some(existing) = world.slots.get(slot) else { return Ok(()) };
        self.must_belong("Deployment", existing)?;
        autoscaler::remove(self, slot).await?;
        if existing.replicas() > 0 {
            let change = json!({ "metadata": { "resourceVersion": existing.version() }, "spec": { "replicas": 0 } });
            let stopped = self.cluster.merge(self.rollout.namespace(), &self.name(slot), &change).await?;
            *world.slots.get_mut(slot) = Some(stopped);
        }
        Ok(())
    }

    /// Makes the Services of both slots: routes name both, whatever runs.
    pub(crate) async fn serve(&self) -> Result<(), PortError> {
        for slot in Slot::BOTH {
            let existing: Option<Raw<Service>> = self.cluster.get(self.rollout.namespace(), &self.name(slot)).await?;
            let mut wanted = self.service(slot);
            let selector = wanted["spec"]["selector"].clone();
            if let Some(existing) = &existing {
                self.must_belong("Service", existing)?;
                if existing.has(&wanted) && existing.spec.get("selector") == Some(&selector) {
                    continue;
                }
                wanted["metadata"]["resourceVersion"] = Value::from(existing.version());
            }
            let (namespace, name) = (self.rollout.namespace(), self.name(slot));
            let written: Raw<Service> = self.cluster.apply(namespace, &name, &wanted).await?;
            if written.spec.get("selector") != Some(&selector) {
                let parts = [("/spec/selector", &selector)];
                self.cluster.replace_parts::<Raw<Service>>(namespace, &name, written.version(), &parts).await?;
            }
        }
        Ok(())
    }

    async fn write_deployment(
        &self,
        slot: Slot,
        existing: Option<&Raw<Deployment>>,
        mut wanted: Value,
        template: &Value,
        revision: &str,
    ) -> Result<Raw<Deployment>, PortError> {
        if let Some(existing) = existing {
            wanted["metadata"]["resourceVersion"] = Value::from(existing.version());
        }
        let (namespace, name) = (self.rollout.namespace(), self.name(slot));
        let written: Raw<Deployment> = self.cluster.apply(namespace, &name, &wanted).await?;
        let is_exact = written.spec.get("template").is_some_and(|it| revision_of(it) == revision);
        if is_exact {
            return Ok(written);
        }
        // What someone else added to the template is not taken away by applying it again.
        let parts = [("/spec/template", template)];
        self.cluster.replace_parts(namespace, &name, written.version(), &parts).await
    }

    fn deployment(&self, world: &World, slot: Slot, revision: &str, template: &Value, replicas: u32) -> Value {
        let like = world.workload.as_ref().or(world.slots.get(slot).as_ref());
        let mut spec = like.and_then(|like| like.spec.as_object().cloned()).unwrap_or_default();
        spec.retain(|field, _| !NOT_COPIED.contains(&field.as_str()));
        spec.insert("replicas".to_owned(), Value::from(replicas));
        spec.insert("selector".to_owned(), json!({ "matchLabels": self.selector(slot) }));
        spec.insert("template".to_owned(), template.clone());
        let mut metadata = self.metadata(slot);
        metadata["annotations"] = json!({ REVISION_LABEL: revision });
        let kept = super::revision::bare(template).to_string();
        if kept.len() <= MAX_KEPT_TEMPLATE_BYTES {
            metadata["annotations"][TEMPLATE_ANNOTATION] = Value::from(kept);
        }
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec })
    }

    fn service(&self, slot: Slot) -> Value {
        let port = self.target.port;
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self.metadata(slot),
            "spec": {
                "selector": self.selector(slot),
                "ports": [{ "name": "http", "port": port, "targetPort": port, "protocol": "TCP" }],
            },
        })
    }

    /// Metadata of an object that the Rollout owns.
    pub(crate) fn metadata(&self, slot: Slot) -> Value {
        let mut labels = self.selector(slot);
        labels["app.kubernetes.io/managed-by"] = Value::from(FIELD_MANAGER);
        json!({ "name": self.name(slot), "labels": labels, "ownerReferences": [self.rollout.owner_reference()] })
    }

    fn selector(&self, slot: Slot) -> Value {
        json!({ ROLLOUT_LABEL: self.rollout.name(), SLOT_LABEL: slot.name() })
    }

    /// An object that someone else made under a slot's name is never touched.
    pub(crate) fn must_belong<K>(&self, kind: &str, object: &Raw<K>) -> Result<(), PortError> {
        if object.belongs_to(self.rollout) {
            return Ok(());
        }
        let name = object.metadata.name.as_deref().unwrap_or_default();
        Err(PortError::Permanent(format!(
            "the {kind} {name} is not this Rollout's: rename or delete it, or give the Rollout another name"
        )))
    }
}

/// Replicas to write. What an autoscaler set stays as it is.
fn wanted_replicas(
    world: &World,
    target: &WorkloadTarget,
    existing: Option<&Raw<Deployment>>,
    share: u8,
    is_autoscaled: bool,
) -> u32 {
    if target.autoscaler.is_none() {
        return world.replicas_for(target, share);
    }
    let wanted = world.wanted_replicas(target);
    match existing.map(Raw::replicas) {
        Some(present) if present > 0 && is_autoscaled => present,
        _ => {
            let Slots { blue, green } = &world.slots;
            let largest = [blue, green].into_iter().flatten().map(Raw::replicas).max();
            wanted.max(largest.unwrap_or(0))
        }
    }
}
