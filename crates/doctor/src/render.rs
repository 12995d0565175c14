//! A report for people, for documents and for scripts.

mod markdown;
mod screen;

use crate::{Report, Verdict};

pub use markdown::markdown;
pub use screen::screen;

/// The report as indented JSON, with the exit code.
///
/// # Errors
/// Never in practice: every number is finite or written as null.
pub fn json(report: &Report) -> serde_json::Result<String> {
    let mut value = serde_json::to_value(report)?;
    value["exit_code"] = report.verdict.exit_code().into();
    value["at"] = jiff::Timestamp::from_millisecond(report.at).map(|at| at.to_string()).unwrap_or_default().into();
    serde_json::to_string_pretty(&value)
}

/// The verdict in one line: what there is to do first.
fn headline(report: &Report) -> String {
    let words = [
        (Verdict::Critical, "to act on"),
        (Verdict::Warning, "to look at"),
        (Verdict::Unknown, "unknown"),
        (Verdict::Ok, "ok"),
    ];
    let counts = words.map(|(verdict, words)| (report.count(verdict), words));
    let parts: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{n} {words}")).collect();
    match report.verdict {
        Verdict::Ok => format!("All is well: {}", parts.join(", ")),
        _ => parts.join(", "),
    }
}
