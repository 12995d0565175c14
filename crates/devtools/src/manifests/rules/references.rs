//! Objects that others name: they have to be in the same overlay.

use serde_json::Value;

use super::super::object::Object;
use super::super::schema::Finding;
use super::containers::pod;
use super::finding;

/// Kind, field with a name, kind of what it names.
const NAMED: [(&str, &str, &str); 3] = [
    ("HorizontalPodAutoscaler", "spec.scaleTargetRef.name", "Deployment"),
    ("ScaledObject", "spec.scaleTargetRef.name", "Deployment"),
    ("VerticalPodAutoscaler", "spec.targetRef.name", "Deployment"),
];

/// Kind, field with the labels of pods.
const SELECTING: [(&str, &str); 4] = [
    ("Service", "spec.selector"),
    ("PodDisruptionBudget", "spec.selector.matchLabels"),
    ("PodMonitor", "spec.selector.matchLabels"),
    ("Deployment", "spec.selector.matchLabels"),
];

pub(super) fn check(object: &Object, all: &[Object]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, field, kind) in NAMED.iter().filter(|(kind, ..)| *kind == object.kind()) {
        findings.extend(named(object, field, kind, all));
    }
    if let Some((path, pod)) = pod(object) {
        let field = format!("{path}.serviceAccountName");
        if pod["serviceAccountName"].is_string() {
            findings.extend(named(object, &field, "ServiceAccount", all));
        }
    }
    for (_, field) in SELECTING.iter().filter(|(kind, _)| *kind == object.kind()) {
        let labels = at(object.value(), field);
        let mut pods = all.iter().filter_map(pod_labels);
        if labels.is_object() && !pods.any(|pod| contains(pod, labels)) {
            findings.push(finding(
                field,
                "no pod of this overlay has these labels: compare them with spec.template.metadata.labels",
            ));
        }
    }
    findings
}

fn named(object: &Object, field: &str, kind: &str, all: &[Object]) -> Option<Finding> {
    let name = at(object.value(), field).as_str()?;
    let mut names = all.iter().filter(|other| other.kind() == kind).map(Object::name);
    if names.any(|other| other == name) {
        return None;
    }
    let names: Vec<_> = all.iter().filter(|other| other.kind() == kind).map(Object::name).collect();
    let there = if names.is_empty() { "none at all".to_owned() } else { names.join(", ") };
    Some(finding(field, format!("there is no {kind} {name} in this overlay; there is {there}")))
}

fn pod_labels(object: &Object) -> Option<&Value> {
    pod(object)?;
    object.value().pointer("/spec/template/metadata/labels")
}

fn contains(labels: &Value, wanted: &Value) -> bool {
    wanted.as_object().is_some_and(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

fn at<'a>(value: &'a Value, field: &str) -> &'a Value {
    value.pointer(&format!("/{}", field.replace('.', "/"))).unwrap_or(&Value::Null)
}
