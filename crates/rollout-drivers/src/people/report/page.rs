//! A rollout as a page. Every text of others goes through maud, which escapes it, and is cut to a length.

use maud::{Markup, html};
use spillway_report::text::{self, plain};
use spillway_rollout::state::{Total, Verdict};

use super::{Report, charts};
use crate::people::headline::Headline;
use crate::people::values::{compared, mark, metric, remark, share, span, traffic, value, word};
use crate::people::view::{GuardUnit, View, since};

/// Rows of a table at most.
const MOST_ROWS: usize = 50;

/// Characters of a name at most.
const MOST_NAME: usize = 120;

/// Characters of the plan at most.
const MOST_PLAN: usize = 12_000;

pub(super) fn page(report: &Report) -> String {
    let view = &report.view;
    let series = report.over_time();
    let content = html! {
        (verdict(view))
        (figures(view))
        section { h2 { "Traffic of the candidate" " " small { "over time" } } (charts::weight(view, &series)) }
        section {
            h2 { "Evidence" " " small { "between its limits" } }
            (charts::evidence(&series))
            (evidence(view))
        }
        section { h2 { "Errors" " " small { "of both versions, at the same time" } } (charts::errors(&series)) }
        (guards(view))
        (gates(view))
        (history(view))
        (repeat(report))
    };
    let title = format!("{} – {}", plain(&view.name, MOST_NAME), Headline::of(view).word);
    spillway_report::page::page(&title, &content)
}

fn verdict(view: &View) -> Markup {
    let headline = Headline::of(view);
    html! {
        header class=(headline.tone.class()) {
            p.state { (headline.line()) }
            h1 {
                (plain(&view.name, MOST_NAME))
                @if let Some(rollout) = view.rollout() { " " (plain(&rollout.revision, MOST_NAME)) }
            }
            p.muted {
                @if let Some(rollout) = view.rollout() {
                    (text::instant(rollout.started_at)) ", " (length(view))
                    @if rollout.attempt > 1 { ", attempt " (rollout.attempt) }
                }
                @if let Some(space) = &view.namespace { ", in " (plain(space, MOST_NAME)) }
            }
            @if let Some(to_do) = &headline.to_do { p.muted { "→ " code { (to_do) } } }
        }
    }
}

fn length(view: &View) -> String {
    view.rollout().map_or_else(String::new, |one| span(since(one.started_at, one.ended_at.unwrap_or(view.at))))
}

fn figures(view: &View) -> Markup {
    let Some(rollout) = view.rollout() else { return html! {} };
    let ratio = |total: Total| {
        if total.requests == 0 {
            text::NONE.to_owned()
        } else {
            text::percent(total.errors as f64 / total.requests as f64)
        }
    };
    let live = view.state.live_revision.as_deref().unwrap_or(text::NONE);
    html! {
        dl.figures {
            div { dt { "live" } dd { (plain(live, 24)) small { "in " (view.state.live_slot) } } }
            div { dt { "traffic of the candidate" } dd { (rollout.weight) " %" small { "step " (rollout.step + 1) " of " (view.steps.len()) } } }
            div { dt { "candidate" } dd { (text::count(rollout.candidate_total.requests)) small { "requests" } } }
            div.trouble[rollout.failure.is_some()] { dt { "its errors" } dd { (ratio(rollout.candidate_total)) small { (text::counted(rollout.candidate_total.errors, "request")) } } }
            div { dt { "live version's errors" } dd { (ratio(rollout.live_total)) small { "in the same time" } } }
        }
    }
}

fn evidence(view: &View) -> Markup {
    html! {
        @if !view.evidence.is_empty() {
            table {
                thead { tr { th.name { "comparison" } th { "to roll back" } th { "to promote" } th.long { "what was seen" } } }
                tbody { @for one in view.evidence.iter().take(MOST_ROWS) { tr.trouble[one.roll_back >= one.roll_back_limit] {
                    td.name { (metric(one.metric)) }
                    td data-l="to roll back" { (text::percent(share(one.roll_back, one.roll_back_limit))) }
                    td data-l="to promote" { (text::percent(share(one.pass, one.pass_limit))) }
                    td.long { (compared(one)) }
                } } }
            }
            p.note {
                "Anytime-valid tests: they may be looked at after every window. At 100 % of the way to “roll back” an equally good version \
                 would be wronged with at most the probability that the plan allows."
            }
        }
    }
}

