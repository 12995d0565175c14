//! A manifest, and places in it.

use std::fmt;

use serde_json::Value;

use crate::Failure;

/// An object as it goes to a cluster.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object(Value);

/// A place in an object. `metadata.labels` is two keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// All objects of a text in YAML.
///
/// # Errors
/// When it is no YAML, or a document has no kind or no name.
pub(super) fn parse(text: &str) -> Result<Vec<Object>, Failure> {
    let values: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| format!("what was rendered is no YAML: {error}"))?;
    values.into_iter().filter(|value| !value.is_null()).map(Object::new).collect()
}

impl Object {
    pub(super) fn new(value: Value) -> Result<Self, Failure> {
        for pointer in ["/apiVersion", "/kind", "/metadata/name"] {
            if value.pointer(pointer).and_then(Value::as_str).is_none() {
                let what = pointer.trim_start_matches('/').replace('/', ".");
                return Err(format!("a manifest has no {what}: {}", short(&value.to_string())).into());
            }
        }
        Ok(Self(value))
    }

    pub(super) fn value(&self) -> &Value {
        &self.0
    }

    pub(super) fn yaml(&self) -> Result<String, Failure> {
        yaml(&self.0)
    }

    pub(super) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(super) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `None` for what belongs to no namespace, or to the one that the kubeconfig names.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.0.pointer("/metadata/namespace")?.as_str()
    }

    /// Empty for the core group.
    pub(super) fn group(&self) -> &str {
        self.text("/apiVersion").split_once('/').map_or("", |(group, _)| group)
    }

    pub(super) fn version(&self) -> &str {
        let version = self.text("/apiVersion");
        version.split_once('/').map_or(version, |(_, version)| version)
    }

    /// `Deployment spillway-api`.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kind(), self.name())
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A value as YAML, as `kubectl get -o yaml` would print it: keys in the order of the alphabet.
pub(super) fn yaml(value: &Value) -> Result<String, Failure> {
    serde_saphyr::to_string(value).map_err(|error| format!("it cannot be written as YAML: {error}").into())
}

/// A path in words of its own, such as `spec.ports[0].name`, as steps.
pub(super) fn steps(path: &str) -> Vec<Step> {
    let parts = path.split(['.', '[']).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.strip_suffix(']').map(str::parse) {
            Some(Ok(index)) => Step::Index(index),
            _ => Step::Key(part.to_owned()),
        })
        .collect()
}

/// Steps of a JSON pointer.
pub(super) fn pointer(text: &str, value: &Value) -> Vec<Step> {
    let mut at = Some(value);
    let mut steps = Vec::new();
    for part in text.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let step = match (at, part.parse()) {
            (Some(Value::Array(_)), Ok(index)) => Step::Index(index),
            _ => Step::Key(part),
        };
        at = at.and_then(|value| child(value, &step));
        steps.push(step);
    }
    steps
}

/// What is at a step of a value.
pub(super) fn child<'a>(value: &'a Value, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    }
}

/// `spec.ports[0].name`.
pub(super) struct Path<'a>(pub(super) &'a [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) if key.contains(['.', '/']) => write!(f, "[{key:?}]")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// At most 200 characters of a text.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_read_as_people_write_them() {
        let value = json!({ "spec": { "ports": [{ "name": "http" }] } });
        let path = pointer("/spec/ports/0/name", &value);
        assert_eq!(path, steps("spec.ports[0].name"));
        assert_eq!(Path(&path).to_string(), "spec.ports[0].name");
        let annotation = [Step::Key("metadata".into()), Step::Key("prometheus.io/port".into())];
        assert_eq!(Path(&annotation).to_string(), "metadata[\"prometheus.io/port\"]");
    }

    #[test]
    fn what_is_no_manifest_is_told() {
        let error = parse("apiVersion: v1\nkind: Service\nmetadata: {}\n").expect_err("it has no name");
        assert!(error.to_string().contains("no metadata.name"), "{error}");
        assert_eq!(parse("---\n---\napiVersion: v1\nkind: A\nmetadata: {name: a}\n").expect("one").len(), 1);
    }
}
