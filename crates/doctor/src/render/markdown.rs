//! For a ticket or a deployment report.

use std::fmt::Write as _;

use spillway_report::markdown::escape;
use spillway_report::text::{instant, plain};

use super::headline;
use crate::{Finding, Report, Verdict};

/// The report as a section of the second level.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut out = format!("## spillway doctor, {}\n\n**{}**\n\n", instant(report.at), headline(report));
    for place in &report.subject {
        line(&mut out, format_args!("- {}", escape(place)));
    }
    out += "\n| verdict | check | found |\n|---|---|---|\n";
    for finding in &report.findings {
        let (word, title) = (finding.verdict.word(), finding.check.title());
        line(&mut out, format_args!("| {word} | {title} | {} |", escape(&finding.summary)));
    }
    for finding in report.findings.iter().filter(|finding| finding.verdict != Verdict::Ok) {
        section(&mut out, finding);
    }
    out
}

fn section(out: &mut String, finding: &Finding) {
    line(
        out,
        format_args!("\n### {}: {}\n\n{}\n", finding.verdict.word(), finding.check.title(), escape(&finding.summary)),
    );
    for text in &finding.evidence {
        line(out, format_args!("- {}", escape(text)));
    }
    if !finding.evidence.is_empty() {
        out.push('\n');
    }
    for (n, action) in (1..).zip(&finding.actions) {
        line(out, format_args!("{n}. {}", escape(&action.text)));
        if let Some(command) = &action.command {
            // Four blanks keep it in its item, and nothing in it can end the block.
            line(out, format_args!("\n        {}\n", plain(command, 2_000)));
        }
    }
    line(out, format_args!("\nRunbook: [{0}]({0})", finding.runbook));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{text}");
}
