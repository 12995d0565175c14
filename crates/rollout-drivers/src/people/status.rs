//! The status in a terminal: one screen whose first line is the verdict.

mod judged;
mod place;

use spillway_report::terminal::{DIM, WARNING, heading, line, paint, wrap};
use spillway_report::text::{self, plain};
use spillway_rollout::spec::Strategy;

use super::headline::Headline;
use super::values::span;
use super::view::{View, since};

/// Columns that a screen has at least, and at most.
const WIDTHS: (usize, usize) = (72, 120);

/// Decisions that are shown.
const MOST_HISTORY: usize = 6;

/// Troubles that are shown.
const MOST_TROUBLES: usize = 5;

/// A screen of `width` columns, which is taken as 72 to 120. Without `colour` there are no ANSI sequences; nothing is told by colour alone.
#[must_use]
pub fn render(view: &View, width: usize, colour: bool) -> String {
    let width = width.clamp(WIDTHS.0, WIDTHS.1);
    let mut out = String::new();
    head(&mut out, view, width);
    place::slots(&mut out, view, width);
    place::steps(&mut out, view, width);
    judged::evidence(&mut out, view, width);
    judged::guards(&mut out, view, width);
    judged::gates(&mut out, view, width);
    troubles(&mut out, view, width);
    history(&mut out, view, width);
    if colour { out } else { anstream::adapter::strip_str(&out).to_string() }
}

/// What happened since `after`, one line each, for a pipe; without it, what happened in the present rollout.
#[must_use]
pub fn happened(view: &View, after: Option<i64>) -> Vec<String> {
    let after = after.or_else(|| view.rollout().map(|rollout| rollout.started_at.saturating_sub(1)));
    let new = view.state.history.iter().filter(|one| after.is_none_or(|after| one.at > after));
    new.map(|one| format!("{}  {}", text::time_of_day(one.at), plain(&one.text, 600))).collect()
}

/// How it stands, in one line for a pipe.
#[must_use]
pub fn line_of(view: &View) -> String {
    let left = view.left_ms().map_or_else(String::new, |left| format!(", {} left", span(left)));
    format!("{}  {}{left}", text::time_of_day(view.at), Headline::of(view).line())
}

fn head(out: &mut String, view: &View, width: usize) {
    let headline = Headline::of(view);
    let word = format!("{} {}", headline.mark, headline.word);
    let mut sentence = wrap(&headline.sentence, width - word.chars().count() - 2, width - 2).into_iter();
    let first = sentence.next().unwrap_or_default();
    line(out, format_args!("{}: {first}", paint(headline.tone.style(), &word)));
    for more in sentence {
        line(out, format_args!("  {more}"));
    }
    for (place, part) in headline.to_do.iter().flat_map(|to_do| wrap(to_do, width - 4, width - 4)).enumerate() {
        line(out, format_args!("  {} {part}", if place == 0 { "→" } else { " " }));
    }
    let name = view.namespace.as_ref().map_or_else(|| view.name.clone(), |space| format!("{space}/{}", view.name));
    let strategy = match view.strategy {
        Strategy::Canary => "canary",
        Strategy::BlueGreen => "blue-green",
        Strategy::Shadow => "shadow",
    };
    let mut facts = vec![plain(&name, 36), strategy.to_owned()];
    if let Some(rollout) = view.rollout() {
        if rollout.attempt > 1 {
            facts.push(format!("attempt {}", rollout.attempt));
        }
        match rollout.ended_at.filter(|_| !view.is_under_way()) {
            Some(ended) => facts.push(format!("took {}", span(since(rollout.started_at, ended)))),
            None => facts.push(format!("began {} ago", span(since(rollout.started_at, view.at)))),
        }
    }
    if let Some(left) = view.promoted_in_ms().filter(|_| view.strategy != Strategy::Shadow) {
        facts.push(format!("live in about {}", span(left)));
    }
    for part in wrap(&facts.join(" · "), width - 2, width - 2) {
        line(out, format_args!("  {}", paint(DIM, &part)));
    }
}

fn troubles(out: &mut String, view: &View, width: usize) {
    let mut all: Vec<String> = view.troubles.iter().take(MOST_TROUBLES).map(|one| plain(one, 300)).collect();
    if view.troubles.len() > MOST_TROUBLES {
        all.push(format!("and {} more", view.troubles.len() - MOST_TROUBLES));
    }
    if let Some(until) = view.state.override_until.filter(|until| *until > view.at) {
        all.push(format!("a frozen budget holds nothing for {} more", span(since(view.at, until))));
    }
    if all.is_empty() {
        return;
    }
    heading(out, "to know");
    for trouble in &all {
        for (place, part) in wrap(trouble, width - 4, width - 4).into_iter().enumerate() {
            let mark = if place == 0 { paint(WARNING, "!") } else { " ".to_owned() };
            line(out, format_args!("  {mark} {part}"));
        }
    }
}

fn history(out: &mut String, view: &View, width: usize) {
    let all = &view.state.history;
    if all.is_empty() {
        return;
    }
    heading(out, "decisions");
    for happened in all.iter().skip(all.len().saturating_sub(MOST_HISTORY)) {
        for (place, part) in wrap(&plain(&happened.text, 300), width - 12, width - 12).into_iter().enumerate() {
            let at = if place == 0 { text::time_of_day(happened.at) } else { String::new() };
            line(out, format_args!("  {}  {part}", paint(DIM, &format!("{at:<8}"))));
        }
    }
}

#[cfg(test)]
mod tests;
