//! For a terminal: one line for each check, the worst first, what to do below it.

use anstyle::Style;
use spillway_report::terminal::{BAD, DIM, GOOD, HEADING, WARNING, WIDTH, line, paint, wrap};
use spillway_report::text::{instant, plain, span};

use super::headline;
use crate::{Finding, Report, Verdict};

/// Columns of the verdict and of the check's name.
const VERDICT: usize = 9;
const NAME: usize = 18;
/// Lines of evidence that are shown; JSON and Markdown have all.
const MOST_EVIDENCE: usize = 6;

/// The report as lines of at most 80 columns, but for commands, which are not broken. Print it through `anstream`.
#[must_use]
pub fn screen(report: &Report) -> String {
    let mut out = String::new();
    let style = style(report.verdict);
    line(&mut out, format_args!("{}", paint(style, &headline(report))));
    let took = span(report.elapsed.as_secs_f64() * 1e3);
    let places: Vec<_> = report.subject.iter().map(|place| plain(place, 120)).collect();
    let about = format!("{}, in {took}: {}", instant(report.at), places.join(", "));
    for text in wrap(&about, WIDTH, WIDTH) {
        line(&mut out, format_args!("{}", paint(DIM, &text)));
    }
    line(&mut out, format_args!(""));
    for finding in &report.findings {
        show(&mut out, finding);
    }
    out
}

fn show(out: &mut String, finding: &Finding) {
    let margin = VERDICT + NAME;
    let verdict = format!("{:VERDICT$}", finding.verdict.word());
    let name = format!("{:NAME$}", finding.check.title());
    let summary = wrap(&plain(&finding.summary, 400), WIDTH - margin, WIDTH - margin);
    let mut lines = summary.into_iter();
    let first = lines.next().unwrap_or_default();
    line(out, format_args!("{}{}{first}", paint(style(finding.verdict), &verdict), paint(HEADING, &name)));
    for rest in lines {
        line(out, format_args!("{:margin$}{rest}", ""));
    }
    if finding.verdict == Verdict::Ok {
        return;
    }
    for text in finding.evidence.iter().take(MOST_EVIDENCE) {
        bullet(out, "·", &plain(text, 400), DIM);
    }
    if let Some(more) = finding.evidence.len().checked_sub(MOST_EVIDENCE).filter(|more| *more > 0) {
        bullet(out, "·", &format!("and {more} more (--output json)"), DIM);
    }
    for action in &finding.actions {
        bullet(out, "→", &plain(&action.text, 600), Style::new());
        if let Some(command) = &action.command {
            line(out, format_args!("{:width$}{}", "", paint(HEADING, &plain(command, 2_000)), width = VERDICT + 4));
        }
    }
    bullet(out, "→", &format!("Read {}", plain(&finding.runbook, 120)), Style::new());
}

fn bullet(out: &mut String, mark: &str, text: &str, style: Style) {
    let width = WIDTH - VERDICT - 2;
    for (n, text) in wrap(text, width, width).into_iter().enumerate() {
        let mark = if n == 0 { mark } else { " " };
        line(out, format_args!("{:VERDICT$}{}", "", paint(style, &format!("{mark} {text}"))));
    }
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Ok => GOOD,
        Verdict::Unknown => HEADING,
        Verdict::Warning => WARNING,
        Verdict::Critical => BAD,
    }
}
