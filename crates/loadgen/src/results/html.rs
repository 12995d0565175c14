//! The report: one file that needs no other, light and dark, for the screen and for paper.

mod charts;
mod sections;

use maud::{Markup, html};

use super::RunSummary;
use super::compare::compare;

/// The report of a run as HTML, with the comparison when there is a baseline. Less than 300 KB: long time lines are drawn with at most
/// 600 points that keep the worst, and long tables end with the number of rows that were left out.
pub fn html(summary: &RunSummary, baseline: Option<&RunSummary>) -> String {
    let comparison = baseline.map(|baseline| compare(baseline, summary));
    let content = html! {
        (sections::verdict(summary))
        (sections::figures(summary))
        (sections::thresholds(summary))
        @if let Some(comparison) = &comparison { (sections::comparison(comparison)) }
        (over_time(summary, baseline))
        (sections::histogram(summary))
        (sections::errors(summary))
        (sections::endpoints(summary))
        (sections::checks(summary))
        (sections::scenarios(summary))
        (sections::target(summary))
        (sections::generator(summary))
        (sections::metrics(summary))
        (sections::repeat(summary))
    };
    spillway_report::page::page(&format!("{} – {}", summary.meta.name, summary.verdict().name()), &content)
}

fn over_time(summary: &RunSummary, baseline: Option<&RunSummary>) -> Markup {
    html! {
        section {
            h2 { "Latency over time" " " small { "of each second, with the load behind" } }
            (charts::latency(summary, baseline))
            (charts::trouble(summary))
        }
    }
}

#[cfg(test)]
mod tests;
