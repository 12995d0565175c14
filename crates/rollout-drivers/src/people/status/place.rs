//! Where the rollout is: slots and steps.

use spillway_report::terminal::{DIM, bar, heading, line, paint};
use spillway_report::text::{NONE, plain};
use spillway_rollout::Slot;
use spillway_rollout::state::{Phase, Stage};

use crate::people::headline::Headline;
use crate::people::values::{span, stage, traffic};
use crate::people::view::View;

/// Columns of a slot's bar, and of a step's.
const BAR: usize = 12;

/// Steps that are shown around the present one.
const MOST_STEPS: usize = 8;

pub(super) fn slots(out: &mut String, view: &View, width: usize) {
    heading(out, "slots");
    // What is left beside the bar, its number, copies and replicas.
    let room = width - 51 - BAR;
    for slot in Slot::BOTH {
        let revision = plain(&revision(view, slot).unwrap_or_else(|| NONE.to_owned()), room);
        let weight = view.weight(slot);
        let bar = bar(f64::from(weight) / 100.0, BAR);
        let mirror = view.router.map_or(0, |router| *router.mirror.get(slot));
        let mut facts = Vec::new();
        if mirror > 0 {
            facts.push(format!("{mirror} % copies"));
        }
        if let Some(seen) = view.slots.as_ref().map(|slots| slots.get(slot)).filter(|seen| seen.desired_replicas > 0) {
            facts.push(format!("{}/{} ready", seen.ready_replicas, seen.desired_replicas));
        }
        let facts = facts.join(", ");
        line(
            out,
            format_args!("  {:<6} {:<9} {revision:<room$} {bar} {weight:>3} %  {facts}", slot.name(), role(view, slot)),
        );
    }
}

fn role(view: &View, slot: Slot) -> &'static str {
    let of_rollout = view.rollout().is_some_and(|rollout| rollout.slot == slot);
    match view.state.phase {
        _ if slot == view.state.live_slot => "live",
        Phase::Observing => "previous",
        Phase::Preparing | Phase::Progressing | Phase::RollingBack if of_rollout => "candidate",
        _ => "idle",
    }
}

fn revision(view: &View, slot: Slot) -> Option<String> {
    let seen = view.slots.as_ref().and_then(|slots| slots.get(slot).revision.clone());
    seen.or_else(|| match role(view, slot) {
        "live" => view.state.live_revision.clone(),
        "previous" => view.state.previous_revision.clone(),
        "candidate" => view.rollout().map(|rollout| rollout.revision.clone()),
        _ => None,
    })
}

pub(super) fn steps(out: &mut String, view: &View, width: usize) {
    let Some(rollout) = view.rollout() else { return };
    heading(out, "steps");
    let present = rollout.step.min(view.steps.len().saturating_sub(1));
    let first = present.saturating_sub(MOST_STEPS / 2).min(view.steps.len().saturating_sub(MOST_STEPS));
    if first > 0 {
        line(out, format_args!("    {}", paint(DIM, &format!("{first} before"))));
    }
    let widest = view.steps.iter().map(|step| traffic(step).chars().count()).max().unwrap_or(0);
    for (place, step) in view.steps.iter().enumerate().skip(first).take(MOST_STEPS) {
        let mark = mark(view, place);
        let planned = format!("{mark} {:>2}  {:>widest$}  {:<6}", place + 1, traffic(step), span(step.bake_ms));
        let rest = if place == rollout.step && view.state.phase == Phase::Progressing {
            plain(
                &now(view, rollout.stage, view.bake_ms(place).unwrap_or(step.bake_ms)),
                width.saturating_sub(planned.chars().count() + 4),
            )
        } else if step.gates.is_empty() {
            String::new()
        } else {
            paint(DIM, &plain(&step.gates.join(", "), width.saturating_sub(planned.chars().count() + 6)))
        };
        line(out, format_args!("  {planned}  {rest}"));
    }
    let shown = first + MOST_STEPS;
    if view.steps.len() > shown {
        line(out, format_args!("    {}", paint(DIM, &format!("{} after", view.steps.len() - shown))));
    }
    if view.state.phase == Phase::Observing {
        let share = share(view.stage_ms(), view.observation_ms);
        let left = view.left_ms().map_or_else(|| "stands still".to_owned(), |left| format!("{} left", span(left)));
        let length = span(view.observation_ms);
        line(out, format_args!("  ▶  then {:>widest$} {length:<6}  {} watched, {left}", "", bar(share, BAR)));
    }
}

/// What the present step does.
fn now(view: &View, present: Stage, bake_ms: u64) -> String {
    if present != Stage::Baking {
        return format!("{} for {}", stage(present), span(view.stage_ms()));
    }
    let extended = view.rollout().map_or(0, |rollout| rollout.extensions);
    let extended = if extended > 0 { format!(", repeated {extended}×") } else { String::new() };
    let left = view.left_ms().map_or_else(|| "stands still".to_owned(), |left| format!("{} left", span(left)));
    format!("{} watching, {left}{extended}", bar(share(view.stage_ms(), bake_ms), BAR))
}

fn mark(view: &View, place: usize) -> &'static str {
    let present = view.rollout().map_or(0, |rollout| rollout.step);
    match view.state.phase {
        Phase::Observing | Phase::Succeeded => "✓",
        Phase::Idle | Phase::Preparing => " ",
        _ if place < present => "✓",
        _ if place > present => " ",
        Phase::RollingBack | Phase::RolledBack | Phase::Aborted => "✗",
        Phase::Progressing => match Headline::of(view).mark {
            mark @ ("‖" | "!" | "?") => mark,
            _ => "▶",
        },
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}
