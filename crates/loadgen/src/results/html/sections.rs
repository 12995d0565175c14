//! The sections of a report. Every text of others goes through maud, which escapes it, and is cut to a length.

use maud::{Markup, html};

use super::charts;
use crate::metrics::Metric;
use crate::results::comparison_text::{headline, texts};
use crate::results::figures::figures as figures_of;
use crate::results::summary::milliseconds;
use crate::results::tables;
use crate::results::terminal::OVERFLOW;
use crate::results::text::{self, plain};
use crate::results::{Change, Compared, Comparison, RunSummary};

/// Rows of a table at most.
const MOST_ROWS: usize = 60;

/// Charts of the target at most.
const MOST_CHARTS: usize = 8;

/// Characters of a name at most.
const MOST_NAME: usize = 120;

/// Characters of the options, and of the command line, at most.
const MOST_OPTIONS: usize = 12_000;
const MOST_COMMAND: usize = 3_000;

fn more(all: usize) -> Markup {
    html! { @if all > MOST_ROWS { p.muted { "and " (all - MOST_ROWS) " more; the JSON result has them all" } } }
}

pub(super) fn verdict(summary: &RunSummary) -> Markup {
    let verdict = summary.verdict();
    let meta = &summary.meta;
    html! {
        header class=(verdict.name()) {
            p.state { (verdict.mark()) " " (verdict.name()) ": " (plain(&summary.reason(), 600)) }
            h1 { (plain(&meta.name, MOST_NAME)) }
            p.muted {
                (plain(&meta.started_at, 40)) ", " (text::span(milliseconds(summary.duration)))
                @if let Some(target) = &meta.target { ", against " (plain(target, MOST_NAME)) }
            }
        }
    }
}

pub(super) fn figures(summary: &RunSummary) -> Markup {
    let latency = |percent| text::time_or_none(summary.latency(percent));
    let dropped = summary.counter(Metric::DroppedIterations);
    let failed = summary.failed();
    let intended = crate::results::figures::percentile(summary.total(Metric::ResponseFromIntended).as_ref(), 99.0);
    html! {
        dl.figures {
            div { dt { "requests" } dd { (text::count(summary.counter(Metric::HttpReqs))) small { (text::rate(summary.rate())) } } }
            div { dt { "p50" } dd { (latency(50.0)) } }
            div { dt { "p95" } dd { (latency(95.0)) } }
            div { dt { "p99" } dd {
                (latency(99.0))
                @if let Some(intended) = intended { small { (text::time(intended)) " from intended start" } }
            } }
            @if let Some((failed, share)) = failed {
                div.trouble[failed > 0] { dt { "failed" } dd { (text::percent(share)) small { (text::counted(failed, "request")) } } }
            }
            @if dropped > 0 || summary.meta.has_arrivals() {
                div.trouble[dropped > 0] { dt { "dropped" } dd { (text::count(dropped)) small { "iterations that were due" } } }
            }
        }
    }
}

pub(super) fn thresholds(summary: &RunSummary) -> Markup {
    let all = &summary.thresholds;
    html! {
        section {
            h2 { "Thresholds" }
            @if all.is_empty() { p.muted { "This test has none, so nothing decides whether it passes." } } @else {
                table {
                    thead { tr { th.name { "condition" } th { "value" } th { "" } } }
                    tbody { @for one in all.iter().take(MOST_ROWS) { tr {
                        td.name { code { (plain(&one.selector, MOST_NAME)) " " (plain(&one.expression, 80)) } }
                        td data-l="value" { (text::threshold_value(&one.selector, &one.expression, one.value)) }
                        td { @if one.passed { span.good { "✓ held" } } @else {
                            span.bad { "✗ failed" @if one.aborted { ", ended the run" } }
                        } }
                    } } }
                }
                (more(all.len()))
            }
        }
    }
}

pub(super) fn comparison(comparison: &Comparison) -> Markup {
    let ends = |one: &Compared| [one.low, one.high].into_iter().flatten().map(f64::abs).fold(0.0, f64::max);
    html! {
        section {
            h2 { "Compared with the baseline" " " small { (plain(&comparison.baseline, MOST_NAME)) } }
            p.state.(class(comparison.change)) { (headline(comparison)) }
            table {
                thead { tr {
                    th.name { "of a typical second" } th { "before" } th { "now" } th { "change" } th { "95 % interval" } th { "" }
                    th { "" }
                } }
                tbody { @for one in &comparison.metrics {
                    @let (difference, interval) = texts(one);
                    tr class=(class(one.change)) {
                        td.name {
                            (one.measure.name())
                            @if let Some(reason) = &one.reason { " " span.muted { (reason) } }
                        }
                        td data-l="before" { (one.measure.text(one.baseline)) }
                        td data-l="now" { (one.measure.text(one.result)) }
                        td data-l="change" { (difference) }
                        td data-l="interval" { (interval) }
                        td { @if let (Some(low), Some(high)) = (one.low, one.high) { (range(low, high, ends(one))) } }
                        td { span.state { (one.measure.word(one.change)) } }
                    }
                } }
            }
            @for note in &comparison.notes { p.wait { "! " (note) } }
            p.note {
                "Moving-block bootstrap over the seconds after the warm-up (Künsch 1989). “No evidence” does not mean “no change”: the \
                 interval says how large a change may have gone unseen. One pair of runs cannot tell a new version from a noisy machine."
            }
        }
    }
}

