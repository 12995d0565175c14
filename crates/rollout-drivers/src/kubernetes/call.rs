//! Calls to the API server: each has a deadline, each write is fenced, and errors say what to do.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use spillway_rollout::ports::PortError;

use super::fence::Fence;

/// Longest wait for one answer of the API server.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// Name under which the controller owns fields.
pub(crate) const FIELD_MANAGER: &str = "spillway-rollout";
/// Objects of one list call. The slots of one Rollout have far fewer pods.
const LIST_LIMIT: u32 = 2_000;

/// The API server, and the right to write to it.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    fence: Fence,
}

impl Cluster {
    /// Reads with `client`, and writes while `fence` allows it.
    pub(crate) fn new(client: Client, fence: Fence) -> Self {
        Self { client, fence }
    }

    /// For reading only: what is done with it is not fenced.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether something may be written now.
    pub(crate) async fn may_write(&self) -> Result<(), PortError> {
        self.fence.check().await
    }

    /// An object, `None` when there is none.
    pub(crate) async fn get<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, PortError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let what = format!("read {} {namespace}/{name}", K::kind(&()));
        call(&what, self.api::<K>(namespace).get_opt(name)).await
    }

    /// Objects with these labels, at most 2,000.
    pub(crate) async fn list<K>(&self, namespace: &str, labels: &str) -> Result<Vec<K>, PortError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let what = format!("list {} of namespace {namespace}", K::plural(&()));
        let params = ListParams::default().labels(labels).limit(LIST_LIMIT);
        Ok(call(&what, self.api::<K>(namespace).list(&params)).await?.items)
    }

    /// Makes an object as `wanted`, by server-side apply. Fields of others that it does not name stay.
    pub(crate) async fn apply<K>(&self, namespace: &str, name: &str, wanted: &Value) -> Result<K, PortError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        self.patch(namespace, name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(wanted)).await
    }

    /// Changes an object by a merge patch. Name `metadata.resourceVersion` in it to make it conditional.
    pub(crate) async fn merge<K>(&self, namespace: &str, name: &str, change: &Value) -> Result<K, PortError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        self.patch(namespace, name, &params(), &Patch::Merge(change)).await
    }

    /// Replaces parts of an object whole, if it still has this resource version: what others added to them goes.
    pub(crate) async fn replace_parts<K>(
        &self,
        namespace: &str,
        name: &str,
        version: &str,
        parts: &[(&str, &Value)],
    ) -> Result<K, PortError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let test = serde_json::json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version });
        let replace =
            parts.iter().map(|(path, value)| serde_json::json!({ "op": "add", "path": path, "value": value }));
        let operations = std::iter::once(test).chain(replace).collect();
        let patch = serde_json::from_value(Value::Array(operations)).expect("these are operations of a JSON patch");
        self.patch(namespace, name, &params(), &Patch::Json::<()>(patch)).await
    }

    /// Replaces the status of an object that still has the resource version in `body`.
    pub(crate) async fn replace_status<K>(&self, namespace: &str, name: &str, body: &K) -> Result<K, PortError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + serde::Serialize
            + Debug,
    {
        self.may_write().await?;
        let what = format!("write the status of {} {namespace}/{name}", K::kind(&()));
        let params = kube::api::PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run: false };
        call(&what, self.api::<K>(namespace).replace_status(name, &params, body)).await
    }

    /// Deletes the object with this identity; one that is gone, or another one under the same name, is left alone.
    pub(crate) async fn delete<K>(&self, namespace: &str, name: &str, uid: Option<String>) -> Result<(), PortError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        self.may_write().await?;
        let what = format!("delete {} {namespace}/{name}", K::kind(&()));
        let preconditions = uid.map(|uid| Preconditions { uid: Some(uid), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::background() };
        let api = self.api::<K>(namespace);
        let deleted = async {
            match api.delete(name, &params).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
                Err(error) => Err(error),
            }
        };
        call(&what, deleted).await
    }

    async fn patch<K, P>(
        &self,
        namespace: &str,
        name: &str,
        params: &PatchParams,
        patch: &Patch<P>,
    ) -> Result<K, PortError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
        P: serde::Serialize + Debug,
    {
        self.may_write().await?;
        let what = format!("change {} {namespace}/{name}", K::kind(&()));
        call(&what, self.api::<K>(namespace).patch(name, params, patch)).await
    }

    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// Waits for an answer of the API server, at most [`CALL_DEADLINE`]. `what` completes "cannot …".
pub(crate) async fn call<T>(what: &str, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, PortError> {
    match tokio::time::timeout(CALL_DEADLINE, request).await {
        Ok(answer) => answer.map_err(|error| explain(what, &error)),
        Err(_) => Err(PortError::Temporary(format!(
            "cannot {what}: the API server did not answer within {} s",
            CALL_DEADLINE.as_secs()
        ))),
    }
}

/// What an error of the API server means for whoever wanted to `what`.
pub(crate) fn explain(what: &str, error: &kube::Error) -> PortError {
    let kube::Error::Api(status) = error else {
        return PortError::Temporary(format!("cannot {what}: {}", chain(error)));
    };
    let message = &status.message;
    match status.code {
        401 | 403 => PortError::Permanent(format!(
            "cannot {what}: {message}. Give the controller's service account the rights in \
             infra/kubernetes/rollout-controller/rbac.yaml"
        )),
        409 => PortError::Temporary(format!("cannot {what}: it was changed at the same moment; it is read again")),
        404 => PortError::Temporary(format!("cannot {what}: {message}")),
        400 | 405 | 413 | 415 | 422 => PortError::Permanent(format!("cannot {what}: {message}")),
        _ => PortError::Temporary(format!("cannot {what}: {message}")),
    }
}

/// An error and what is behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_given_up() {
        let began = tokio::time::Instant::now();
        let answer = call::<()>("read it", std::future::pending()).await;
        assert!(matches!(answer, Err(PortError::Temporary(text)) if text.contains("did not answer within 10 s")));
        assert_eq!(began.elapsed(), CALL_DEADLINE);
    }

    #[test]
    fn only_what_a_person_has_to_change_is_permanent() {
        let told = |code: u16| {
            let status = Status { code, message: "the server's words".to_owned(), ..Status::default() };
            explain("change it", &kube::Error::Api(Box::new(status)))
        };
        for code in [409, 404, 429, 500, 503] {
            assert!(
                matches!(told(code), PortError::Temporary(text) if text.starts_with("cannot change it: ")),
                "{code}"
            );
        }
        for code in [400, 403, 422] {
            assert!(matches!(told(code), PortError::Permanent(text) if text.contains("the server's words")), "{code}");
        }
        assert!(told(403).to_string().contains("rbac.yaml"));
    }
}
