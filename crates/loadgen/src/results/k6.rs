//! The summary as k6's `--summary-export` writes it, for tools that read that.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use spillway_slo::threshold::{Aggregation, Selector};

use super::{RunSummary, tables};
use crate::metrics::{Metric, Values};

/// What k6 says of a trend.
const TREND: [Aggregation; 6] = [
    Aggregation::Avg,
    Aggregation::Min,
    Aggregation::Med,
    Aggregation::Max,
    Aggregation::Percentile(90.0),
    Aggregation::Percentile(95.0),
];

/// JSON with `metrics` and `root_group`. Times are in milliseconds. A threshold that is `true` did **not** hold: k6 writes it so. The
/// `id`s that k6 gives groups and checks are left out.
pub fn k6_summary(summary: &RunSummary) -> String {
    let mut metrics: Map<String, Value> = Map::new();
    for metric in Metric::ALL {
        let is_used = summary.snapshot.series.iter().any(|series| series.values.contains_key(&metric));
        if let Some(values) = summary.total(metric).filter(|_| is_used) {
            metrics.insert(metric.name().to_owned(), figures(summary, &values));
        }
    }
    for threshold in &summary.thresholds {
        let values = threshold
            .selector
            .parse::<Selector>()
            .ok()
            .and_then(|selector| summary.snapshot.total(selector.metric.parse().ok()?, &selector.tags));
        let metric = metrics.entry(threshold.selector.clone()).or_insert_with(|| match values {
            Some(values) => figures(summary, &values),
            None => json!({}),
        });
        metric["thresholds"][&threshold.expression] = json!(!threshold.passed);
    }
    let document = json!({ "metrics": metrics, "root_group": root_group(summary) });
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn figures(summary: &RunSummary, values: &Values) -> Value {
    match values {
        Values::Counter(sum) => json!({ "count": sum, "rate": values.aggregate(Aggregation::Rate, summary.duration) }),
        Values::Gauge { value, min, max } => json!({ "value": value, "min": min, "max": max }),
        Values::Rate { passes, total } => json!({
            "value": values.aggregate(Aggregation::Rate, summary.duration),
            "passes": passes,
            "fails": total.saturating_sub(*passes),
        }),
        Values::Trend(_) => {
            let wanted = summary.meta.trend_stats.iter().filter_map(|name| name.parse().ok());
            let all = TREND.into_iter().chain(wanted);
            all.map(|one| (one.to_string(), json!(values.aggregate(one, summary.duration))))
                .collect::<Map<_, _>>()
                .into()
        }
    }
}

/// Groups within groups, as `::outer::inner` names them.
#[derive(Default)]
struct Group {
    path: String,
    groups: BTreeMap<String, Group>,
    checks: Map<String, Value>,
}

impl Group {
    fn json(self, name: &str) -> Value {
        let groups = self.groups.into_iter().map(|(name, group)| (name.clone(), group.json(&name)));
        json!({ "name": name, "path": self.path, "groups": groups.collect::<Map<_, _>>(), "checks": self.checks })
    }
}

fn root_group(summary: &RunSummary) -> Value {
    let mut root = Group::default();
    for check in tables::checks(&summary.snapshot) {
        let mut group = &mut root;
        // Deeper ones stay in the last: nothing here may grow with a text.
        for name in check.group.split("::").filter(|name| !name.is_empty()).take(32) {
            let path = format!("{}::{name}", group.path);
            group = group.groups.entry(name.to_owned()).or_default();
            group.path = path;
        }
        let path = format!("{}::{}", group.path, check.name);
        let fails = check.total.saturating_sub(check.passes);
        let entry = json!({ "name": check.name, "path": path, "passes": check.passes, "fails": fails });
        group.checks.insert(check.name, entry);
    }
    root.json("")
}
