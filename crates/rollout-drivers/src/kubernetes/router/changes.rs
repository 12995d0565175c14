//! A JSON patch (RFC 6902) that only takes effect on what was read.

use serde_json::{Value, json};
use spillway_rollout::ports::PortError;
use spillway_rollout::slot::Slots;

/// Tests and changes, in the order in which they were added; all tests come before all changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    tests: Vec<Value>,
    changes: Vec<Value>,
}

impl Changes {
    /// The patch does nothing unless this value is there.
    pub(super) fn test(&mut self, path: &str, value: impl Into<Value>) {
        self.tests.push(json!({ "op": "test", "path": path, "value": value.into() }));
    }

    /// Sets a member, whether it is there or not. Its parent has to be there. `-` as the last part of the path appends to a list.
    pub(super) fn set(&mut self, path: &str, value: impl Into<Value>) {
        self.changes.push(json!({ "op": "add", "path": path, "value": value.into() }));
    }

    /// Sets an element of a list, which has to be there.
    pub(super) fn replace(&mut self, path: &str, value: impl Into<Value>) {
        self.changes.push(json!({ "op": "replace", "path": path, "value": value.into() }));
    }

    /// Removes what has to be there. Of a list, the last one first.
    pub(super) fn remove(&mut self, path: &str) {
        self.changes.push(json!({ "op": "remove", "path": path }));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The patch for the object with this resourceVersion only.
    pub(super) fn patch<P: serde::de::DeserializeOwned>(&self, resource_version: &str) -> P {
        let same = json!({ "op": "test", "path": "/metadata/resourceVersion", "value": resource_version });
        let all: Value = std::iter::once(&same).chain(&self.tests).chain(&self.changes).cloned().collect();
        serde_json::from_value(all).expect("tests and changes are operations of a JSON patch")
    }
}

/// A name as a part of a path.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Index and value of the only element with this name. `what` says what the elements are and where, such as "routes of the VirtualService shop".
pub(super) fn only_named<'a>(list: &'a Value, name: &str, what: &str) -> Result<(usize, &'a Value), PortError> {
    let elements = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let name_of = |element: &'a Value| element["name"].as_str();
    let mut named = elements.iter().enumerate().filter(|(_, element)| name_of(element) == Some(name));
    match (named.next(), named.next()) {
        (Some(found), None) => Ok(found),
        (Some(_), Some(_)) => {
            Err(PortError::Permanent(format!("two of the {what} have the name {name}: give each a name of its own")))
        }
        (None, _) => {
            let names: Vec<&str> = elements.iter().filter_map(name_of).collect();
            let n_unnamed = elements.len() - names.len();
            let names = if names.is_empty() {
                "none has a name".to_owned()
            } else {
                format!("there are: {}", names.join(", "))
            };
            let unnamed = if n_unnamed > 0 { format!("; {n_unnamed} without a name") } else { String::new() };
            Err(PortError::Permanent(format!(
                "none of the {what} has the name {name}: add `name: {name}` to the one whose traffic shall be split ({names}{unnamed})"
            )))
        }
    }
}

/// Weights as shares in percent of `total`, rounded; zeros when there is no weight at all.
pub(super) fn shares(weights: Slots<u64>, total: u64) -> Slots<u8> {
    Slots::make(|slot| {
        let share = (weights.get(slot) * 100 + total / 2).checked_div(total).unwrap_or(0);
        u8::try_from(share).unwrap_or(100)
    })
}

/// A percentage as it is written, rounded and limited to 0 to 100.
pub(super) fn percent(value: &Value) -> Option<u8> {
    let value = value.as_f64()?.round().clamp(0.0, 100.0);
    (0..=100).find(|&percent| f64::from(percent) >= value)
}

/// Methods whose requests may be repeated without harm.
pub(super) fn is_safe_method(method: &Value) -> bool {
    matches!(method.as_str(), Some("GET" | "HEAD" | "OPTIONS"))
}

/// Why copies are refused where requests with unsafe methods would be copied too.
pub(super) fn copies_unsafe_methods(what: &str) -> PortError {
    PortError::Permanent(format!(
        "{what} would copy requests of every method, and those that write would be applied twice: let it match the methods GET, HEAD or OPTIONS \
         only, or set mirrorUnsafeMethods: true"
    ))
}
