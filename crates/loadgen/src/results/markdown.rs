//! A run as a section of Markdown.

use std::fmt::Write as _;

use spillway_report::markdown::escape;

use super::summary::milliseconds;
use super::terminal::OVERFLOW;
use super::text;
use super::{RunSummary, Verdict, tables};
use crate::metrics::Metric;

/// Rows of a table at most.
const MOST_ROWS: usize = 20;

/// A section with the verdict, the figures, the thresholds, endpoints and errors.
pub(super) fn section(summary: &RunSummary) -> String {
    let meta = &summary.meta;
    let mark = match summary.verdict() {
        Verdict::Passed => "✅",
        Verdict::Failed => "❌",
        Verdict::Invalid | Verdict::Interrupted => "⚠️",
    };
    let mut out = String::new();
    // Writing to a text cannot fail.
    let mut put = |text: String| _ = writeln!(out, "{text}");
    put(format!("## {} – {} {}\n", escape(&meta.name), mark, summary.verdict().name()));
    put(format!("{}.\n", escape(&summary.reason())));
    put("| | |\n|---|---|".to_owned());
    let mut row = |name: &str, value: String| put(format!("| {name} | {value} |"));
    row("started", escape(&meta.started_at));
    row("duration", text::span(milliseconds(summary.duration)));
    if let Some(target) = &meta.target {
        row("target", escape(target));
    }
    row("requests", format!("{}, {}", text::count(summary.counter(Metric::HttpReqs)), text::rate(summary.rate())));
    if let Some((failed, share)) = summary.failed() {
        row("failed", format!("{}, {}", text::count(failed), text::percent(share)));
    }
    let latency = [50.0, 95.0, 99.0].map(|percent| text::time_or_none(summary.latency(percent)));
    row("latency p50, p95, p99", latency.join(", "));
    let dropped = summary.counter(Metric::DroppedIterations);
    if dropped > 0 || meta.has_arrivals() {
        row("dropped iterations", text::count(dropped));
    }
    row(
        "generator",
        format!("{:.0} % cpu, lag p99 {}", summary.generator.cpu_percent, text::time(summary.generator.lag_p99_ms)),
    );
    row("version", escape(&meta.version));
    if !summary.thresholds.is_empty() {
        put("\n| threshold | value | |\n|---|---:|---|".to_owned());
        for threshold in summary.thresholds.iter().take(100) {
            let value = text::threshold_value(&threshold.selector, &threshold.expression, threshold.value);
            let condition = escape(&format!("{} {}", threshold.selector, threshold.expression));
            put(format!("| {condition} | {value} | {} |", if threshold.passed { "✓" } else { "✗ **failed**" }));
        }
    }
    let endpoints = tables::endpoints(&summary.snapshot);
    if !endpoints.is_empty() {
        put("\n| endpoint | requests | failed | p50 | p95 | p99 |\n|---|---:|---:|---:|---:|---:|".to_owned());
        for endpoint in endpoints.iter().take(MOST_ROWS) {
            let [p50, p95, p99] = [endpoint.p50_ms, endpoint.p95_ms, endpoint.p99_ms].map(text::time_or_none);
            let (requests, failed) = (text::count(endpoint.requests), text::percent(endpoint.failed_share()));
            put(format!("| {} | {requests} | {failed} | {p50} | {p95} | {p99} |", escape(&endpoint.label())));
        }
        if endpoints.len() > MOST_ROWS {
            put(format!("\nand {} more endpoints", endpoints.len() - MOST_ROWS));
        }
    }
    let errors = tables::errors(&summary.snapshot);
    if !errors.is_empty() {
        put("\n| error | count | most often |\n|---|---:|---|".to_owned());
        for error in errors.iter().take(MOST_ROWS) {
            put(format!("| {} | {} | {} |", escape(&error.kind), text::count(error.count), escape(&error.endpoint)));
        }
    }
    if summary.snapshot.has_overflowed() {
        put(format!("\nNote: {OVERFLOW}."));
    }
    out
}
