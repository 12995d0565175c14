//! What all looks share.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kube::Resource as _;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::reflector::Store;
use serde_json::json;
use spillway_rollout::Plan;
use spillway_rollout::decision::Note;
use spillway_rollout::ports::PortError;
use spillway_rollout::state::State;
use tokio::sync::Mutex;

use super::Parts;
use super::call::Cluster;
use super::condition::Problem;
use super::finish::FINALIZER;
use super::resource::RolloutObject;
use super::session::Session;
use crate::metrics::Metrics;

/// Longest time that people are told before the next look goes on.
const TELL_DEADLINE: Duration = Duration::from_secs(20);
/// Notes are cut here: the API takes 1 KiB.
const MAX_NOTE_BYTES: usize = 1000;

/// By namespace and name.
type Sessions = HashMap<(String, String), Arc<Mutex<Session>>>;

/// What all looks share, for one set of namespaces.
pub(crate) struct Context {
    pub(crate) cluster: Cluster,
    pub(crate) parts: Parts,
    pub(crate) metrics: Metrics,
    recorder: Recorder,
    rollouts: Store<RolloutObject>,
    sessions: Mutex<Sessions>,
}

impl Context {
    pub(crate) fn new(
        cluster: Cluster,
        parts: Parts,
        metrics: Metrics,
        recorder: Recorder,
        rollouts: Store<RolloutObject>,
    ) -> Self {
        Self { cluster, parts, metrics, recorder, rollouts, sessions: Mutex::default() }
    }

    /// The meter and gatekeeper of a Rollout.
    pub(crate) async fn session(&self, rollout: &RolloutObject, plan: &Plan) -> Arc<Mutex<Session>> {
        let key = (rollout.namespace().to_owned(), rollout.name().to_owned());
        let session = {
            let mut sessions = self.sessions.lock().await;
            if !sessions.contains_key(&key) {
                self.forget_all_but_present(&mut sessions);
            }
            let new = || Arc::new(Mutex::new(Session::new(&self.parts, rollout, plan)));
            Arc::clone(sessions.entry(key).or_insert_with(new))
        };
        session.lock().await.follow(&self.parts, rollout, plan);
        session
    }

    /// Forgets Rollouts that went while nobody looked at them.
    fn forget_all_but_present(&self, sessions: &mut Sessions) {
        let present: HashSet<(String, String)> = self
            .rollouts
            .state()
            .iter()
            .map(|rollout| (rollout.namespace().to_owned(), rollout.name().to_owned()))
            .collect();
        sessions.retain(|key, _| {
            let stays = present.contains(key);
            if !stays {
                self.metrics.forget(Some(&key.0), &key.1);
            }
            stays
        });
    }

    /// Forgets a Rollout that is gone.
    pub(crate) async fn forget(&self, namespace: &str, name: &str) {
        self.sessions.lock().await.remove(&(namespace.to_owned(), name.to_owned()));
        self.metrics.forget(Some(namespace), name);
    }

    /// That another Rollout has this Deployment, as a sentence, if one does: whichever took it over already, else the older one.
    ///
    /// What is watched may be a moment old: before a Rollout takes a workload over, the API server itself is asked.
    pub(crate) async fn taken(&self, rollout: &RolloutObject, deployment: &str) -> Result<Option<String>, PortError> {
        let rollouts: Vec<Arc<RolloutObject>> = if rollout.has_finalizer(FINALIZER) {
            self.rollouts.state()
        } else {
            self.cluster.list(rollout.namespace(), "").await?.into_iter().map(Arc::new).collect()
        };
        let holder = first_before(rollout, deployment, &rollouts);
        Ok(holder.map(|holder| {
            format!(
                "the Rollout {holder} has the Deployment {deployment} already: delete one of them, or give this one another \
                 Deployment"
            )
        }))
    }

    /// Puts the finalizer on a Rollout, before anything is taken over.
    pub(crate) async fn keep_until_given_back(&self, rollout: &RolloutObject) -> Result<RolloutObject, PortError> {
        if rollout.has_finalizer(FINALIZER) {
            return Ok(rollout.clone());
        }
        let mut finalizers = rollout.metadata.finalizers.clone().unwrap_or_default();
        finalizers.push(FINALIZER.to_owned());
        self.set_finalizers(rollout, finalizers).await
    }

