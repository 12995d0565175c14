//! Kinds that Kubernetes does not have of itself, by the definitions in `infra/kubernetes/schemas` and `infra/kubernetes/crd`. A field that a
//! definition does not have is an error, as it is for kubernetes-validate.

use std::collections::BTreeMap;
use std::path::Path;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::object::{self, Object, Step, short};
use crate::Failure;

const FOLDERS: [&str; 2] = ["kubernetes/schemas", "kubernetes/crd"];

/// Something wrong in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: Vec<Step>,
    pub(super) message: String,
}

/// Group, version and kind.
type Name = (String, String, String);

/// The definitions.
pub(super) struct Schemas(BTreeMap<Name, (Value, Validator)>);

impl Schemas {
    /// # Errors
    /// When a file cannot be read or holds something else.
    pub(super) fn read(infra: &Path) -> Result<Self, Failure> {
        let mut schemas = BTreeMap::new();
        for folder in FOLDERS.map(|folder| infra.join(folder)) {
            let files = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            for file in files {
                let file = file?.path();
                let is_definition = file.extension().is_some_and(|ending| ending == "yaml")
                    && file.file_name().is_some_and(|name| name != "kustomization.yaml");
                if is_definition {
                    let of_file = |error: Failure| format!("{}: {error}", file.display());
                    let text = std::fs::read_to_string(&file).map_err(|error| of_file(error.into()))?;
                    for definition in object::parse(&text).map_err(of_file)? {
                        add(&mut schemas, &definition).map_err(of_file)?;
                    }
                }
            }
        }
        Ok(Self(schemas))
    }

    /// What is wrong with it; `None` when there is no definition of its kind.
    pub(super) fn check(&self, object: &Object) -> Option<Vec<Finding>> {
        let name = (object.group().to_owned(), object.version().to_owned(), object.kind().to_owned());
        let (schema, validator) = self.0.get(&name)?;
        let mut findings = Vec::new();
        for error in validator.iter_errors(object.value()) {
            let path = object::pointer(error.instance_path().as_str(), object.value());
            if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
                let known = properties(schema, &path);
                findings.extend(unexpected.iter().map(|field| {
                    let path = path.iter().cloned().chain([Step::Key(field.clone())]).collect();
                    Finding { path, message: unknown_field(field, known.iter().map(String::as_str)) }
                }));
            } else {
                findings.push(Finding { path, message: reason(&error) });
            }
        }
        Some(findings)
    }
}

fn reason(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Enum { options } => {
            let words: Vec<_> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            short(&format!("{} is none of {}", error.instance(), words.join(", ")))
        }
        _ => short(&error.to_string()),
    }
}

/// Says that a field does not exist, and which one may have been meant.
pub(super) fn unknown_field<'a>(field: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    let lower = field.to_lowercase();
    let near = known
        .iter()
        .map(|name| (strsim::jaro_winkler(&name.to_lowercase(), &lower), name))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match near {
        Some((likeness, name)) if likeness > 0.8 => format!("there is no such field; did you mean `{name}`?"),
        _ if known.is_empty() => "there is no such field".to_owned(),
        _ => short(&format!("there is no such field; there are {}", known.join(", "))),
    }
}

fn add(schemas: &mut BTreeMap<Name, (Value, Validator)>, definition: &Object) -> Result<(), Failure> {
    if definition.kind() != "CustomResourceDefinition" {
        return Err(format!("{} is no CustomResourceDefinition", definition.title()).into());
    }
    let spec = &definition.value()["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for version in spec["versions"].as_array().into_iter().flatten() {
        let mut schema = version["schema"]["openAPIV3Schema"].clone();
        strict(&mut schema);
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.extend(common());
        }
        let validator = jsonschema::validator_for(&schema)
            .map_err(|error| format!("the schema of {} cannot be used: {error}", definition.name()))?;
        let name = (text(&spec["group"]), text(&version["name"]), text(&spec["names"]["kind"]));
        schemas.insert(name, (schema, validator));
    }
    Ok(())
}

/// What every object has.
fn common() -> Map<String, Value> {
    let texts = || json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let metadata = json!({
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
            "name": { "type": "string" },
            "namespace": { "type": "string" },
            "labels": texts(),
            "annotations": texts(),
        },
    });
    let word = json!({ "type": "string" });
    Map::from_iter([("apiVersion".into(), word.clone()), ("kind".into(), word), ("metadata".into(), metadata)])
}

/// Forbids what is not named wherever something is named, as an API server does with strict validation.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let keeps_unknown = fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
            if fields.get("properties").is_some_and(Value::is_object) && !keeps_unknown {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(strict);
        }
        Value::Array(items) => items.iter_mut().for_each(strict),
        _ => {}
    }
}

/// Names of the fields that the schema has at a path.
fn properties(schema: &Value, path: &[Step]) -> Vec<String> {
    let mut at = schema;
    for step in path {
        at = match step {
            Step::Key(key) if at["properties"].get(key).is_some() => &at["properties"][key],
            Step::Key(_) => &at["additionalProperties"],
            Step::Index(_) => &at["items"],
        };
    }
    at["properties"].as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}
