//! What went wrong at the server, in a sentence that says what to do.

use std::fmt;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::Status;
use spillway_rollout::ports::PortError;

/// More names than these are not listed.
const MAX_NAMES: u32 = 20;

/// The object that is read and written.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) resource: ApiResource,
    pub(super) name: String,
    pub(super) namespace: String,
}

impl Place {
    /// The result of `work`, or a temporary trouble when it takes too long.
    pub(super) async fn within<T>(
        &self,
        deadline: Duration,
        work: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
            Err(PortError::Temporary(format!(
                "the Kubernetes API did not let {self} be used within {} s",
                deadline.as_secs()
            )))
        })
    }

    /// Why the object was not found: it, or its whole kind, is missing.
    pub(super) async fn missing(&self, api: &Api<DynamicObject>) -> PortError {
        let (kind, namespace) = (&self.resource.kind, &self.namespace);
        match api.list_metadata(&ListParams::default().limit(MAX_NAMES)).await {
            Ok(list) => {
                let names: Vec<String> = list.items.into_iter().filter_map(|object| object.metadata.name).collect();
                let more = if list.metadata.continue_.is_some() { " and more" } else { "" };
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") + more };
                PortError::Permanent(format!(
                    "{self} does not exist: create it, or name one that does (there are: {names})"
                ))
            }
            Err(kube::Error::Api(status)) if status.code == 404 => PortError::Permanent(format!(
                "the cluster does not know the kind {kind} ({}): install its resource definition, or choose another router",
                self.resource.api_version
            )),
            Err(kube::Error::Api(status)) if status.code == 403 => PortError::Permanent(format!(
                "{self} does not exist: create it, or name one of the namespace {namespace} that does"
            )),
            Err(error) => self.trouble("list", &error),
        }
    }

    /// The trouble with a request, `verb` as in the rules of a role.
    pub(super) fn trouble(&self, verb: &str, error: &kube::Error) -> PortError {
        let kube::Error::Api(status) = error else {
            return PortError::Temporary(format!("the Kubernetes API cannot be asked for {self}: {}", chain(error)));
        };
        match status.code {
            403 if is_missing_right(status) => PortError::Permanent(format!(
                "the controller may not {verb} {self}: grant it the verb {verb} on {} in a role of the namespace {} ({})",
                self.plural(),
                self.namespace,
                status.message
            )),
            400 | 403 | 409 | 413 | 422 => self.refused(status),
            code => PortError::Temporary(format!(
                "the Kubernetes API answered {code} when asked to {verb} {self}: {}",
                status.message
            )),
        }
    }

    /// The server does not accept what was sent.
    pub(super) fn refused(&self, status: &Status) -> PortError {
        PortError::Permanent(format!("the Kubernetes API refused the change of {self}: {}", status.message))
    }

    /// As in the rules of a role and as kubectl takes it: `httproutes.gateway.networking.k8s.io`.
    fn plural(&self) -> String {
        let ApiResource { plural, group, .. } = &self.resource;
        if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {} of the namespace {}", self.resource.kind, self.name, self.namespace)
    }
}

/// Admission plugins and webhooks answer 403 too. A missing right reads `… is forbidden: User "…" cannot patch resource …`.
fn is_missing_right(status: &Status) -> bool {
    status.message.contains(" cannot ")
}

/// An error and what is behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let behind = error.to_string();
        if !text.ends_with(&behind) {
            text = format!("{text}: {behind}");
        }
        source = error.source();
    }
    text
}