const fn class(change: Change) -> &'static str {
    match change {
        Change::Faster => "faster",
        Change::Slower => "slower",
        Change::NoEvidence => "no_evidence",
    }
}

/// An interval about zero, which is in the middle.
fn range(low: f64, high: f64, most: f64) -> Markup {
    let place = |value: f64| if most > 0.0 { 50.0 + 48.0 * (value / most).clamp(-1.0, 1.0) } else { 50.0 };
    let (left, right) = (place(low), place(high));
    html! { span.range aria-hidden="true" { i style=(format!("left:{left:.1}%;width:{:.1}%", (right - left).max(2.0))) {} } }
}

pub(super) fn histogram(summary: &RunSummary) -> Markup {
    let intended = summary.total(Metric::ResponseFromIntended).is_some();
    html! {
        section {
            h2 { "Response times" " " small { "share of requests, on a logarithmic axis" } }
            (charts::histogram(summary))
            @if intended {
                p.note {
                    "These are times from the actual start of a request. With scheduled starts, “from intended start” above is what a \
                     user waits who comes on schedule."
                }
            }
        }
    }
}

pub(super) fn errors(summary: &RunSummary) -> Markup {
    let errors = tables::errors(&summary.snapshot);
    let requests = summary.counter(Metric::HttpReqs).max(1) as f64;
    html! {
        section {
            h2 { "Errors" }
            @if errors.is_empty() { p.muted { "No request failed." } } @else {
                table {
                    thead { tr { th.name { "kind" } th { "requests" } th { "of all" } th.name { "most often" } } }
                    tbody { @for error in errors.iter().take(MOST_ROWS) { tr {
                        td.name { (plain(&error.kind, MOST_NAME)) }
                        td data-l="requests" { (text::count(error.count)) }
                        td { (text::percent(error.count as f64 / requests)) }
                        td.long { code { (plain(&error.endpoint, MOST_NAME)) } }
                    } } }
                }
                (more(errors.len()))
            }
        }
    }
}

pub(super) fn endpoints(summary: &RunSummary) -> Markup {
    let endpoints = tables::endpoints(&summary.snapshot);
    html! {
        @if !endpoints.is_empty() { section {
            h2 { "Endpoints" " " small { "the slowest first" } }
            table {
                thead { tr {
                    th.name { "endpoint" } th { "requests" } th { "failed" } th { "p50" } th { "p95" } th { "p99" } th { "max" }
                } }
                tbody { @for one in endpoints.iter().take(MOST_ROWS) { tr {
                    td.name { code { (plain(&one.label(), MOST_NAME)) } }
                    td data-l="requests" { (text::count(one.requests)) }
                    td data-l="failed" { span.bad[one.failed > 0] { (text::percent(one.failed_share())) } }
                    td data-l="p50" { (text::time_or_none(one.p50_ms)) }
                    td data-l="p95" { (text::time_or_none(one.p95_ms)) }
                    td data-l="p99" { (text::time_or_none(one.p99_ms)) }
                    td data-l="max" { (text::time_or_none(one.max_ms)) }
                } } }
            }
            (more(endpoints.len()))
            @if summary.snapshot.has_overflowed() { p.wait { "! " (OVERFLOW) } }
        } }
    }
}

pub(super) fn checks(summary: &RunSummary) -> Markup {
    let checks = tables::checks(&summary.snapshot);
    html! {
        @if !checks.is_empty() { section {
            h2 { "Checks" }
            table {
                thead { tr { th.name { "check" } th { "held" } th { "failed" } } }
                tbody { @for one in checks.iter().take(MOST_ROWS) {
                    @let failed = one.total.saturating_sub(one.passes);
                    tr.trouble[failed > 0] {
                        td.name {
                            (plain(&one.name, MOST_NAME))
                            @if !one.group.is_empty() { " " span.muted { (plain(&one.group, MOST_NAME)) } }
                        }
                        td data-l="held" { (text::count(one.passes)) }
                        td data-l="failed" { span.bad[failed > 0] { (text::count(failed)) } }
                    }
                } }
            }
            (more(checks.len()))
        } }
    }
}

