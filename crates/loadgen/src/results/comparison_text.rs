//! A comparison for a terminal of 80 columns.

use anstyle::Style;

use super::terminal::{BAD, DIM, GOOD, WARNING, WIDTH, line, paint, wrap};
use super::text::plain;
use super::{Change, Compared, Comparison, Measure};

/// The comparison with colours as ANSI sequences; print it through `anstream`. The first line is what can be said.
pub fn terminal_comparison(comparison: &Comparison) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("{}", paint(style(comparison.change), &headline(comparison))));
    line(&mut out, format_args!("  {} against {}", plain(&comparison.result, 32), plain(&comparison.baseline, 32)));
    line(
        &mut out,
        format_args!(
            "\n{}",
            paint(
                Style::new().bold(),
                &format!(
                    "{:<19}{:>10}{:>10}{:>10}   {:<16} {}",
                    "typical second", "before", "now", "change", "95 % interval", ""
                )
            )
        ),
    );
    for metric in &comparison.metrics {
        let (difference, interval) = texts(metric);
        let word = metric.measure.word(metric.change);
        line(
            &mut out,
            format_args!(
                "  {:<17}{:>10}{:>10}{difference:>10}   {interval:<16} {}",
                metric.measure.name(),
                metric.measure.text(metric.baseline),
                metric.measure.text(metric.result),
                paint(style(metric.change), word),
            ),
        );
        if let Some(reason) = &metric.reason {
            for part in wrap(reason, WIDTH - 4, WIDTH - 4) {
                line(&mut out, format_args!("    {}", paint(DIM, &part)));
            }
        }
    }
    for note in &comparison.notes {
        for (place, part) in wrap(note, WIDTH - 2, WIDTH - 2).into_iter().enumerate() {
            let mark = if place == 0 { paint(WARNING, "!") } else { " ".to_owned() };
            line(
                &mut out,
                format_args!("{}{mark} {part}", if place == 0 && note == &comparison.notes[0] { "\n" } else { "" }),
            );
        }
    }
    out
}

/// What can be said, in a sentence.
pub(super) fn headline(comparison: &Comparison) -> String {
    let said = |change: Change| -> Vec<String> {
        let metrics = comparison.metrics.iter().filter(|metric| metric.change == change);
        metrics.map(|metric| format!("{} {}", metric.measure.name(), texts(metric).0)).collect()
    };
    match comparison.change {
        Change::Slower => format!("✗ slower: {}", said(Change::Slower).join(", ")),
        Change::Faster => format!("✓ faster: {}", said(Change::Faster).join(", ")),
        Change::NoEvidence => "= no evidence that it got faster or slower".to_owned(),
    }
}

/// The change and its interval, such as `+4.1 %` and `-1.0 … +9.2 %`.
pub(super) fn texts(metric: &Compared) -> (String, String) {
    let (Some(difference), Some(low), Some(high)) = (metric.difference, metric.low, metric.high) else {
        return ("–".to_owned(), "–".to_owned());
    };
    let unit = if metric.measure == Measure::ErrorRate { "pp" } else { "%" };
    let digits = if metric.measure == Measure::ErrorRate { 2 } else { 1 };
    // Zero has no sign.
    let signed = |value: f64| {
        let text = format!("{value:+.digits$}");
        if text.trim_start_matches(['+', '-']).chars().all(|c| matches!(c, '0' | '.')) {
            text[1..].to_owned()
        } else {
            text
        }
    };
    (format!("{} {unit}", signed(difference)), format!("{} … {} {unit}", signed(low), signed(high)))
}

const fn style(change: Change) -> Style {
    match change {
        Change::Faster => GOOD,
        Change::Slower => BAD,
        Change::NoEvidence => DIM,
    }
}
