//! The custom resource definition.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::schema::{OptionalEnum, OptionalIntOrString, StructuralSchemaRewriter};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{AddNullable, Transform, transform_subschemas};
use serde_json::{Value, json};
use spillway_rollout::spec::RolloutSpec;

use super::resource::{GROUP, PLURAL, VERSION};
use super::status::RolloutStatus;

/// Longest name of a Rollout: `<name>-green` names a Service, and pods add to it.
pub const MAX_NAME: usize = 50;

/// The definition of `rollouts.spillway.dev`.
#[must_use]
pub fn crd() -> CustomResourceDefinition {
    serde_json::from_value(definition()).expect("the definition is one")
}

/// The definition as a manifest.
#[must_use]
pub fn crd_yaml() -> String {
    let yaml = serde_saphyr::to_string(&definition()).expect("a definition can be written");
    format!("# Written by `spillway-rollout crd`.\n{yaml}")
}

/// The structural schema of a whole Rollout.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "A Rollout lets a new version of a Deployment out step by step, judges it against the live version, and takes it back \
                        when it is worse.",
        "required": ["spec"],
        "properties": {
            "spec": schema_of::<RolloutSpec>(),
            "status": schema_of::<RolloutStatus>(),
        },
        "x-kubernetes-validations": [
            {
                "rule": format!("self.metadata.name.size() <= {MAX_NAME}"),
                "message": format!("metadata.name is too long: at most {MAX_NAME} characters, because the slots' names are made from it"),
            },
            {
                "rule": "has(self.spec.target.workload)",
                "message": "in a cluster give spec.target.workload; spec.target.host and spec.target.workers are for `spillway-rollout run`",
            },
        ],
    })
}

fn definition() -> Value {
    let column = |name: &str, kind: &str, path: &str, description: &str, priority: u8| json!({ "name": name, "type": kind, "jsonPath": path, "description": description, "priority": priority });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{PLURAL}.{GROUP}") },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "Rollout",
                "listKind": "RolloutList",
                "plural": PLURAL,
                "singular": "rollout",
                "shortNames": ["ro"],
                "categories": ["all"],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": [
                    column("Strategy", "string", ".spec.strategy", "How traffic moves.", 0),
                    column("Phase", "string", ".status.phase", "Where it is.", 0),
                    column("Step", "string", ".status.step", "The step and what it does.", 0),
                    column("Weight", "integer", ".status.weight", "Percent of the traffic that the candidate has.", 0),
                    column("Revision", "string", ".status.revision", "The revision that is rolled out.", 0),
                    column("Held", "string", ".status.conditions[?(@.type==\"Held\")].status", "Whether it waits.", 0),
                    column("Why", "string", ".status.held", "Why it waits.", 1),
                    column("Age", "date", ".metadata.creationTimestamp", "Time since it was created.", 0),
                ],
                "schema": { "openAPIV3Schema": schema() },
            }],
        },
    })
}

/// The schema of a type in the dialect that custom resource definitions understand.
fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .with_transform(AddNullable::default())
        .with_transform(StructuralSchemaRewriter)
        .with_transform(KeepsOwnDescription)
        .with_transform(OptionalEnum)
        .with_transform(OptionalIntOrString);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

/// What a field says of itself is not replaced by what its type says.
#[derive(Debug, Clone)]
struct KeepsOwnDescription;

impl Transform for KeepsOwnDescription {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut().filter(|object| object.contains_key("description")) else { return };
        let alternatives = object.get_mut("anyOf").and_then(Value::as_array_mut);
        for alternative in alternatives.into_iter().flatten().filter_map(Value::as_object_mut) {
            alternative.remove("description");
        }
    }
}

/// Makes a schema read well and keeps out what the API server warns of: titles, formats it does not know, limits of whole numbers with a fraction,
/// and line breaks of the source. What may be left out is not nullable as well: of a nullable field the server publishes neither type nor parts, so
/// that `kubectl explain` has nothing to show. It drops a null that is written all the same.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let is_schema = object.contains_key("type") || object.contains_key("x-kubernetes-int-or-string");
            if is_schema {
                object.remove("title");
                object.remove("nullable");
                if object.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                    object.remove("format");
                }
                if let Some(Value::String(text)) = object.get_mut("description") {
                    *text = unwrapped(text);
                }
                let is_integer = object.get("type").and_then(Value::as_str) == Some("integer");
                for limit in ["minimum", "maximum"] {
                    if let (true, Some(value)) = (is_integer, object.get_mut(limit)) {
                        whole(value);
                    }
                }
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[expect(clippy::cast_possible_truncation, reason = "limits of integers are small whole numbers")]
fn whole(value: &mut Value) {
    if let Some(number) = value.as_f64().filter(|number| number.fract() == 0.0) {
        *value = Value::from(number as i64);
    }
}

