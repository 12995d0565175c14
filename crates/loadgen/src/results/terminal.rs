//! The summary at the end of a run, for a terminal of 80 columns.

use std::fmt::Write as _;

use anstyle::Style;
pub(super) use spillway_report::terminal::{BAD, DIM, GOOD, WARNING, WIDTH, heading, line, paint, wrap};
use spillway_slo::threshold::Aggregation;

use super::summary::milliseconds;
use super::tables::{self, Check};
use super::text::{self, plain};
use super::{RunSummary, Verdict, points, sparkline};
use crate::engine::Judged;
use crate::metrics::{Metric, Values};

/// Rows of a list at most; the JSON result has them all.
const MOST_ROWS: usize = 12;

/// Columns of a table of times that fit beside its names.
const MOST_COLUMNS: usize = 7;

/// What is said of a trend when the options do not ask for anything.
const USUAL: [&str; 7] = ["avg", "min", "med", "p(90)", "p(95)", "p(99)", "max"];

/// k6's default, which options have when they do not ask for anything.
const DEFAULT: [&str; 6] = ["avg", "min", "med", "max", "p(90)", "p(95)"];

/// Names of the trends that are shown.
const TRENDS: [(Metric, &str); 7] = [
    (Metric::HttpReqDuration, "response"),
    (Metric::ResponseFromIntended, "from intended"),
    (Metric::IterationStartDelay, "start delay"),
    (Metric::IterationDuration, "iteration"),
    (Metric::WsConnecting, "ws connecting"),
    (Metric::WsMessageDuration, "ws message"),
    (Metric::WsSessionDuration, "ws session"),
];

/// The summary with colours as ANSI sequences; print it through `anstream`, which leaves them out where they do not belong.
///
/// The first line is the verdict.
pub fn terminal(summary: &RunSummary) -> String {
    let mut out = String::new();
    verdict(&mut out, summary);
    thresholds(&mut out, &summary.thresholds);
    latency(&mut out, summary);
    history(&mut out, summary);
    errors(&mut out, summary);
    checks(&mut out, &tables::checks(&summary.snapshot));
    scenarios(&mut out, summary);
    slowest(&mut out, summary);
    observed(&mut out, summary);
    generator(&mut out, summary);
    out
}

pub(super) const fn style_of(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Passed => GOOD,
        Verdict::Failed => BAD,
        Verdict::Invalid | Verdict::Interrupted => WARNING,
    }
}

fn verdict(out: &mut String, summary: &RunSummary) {
    let verdict = summary.verdict();
    let word = format!("{} {}", verdict.mark(), verdict.name());
    let mut sentence = wrap(&plain(&summary.reason(), 600), WIDTH - word.chars().count() - 2, WIDTH - 2).into_iter();
    let first = sentence.next().unwrap_or_default();
    line(out, format_args!("{}: {first}", paint(style_of(verdict), &word)));
    for more in sentence {
        line(out, format_args!("  {more}"));
    }
    let requests = summary.counter(Metric::HttpReqs);
    let mut facts = vec![plain(&summary.meta.name, 30), text::span(milliseconds(summary.duration))];
    if requests > 0 {
        facts.push(format!("{}, {}", text::counted(requests, "request"), text::rate(summary.rate())));
        facts.push(format!("{} failed", text::percent(summary.failed().map_or(0.0, |(_, share)| share))));
    }
    line(out, format_args!("  {}", facts.join(" · ")));
}

fn thresholds(out: &mut String, thresholds: &[Judged]) {
    if thresholds.is_empty() {
        return;
    }
    heading(out, "thresholds");
    for threshold in thresholds.iter().take(100) {
        line(out, format_args!("  {}", threshold_line(threshold, 58)));
    }
}

/// A threshold with its mark and value, in at most `width` columns before the value.
pub(super) fn threshold_line(threshold: &Judged, width: usize) -> String {
    let (mark, style) = if threshold.passed { ("✓", GOOD) } else { ("✗", BAD) };
    let condition = plain(&format!("{} {}", threshold.selector, threshold.expression), width);
    let value = text::threshold_value(&threshold.selector, &threshold.expression, threshold.value);
    let aborted = if threshold.aborted { " ended the run" } else { "" };
    format!("{} {condition:<width$} {value:>10}{aborted}", paint(style, mark))
}