pub(super) fn scenarios(summary: &RunSummary) -> Markup {
    let described = &summary.meta.description.scenarios;
    html! {
        section {
            h2 { "Scenarios" }
            table {
                thead { tr {
                    th.name { "scenario" } th { "users" } th { "iterations" } th { "dropped" } th { "cut off" }
                } }
                tbody { @for (name, progress) in summary.scenarios.iter().take(MOST_ROWS) { tr {
                    td.name {
                        (plain(name, MOST_NAME))
                        @if let Some(one) = described.iter().find(|one| one.name == *name) {
                            br;
                            span.muted { (plain(&one.executor, 40)) ": " (plain(&one.schedule, 200)) }
                        }
                        @if let Some((error, times)) = &progress.last_error {
                            br;
                            span.bad { (text::counted(*times, "iteration")) " failed, the last one: " (plain(error, 300)) }
                        }
                    }
                    td data-l="users" { (text::count(progress.allocated_vus.into())) }
                    td data-l="iterations" { (text::count(progress.completed)) }
                    td data-l="dropped" { span.bad[progress.dropped > 0] { (text::count(progress.dropped)) } }
                    td data-l="cut off" { (text::count(progress.interrupted)) }
                } } }
            }
            (more(summary.scenarios.len()))
        }
    }
}

pub(super) fn target(summary: &RunSummary) -> Markup {
    let series = summary.observed.iter().flat_map(|observed| observed.series.iter().map(move |one| (observed, one)));
    let series: Vec<_> = series.filter(|(_, one)| !one.points.is_empty()).collect();
    let warnings = summary.observed.iter().flat_map(|observed| &observed.warnings);
    html! {
        @if !summary.observed.is_empty() { section {
            h2 { "The target" " " small { "on the same time axis" } }
            @for (observed, one) in series.iter().take(MOST_CHARTS) {
                h3 { (plain(&one.name, 80)) " " small { (plain(&observed.source, MOST_NAME)) } }
                (charts::observed(summary, one))
            }
            @if series.len() > MOST_CHARTS {
                p.muted { "and " (series.len() - MOST_CHARTS) " more; the JSON result has them all" }
            }
            @for warning in warnings.take(20) { p.wait { "! " (plain(warning, 300)) } }
        } }
    }
}

pub(super) fn generator(summary: &RunSummary) -> Markup {
    let health = &summary.generator;
    html! {
        section {
            h2 { "The generator" }
            @match &health.invalid {
                Some(why) => p.wait { "! " (plain(why, 600)) },
                None => p.muted { "It kept up: what was measured is the target." },
            }
            dl.figures {
                div { dt { "processor" } dd { (format!("{:.0} %", health.cpu_percent)) small { (format!("{:.0} % at most", health.cpu_percent_max)) " of " (text::counted(health.cores as u64, "core")) } } }
                div { dt { "scheduler lag p99" } dd { (text::time(health.lag_p99_ms)) } }
                div { dt { "open files" } dd { (text::count(health.file_descriptors)) small { "of " (text::count(health.file_descriptor_limit)) } } }
                div { dt { "memory" } dd { (text::bytes(health.memory_bytes as f64)) } }
            }
        }
    }
}

pub(super) fn metrics(summary: &RunSummary) -> Markup {
    let used = |metric: &Metric| summary.snapshot.series.iter().any(|series| series.values.contains_key(metric));
    html! {
        details {
            summary { "All metrics" }
            table {
                thead { tr { th.name { "metric" } th.name { "figures (times in ms)" } } }
                tbody { @for metric in Metric::ALL.into_iter().filter(used) {
                    @if let Some(values) = summary.total(metric) { tr {
                        td.name { code { (metric.name()) } }
                        td.long {
                            @for (name, value) in figures_of(&values, summary.duration, &[]) {
                                span { (name) "\u{a0}" (format!("{:.3}", value).trim_end_matches('0').trim_end_matches('.')) } " "
                            }
                        }
                    } }
                } }
            }
        }
    }
}

pub(super) fn repeat(summary: &RunSummary) -> Markup {
    let meta = &summary.meta;
    let options = serde_json::to_string_pretty(&meta.options).unwrap_or_default();
    let command = meta.command.iter().map(|argument| quoted(argument)).collect::<Vec<_>>().join(" ");
    let cut = options.chars().count() > MOST_OPTIONS;
    html! {
        section {
            h2 { "To repeat this run" }
            pre { (plain(&command, MOST_COMMAND)) }
            table { tbody {
                tr { td.name { "spillway-loadgen" } td.long { (plain(&meta.version, 80)) } }
                tr { td.name { "on" } td.long { (plain(&meta.system, 160)) } }
                tr { td.name { "file" } td.long { code { (plain(&meta.file, 300)) } } }
                @if !meta.tags.is_empty() {
                    tr { td.name { "tags" } td.long { @for (name, value) in meta.tags.iter().take(40) {
                        code { (plain(name, 80)) "=" (plain(value, 80)) } " "
                    } } }
                }
            } }
            details {
                summary { "Options as they were applied, without flows" }
                pre { (options.chars().take(MOST_OPTIONS).collect::<String>()) @if cut { "… (the JSON result has all)" } }
            }
        }
    }
}

/// An argument as a shell reads it.
fn quoted(argument: &str) -> String {
    let argument = plain(argument, 400);
    let is_safe = |c: char| c.is_alphanumeric() || "-_./:=,%+@…".contains(c);
    if !argument.is_empty() && argument.chars().all(is_safe) {
        argument
    } else {
        format!("'{}'", argument.replace('\'', "'\\''"))
    }
}
