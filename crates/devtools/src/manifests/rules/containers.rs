//! Containers: resources, probes, no rights that they do not need, and an image that stays the same.

use serde_json::{Value, json};

use super::super::object::Object;
use super::super::schema::Finding;
use super::finding;

/// Where the pod of a kind is described.
const PODS: [(&str, &str); 5] = [
    ("Deployment", "spec.template.spec"),
    ("StatefulSet", "spec.template.spec"),
    ("DaemonSet", "spec.template.spec"),
    ("Job", "spec.template.spec"),
    ("CronJob", "spec.jobTemplate.spec.template.spec"),
];

/// Path and content of the pod that an object describes.
pub(super) fn pod(object: &Object) -> Option<(&'static str, &Value)> {
    let (_, path) = PODS.iter().find(|(kind, _)| *kind == object.kind())?;
    let pod = object.value().pointer(&format!("/{}", path.replace('.', "/")))?;
    Some((path, pod))
}

pub(super) fn check(object: &Object) -> Vec<Finding> {
    let Some((path, pod)) = pod(object) else { return Vec::new() };
    let mut findings = Vec::new();
    if pod["securityContext"]["runAsNonRoot"] != true {
        findings.push(finding(&format!("{path}.securityContext.runAsNonRoot"), "pods run as somebody: set it to true"));
    }
    if pod["securityContext"]["seccompProfile"]["type"] != "RuntimeDefault" {
        let field = format!("{path}.securityContext.seccompProfile.type");
        findings.push(finding(&field, "set it to RuntimeDefault"));
    }
    let ends = matches!(object.kind(), "Job" | "CronJob");
    for (list, has_probes) in [("initContainers", false), ("containers", !ends)] {
        for (number, container) in pod[list].as_array().into_iter().flatten().enumerate() {
            let at = format!("{path}.{list}[{number}]");
            findings.extend(one(&at, container, has_probes));
        }
    }
    findings
}

fn one(at: &str, container: &Value, has_probes: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut ask = |holds: bool, field: &str, message: &str| {
        if !holds {
            findings.push(finding(&format!("{at}.{field}"), message));
        }
    };
    let image = container["image"].as_str().unwrap_or_default();
    let is_fixed = image.contains("@sha256:") || tag(image).is_some_and(|tag| tag != "latest");
    ask(
        is_fixed,
        "image",
        "an image needs a tag that says what it is, here or in the overlay's `images`, or a digest; `latest` says nothing",
    );
    let resources = &container["resources"];
    ask(
        resources["requests"]["cpu"].is_string(),
        "resources.requests.cpu",
        "say how much processor time it asks for, such as 250m",
    );
    ask(
        resources["requests"]["memory"].is_string(),
        "resources.requests.memory",
        "say how much memory it asks for, such as 128Mi",
    );
    ask(
        resources["limits"]["memory"].is_string(),
        "resources.limits.memory",
        "say how much memory it may have, such as 512Mi",
    );
    if has_probes {
        ask(
            container["readinessProbe"].is_object(),
            "readinessProbe",
            "say how Kubernetes learns that it can take traffic",
        );
        ask(container["livenessProbe"].is_object(), "livenessProbe", "say how Kubernetes learns that it hangs");
    }
    let security = &container["securityContext"];
    ask(security["allowPrivilegeEscalation"] == false, "securityContext.allowPrivilegeEscalation", "set it to false");
    ask(security["readOnlyRootFilesystem"] == true, "securityContext.readOnlyRootFilesystem", "set it to true");
    ask(security["capabilities"]["drop"] == json!(["ALL"]), "securityContext.capabilities.drop", "set it to [ALL]");
    ask(security["privileged"] != true, "securityContext.privileged", "leave it out");
    findings
}

/// The registry may have a port: a tag comes after the last slash.
fn tag(image: &str) -> Option<&str> {
    image.rsplit('/').next()?.split_once(':').map(|(_, tag)| tag)
}
