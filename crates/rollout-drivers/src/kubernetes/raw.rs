//! Objects of which parts are kept as they are: a pod template may have fields that are newer than this program.

use std::borrow::Cow;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::resource::RolloutObject;
use super::revision::{ROLLOUT_LABEL, covers};

/// An object of kind `K` with its spec and status as they were read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Raw<K> {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: Value,
    #[serde(default)]
    pub(crate) status: Value,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

impl<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>> Resource for Raw<K> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<K> Raw<K> {
    /// A number of the spec.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.spec.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok())
    }

    /// A number of the status; zero when it is not there, as the API writes zero.
    pub(crate) fn counted(&self, name: &str) -> u32 {
        self.status.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    }

    /// Replicas that shall be there. The API's default is one.
    pub(crate) fn replicas(&self) -> u32 {
        self.number("replicas").unwrap_or(1)
    }

    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// Changes whenever the object does.
    pub(crate) fn version(&self) -> &str {
        self.metadata.resource_version.as_deref().unwrap_or_default()
    }

    /// Whether whoever carries the spec out has seen its present form.
    pub(crate) fn is_observed(&self) -> bool {
        let observed = self.status.get("observedGeneration").and_then(Value::as_i64).unwrap_or(0);
        observed >= self.metadata.generation.unwrap_or(0)
    }

    /// Whether it may be changed for this Rollout: it carries its label, and no other controller owns it.
    pub(crate) fn belongs_to(&self, rollout: &RolloutObject) -> bool {
        let labelled = self.metadata.labels.as_ref().and_then(|labels| labels.get(ROLLOUT_LABEL)).map(String::as_str);
        let uid = rollout.metadata.uid.as_deref();
        let mut controllers =
            self.metadata.owner_references.iter().flatten().filter(|owner| owner.controller == Some(true));
        labelled == Some(rollout.name()) && controllers.all(|owner| Some(owner.uid.as_str()) == uid)
    }

    /// Whether it has everything that `wanted` names.
    pub(crate) fn has(&self, wanted: &Value) -> bool {
        let metadata = serde_json::to_value(&self.metadata).unwrap_or_default();
        let actual = json!({ "metadata": metadata, "spec": self.spec });
        ["metadata", "spec"].into_iter().all(|part| covers(&actual[part], &wanted[part]))
    }
}