    /// Takes the finalizer off.
    pub(crate) async fn let_go(&self, rollout: &RolloutObject) -> Result<(), PortError> {
        let mut finalizers = rollout.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|each| each != FINALIZER);
        self.set_finalizers(rollout, finalizers).await.map(|_| ())
    }

    async fn set_finalizers(
        &self,
        rollout: &RolloutObject,
        finalizers: Vec<String>,
    ) -> Result<RolloutObject, PortError> {
        let version = &rollout.metadata.resource_version;
        let change = json!({ "metadata": { "resourceVersion": version, "finalizers": finalizers } });
        self.cluster.merge(rollout.namespace(), rollout.name(), &change).await
    }

    /// Tells what happened: as Events, and to whoever the plan names.
    pub(crate) async fn tell(&self, rollout: &RolloutObject, plan: &Plan, state: &State, notes: &[Note]) {
        if notes.is_empty() {
            return;
        }
        for note in notes {
            let kind = if note.kind.is_problem() { EventType::Warning } else { EventType::Normal };
            self.publish(rollout, kind, &format!("{:?}", note.kind), &note.text).await;
        }
        let told = self.parts.notifier.tell(plan, state, notes);
        if tokio::time::timeout(TELL_DEADLINE, told).await.is_err() {
            let (namespace, name) = (rollout.namespace(), rollout.name());
            tracing::warn!(namespace, rollout = name, "people could not be told within {TELL_DEADLINE:?}");
        }
    }

    /// Tells what keeps a Rollout from being carried out, as an Event.
    pub(crate) async fn warn(&self, rollout: &RolloutObject, problem: &Problem) {
        self.publish(rollout, EventType::Warning, problem.reason, &problem.text()).await;
    }

    async fn publish(&self, rollout: &RolloutObject, type_: EventType, reason: &str, text: &str) {
        if self.cluster.may_write().await.is_err() {
            return;
        }
        let end = (0..=text.len().min(MAX_NOTE_BYTES)).rev().find(|end| text.is_char_boundary(*end));
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(text[..end.unwrap_or_default()].to_owned()),
            action: reason.to_owned(),
            secondary: None,
        };
        let about = rollout.object_ref(&());
        let published = super::call::call("write an Event", self.recorder.publish(&event, &about)).await;
        if let Err(error) = published {
            tracing::warn!(namespace = rollout.namespace(), rollout = rollout.name(), "{error}");
        }
    }
}

/// Name of the Rollout that comes first for a Deployment, if it is not this one.
fn first_before(rollout: &RolloutObject, deployment: &str, rollouts: &[Arc<RolloutObject>]) -> Option<String> {
    let rank = |rollout: &RolloutObject| {
        let created = rollout.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (!rollout.has_finalizer(FINALIZER), created, rollout.name().to_owned())
    };
    let others = rollouts.iter().filter(|other| {
        other.namespace() == rollout.namespace()
            && other.name() != rollout.name()
            && other.deployment() == Some(deployment)
    });
    let first = others.min_by_key(|other| rank(other))?;
    (rank(first) < rank(rollout)).then(|| first.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(name: &str, created: &str, finalizers: &[&str]) -> Arc<RolloutObject> {
        let metadata =
            json!({ "name": name, "namespace": "shop", "creationTimestamp": created, "finalizers": finalizers });
        let spec = json!({ "target": { "workload": { "deployment": "web" } } });
        Arc::new(serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).expect("a Rollout"))
    }

    #[test]
    fn a_workload_is_of_whoever_took_it_over_else_of_the_older_rollout() {
        let (older, newer) = (rollout("b", "2026-01-01T00:00:00Z", &[]), rollout("a", "2026-01-02T00:00:00Z", &[]));
        let both = [older.clone(), newer.clone()];
        assert_eq!(first_before(&newer, "web", &both).as_deref(), Some("b"));
        assert_eq!(first_before(&older, "web", &both), None);
        let owner = rollout("a", "2026-01-02T00:00:00Z", &[FINALIZER]);
        assert_eq!(first_before(&older, "web", &[older.clone(), owner]).as_deref(), Some("a"));
        assert_eq!(first_before(&newer, "another", &both), None, "nobody else names it");
    }
}
