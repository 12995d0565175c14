//! Names of metrics in queries: of autoscalers and of Rollouts.

use std::collections::BTreeSet;

use serde_json::Value;
use spillway_monitoring::metrics::unknown;

use super::super::object::Object;
use super::super::schema::Finding;
use super::finding;

pub(super) fn check(object: &Object, known: &BTreeSet<String>) -> Vec<Finding> {
    let queries = match object.kind() {
        "ScaledObject" => of_list(object.value(), "spec.triggers", &["metadata.query"]),
        "HorizontalPodAutoscaler" => {
            of_list(object.value(), "spec.metrics", &["external.metric.name", "pods.metric.name", "object.metric.name"])
        }
        "Rollout" => of_list(object.value(), "spec.guards", &["threshold.query", "budget.bad", "budget.total"]),
        _ => Vec::new(),
    };
    let mut findings = Vec::new();
    for (path, query) in queries {
        for name in unknown(query, known) {
            let near = known
                .iter()
                .max_by(|left, right| strsim::jaro_winkler(left, &name).total_cmp(&strsim::jaro_winkler(right, &name)));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            findings
                .push(finding(&path, format!("no metric is called `{name}` (runbooks/metrics.md lists them){near}")));
        }
    }
    findings
}

/// Fields of the items of a list, with their paths.
fn of_list<'a>(object: &'a Value, list: &str, fields: &[&str]) -> Vec<(String, &'a str)> {
    let items = object.pointer(&format!("/{}", list.replace('.', "/"))).and_then(Value::as_array);
    let items = items.into_iter().flatten().enumerate();
    let texts = items.flat_map(|(number, item)| {
        fields.iter().filter_map(move |field| {
            let text = item.pointer(&format!("/{}", field.replace('.', "/")))?.as_str()?;
            Some((format!("{list}[{number}].{field}"), text))
        })
    });
    texts.collect()
}