fn guards(view: &View) -> Markup {
    let all = view.guards();
    html! {
        section {
            h2 { "Guards" }
            @if all.is_empty() { p.muted { "The plan has none." } } @else {
                table {
                    thead { tr { th.name { "guard" } th { "value" } th { "limit" } th.long { "verdict" } } }
                    tbody { @for (guard, status) in all.iter().take(MOST_ROWS) {
                        @let verdict = status.map_or(Verdict::Inconclusive, |status| status.verdict);
                        @let has_value = !matches!(guard.unit, GuardUnit::Comparison | GuardUnit::Alerts);
                        tr {
                            td.name { (plain(&guard.name, MOST_NAME)) }
                            td data-l="value" { @if has_value { (value(guard.unit, status.and_then(|one| one.value))) } }
                            td data-l="limit" { @if has_value { (value(guard.unit, status.and_then(|one| one.limit))) } }
                            td.long {
                                span class=(class(verdict)) { (mark(verdict)) " " (word(verdict)) }
                                @let remark = remark(guard, *status);
                                @if !remark.is_empty() { " " span.muted { (remark) } }
                            }
                        }
                    } }
                }
                (more(all.len()))
            }
        }
    }
}

fn gates(view: &View) -> Markup {
    let all = view.rollout().map_or(&[][..], |rollout| &rollout.gates);
    html! {
        @if !all.is_empty() { section {
            h2 { "Gates" }
            table {
                thead { tr { th.name { "gate" } th { "step" } th.long { "what it found" } th.long { "report" } } }
                tbody { @for gate in all.iter().take(MOST_ROWS) { tr {
                    td.name { (plain(&gate.name, MOST_NAME)) }
                    td data-l="step" { (gate.step + 1) }
                    td.long { span class=(class(gate.verdict)) { (mark(gate.verdict)) " " } (plain(&gate.summary, 200)) }
                    td.long { @if let Some(report) = &gate.report { (link(report)) } }
                } } }
            }
            (more(all.len()))
        } }
    }
}

/// A link to a report: an address of the web or a file, nothing that runs.
fn link(report: &str) -> Markup {
    let shown = plain(report, MOST_NAME);
    let is_web = report.starts_with("https://") || report.starts_with("http://");
    let is_file = !report.contains(':') && !report.starts_with("//");
    html! { @if (is_web || is_file) && report.len() < 2_000 { a href=(report) rel="noreferrer" { (shown) } } @else { code { (shown) } } }
}

fn history(view: &View) -> Markup {
    let all = &view.state.history;
    let shown = all.iter().skip(all.len().saturating_sub(2 * MOST_ROWS));
    html! {
        @if !all.is_empty() { section {
            h2 { "What happened" " " small { "and why" } }
            table {
                thead { tr { th.name { "when" } th { "weight" } th.long { "what" } } }
                tbody { @for one in shown { tr {
                    td.when { (text::instant(one.at)) }
                    td data-l="weight" { (one.weight) " %" }
                    td.long { (plain(&one.text, 300)) }
                } } }
            }
        } }
    }
}

fn repeat(report: &Report) -> Markup {
    let view = &report.view;
    html! {
        section {
            h2 { "To repeat this rollout" }
            table { tbody {
                @if let Some(rollout) = view.rollout() {
                    tr { td.name { "candidate" } td.long { (plain(&rollout.revision, MOST_NAME)) " in " (rollout.slot) } }
                }
                @if let Some(live) = &view.state.live_revision {
                    tr { td.name { "live" } td.long { (plain(live, MOST_NAME)) " in " (view.state.live_slot) } }
                }
                @if let Some(previous) = &view.state.previous_revision {
                    tr { td.name { "before" } td.long { (plain(previous, MOST_NAME)) } }
                }
                tr { td.name { "spillway-rollout" } td.long { (env!("CARGO_PKG_VERSION")) } }
                tr { td.name { "steps" } td.long {
                    @for (place, step) in view.steps.iter().take(MOST_ROWS).enumerate() {
                        @if place > 0 { ", then " } (traffic(step)) " for " (span(step.bake_ms))
                        @if !step.gates.is_empty() { " (" (plain(&step.gates.join(", "), MOST_NAME)) ")" }
                    }
                } }
            } }
            @if !report.plan.is_empty() {
                details {
                    summary { "The plan as it was written" }
                    pre { (report.plan.chars().take(MOST_PLAN).collect::<String>()) @if report.plan.chars().count() > MOST_PLAN { "…" } }
                }
            }
        }
    }
}

fn more(all: usize) -> Markup {
    html! { @if all > MOST_ROWS { p.muted { "and " (all - MOST_ROWS) " more" } } }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Inconclusive => "wait",
        Verdict::Failed => "bad",
    }
}