fn latency(out: &mut String, summary: &RunSummary) {
    let trends: Vec<(&str, Values)> =
        TRENDS.iter().filter_map(|(metric, name)| Some((*name, summary.total(*metric)?))).collect();
    let asked = &summary.meta.trend_stats;
    let stats: Vec<String> = if asked.is_empty() || *asked == DEFAULT {
        USUAL.map(str::to_owned).to_vec()
    } else {
        asked.iter().take(4 * MOST_COLUMNS).cloned().collect()
    };
    if !trends.is_empty() {
        for (place, stats) in stats.chunks(MOST_COLUMNS).enumerate() {
            let names: String = stats.iter().map(|name| format!("{name:>9}")).collect();
            heading(out, &format!("{:<15}{names}", if place == 0 { "latency" } else { "" }));
            for (name, values) in &trends {
                let cell = |stat: &String| {
                    let value = stat.parse::<Aggregation>().ok();
                    let value = value.and_then(|aggregation| values.aggregate(aggregation, summary.duration));
                    let value = value.map(|value| text::time_in(value, summary.meta.time_unit.as_deref()));
                    format!("{:>9}", value.unwrap_or_else(|| text::NONE.to_owned()))
                };
                line(out, format_args!("  {name:<13}{}", stats.iter().map(cell).collect::<String>()));
            }
        }
    }
    let dropped = summary.counter(Metric::DroppedIterations);
    if dropped > 0 || summary.meta.has_arrivals() {
        let due = dropped.saturating_add(summary.scenarios.values().map(|scenario| scenario.started).sum());
        let style = if dropped > 0 { WARNING } else { DIM };
        let text = format!("{} of {} iterations due", text::count(dropped), text::count(due));
        line(out, format_args!("  dropped       {}", paint(style, &text)));
    }
}

fn history(out: &mut String, summary: &RunSummary) {
    let seconds = points::fewer(&summary.timeline, 50);
    let p95 = seconds.iter().map(|second| second.p95_ms);
    let (Some(least), Some(most)) =
        (p95.clone().flatten().min_by(f64::total_cmp), p95.clone().flatten().max_by(f64::total_cmp))
    else {
        return;
    };
    if seconds.len() < 5 {
        return;
    }
    heading(out, "over time");
    let rates = seconds.iter().map(|second| Some(second.rate()));
    let most_rate = rates.clone().flatten().fold(0.0, f64::max);
    line(out, format_args!("  rate  {:<50}  up to {}", sparkline::bars(rates), text::rate(most_rate)));
    line(out, format_args!("  p95   {:<50}  {}…{}", sparkline::bars(p95), text::time(least), text::time(most)));
}

fn errors(out: &mut String, summary: &RunSummary) {
    let errors = tables::errors(&summary.snapshot);
    if errors.is_empty() {
        return;
    }
    heading(out, "errors");
    let requests = summary.counter(Metric::HttpReqs).max(1) as f64;
    for error in errors.iter().take(MOST_ROWS) {
        let share = text::percent(error.count as f64 / requests);
        line(
            out,
            format_args!(
                "  {:<22} {:>10} {share:>9}  {}",
                plain(&error.kind, 22),
                text::count(error.count),
                plain(&error.endpoint, 32)
            ),
        );
    }
    more(out, errors.len());
}

fn more(out: &mut String, all: usize) {
    if all > MOST_ROWS {
        line(out, format_args!("  {}", paint(DIM, &format!("and {} more", all - MOST_ROWS))));
    }
}

