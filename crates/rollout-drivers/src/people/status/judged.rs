//! What the rollout is judged by: evidence, guards, gates.

use spillway_report::terminal::{BAD, DIM, GOOD, WARNING, bar, heading, line, paint, wrap};
use spillway_report::text::plain;
use spillway_rollout::judge::Evidence;
use spillway_rollout::state::Verdict;

use crate::people::values::{compared, mark, metric, remark, share, span, value};
use crate::people::view::{GuardUnit, View};

/// Columns of each half of an evidence bar.
const HALF: usize = 14;

/// Columns of a guard's bar.
const BAR: usize = 10;

/// Rows of a kind at most; the JSON status has them all.
const MOST_ROWS: usize = 12;

pub(super) fn evidence(out: &mut String, view: &View, width: usize) {
    if view.evidence.is_empty() {
        return;
    }
    heading(out, &format!("{:<19}{:<15}{:>15}", "evidence", "◀ roll back", "promote ▶"));
    for one in view.evidence.iter().take(MOST_ROWS) {
        let (back, pass) = (share(one.roll_back, one.roll_back_limit), share(one.pass, one.pass_limit));
        let picture = picture(back, pass);
        let percent = |share: f64| format!("{:>3.0} %", (share * 100.0).floor());
        line(out, format_args!("  {:<9} {}  {picture}  {}", metric(one.metric), percent(back), percent(pass)));
        let text = format!("{}{}", compared(one), outlook(view, one));
        for part in wrap(&text, width - 12, width - 12) {
            line(out, format_args!("            {}", paint(DIM, &part)));
        }
    }
}

/// Evidence grows from the middle to either limit.
fn picture(back: f64, pass: f64) -> String {
    let reversed: String = bar(back, HALF).chars().rev().collect();
    format!("┃{}│{}┃", paint(BAD, &reversed), paint(GOOD, &bar(pass, HALF)))
}

fn outlook(view: &View, evidence: &Evidence) -> String {
    match evidence.expected_ms {
        _ if evidence.roll_back >= evidence.roll_back_limit => ": proven worse".to_owned(),
        _ if evidence.pass >= evidence.pass_limit => ": proven no worse".to_owned(),
        Some(ms) if view.left_ms().is_some() => format!("; proven in about {}", span(ms)),
        _ => String::new(),
    }
}

pub(super) fn guards(out: &mut String, view: &View, width: usize) {
    let all = view.guards();
    if all.is_empty() || view.rollout().is_none() {
        return;
    }
    heading(out, "guards");
    let name = all.iter().map(|(guard, _)| guard.name.chars().count()).max().unwrap_or(0).clamp(8, width / 3);
    for (guard, status) in all.iter().take(MOST_ROWS) {
        let verdict = status.map_or(Verdict::Inconclusive, |status| status.verdict);
        let title = plain(&guard.name, name);
        let remark = remark(guard, *status);
        let measured = status.and_then(|status| Some((status.value?, status.limit?)));
        let has_bar = !matches!(guard.unit, GuardUnit::Comparison | GuardUnit::Alerts);
        let rest = match measured.filter(|_| has_bar) {
            Some((present, limit)) => {
                let of = format!("{} of {}", value(guard.unit, Some(present)), value(guard.unit, Some(limit)));
                let bar = bar(if limit > 0.0 { present / limit } else { f64::from(u8::from(present > 0.0)) }, BAR);
                format!("{bar} {of:<18}  {remark}")
            }
            None => remark,
        };
        let rest = plain(&rest, width - name - 6);
        line(out, format_args!("  {} {title:<name$}  {rest}", painted(verdict)));
    }
    more(out, all.len());
}

pub(super) fn gates(out: &mut String, view: &View, width: usize) {
    let Some(rollout) = view.rollout().filter(|rollout| !rollout.gates.is_empty()) else { return };
    heading(out, "gates");
    let all = &rollout.gates;
    for gate in all.iter().skip(all.len().saturating_sub(MOST_ROWS)) {
        let place = format!("step {}  {:<20}", gate.step + 1, plain(&gate.name, 20));
        let summary = plain(&gate.summary, width - 35);
        line(out, format_args!("  {} {place}  {summary}", painted(gate.verdict)));
        if let Some(report) = gate.report.as_ref().filter(|_| gate.verdict == Verdict::Failed) {
            line(out, format_args!("      {}", plain(&format!("report: {report}"), width - 6)));
        }
    }
}

fn painted(verdict: Verdict) -> String {
    let style = match verdict {
        Verdict::Good => GOOD,
        Verdict::Inconclusive => WARNING,
        Verdict::Failed => BAD,
    };
    paint(style, mark(verdict))
}

fn more(out: &mut String, all: usize) {
    if all > MOST_ROWS {
        line(out, format_args!("  {}", paint(DIM, &format!("and {} more", all - MOST_ROWS))));
    }
}
