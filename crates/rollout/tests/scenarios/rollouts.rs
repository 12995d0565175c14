use spillway_rollout::observed::{CommandAction, Reading};
use spillway_rollout::slot::Slot;
use spillway_rollout::state::{Phase, Verdict};

use crate::play::{GUARDS, Play, canary, plan};

#[test]
fn a_good_version_takes_over() {
    let mut play = Play::new(canary());
    play.run_to(Phase::Observing);
    assert_eq!(play.state().live_slot, Slot::Green);
    assert_eq!(play.world.observed.slots.blue.revision.as_deref(), Some("v1"), "the old version still runs");
    play.run_to(Phase::Idle);
    assert_eq!(play.world.observed.slots.blue.revision, None, "and is cleaned up");
    assert_eq!(play.world.observed.router.unwrap().weights.green, 100);
    insta::assert_snapshot!(play.story());
}

#[test]
fn errors_beyond_the_limit_roll_back() {
    let mut play = Play::new(canary());
    play.errors_per_mille = 50;
    play.run_to(Phase::RolledBack);
    assert_eq!(play.world.observed.router.unwrap().weights.blue, 100);
    play.run(3600);
    assert_eq!(play.world.observed.slots.green.revision, None, "the candidate is stopped and does not start again");
    insta::assert_snapshot!(play.story());
}

#[test]
fn errors_below_the_limit_pass() {
    let mut play = Play::new(canary());
    play.errors_per_mille = 9;
    play.run_to(Phase::Observing);
}

#[test]
fn a_row_of_bad_windows_that_ends_in_time_is_forgiven() {
    let mut play = Play::new(canary());
    play.run_until("progressing", |play| play.weight() == 10);
    play.errors_per_mille = 500;
    play.run_until("two bad windows", |play| {
        play.progress().guards.get("error-ratio").is_some_and(|guard| guard.windows_beyond == 2)
    });
    play.errors_per_mille = 0;
    play.run_to(Phase::Observing);
}

#[test]
fn without_measurements_it_holds_until_they_come() {
    let mut play = Play::new(canary());
    play.measures = false;
    play.run(3600);
    assert_eq!(play.weight(), 10);
    assert_eq!(play.progress().guards["error-ratio"].verdict, Verdict::Inconclusive);
    play.measures = true;
    play.run(70);
    assert_eq!(play.weight(), 50, "evidence that comes late is evidence");
    insta::assert_snapshot!(play.story());
}

#[test]
fn inconclusive_may_extend_three_times_or_roll_back() {
    let with = |what: &str| {
        let mut play = Play::new(plan(&format!(
            "  steps: [{{ weight: 10, bake: 5m }}, {{ weight: 100, bake: 5m }}]\n  onInconclusive: {what}{GUARDS}"
        )));
        play.measures = false;
        play.run(3600);
        play
    };
    insta::assert_snapshot!(with("extend").story());
    let rolled_back = with("rollback");
    assert_eq!(rolled_back.state().phase, Phase::RolledBack);
}

#[test]
fn a_failure_may_hold_until_a_person_decides() {
    let mut play = Play::new(plan(&format!(
        "  steps: [{{ weight: 10, bake: 5m }}, {{ weight: 100 }}]\n  onFailure: hold{GUARDS}"
    )));
    play.errors_per_mille = 50;
    play.run(1200);
    assert_eq!((play.state().phase, play.weight()), (Phase::Progressing, 10));
    play.errors_per_mille = 0;
    play.run(1200);
    assert_eq!(play.weight(), 10, "it does not go on by itself");
    play.command(CommandAction::Resume);
    play.run(600);
    assert_eq!(play.weight(), 100);
    insta::assert_snapshot!(play.story());
}

#[test]
fn a_candidate_that_never_becomes_ready_takes_no_traffic() {
    let mut play = Play::new(canary());
    play.world.ready_after_ms = None;
    play.run_to(Phase::RolledBack);
    insta::assert_snapshot!(play.story());
}

#[test]
fn a_restart_rolls_back_at_once() {
    let mut play = Play::new(canary());
    play.run_until("10 %", |play| play.weight() == 10);
    play.run(60);
    play.world.observed.slots.green.restarts = 1;
    play.look();
    assert_eq!(play.state().phase, Phase::RollingBack);
    assert_eq!(play.weight(), 0);
}

