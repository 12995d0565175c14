//! Rollouts that the judge decides.

use std::time::Duration;

use spillway_rollout::Plan;
use spillway_rollout::decision::NoteKind;
use spillway_rollout::observed::CommandAction;
use spillway_rollout::simulate::{Synthetic, Timeline};
use spillway_rollout::state::Phase;

use crate::play::plan;

const MINUTE: Duration = Duration::from_secs(60);

fn judged(more: &str) -> Plan {
    plan(&format!(
        "  steps: [{{ weight: 10 }}, {{ weight: 50 }}, {{ weight: 100 }}]{more}
  guards:
    - {{ name: errors, compare: {{ metric: errors }} }}
    - {{ name: latency, compare: {{ metric: latency }} }}
    - {{ name: restarts, threshold: {{ metric: restarts, max: 0 }} }}"
    ))
}

/// When it first happened, since the new version was wanted.
fn first(timeline: &Timeline, kind: NoteKind) -> Duration {
    let event = timeline.events.iter().find(|event| event.kind == kind && event.at > timeline.started_at);
    let event = event.unwrap_or_else(|| panic!("never {kind:?}: {:#?}", timeline.events));
    Duration::from_millis(u64::try_from(event.at - timeline.started_at).unwrap_or(0))
}

#[test]
fn a_good_version_with_many_requests_passes_early_but_not_before_a_fifth() {
    let timeline = Synthetic { requests_per_second: 500.0, ..Synthetic::default() }.run(&judged(""));
    assert_eq!(timeline.end.phase, Phase::Succeeded, "{:#?}", timeline.events);
    let passed = first(&timeline, NoteKind::StepPassed);
    assert!(passed >= 6 * MINUTE && passed < 30 * MINUTE, "{passed:?}");
}

#[test]
fn a_worse_version_is_rolled_back_within_minutes() {
    for (what, worse) in [
        ("errors", Synthetic { candidate_error_ratio: 0.01, ..Synthetic::default() }),
        ("slow", Synthetic { candidate_latency: 0.1, ..Synthetic::default() }),
    ] {
        let timeline = worse.run(&judged(""));
        assert_eq!(timeline.end.phase, Phase::RolledBack, "{what}: {:#?}", timeline.events);
        assert!(first(&timeline, NoteKind::RolledBack) < 10 * MINUTE, "{what}: {:#?}", timeline.events);
    }
}

#[test]
fn at_a_few_requests_per_second_it_holds_and_a_person_promotes() {
    let few = Synthetic { requests_per_second: 5.0, ..Synthetic::default() };
    let timeline = few.run(&judged(""));
    let held = first(&timeline, NoteKind::Held);
    assert!(held >= 30 * MINUTE, "only at the end of the bake: {held:?}");
    assert!(timeline.events.iter().all(|event| event.kind != NoteKind::RolledBack), "{:#?}", timeline.events);

    let commands = vec![(31 * MINUTE, CommandAction::Promote { full: true })];
    let promoted = Synthetic { commands, ..few }.run(&judged(""));
    assert_eq!(promoted.end.phase, Phase::Succeeded, "{:#?}", promoted.events);
}

#[test]
fn a_comparison_that_failed_and_holds_is_judged_anew_after_resume() {
    let commands = vec![(20 * MINUTE, CommandAction::Resume)];
    let worse = Synthetic { candidate_error_ratio: 0.01, commands, ..Synthetic::default() };
    let timeline = worse.run(&judged("\n  onFailure: hold"));
    let failed: Vec<_> =
        timeline.events.iter().filter(|event| event.kind == NoteKind::Guard).map(|event| event.at).collect();
    assert_eq!(failed.len(), 2, "{:#?}", timeline.events);
    let resumed = timeline.started_at + 20 * 60_000;
    assert!(failed[0] < resumed && failed[1] > resumed + 30_000, "it needs evidence again: {failed:?}");
    assert_eq!(timeline.end.phase, Phase::Progressing);
}
