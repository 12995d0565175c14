//! What is different between an object as it is and as it would be.

use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;
use spillway_report::terminal::{BAD, DIM, GOOD, HEADING, WARNING, paint};

use super::super::object;
use crate::Failure;

/// What the server writes, and what says nothing about a difference.
const SERVERS: [&str; 6] = ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"];
/// Lines around a difference.
const AROUND: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    Created,
    Changed,
    Same,
    /// A rollout moves its weights: it stays as the rollout has it.
    Rollout,
}

impl Change {
    pub(super) fn of(before: Option<&Value>, after: &Value) -> Self {
        match before {
            None => Self::Created,
            Some(before) if bare(before) == bare(after) => Self::Same,
            Some(_) => Self::Changed,
        }
    }

    pub(super) fn painted(self) -> String {
        match self {
            Self::Created => paint(GOOD, "+"),
            Self::Changed => paint(WARNING, "~"),
            Self::Same | Self::Rollout => paint(DIM, "="),
        }
    }
}

/// A unified diff of the YAML of both; empty when they are the same.
pub(super) fn unified(title: &str, before: Option<&Value>, after: Option<&Value>) -> Result<String, Failure> {
    let yaml = |value: Option<&Value>| value.map_or(Ok(String::new()), |value| object::yaml(&bare(value)));
    let (before, after) = (yaml(before)?, yaml(after)?);
    if before == after {
        return Ok(String::new());
    }
    let diff = TextDiff::from_lines(&before, &after);
    let headers = (format!("{title} (cluster)"), format!("{title} (overlay)"));
    Ok(diff.unified_diff().context_radius(AROUND).header(&headers.0, &headers.1).to_string())
}

/// The diff in colours.
pub(super) fn painted(diff: &str) -> String {
    let lines = diff.lines().map(|line| {
        let style = match line {
            line if line.starts_with("+++") || line.starts_with("---") => HEADING,
            line if line.starts_with('+') => GOOD,
            line if line.starts_with('-') => BAD,
            line if line.starts_with("@@") => DIM,
            line => return format!("{line}\n"),
        };
        format!("{}\n", paint(style, line))
    });
    lines.collect()
}

/// Without what the server writes.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| !SERVERS.contains(&field.as_str()));
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_writes_is_no_difference() {
        let before =
            json!({ "metadata": { "name": "a", "uid": "1", "generation": 1 }, "spec": { "x": 1 }, "status": 1 });
        let mut after = json!({ "metadata": { "name": "a", "resourceVersion": "2" }, "spec": { "x": 1 } });
        assert_eq!(Change::of(Some(&before), &after), Change::Same);
        assert_eq!(unified("A a", Some(&before), Some(&after)).expect("a diff"), "");
        after["spec"]["x"] = 2.into();
        assert_eq!(Change::of(Some(&before), &after), Change::Changed);
        assert_eq!(Change::of(None, &after), Change::Created);
        let diff = unified("A a", Some(&before), Some(&after)).expect("a diff");
        assert!(diff.starts_with("--- A a (cluster)\n+++ A a (overlay)\n"), "{diff}");
        assert!(diff.contains("-  x: 1\n+  x: 2\n"), "{diff}");
    }
}
