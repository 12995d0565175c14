//! The run for spreadsheets and line by line programs.

use serde::Serialize;
use serde_json::{Value, json};

use super::RunSummary;
use super::figures::figures;
use crate::metrics::{Metric, Second};

#[derive(Serialize)]
struct Row {
    time_s: f64,
    duration_s: f64,
    requests: u64,
    errors: u64,
    rate_per_s: f64,
    iterations: u64,
    dropped: u64,
    vus: u32,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    from_intended_p99_ms: Option<f64>,
}

impl From<&Second> for Row {
    fn from(second: &Second) -> Self {
        Self {
            time_s: second.at_ms / 1e3,
            duration_s: second.duration_ms / 1e3,
            requests: second.requests,
            errors: second.errors,
            rate_per_s: second.rate(),
            iterations: second.iterations,
            dropped: second.dropped,
            vus: second.vus,
            p50_ms: second.p50_ms,
            p95_ms: second.p95_ms,
            p99_ms: second.p99_ms,
            from_intended_p99_ms: second.from_intended_p99_ms,
        }
    }
}

/// The time line as CSV: a heading and a row for each second, or for several in a long run. A percentile without requests is empty.
pub fn csv(summary: &RunSummary) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if summary.timeline.is_empty() {
        // Without a row nothing says what the columns would be.
        let _ = writer.serialize(Row::from(&Second::default()));
    }
    for second in &summary.timeline {
        // Writing to memory cannot fail.
        let _ = writer.serialize(Row::from(second));
    }
    let text = writer.into_inner().unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    if summary.timeline.is_empty() { text.lines().take(1).map(|line| format!("{line}\n")).collect() } else { text }
}

/// The run as JSON objects, one in a line, each with its `type`: `run` first, then every `threshold`, `scenario`, `metric` (over all
/// tags, with its `figures`), `series` (by tags), `observed` and `second`.
pub fn ndjson(summary: &RunSummary) -> String {
    let stats = &summary.meta.trend_stats;
    let mut lines = vec![json!({
        "type": "run",
        "verdict": summary.verdict(),
        "reason": summary.reason(),
        "exit_code": summary.exit_code(),
        "duration_s": summary.duration.as_secs_f64(),
        "meta": summary.meta,
        "generator": summary.generator,
    })];
    lines.extend(summary.thresholds.iter().map(|threshold| typed("threshold", threshold)));
    for (name, progress) in &summary.scenarios {
        let mut line = typed("scenario", progress);
        line["name"] = json!(name);
        lines.push(line);
    }
    for metric in Metric::ALL {
        let is_used = summary.snapshot.series.iter().any(|series| series.values.contains_key(&metric));
        if let Some(values) = summary.total(metric).filter(|_| is_used) {
            let figures = figures(&values, summary.duration, stats);
            lines.push(json!({ "type": "metric", "metric": metric.name(), "figures": figures }));
        }
    }
    for series in &summary.snapshot.series {
        for (metric, values) in &series.values {
            let figures = figures(values, summary.duration, stats);
            lines.push(json!({ "type": "series", "metric": metric.name(), "tags": series.tags, "figures": figures }));
        }
    }
    lines.extend(summary.observed.iter().map(|observed| typed("observed", observed)));
    lines.extend(summary.timeline.iter().map(|second| typed("second", second)));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn typed(name: &str, value: &impl Serialize) -> Value {
    let mut line = serde_json::to_value(value).unwrap_or_else(|_| json!({}));
    line["type"] = json!(name);
    line
}
