//! The Job of a load test.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::json;

use crate::gates::LoadRun;

/// A finished Job stays this long, for people who look at its logs.
const KEPT_SECONDS: i32 = 86_400;

/// Names of Jobs end up in labels of their Pods.
const MOST_NAME_BYTES: usize = 63;

/// Why a load test cannot be a Job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidLoadTest {
    /// Nobody said which image.
    #[error("a load test in a cluster needs the image of spillway-loadgen: give loadTest.image")]
    Image,
    /// Nobody said where the options file is.
    #[error("a load test in a cluster reads `{0}` from a ConfigMap: give loadTest.configMap")]
    ConfigMap(String),
    /// The file is no key of a ConfigMap.
    #[error("`{0}` is no key of a ConfigMap: loadTest.file names one, without folders")]
    Key(String),
    /// The manifest is none.
    #[error("the Job of the load test is not valid: {0}")]
    Manifest(String),
}

/// The name of the Job: the same for the same gate, so that it is never run twice.
pub(super) fn job_name(run: &LoadRun) -> String {
    let name = format!("{}-{}", run.rollout, run.id).to_ascii_lowercase();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if name.len() <= MOST_NAME_BYTES {
        return name.trim_matches('-').to_owned();
    }
    // The end tells gates of one rollout apart, the hash those with the same end.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let end = &name[name.len() - (MOST_NAME_BYTES - 18)..];
    format!("l{hash:016x}-{}", end.trim_matches('-'))
}

/// The manifest of a load test's Job. The error says what is missing.
pub(super) fn job(run: &LoadRun, namespace: &str, owner: Option<&OwnerReference>) -> Result<Job, InvalidLoadTest> {
    let test = &run.test;
    let image = test.image.as_ref().ok_or(InvalidLoadTest::Image)?;
    let config_map = test.config_map.as_ref().ok_or_else(|| InvalidLoadTest::ConfigMap(test.file.clone()))?;
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if test.file.is_empty() || test.file.starts_with("..") || !test.file.chars().all(is_key) {
        return Err(InvalidLoadTest::Key(test.file.clone()));
    }
    let mut arguments =
        vec!["run".to_owned(), format!("/test/{}", test.file), "--target".to_owned(), run.target.clone()];
    arguments.extend(test.arguments.iter().cloned());
    let labels = json!({
        "app.kubernetes.io/name": "spillway-loadgen",
        "app.kubernetes.io/managed-by": "spillway-rollout",
        "spillway.dev/rollout": run.rollout,
    });
    let manifest = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(run),
            "namespace": namespace,
            "labels": labels,
            "annotations": { "spillway.dev/gate": run.id },
            "ownerReferences": owner.into_iter().collect::<Vec<_>>(),
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": run.timeout.as_secs().max(1),
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": false,
                    "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
                    "containers": [{
                        "name": "loadgen",
                        "image": image,
                        "args": arguments,
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
                        "volumeMounts": [{ "name": "test", "mountPath": "/test", "readOnly": true }],
                    }],
                    "volumes": [{ "name": "test", "configMap": { "name": config_map } }],
                },
            },
        },
    });
    serde_json::from_value(manifest).map_err(|error| InvalidLoadTest::Manifest(error.to_string()))
}

#[cfg(test)]
mod tests;
