use spillway_rollout::observed::CommandAction;
use spillway_rollout::slot::Slot;
use spillway_rollout::state::{Phase, Stage};

use crate::play::{GUARDS, Play, canary, plan};

#[test]
fn approval_is_waited_for() {
    let steps = "  steps: [{ weight: 10, bake: 5m, approval: true }, { weight: 100, bake: 5m }]";
    let mut play = Play::new(plan(&format!("{steps}{GUARDS}")));
    play.run(7200);
    assert_eq!((play.progress().stage, play.weight()), (Stage::Approval, 10));
    play.command(CommandAction::Approve);
    play.command(CommandAction::Approve);
    play.run_to(Phase::Observing);
    insta::assert_snapshot!(play.story());
}

#[test]
fn a_pause_holds_everything_and_does_not_count() {
    let mut play = Play::new(canary());
    play.run_until("10 %", |play| play.weight() == 10);
    play.run(120);
    play.command(CommandAction::Pause);
    play.errors_per_mille = 50;
    play.run(7200);
    assert_eq!(play.weight(), 10, "neither up nor down");
    play.errors_per_mille = 0;
    play.run(120);
    play.command(CommandAction::Resume);
    play.run(60);
    assert_eq!(play.weight(), 10, "two minutes of five were over");
    play.run(180);
    assert_eq!(play.weight(), 50);
    insta::assert_snapshot!(play.story());
}

#[test]
fn abort_is_possible_at_any_time_even_paused() {
    let mut play = Play::new(canary());
    play.run_until("50 %", |play| play.weight() == 50);
    play.command(CommandAction::Pause);
    play.command(CommandAction::Abort);
    assert_eq!(play.weight(), 0, "at once");
    play.run_to(Phase::Aborted);
    insta::assert_snapshot!(play.story());
}

#[test]
fn an_aborted_revision_starts_again_only_by_retry() {
    let mut play = Play::new(canary());
    play.run_until("10 %", |play| play.weight() == 10);
    play.command(CommandAction::Abort);
    play.run(7200);
    assert_eq!(play.state().phase, Phase::Aborted);
    play.command(CommandAction::Retry);
    assert_eq!((play.state().phase, play.progress().attempt), (Phase::Preparing, 2));
    play.run_to(Phase::Observing);
    insta::assert_snapshot!(play.story());
}

#[test]
fn undo_goes_back_at_once_while_the_old_version_runs() {
    let mut play = Play::new(canary());
    play.run_to(Phase::Observing);
    play.command(CommandAction::Undo);
    assert_eq!((play.weight(), play.state().live_revision.as_deref()), (0, Some("v1")));
    play.run_to(Phase::Aborted);
    play.run(7200);
    assert_eq!(play.state().phase, Phase::Aborted, "v2 is still wanted, and does not start again by itself");
}

#[test]
fn undo_after_the_cleanup_rolls_the_old_version_out_again() {
    let mut play = Play::new(canary());
    play.run_to(Phase::Succeeded);
    play.run_to(Phase::Idle);
    play.command(CommandAction::Undo);
    play.run_to(Phase::Succeeded);
    play.run_to(Phase::Idle);
    assert_eq!((play.state().live_slot, play.state().live_revision.as_deref()), (Slot::Blue, Some("v1")));
    play.run(7200);
    assert_eq!(
        play.state().live_revision.as_deref(),
        Some("v1"),
        "v2 is still wanted, and does not start again by itself"
    );
    insta::assert_snapshot!(play.story());
}

#[test]
fn promote_ends_a_step_and_full_ends_all() {
    let mut play = Play::new(canary());
    play.measures = false;
    play.run_until("10 %", |play| play.weight() == 10);
    play.run(60);
    play.command(CommandAction::Promote { full: false });
    assert_eq!(play.weight(), 50);
    play.run(60);
    play.command(CommandAction::Promote { full: true });
    assert_eq!(play.weight(), 100);
    play.run_to(Phase::Observing);
    insta::assert_snapshot!(play.story());
}

#[test]
fn promote_is_refused_while_a_guard_fails() {
    let mut play = Play::new(plan(&format!(
        "  steps: [{{ weight: 10, bake: 5m }}, {{ weight: 100 }}]\n  onFailure: hold{GUARDS}"
    )));
    play.run_until("10 %", |play| play.weight() == 10);
    play.world.observed.slots.green.restarts = 1;
    play.look();
    play.command(CommandAction::Promote { full: true });
    play.run(60);
    assert_eq!(play.weight(), 10);
    insta::assert_snapshot!(play.story());
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let mut play = Play::new(canary());
    play.world.want("v1");
    for action in [
        CommandAction::Promote { full: false },
        CommandAction::Resume,
        CommandAction::Abort,
        CommandAction::Retry,
        CommandAction::Undo,
        CommandAction::Approve,
        CommandAction::Override { until: 0 },
    ] {
        play.command(action);
    }
    insta::assert_snapshot!(play.story());
}

#[test]
fn the_plan_may_pause_and_only_it_resumes() {
    let mut play = Play::new(canary());
    play.plan.paused = true;
    play.run(600);
    assert_eq!(play.state().phase, Phase::Idle);
    play.command(CommandAction::Resume);
    play.run(600);
    assert_eq!(play.state().phase, Phase::Idle, "{}", play.story());
    play.plan.paused = false;
    play.run_to(Phase::Observing);
}
