//! Waiting until what was applied runs.

use std::time::Duration;

use serde_json::Value;

use super::super::object::Object;
use super::client::Cluster;
use crate::Failure;

/// Between two looks at the cluster.
const PACE: Duration = Duration::from_millis(500);
const KINDS: [&str; 4] = ["Deployment", "StatefulSet", "Job", "CustomResourceDefinition"];

/// How far an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    Ready,
    /// And what it waits for.
    Waits(String),
    /// It will never be.
    Failed(String),
}

pub(super) fn is_waited_for(object: &Object) -> bool {
    KINDS.contains(&object.kind())
}

/// Returns when all are ready.
///
/// # Errors
/// When one has failed, or is not ready in time; it says how far it is.
pub(super) async fn wait(cluster: &Cluster, objects: &[&Object], patience: Duration) -> Result<(), Failure> {
    let end = tokio::time::Instant::now() + patience;
    for object in objects {
        loop {
            let seen = cluster.get(object).await.map_err(|refusal| refusal.of(object))?;
            let waits = match progress(object.kind(), seen.as_ref()) {
                Progress::Ready => break,
                Progress::Failed(why) => return Err(format!("{} has failed: {why}", object.title()).into()),
                Progress::Waits(why) => why,
            };
            if tokio::time::Instant::now() + PACE > end {
                let (title, seconds) = (object.title(), patience.as_secs());
                let look = object.namespace().map(|namespace| format!(" --namespace {namespace}")).unwrap_or_default();
                let (kind, name) = (object.kind().to_lowercase(), object.name());
                return Err(format!(
                    "{title} is not ready after {seconds} s: {waits}; look with `kubectl describe {kind} {name}{look}`"
                )
                .into());
            }
            tokio::time::sleep(PACE).await;
        }
    }
    Ok(())
}

fn progress(kind: &str, object: Option<&Value>) -> Progress {
    let Some(object) = object else { return Progress::Waits("it is not there".to_owned()) };
    let status = &object["status"];
    let condition = |name: &str, value: &str| {
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.find(|one| one["type"] == name && one["status"] == value)
    };
    let message = |condition: &Value| condition["message"].as_str().unwrap_or("it does not say why").to_owned();
    match kind {
        "Deployment" | "StatefulSet" => {
            if let Some(stuck) = condition("Progressing", "False") {
                return Progress::Failed(message(stuck));
            }
            replicas(object, status)
        }
        "Job" => match (condition("Complete", "True"), condition("Failed", "True")) {
            (Some(_), _) => Progress::Ready,
            (_, Some(failed)) => Progress::Failed(message(failed)),
            _ => Progress::Waits("it runs".to_owned()),
        },
        _ if condition("Established", "True").is_some() => Progress::Ready,
        _ => Progress::Waits("it is not served yet".to_owned()),
    }
}

fn replicas(object: &Value, status: &Value) -> Progress {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    if number(&status["observedGeneration"]) < number(&object["metadata"]["generation"]) {
        return Progress::Waits("nobody has looked at it yet".to_owned());
    }
    let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
    let (updated, available) = (number(&status["updatedReplicas"]), number(&status["availableReplicas"]));
    let old = number(&status["replicas"]).saturating_sub(updated);
    if updated < wanted || available < wanted || old > 0 {
        return Progress::Waits(format!(
            "{updated} of {wanted} pods are new, {available} available, {old} old ones are left"
        ));
    }
    Progress::Ready
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_ready_when_all_its_pods_are_new_and_available() {
        let deployment = |observed: u64, updated: u64, available: u64, all: u64| {
            json!({
                "metadata": { "generation": 2 }, "spec": { "replicas": 2 },
                "status": { "observedGeneration": observed, "updatedReplicas": updated, "availableReplicas": available, "replicas": all },
            })
        };
        let is_ready = |object: Value| progress("Deployment", Some(&object)) == Progress::Ready;
        assert!(is_ready(deployment(2, 2, 2, 2)));
        for waits in [deployment(1, 2, 2, 2), deployment(2, 1, 2, 2), deployment(2, 2, 1, 2), deployment(2, 2, 2, 3)] {
            assert!(!is_ready(waits.clone()), "{waits}");
        }
        let mut stuck = deployment(2, 1, 1, 2);
        stuck["status"]["conditions"] = json!([{ "type": "Progressing", "status": "False", "message": "no room" }]);
        assert_eq!(progress("Deployment", Some(&stuck)), Progress::Failed("no room".to_owned()));
        // A rollout has taken the Deployment's own pods away.
        assert!(is_ready(json!({ "metadata": {}, "spec": { "replicas": 0 }, "status": {} })));
    }

    #[test]
    fn jobs_and_definitions_say_themselves_when_they_are_done() {
        let with =
            |name: &str| json!({ "status": { "conditions": [{ "type": name, "status": "True", "message": "why" }] } });
        assert_eq!(progress("Job", Some(&with("Complete"))), Progress::Ready);
        assert_eq!(progress("Job", Some(&with("Failed"))), Progress::Failed("why".to_owned()));
        assert!(matches!(progress("Job", Some(&json!({}))), Progress::Waits(_)));
        assert_eq!(progress("CustomResourceDefinition", Some(&with("Established"))), Progress::Ready);
        assert!(matches!(progress("Deployment", None), Progress::Waits(_)));
    }
}