fn checks(out: &mut String, checks: &[Check]) {
    if checks.is_empty() {
        return;
    }
    heading(out, "checks");
    let failing: Vec<&Check> = checks.iter().filter(|check| check.passes < check.total).collect();
    let held = checks.len() - failing.len();
    if held > 0 {
        line(out, format_args!("  {} {} held every time", paint(GOOD, "✓"), text::counted(held as u64, "check")));
    }
    for check in failing.iter().take(MOST_ROWS) {
        let failed = check.total - check.passes;
        line(
            out,
            format_args!(
                "  {} {:<46} {} of {} failed",
                paint(BAD, "✗"),
                plain(&check.name, 46),
                text::count(failed),
                text::count(check.total)
            ),
        );
    }
    more(out, failing.len());
}

fn scenarios(out: &mut String, summary: &RunSummary) {
    if summary.scenarios.is_empty() {
        return;
    }
    heading(out, "scenarios");
    for (name, progress) in summary.scenarios.iter().take(MOST_ROWS) {
        let mut facts = format!("{} iterations", text::count(progress.completed));
        for (n, what) in [(progress.dropped, "dropped"), (progress.interrupted, "cut off")] {
            if n > 0 {
                let _ = write!(facts, ", {} {what}", text::count(n));
            }
        }
        line(out, format_args!("  {:<20} {facts}", plain(name, 20)));
        if let Some((error, times)) = &progress.last_error {
            let text = format!("{} failed, the last one: {}", text::counted(*times, "iteration"), plain(error, 200));
            for (place, part) in wrap(&text, WIDTH - 6, WIDTH - 6).into_iter().enumerate() {
                let mark = if place == 0 { paint(BAD, "✗") } else { " ".to_owned() };
                line(out, format_args!("    {mark} {part}"));
            }
        }
    }
    more(out, summary.scenarios.len());
}

fn slowest(out: &mut String, summary: &RunSummary) {
    let endpoints = tables::endpoints(&summary.snapshot);
    let Some(slowest) = endpoints.first() else { return };
    heading(out, if endpoints.len() > 1 { "slowest endpoint" } else { "endpoint" });
    line(
        out,
        format_args!(
            "  {}  p95 {}, p99 {}, {}, {} failed",
            plain(&slowest.label(), 30),
            text::time_or_none(slowest.p95_ms),
            text::time_or_none(slowest.p99_ms),
            text::counted(slowest.requests, "request"),
            text::percent(slowest.failed_share())
        ),
    );
}

fn observed(out: &mut String, summary: &RunSummary) {
    if summary.observed.is_empty() {
        return;
    }
    heading(out, "target");
    for observed in summary.observed.iter().take(MOST_ROWS) {
        for series in observed.series.iter().take(MOST_ROWS) {
            let values = series.points.iter().map(|(_, value)| *value);
            let Some(most) = values.clone().max_by(f64::total_cmp) else { continue };
            let mean = values.sum::<f64>() / series.points.len() as f64;
            let (mean, most) = (text::quantity(mean, series.unit), text::quantity(most, series.unit));
            let name = plain(&series.name, 20);
            line(out, format_args!("  {name:<20} mean {mean:>9}  most {most:>9}  {}", plain(&observed.source, 22)));
        }
        for warning in observed.warnings.iter().take(MOST_ROWS) {
            for part in wrap(&plain(warning, 300), WIDTH - 4, WIDTH - 4) {
                line(out, format_args!("  {} {part}", paint(WARNING, "!")));
            }
        }
    }
}

fn generator(out: &mut String, summary: &RunSummary) {
    let health = &summary.generator;
    heading(out, "generator");
    line(
        out,
        format_args!(
            "  cpu {:.0} % ({:.0} % at most) of {}, lag p99 {}, {} files, {}",
            health.cpu_percent,
            health.cpu_percent_max,
            text::counted(health.cores as u64, "core"),
            text::time(health.lag_p99_ms),
            text::count(health.file_descriptors),
            text::bytes(health.memory_bytes as f64)
        ),
    );
    if summary.snapshot.has_overflowed() {
        for part in wrap(OVERFLOW, WIDTH - 4, WIDTH - 4) {
            line(out, format_args!("  {} {part}", paint(WARNING, "!")));
        }
    }
}

/// Said when endpoints could not be told apart.
pub(super) const OVERFLOW: &str = "there were more sets of tags than are kept apart; the rest is in 'other': give requests \
    that differ by an id a common name";
