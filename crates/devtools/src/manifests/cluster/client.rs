//! Requests to the cluster.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::discovery::{ApiCapabilities, Scope, pinned_kind};
use kube::{Client, Config};
use serde_json::Value;

use super::super::object::{Object, short};
use crate::Failure;

/// Who owns the fields that are applied.
const FIELD_MANAGER: &str = "spillway-manifests";
/// Who owns what a rollout moves.
const ROLLOUTS: &str = "spillway-rollout";
/// A new definition is served within seconds.
pub(super) const DEFINITION_PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// The cluster that KUBECONFIG names.
pub(super) struct Cluster {
    client: Client,
    url: String,
    kinds: Mutex<HashMap<GroupVersionKind, (ApiResource, ApiCapabilities)>>,
}

/// Why a request was not carried out.
pub(super) enum Refusal {
    /// The cluster does not have the kind.
    NoKind,
    /// The namespace is not there.
    NoNamespace,
    /// A rollout has moved the weights of this route: they are its own.
    Rollout,
    /// Somebody else has set fields.
    Conflict(String),
    /// Anything else, in the cluster's words.
    Other(String),
}

impl Cluster {
    /// # Errors
    /// When neither KUBECONFIG nor the usual file names a cluster.
    pub(super) async fn connect() -> Result<Self, Failure> {
        // The client asks for the process's own; an error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let no_cluster = |error: &dyn std::fmt::Display| {
            format!("there is no cluster to talk to: {error}; set KUBECONFIG to a file that names one")
        };
        let mut config = Config::infer().await.map_err(|error| no_cluster(&error))?;
        config.default_retry = false;
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| no_cluster(&error))?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), kinds: Mutex::default() })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The object as it is in the cluster; `None` when it is not there.
    pub(super) async fn get(&self, object: &Object) -> Result<Option<Value>, Refusal> {
        let api = self.api(object).await?;
        let got = in_time(api.get_opt(object.name())).await?;
        got.map(|got| serde_json::to_value(got).map_err(|error| Refusal::Other(error.to_string()))).transpose()
    }

    /// The object as it is, or with `dry` would be, after it was applied.
    pub(super) async fn apply(&self, object: &Object, dry: bool, force: bool) -> Result<Value, Refusal> {
        let api = self.api(object).await?;
        let mut params = PatchParams::apply(FIELD_MANAGER);
        (params.dry_run, params.force) = (dry, force);
        let patch = Patch::Apply(object.value());
        let after = in_time(api.patch(object.name(), &params, &patch)).await?;
        serde_json::to_value(after).map_err(|error| Refusal::Other(error.to_string()))
    }

    async fn api(&self, object: &Object) -> Result<Api<DynamicObject>, Refusal> {
        let kind = GroupVersionKind::gvk(object.group(), object.version(), object.kind());
        let known = self.kinds.lock().ok().and_then(|kinds| kinds.get(&kind).cloned());
        let (resource, capabilities) = match known {
            Some(known) => known,
            None => {
                let found = match tokio::time::timeout(ANSWER_DEADLINE, pinned_kind(&self.client, &kind)).await {
                    Err(_) => return Err(Refusal::Other(no_answer())),
                    Ok(Err(kube::Error::Discovery(_))) => return Err(Refusal::NoKind),
                    Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Err(Refusal::NoKind),
                    Ok(Err(error)) => return Err(refusal(error)),
                    Ok(Ok(found)) => found,
                };
                if let Ok(mut kinds) = self.kinds.lock() {
                    kinds.insert(kind, found.clone());
                }
                found
            }
        };
        Ok(match (capabilities.scope, object.namespace()) {
            (Scope::Cluster, _) => Api::all_with(self.client.clone(), &resource),
            (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            (Scope::Namespaced, None) => Api::default_namespaced_with(self.client.clone(), &resource),
        })
    }
}

impl Refusal {
    /// The sentence that says which object it was, and what to do.
    pub(super) fn of(self, object: &Object) -> Failure {
        let title = object.title();
        let kind = object.kind();
        match self {
            Self::NoKind => {
                let of = format!("{}/{}", object.group(), object.version());
                format!(
                    "{title}: the cluster has no {kind} of {of}: install what brings it, or leave the component out"
                )
            }
            Self::NoNamespace => format!("{title}: its namespace is not there"),
            Self::Rollout => format!("{title}: a rollout moves its weights"),
            Self::Conflict(why) => {
                format!("{title}: {why}; look with `diff`, and take the fields over with --force-conflicts")
            }
            Self::Other(why) => format!("{title}: {why}"),
        }
        .into()
    }
}

async fn in_time<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Refusal> {
    match tokio::time::timeout(ANSWER_DEADLINE, request).await {
        Ok(answer) => answer.map_err(refusal),
        Err(_) => Err(Refusal::Other(no_answer())),
    }
}

fn no_answer() -> String {
    format!("the cluster did not answer within {} s", ANSWER_DEADLINE.as_secs())
}

fn refusal(error: kube::Error) -> Refusal {
    match error {
        kube::Error::Api(status) if status.code == 404 && status.message.starts_with("namespaces ") => {
            Refusal::NoNamespace
        }
        kube::Error::Api(status) if status.code == 409 => conflict(&status.message),
        kube::Error::Api(status) => Refusal::Other(format!("the cluster refuses it: {}", short(&status.message))),
        error => Refusal::Other(format!("the cluster cannot be asked: {}", chain(&error))),
    }
}

/// Each conflict is told as `conflict with "MANAGER" using …`.
fn conflict(said: &str) -> Refusal {
    let mut managers = said.split("with \"").skip(1).filter_map(|rest| rest.split('"').next()).peekable();
    let is_told = managers.peek().is_some();
    if is_told && managers.all(|manager| manager == ROLLOUTS) {
        Refusal::Rollout
    } else {
        Refusal::Conflict(short(said))
    }
}

/// An error with its causes: "tcp connect error" alone says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    short(&text)
}
