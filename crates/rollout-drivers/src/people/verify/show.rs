//! A comparison in a terminal.

use spillway_report::terminal::{BAD, DIM, GOOD, WARNING, bar, heading, line, paint, wrap};
use spillway_report::text::{self, plain};

use super::{Outcome, Side, VerifyVerdict};
use crate::people::values::{compared, metric, share};

/// Columns of each half of an evidence bar.
const HALF: usize = 14;

/// The comparison for a terminal of `width` columns; the first line is the verdict. `is_over` is false while it goes on.
#[must_use]
pub fn render(outcome: &Outcome, is_over: bool, width: usize, colour: bool) -> String {
    let width = width.clamp(72, 120);
    let mut out = String::new();
    let (style, word) = match outcome.verdict {
        _ if !is_over => (GOOD, "▶ comparing"),
        VerifyVerdict::NotWorse => (GOOD, "✓ not worse"),
        VerifyVerdict::Worse => (BAD, "✗ worse"),
        VerifyVerdict::NoEvidence => (WARNING, "? no evidence"),
    };
    let mut parts = wrap(&plain(&outcome.reason, 600), width - word.chars().count() - 2, width - 2).into_iter();
    line(&mut out, format_args!("{}: {}", paint(style, word), parts.next().unwrap_or_default()));
    for part in parts {
        line(&mut out, format_args!("  {part}"));
    }
    line(
        &mut out,
        format_args!("\n{:<14}{:>10}{:>10}{:>10}{:>10}{:>10}", "", "requests", "failed", "p50", "p95", "p99"),
    );
    for (name, side) in [("candidate", &outcome.candidate), ("production", &outcome.production)] {
        let time = |percent| text::time_or_none(side.percentile(percent).map(|seconds| seconds * 1e3));
        let failed = side.error_ratio().map_or_else(|| text::NONE.to_owned(), text::percent);
        line(
            &mut out,
            format_args!(
                "  {name:<12}{:>10}{failed:>10}{:>10}{:>10}{:>10}",
                text::count(side.requests),
                time(50.0),
                time(95.0),
                time(99.0)
            ),
        );
    }
    evidence(&mut out, outcome, width);
    for limit in &outcome.limits {
        let mark = match limit.value {
            None => paint(WARNING, "?"),
            Some(_) if limit.is_broken() => paint(BAD, "✗"),
            Some(_) => paint(GOOD, "✓"),
        };
        line(&mut out, format_args!("  {mark} {limit}"));
    }
    for side in [&outcome.candidate, &outcome.production] {
        trouble(&mut out, side, width);
    }
    if outcome.skipped > 0 {
        let skipped = text::counted(outcome.skipped, "pair");
        line(&mut out, format_args!("  {} {skipped} not sent: too many were under way", paint(WARNING, "!")));
    }
    if let Some(load_test) = &outcome.load_test {
        heading(&mut out, "load test");
        let report = load_test.report.iter().map(|report| format!("report: {report}"));
        for text in std::iter::once(load_test.summary.clone()).chain(report) {
            for part in wrap(&plain(&text, 300), width - 2, width - 2) {
                line(&mut out, format_args!("  {part}"));
            }
        }
    }
    if colour { out } else { anstream::adapter::strip_str(&out).to_string() }
}

fn evidence(out: &mut String, outcome: &Outcome, width: usize) {
    if outcome.evidence.is_empty() {
        return;
    }
    heading(out, &format!("{:<19}{:<15}{:>15}", "evidence", "◀ worse", "not worse ▶"));
    for one in &outcome.evidence {
        let (worse, fine) = (share(one.roll_back, one.roll_back_limit), share(one.pass, one.pass_limit));
        let left: String = bar(worse, HALF).chars().rev().collect();
        let picture = format!("┃{}│{}┃", paint(BAD, &left), paint(GOOD, &bar(fine, HALF)));
        line(
            out,
            format_args!("  {:<9} {:>3.0} %  {picture}  {:>3.0} %", metric(one.metric), worse * 100.0, fine * 100.0),
        );
        for part in wrap(&compared(one), width - 12, width - 12) {
            line(out, format_args!("            {}", paint(DIM, &part)));
        }
    }
}

fn trouble(out: &mut String, side: &Side, width: usize) {
    let Some(error) = &side.first_error else { return };
    for (place, part) in wrap(&format!("first error: {}", plain(error, 300)), width - 4, width - 4).iter().enumerate() {
        let mark = if place == 0 { paint(WARNING, "!") } else { " ".to_owned() };
        line(out, format_args!("  {mark} {part}"));
    }
}