#[test]
fn a_candidate_that_is_gone_rolls_back_after_two_looks() {
    let mut play = Play::new(canary());
    play.run_until("10 %", |play| play.weight() == 10);
    play.run(60);
    play.world.observed.slots.green.ready_replicas = 0;
    play.world.ready_after_ms = None;
    play.look();
    assert_eq!(play.state().phase, Phase::Progressing, "one look is not enough");
    play.run(45);
    assert!(matches!(play.state().phase, Phase::RollingBack | Phase::RolledBack), "{}", play.story());
}

#[test]
fn an_alert_rolls_back_at_once_and_none_starts_while_it_fires() {
    let guards = "\n  guards: [{ name: critical, alerts: { from: alertmanager, url: \"http://a\" } }]";
    let mut play = Play::new(plan(&format!("  steps: [{{ weight: 10, bake: 5m }}, {{ weight: 100 }}]{guards}")));
    let firing = |at| Reading::Alerts { firing: vec!["ApiDown".to_owned()], at };
    let calm = |at| Reading::Alerts { firing: Vec::new(), at };
    play.read("critical", firing);
    for _ in 0..40 {
        play.run(5);
        play.read("critical", firing);
    }
    assert_eq!((play.state().phase, play.weight()), (Phase::Preparing, 0), "{}", play.story());
    play.run(1);
    play.read("critical", calm);
    play.run(30);
    assert_eq!(play.weight(), 10, "{}", play.story());
    play.read("critical", firing);
    play.look();
    assert_eq!(play.weight(), 0);
    play.run_to(Phase::RolledBack);
    insta::assert_snapshot!(play.story());
}

#[test]
fn a_failure_while_it_is_observed_goes_back_to_the_old_version() {
    let mut play = Play::new(canary());
    play.run_to(Phase::Observing);
    play.run(300);
    play.errors_per_mille = 50;
    play.run_to(Phase::RolledBack);
    assert_eq!((play.state().live_slot, play.state().live_revision.as_deref()), (Slot::Blue, Some("v1")));
    assert_eq!(play.weight(), 0);
    insta::assert_snapshot!(play.story());
}

#[test]
fn blue_green_keeps_the_old_version_for_a_day() {
    let mut play = Play::new(plan(&format!("  strategy: blueGreen{GUARDS}")));
    play.run_to(Phase::Observing);
    play.run(23 * 3600);
    assert_eq!(play.world.observed.slots.blue.revision.as_deref(), Some("v1"));
    play.run_to(Phase::Idle);
    insta::assert_snapshot!(play.story());
}

#[test]
fn a_shadow_gets_copies_and_never_takes_over() {
    let mut play =
        Play::new(plan(&format!("  strategy: shadow\n  steps: [{{ mirror: 20, bake: 5m }}, {{ bake: 5m }}]{GUARDS}")));
    play.run_until("copies", |play| play.world.observed.router.unwrap().mirror.green == 20);
    assert_eq!(play.weight(), 0);
    play.run_to(Phase::Succeeded);
    play.run(3600);
    assert_eq!((play.state().phase, play.state().live_revision.as_deref()), (Phase::Idle, Some("v1")));
    assert_eq!(play.world.observed.slots.green.revision, None);
    insta::assert_snapshot!(play.story());
}

#[test]
fn what_somebody_else_changed_is_put_right_and_told_once() {
    let mut play = Play::new(canary());
    play.run_until("10 %", |play| play.weight() == 10);
    play.run(60);
    play.world.observed.router.as_mut().unwrap().weights = spillway_rollout::Slots { blue: 0, green: 100 };
    play.run(60);
    assert_eq!(play.weight(), 10);
    let drift = play.state().history.iter().filter(|happened| format!("{:?}", happened.kind) == "Drift").count();
    assert_eq!(drift, 1, "{}", play.story());
}

#[test]
fn a_promotion_keeps_serving_from_the_slot_that_was_tested() {
    let mut play = Play::new(canary());
    play.run_to(Phase::Succeeded);
    play.run_to(Phase::Idle);
    play.world.want("v3");
    play.run_until("10 % to blue", |play| play.weight() == 90);
    assert_eq!(play.progress().slot, Slot::Blue, "the next one goes to the other slot");
    play.run_to(Phase::Observing);
    assert_eq!(play.state().live_slot, Slot::Blue);
}
