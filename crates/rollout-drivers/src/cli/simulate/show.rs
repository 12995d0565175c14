//! A simulated rollout for people and scripts.

use serde_json::json;
use spillway_report::terminal::{DIM, HEADING, line, paint, wrap};
use spillway_report::text::{self, plain};
use spillway_rollout::simulate::Event;
use spillway_rollout::state::{Phase, State};

use super::super::{Failure, Output, say, say_json, width};
use super::Story;
use crate::people::picture::weights;
use crate::people::view::since;
use crate::people::{Headline, View};

/// Decisions that are printed; the JSON has them all.
const MOST_EVENTS: usize = 60;

/// One rollout.
pub(super) fn one(story: &Story, output: Output) -> Result<u8, Failure> {
    match output {
        Output::Json => say_json(&json(story)),
        Output::Table => say(&table(story, width())),
    }
}

fn json(story: &Story) -> serde_json::Value {
    let row = |event: &Event| {
        json!({
            "at": event.at, "afterMs": since(story.started_at, event.at), "kind": event.kind, "text": event.text,
            "phase": event.phase, "weight": event.weight,
        })
    };
    json!({
        "verdict": phase(story.end.phase),
        "headline": headline(story).sentence,
        "startedAt": story.started_at,
        "durationMs": since(story.started_at, story.ended_at),
        "failure": story.end.rollout.as_ref().and_then(|rollout| rollout.failure.as_ref()),
        "candidateTotal": story.end.rollout.as_ref().map(|rollout| rollout.candidate_total),
        "liveTotal": story.end.rollout.as_ref().map(|rollout| rollout.live_total),
        "events": story.events.iter().map(row).collect::<Vec<_>>(),
    })
}

fn headline(story: &Story) -> Headline {
    Headline::of(&View::new(&story.plan, &story.end, story.ended_at))
}

fn table(story: &Story, width: usize) -> String {
    let width = width.clamp(72, 120);
    let headline = headline(story);
    let length = since(story.started_at, story.ended_at);
    let mut out = String::new();
    let mut put = |text: &str| line(&mut out, format_args!("{text}"));
    for (place, part) in wrap(&headline.line(), width, width - 2).iter().enumerate() {
        put(&if place == 0 { paint(HEADING, part) } else { format!("  {part}") });
    }
    put(&format!("  after {}{}", text::span(length as f64), requests(&story.end)));
    put("");
    put(&paint(HEADING, "traffic of the candidate"));
    let events = story.events.iter().filter(|event| event.at >= story.started_at);
    let points: Vec<(u64, u8)> = events.map(|event| (since(story.started_at, event.at), event.weight)).collect();
    put(weights(&points, length, width).trim_end());
    put("");
    put(&paint(HEADING, &format!("{:>9}  {:>6}  what was decided, and why", "after", "weight")));
    let mut events: Vec<&Event> = story.events.iter().collect();
    let left_out = events.len().saturating_sub(MOST_EVENTS);
    if left_out > 0 {
        events.drain(MOST_EVENTS / 2..MOST_EVENTS / 2 + left_out);
    }
    for (place, event) in events.into_iter().enumerate() {
        if left_out > 0 && place == MOST_EVENTS / 2 {
            put(&paint(DIM, &format!("{:>9}  {left_out} decisions are left out here; --output json has them", "…")));
        }
        let after = text::span(since(story.started_at, event.at) as f64);
        for (place, part) in wrap(&plain(&event.text, 400), width - 19, width - 19).iter().enumerate() {
            match place {
                0 => put(&format!("{after:>9}  {:>4} %  {part}", event.weight)),
                _ => put(&format!("{:19}{part}", "")),
            }
        }
    }
    out
}

fn requests(end: &State) -> String {
    let Some(rollout) = &end.rollout else { return String::new() };
    let (requests, errors) = (rollout.candidate_total.requests, rollout.candidate_total.errors);
    format!(", {} to the candidate, {errors} failed", text::counted(requests, "request"))
}

/// Many rollouts: how often it ended how, and how long it took.
pub(super) fn many(ends: &[(Phase, u64)], output: Output) -> Result<u8, Failure> {
    const PHASES: [Phase; 3] = [Phase::Succeeded, Phase::RolledBack, Phase::Aborted];
    let of = |wanted: Option<Phase>| {
        let belongs = move |phase: Phase| wanted.map_or(!PHASES.contains(&phase), |wanted| wanted == phase);
        let mut lengths: Vec<u64> =
            ends.iter().filter(|(phase, _)| belongs(*phase)).map(|(_, length)| *length).collect();
        lengths.sort_unstable();
        lengths
    };
    let rows = PHASES
        .map(Some)
        .into_iter()
        .chain([None])
        .map(|wanted| (wanted.map_or("waits for somebody", phase), of(wanted)));
    let rows: Vec<(&str, Vec<u64>)> = rows.filter(|(_, lengths)| !lengths.is_empty()).collect();
    let at = |lengths: &[u64], percent: usize| lengths[(lengths.len() * percent).div_ceil(100).max(1) - 1];
    if output == Output::Json {
        let rows = rows.iter().map(|(name, lengths)| {
            json!({
                "verdict": name, "runs": lengths.len(), "share": lengths.len() as f64 / ends.len() as f64,
                "p5Ms": at(lengths, 5), "medianMs": at(lengths, 50), "p95Ms": at(lengths, 95),
            })
        });
        return say_json(&json!({ "runs": ends.len(), "ends": rows.collect::<Vec<_>>() }));
    }
    let mut out = String::new();
    line(
        &mut out,
        format_args!("{:<20}{:>6}{:>10}{:>12}{:>12}{:>12}", "", "runs", "share", "after p5", "median", "p95"),
    );
    for (name, lengths) in &rows {
        let [p5, median, p95] = [5, 50, 95].map(|percent| text::span(at(lengths, percent) as f64));
        let share = text::percent(lengths.len() as f64 / ends.len() as f64);
        line(&mut out, format_args!("{name:<20}{:>6}{share:>10}{p5:>12}{median:>12}{p95:>12}", lengths.len()));
    }
    say(&out)
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Succeeded => "promoted",
        Phase::RolledBack => "rolled back",
        Phase::Aborted => "aborted",
        Phase::Idle => "idle",
        Phase::Preparing => "preparing",
        Phase::Progressing => "progressing",
        Phase::Observing => "observing",
        Phase::RollingBack => "rolling back",
    }
}
