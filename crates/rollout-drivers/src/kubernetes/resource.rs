//! A Rollout as the API server holds it.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spillway_rollout::Plan;
use spillway_rollout::spec::{API_VERSION, KIND, Metadata, Rollout, WorkloadTarget};

use super::status::RolloutStatus;

/// API group of Rollouts.
pub const GROUP: &str = "spillway.dev";
/// Version of the API.
pub const VERSION: &str = "v1alpha1";
/// Name of the resource in addresses.
pub const PLURAL: &str = "rollouts";

/// A Rollout in a cluster.
///
/// `spec` and `status` are kept as they were read: a spec that cannot be understood must not keep others from being watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutObject {
    /// `spillway.dev/v1alpha1`.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// `Rollout`.
    #[serde(default = "kind")]
    pub kind: String,
    /// Name, namespace, labels and versions.
    pub metadata: ObjectMeta,
    /// What the user wrote.
    #[serde(default)]
    pub spec: Value,
    /// What the controller wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}

fn api_version() -> String {
    API_VERSION.to_owned()
}

fn kind() -> String {
    KIND.to_owned()
}

impl Resource for RolloutObject {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl RolloutObject {
    /// Its name; empty when it has none yet.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Its namespace; empty when it has none yet.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// What the controller wrote; the empty status when there is none or it cannot be understood.
    #[must_use]
    pub fn status(&self) -> RolloutStatus {
        self.status.clone().and_then(|status| serde_json::from_value(status).ok()).unwrap_or_default()
    }

    /// The Deployment that it names, as far as the spec can be read at all.
    #[must_use]
    pub fn deployment(&self) -> Option<&str> {
        self.spec.pointer("/target/workload/deployment").and_then(Value::as_str)
    }

    /// The Rollout as the same words in a file would be.
    ///
    /// # Errors
    /// When the spec has an unknown field or a value of the wrong kind; the sentence names it.
    pub fn written(&self) -> Result<Rollout, String> {
        let spec = serde_path_to_error::deserialize(&self.spec)
            .map_err(|error| format!("spec.{}: {}", error.path(), error.inner()))?;
        Ok(Rollout {
            api_version: api_version(),
            kind: kind(),
            metadata: Metadata {
                name: self.name().to_owned(),
                namespace: self.metadata.namespace.clone(),
                labels: self.metadata.labels.clone().unwrap_or_default(),
            },
            spec,
        })
    }

    /// The checked plan.
    ///
    /// # Errors
    /// When it is not understood or not consistent: everything that is wrong, in one text.
    pub fn plan(&self) -> Result<Plan, String> {
        let written = self.written()?;
        Plan::new(&written).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            problems.join("; ")
        })
    }

    /// The reference that makes an object this Rollout's own, so that it goes when the Rollout goes.
    #[must_use]
    pub fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            name: self.name().to_owned(),
            uid: self.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: None,
        }
    }

    /// Whether it carries this finalizer.
    #[must_use]
    pub fn has_finalizer(&self, finalizer: &str) -> bool {
        self.metadata.finalizers.iter().flatten().any(|each| each == finalizer)
    }
}

/// The Deployment of a checked plan; `None` for plans that are for one host.
#[must_use]
pub(crate) fn workload(plan: &Plan) -> Option<&WorkloadTarget> {
    plan.target.workload.as_ref()
}
