//! Conditions of the file and of the command line: is there such a metric, has it the aggregation, are there such tags?

use std::collections::BTreeSet;

use spillway_slo::threshold::{Threshold, Thresholds};

use super::document::{Node, Value, hint};
use super::{ConfigurationError, Options, Overrides};
use crate::metrics::Metric;

/// Tags that samples have of themselves.
pub(super) const OWN_TAGS: [&str; 8] =
    ["scenario", "name", "method", "status", "group", "check", "error", "expected_response"];

/// Conditions in the order of the file, then those of the command line.
pub(super) fn all(options: &Options, overrides: &Overrides) -> Result<Vec<Threshold>, ConfigurationError> {
    let document = &options.document;
    let mut tags: BTreeSet<&str> = OWN_TAGS.into_iter().chain(overrides.tags.keys().map(String::as_str)).collect();
    defined_tags(&document.root, &mut tags);
    if let Some(other) = &options.flows {
        defined_tags(&other.document.root, &mut tags);
    }
    let mut thresholds = Vec::new();
    match document.get(&["thresholds"]).map(|node| &node.value) {
        None | Some(Value::Null | Value::Table(_)) => {}
        Some(_) => {
            return Err(document
                .refuse(&["thresholds"], "expected a table of metrics, such as http_req_failed = \"rate<0.01\""));
        }
    }
    for entry in document.entries(&["thresholds"]) {
        let Thresholds(read) = document.read_entry(&["thresholds"], entry)?;
        for (place, threshold) in read.into_iter().enumerate() {
            let place = place.to_string();
            let path = match entry.1.value {
                Value::List(_) => &["thresholds", entry.0.as_str(), &place][..],
                _ => &["thresholds", entry.0.as_str()],
            };
            check(&threshold, &tags).map_err(|message| document.refuse(path, message))?;
            thresholds.push(threshold);
        }
    }
    for threshold in &overrides.thresholds {
        check(threshold, &tags).map_err(|message| {
            ConfigurationError::command_line(format!(
                "threshold {}: {}: {message}",
                threshold.selector, threshold.expression
            ))
        })?;
        thresholds.push(threshold.clone());
    }
    Ok(thresholds)
}

fn check(threshold: &Threshold, tags: &BTreeSet<&str>) -> Result<(), String> {
    let name = threshold.selector.metric.as_str();
    let metric: Metric = name
        .parse()
        .map_err(|_| format!("there is no metric `{name}`{}", hint(name, Metric::ALL.map(Metric::name))))?;
    threshold.check(metric.kind()).map_err(|error| error.to_string())?;
    match threshold.selector.tags.iter().find(|(tag, _)| !tags.contains(tag.as_str())) {
        Some((tag, _)) => Err(format!("there is no tag `{tag}`{}", hint(tag, tags.iter().copied()))),
        None => Ok(()),
    }
}

/// The names in all tables called `tags`: of the run, of scenarios and of requests.
fn defined_tags<'a>(node: &'a Node, tags: &mut BTreeSet<&'a str>) {
    match &node.value {
        Value::Table(entries) => {
            for (key, node) in entries {
                match &node.value {
                    Value::Table(defined) if key == "tags" => tags.extend(defined.iter().map(|(tag, _)| tag.as_str())),
                    _ => defined_tags(node, tags),
                }
            }
        }
        Value::List(nodes) => nodes.iter().for_each(|node| defined_tags(node, tags)),
        _ => {}
    }
}