/// A doc comment's text with each paragraph in one line.
fn unwrapped(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &serde_json::Map<String, Value>)) {
        let Value::Object(object) = schema else { return };
        visit(path, object);
        if let Some(Value::Object(properties)) = object.get("properties") {
            for (name, property) in properties {
                walk(property, &format!("{path}.{name}"), visit);
            }
        }
        for part in ["items", "additionalProperties"] {
            if let Some(part) = object.get(part) {
                walk(part, &format!("{path}[]"), visit);
            }
        }
    }

    #[test]
    fn the_schema_is_structural_and_says_what_everything_is() {
        walk(&schema(), "", &mut |path, object| {
            assert!(object.contains_key("type"), "{path} has no type");
            for combinator in ["oneOf", "anyOf", "allOf", "not", "$ref", "$defs", "title", "nullable"] {
                assert!(!object.contains_key(combinator), "{path} has {combinator}");
            }
            assert!(!object.contains_key("x-kubernetes-preserve-unknown-fields"), "{path} accepts anything");
            let is_item = path.ends_with("[]");
            if !path.is_empty() && !is_item {
                let description = object.get("description").and_then(Value::as_str).unwrap_or_default();
                assert!(!description.is_empty(), "{path} is not described");
                assert!(!description.contains('\n') || description.contains("\n\n"), "{path} has a broken line");
            }
            if let Some(format) = object.get("format").and_then(Value::as_str) {
                assert!(["double", "int32", "int64"].contains(&format), "{path} has format {format}");
            }
        });
    }

    /// What the API server would say to a Rollout, by the rules that are written in the schema.
    fn complaints(spec: Value) -> Vec<String> {
        let object = json!({ "metadata": { "name": "web" }, "spec": spec });
        match kube::core::cel::Validator::new().validate(&schema(), &object, None) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.to_string().lines().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn the_rules_of_the_schema_hold_before_anything_is_stored() {
        let route = json!({ "name": "shop", "route": "main" });
        let workload = json!({ "deployment": "web", "port": 80, "virtualService": route });
        let good = json!({ "target": { "workload": workload } });
        assert_eq!(complaints(good.clone()), Vec::<String>::new());

        let mut two_routers = good.clone();
        two_routers["target"]["workload"]["httpRoute"] = json!({ "name": "shop", "rule": "main" });
        let mut no_target = good.clone();
        no_target["target"] = json!({});
        let mut two_kinds = good.clone();
        two_kinds["guards"] =
            json!([{ "name": "a", "compare": { "metric": "errors" }, "alerts": { "from": "prometheus" } }]);
        let mut no_metric = good;
        no_metric["guards"] = json!([{ "name": "a", "threshold": { "max": 1 } }]);
        for (wrong, what) in [
            (two_routers, "exactly one router"),
            (no_target, "spec.target.workload"),
            (two_kinds, "exactly one of compare"),
            (no_metric, "exactly one of metric and query"),
        ] {
            let complaints = complaints(wrong).join("\n");
            assert!(complaints.contains(what), "{what}: {complaints}");
        }
    }

    #[test]
    fn the_committed_manifest_is_the_one_that_is_written() {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../infra/kubernetes/crd/rollouts.spillway.dev.yaml");
        let written = crd_yaml();
        #[expect(clippy::disallowed_methods, reason = "how a person asks this test to write the manifest again")]
        let update = std::env::var_os("SPILLWAY_UPDATE").is_some();
        if update {
            std::fs::write(&path, &written).expect("the manifest can be written");
        }
        let committed = std::fs::read_to_string(&path).expect("the manifest is committed");
        assert!(committed == written, "write it again: SPILLWAY_UPDATE=1 cargo test -p spillway-rollout-drivers crd");
        assert_eq!(crd().metadata.name.as_deref(), Some("rollouts.spillway.dev"));
    }
}
