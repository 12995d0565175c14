//! Which version a pod template is.

use serde_json::{Map, Value};

use spillway_rollout::Slot;

/// Label of everything that belongs to a Rollout: its name.
pub const ROLLOUT_LABEL: &str = "spillway.dev/rollout";
/// Label of everything that belongs to a slot: `blue` or `green`.
pub const SLOT_LABEL: &str = "spillway.dev/slot";
/// Label of pods and annotation of slots: the revision.
pub const REVISION_LABEL: &str = "spillway.dev/revision";

/// The revision of a pod template: the same for the same template, whatever the order of its fields, and whether or not it carries a slot's own
/// labels. Ten hexadecimal digits.
#[must_use]
pub fn revision_of(template: &Value) -> String {
    let text = canonical(&bare(template)).to_string();
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

/// A template without what the controller adds to it.
#[must_use]
pub(crate) fn bare(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = template.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            for label in [ROLLOUT_LABEL, SLOT_LABEL, REVISION_LABEL] {
                labels.remove(label);
            }
        }
    }
    template
}

/// A template for a slot: it is told apart by its labels.
#[must_use]
pub(crate) fn dressed(template: &Value, rollout: &str, slot: Slot, revision: &str) -> Value {
    let mut template = bare(template);
    let labels = [(ROLLOUT_LABEL, rollout), (SLOT_LABEL, slot.name()), (REVISION_LABEL, revision)];
    let metadata = object_in(&mut template, "metadata");
    let own = object_in(metadata, "labels");
    if let Some(own) = own.as_object_mut() {
        own.extend(labels.map(|(label, value)| (label.to_owned(), Value::from(value))));
    }
    template
}

fn object_in<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let object = value.as_object_mut().expect("it was made an object");
    object.entry(key).or_insert_with(|| Value::Object(Map::new()))
}

/// The same value with sorted keys and without what says nothing: nulls and empty lists and objects.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<(&String, Value)> = object
                .iter()
                .map(|(key, value)| (key, canonical(value)))
                .filter(|(_, value)| !is_empty(value))
                .collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Whether `actual` has everything that `wanted` names. Lists have to have the same length.
#[must_use]
pub(crate) fn covers(actual: &Value, wanted: &Value) -> bool {
    match (actual, wanted) {
        (_, Value::Null) => true,
        (Value::Object(actual), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| match actual.get(key) {
            Some(actual) => covers(actual, wanted),
            None => is_empty(wanted),
        }),
        (Value::Array(actual), Value::Array(wanted)) => {
            actual.len() == wanted.len() && actual.iter().zip(wanted).all(|(actual, wanted)| covers(actual, wanted))
        }
        (actual, wanted) => actual == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> Value {
        json!({
            "metadata": { "labels": { "app": "web" }, "creationTimestamp": null },
            "spec": { "containers": [{ "name": "web", "image": "web:1", "env": [{ "name": "A", "value": "1" }] }], "volumes": [] },
        })
    }

    #[test]
    fn a_slots_template_is_the_same_revision_as_the_workloads() {
        let revision = revision_of(&template());
        assert_eq!(revision.len(), 10);
        let dressed = dressed(&template(), "web", Slot::Green, &revision);
        assert_eq!(dressed.pointer("/metadata/labels/spillway.dev~1slot"), Some(&json!("green")));
        assert_eq!(dressed.pointer("/metadata/labels/app"), Some(&json!("web")), "the workload's own labels stay");
        assert_eq!(revision_of(&dressed), revision);
        let reordered = json!({ "spec": template()["spec"], "metadata": { "labels": { "app": "web" } } });
        assert_eq!(revision_of(&reordered), revision);
    }

    #[test]
    fn any_change_of_the_template_is_another_revision() {
        let mut other = template();
        other["spec"]["containers"][0]["env"][0]["value"] = json!("2");
        assert_ne!(revision_of(&other), revision_of(&template()));
    }

    #[test]
    fn what_others_add_is_covered_and_what_they_change_is_not() {
        let wanted = json!({ "spec": { "replicas": 2, "ports": [{ "port": 80 }], "empty": {} } });
        assert!(covers(
            &json!({ "spec": { "replicas": 2, "ports": [{ "port": 80, "nodePort": 0 }], "more": 1 } }),
            &wanted
        ));
        assert!(!covers(&json!({ "spec": { "replicas": 3, "ports": [{ "port": 80 }] } }), &wanted));
        assert!(!covers(&json!({ "spec": { "replicas": 2, "ports": [{ "port": 80 }, { "port": 81 }] } }), &wanted));
    }
}
