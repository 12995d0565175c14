//! What makes the controller look: a Rollout changed, what it owns changed, or time has passed.

use std::collections::hash_map::DefaultHasher;
use std::future::Future;
use std::hash::{Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{BoxStream, StreamExt as _, select_all};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config, Error, ReconcileRequest, trigger_owners, trigger_with};
use kube::runtime::events::Recorder;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::{PredicateConfig, WatchStreamExt as _, applier, predicates, watcher};
use kube::{Client, Resource};
use spillway_rollout::ports::PortError;

use super::Parts;
use super::call::Cluster;
use super::context::Context;
use super::look::look;
use super::resource::RolloutObject;
use super::revision::ROLLOUT_LABEL;
use crate::metrics::Metrics;

/// Time until a look that failed is tried again.
const AFTER_ERROR: Duration = Duration::from_secs(2);

type Requests = BoxStream<'static, Result<ReconcileRequest<RolloutObject>, watcher::Error>>;
type Looking = Pin<Box<dyn Future<Output = Result<Action, PortError>> + Send>>;

/// What is watched, and with what.
pub(crate) struct Watch {
    pub(crate) client: Client,
    pub(crate) cluster: Cluster,
    pub(crate) parts: Parts,
    pub(crate) metrics: Metrics,
    pub(crate) recorder: Recorder,
    pub(crate) concurrency: u16,
}

impl Watch {
    /// Looks at all Rollouts of these namespaces, of all without any, until it is dropped. `listed` is called once all were seen.
    pub(crate) async fn lead(&self, namespaces: &[String], listed: impl FnOnce()) {
        let scopes: Vec<Option<&str>> = if namespaces.is_empty() {
            vec![None]
        } else {
            namespaces.iter().map(|each| Some(each.as_str())).collect()
        };
        let (stores, loops): (Vec<_>, Vec<_>) = scopes.into_iter().map(|scope| self.scope(scope)).unzip();
        let seen = async {
            let all = join_all(stores.iter().map(Store::wait_until_ready)).await;
            if all.iter().all(Result::is_ok) {
                listed();
            }
        };
        tokio::join!(seen, join_all(loops));
    }

    /// The loop of one namespace, or of all.
    fn scope(&self, namespace: Option<&str>) -> (Store<RolloutObject>, impl Future<Output = ()> + use<>) {
        let (rollouts, writer) = store::<RolloutObject>();
        let own = watcher(self.api::<RolloutObject>(namespace), watcher::Config::default())
            .default_backoff()
            .reflect(writer)
            .touched_objects()
            .predicate_filter(asks_for_a_look, PredicateConfig::default());
        let own: Requests = trigger_with(own, with_rivals(rollouts.clone())).boxed();
        let requests = select_all([own, self.deployments(namespace, rollouts.clone()), self.services(namespace)]);
        let context = Context::new(
            self.cluster.clone(),
            self.parts.clone(),
            self.metrics.clone(),
            self.recorder.clone(),
            rollouts.clone(),
        );
        let config = Config::default().concurrency(self.concurrency.max(1));
        let looks = applier(reconcile, retry, Arc::new(context), rollouts.clone(), requests, config);
        (rollouts, looks.for_each(async |looked| report(looked)))
    }

    /// Slots, and the workloads that Rollouts name.
    fn deployments(&self, namespace: Option<&str>, rollouts: Store<RolloutObject>) -> Requests {
        let changed = watcher(self.api::<PartialObjectMeta<Deployment>>(namespace), watcher::Config::default())
            .default_backoff()
            .touched_objects()
            .predicate_filter(predicates::resource_version, PredicateConfig::default());
        let concerned = move |deployment: PartialObjectMeta<Deployment>| {
            let metadata = deployment.metadata;
            let (name, namespace) = (metadata.name.unwrap_or_default(), metadata.namespace.unwrap_or_default());
            let owners = metadata.owner_references.unwrap_or_default();
            let concerned = rollouts.state().into_iter().filter(move |rollout| {
                let owns = owners.iter().any(|owner| Some(&owner.uid) == rollout.metadata.uid.as_ref());
                rollout.namespace() == namespace && (owns || rollout.deployment() == Some(name.as_str()))
            });
            concerned.map(|rollout| ObjectRef::from_obj(&*rollout)).collect::<Vec<_>>()
        };
        trigger_with(changed, concerned).boxed()
    }

    fn services(&self, namespace: Option<&str>) -> Requests {
        let config = watcher::Config::default().labels(ROLLOUT_LABEL);
        let changed = watcher(self.api::<PartialObjectMeta<Service>>(namespace), config)
            .default_backoff()
            .touched_objects()
            .predicate_filter(predicates::resource_version, PredicateConfig::default());
        trigger_owners::<RolloutObject, _>(changed, (), ()).boxed()
    }

    fn api<K>(&self, namespace: Option<&str>) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }
}

/// A Rollout, and those that name the same Deployment: one of them may have it when this one goes.
fn with_rivals(rollouts: Store<RolloutObject>) -> impl Fn(RolloutObject) -> Vec<ObjectRef<RolloutObject>> {
    move |rollout| {
        let rivals = rollouts.state().into_iter().filter(|other| {
            other.name() != rollout.name()
                && other.namespace() == rollout.namespace()
                && other.deployment().is_some()
                && other.deployment() == rollout.deployment()
        });
        let rivals = rivals.map(|rival| ObjectRef::from_obj(&*rival));
        std::iter::once(ObjectRef::from_obj(&rollout)).chain(rivals).collect()
    }
}

/// What of a Rollout asks for a look: everything but the status, which the controller itself writes.
#[expect(clippy::unnecessary_wraps, reason = "a predicate may have nothing to say")]
fn asks_for_a_look(rollout: &RolloutObject) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let metadata = &rollout.metadata;
    (metadata.uid.as_ref(), metadata.generation).hash(&mut hasher);
    (metadata.labels.as_ref(), metadata.annotations.as_ref()).hash(&mut hasher);
    metadata.finalizers.as_ref().hash(&mut hasher);
    // That one is gone looks like its last version, but for the version's number.
    metadata.deletion_timestamp.as_ref().and(metadata.resource_version.as_ref()).hash(&mut hasher);
    Some(hasher.finish())
}

fn reconcile(rollout: Arc<RolloutObject>, context: Arc<Context>) -> Looking {
    Box::pin(async move {
        let started = Instant::now();
        let looked = Box::pin(look(&context, rollout.namespace(), rollout.name())).await;
        context.metrics.looked(started.elapsed(), looked.is_err());
        looked.map(Action::requeue)
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of an error policy")]
fn retry(rollout: Arc<RolloutObject>, error: &PortError, _: Arc<Context>) -> Action {
    tracing::warn!(namespace = rollout.namespace(), rollout = rollout.name(), "{error}; it is tried again");
    Action::requeue(AFTER_ERROR)
}

fn report(looked: Result<(ObjectRef<RolloutObject>, Action), Error<PortError, watcher::Error>>) {
    match looked {
        // An error of a look was told by `retry`; a Rollout that is gone needs no look.
        Ok(_) | Err(Error::ReconcilerFailed(..) | Error::ObjectNotFound(_)) => {}
        Err(error) => tracing::warn!("the cluster cannot be watched: {error}; it is tried again"),
    }
}
