//! A rollout as a section of Markdown.

use std::fmt::Write as _;

use spillway_report::markdown::escape;
use spillway_report::text;
use spillway_rollout::state::Total;

use super::Report;
use crate::people::headline::{Headline, Tone};
use crate::people::values::{compared, mark, metric, remark, span, value, word};
use crate::people::view::{GuardUnit, since};
use spillway_rollout::state::Verdict;

/// Rows of a table at most.
const MOST_ROWS: usize = 20;

/// A section with the verdict, the figures, evidence, guards, gates and what happened.
pub(super) fn section(report: &Report) -> String {
    let view = &report.view;
    let headline = Headline::of(view);
    let sign = match headline.tone {
        Tone::Good => "✅",
        Tone::Bad => "❌",
        Tone::Waiting | Tone::Calm => "⚠️",
    };
    let mut out = String::new();
    // Writing to a text cannot fail.
    let mut put = |text: String| _ = writeln!(out, "{text}");
    put(format!("## {} – {sign} {}\n", escape(&view.name), headline.word));
    put(format!("{}.\n", escape(headline.sentence.trim_end_matches('.'))));
    put("| | |\n|---|---|".to_owned());
    let mut row = |name: &str, value: String| put(format!("| {name} | {value} |"));
    if let Some(rollout) = view.rollout() {
        row("started", text::instant(rollout.started_at));
        row("duration", span(since(rollout.started_at, rollout.ended_at.unwrap_or(view.at))));
        row("version", escape(&rollout.revision));
        row("attempt", rollout.attempt.to_string());
        row("weight", format!("{} %", rollout.weight));
        row("candidate", total(rollout.candidate_total));
        row("live version meanwhile", total(rollout.live_total));
    }
    if let Some(live) = &view.state.live_revision {
        row("live", format!("{} in {}", escape(live), view.state.live_slot));
    }
    row("spillway-rollout", env!("CARGO_PKG_VERSION").to_owned());
    if !view.evidence.is_empty() {
        put("\n| comparison | roll back | promote | |\n|---|---:|---:|---|".to_owned());
        for one in view.evidence.iter().take(MOST_ROWS) {
            let share = |evidence: f64, limit: f64| text::percent(crate::people::values::share(evidence, limit));
            let (back, pass) = (share(one.roll_back, one.roll_back_limit), share(one.pass, one.pass_limit));
            put(format!("| {} | {back} | {pass} | {} |", metric(one.metric), escape(&compared(one))));
        }
    }
    let guards = view.guards();
    if view.rollout().is_some() && !guards.is_empty() {
        put("\n| guard | value | limit | |\n|---|---:|---:|---|".to_owned());
        for (guard, status) in guards.iter().take(MOST_ROWS) {
            let verdict = status.map_or(Verdict::Inconclusive, |status| status.verdict);
            let unit = guard.unit;
            let (now, limit) = match unit {
                GuardUnit::Comparison | GuardUnit::Alerts => (String::new(), String::new()),
                unit => (value(unit, status.and_then(|one| one.value)), value(unit, status.and_then(|one| one.limit))),
            };
            let said = match verdict {
                Verdict::Failed => format!("{} **{}**", mark(verdict), word(verdict)),
                verdict => format!("{} {}", mark(verdict), word(verdict)),
            };
            let more = escape(&remark(guard, *status));
            let more = if more.is_empty() { more } else { format!(": {more}") };
            put(format!("| {} | {now} | {limit} | {said}{more} |", escape(&guard.name)));
        }
        if guards.len() > MOST_ROWS {
            put(format!("\nand {} more guards", guards.len() - MOST_ROWS));
        }
    }
    let gates = view.rollout().map_or(&[][..], |rollout| &rollout.gates);
    if !gates.is_empty() {
        put("\n| gate | step | | report |\n|---|---:|---|---|".to_owned());
        for gate in gates.iter().rev().take(MOST_ROWS).rev() {
            let said = format!("{} {}", mark(gate.verdict), escape(&gate.summary));
            let report = gate.report.as_deref().map_or_else(String::new, escape);
            put(format!("| {} | {} | {said} | {report} |", escape(&gate.name), gate.step + 1));
        }
    }
    if !view.state.history.is_empty() {
        put("\n| when | weight | what |\n|---|---:|---|".to_owned());
        let begun = view.rollout().map_or(i64::MIN, |rollout| rollout.started_at);
        let told: Vec<_> = view.state.history.iter().filter(|one| one.at >= begun).collect();
        for one in told.iter().skip(told.len().saturating_sub(MOST_ROWS)) {
            put(format!("| {} | {} % | {} |", text::instant(one.at), one.weight, escape(&one.text)));
        }
    }
    out
}

fn total(total: Total) -> String {
    let requests = text::counted(total.requests, "request");
    if total.requests == 0 {
        return requests;
    }
    let share = text::percent(total.errors as f64 / total.requests as f64);
    format!("{requests}, {} ({share})", text::counted(total.errors, "error"))
}
