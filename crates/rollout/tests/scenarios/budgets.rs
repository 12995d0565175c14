use spillway_rollout::Plan;
use spillway_rollout::observed::{CommandAction, Reading};
use spillway_rollout::state::Phase;
use spillway_slo::budget::{Budget, Reading as Counts};

use crate::play::{Play, plan};

fn budgeted() -> Plan {
    plan(
        r#"  steps: [{ weight: 10, bake: 5m }, { weight: 100, bake: 5m }]
  analysis: { prometheus: { url: "http://p" } }
  guards:
    - { name: restarts, threshold: { metric: restarts, max: 0 } }
    - { name: availability, budget: { target: 0.999, bad: b, total: t } }"#,
    )
}

/// Reads a budget of which this many percent are spent, for some seconds.
fn spend(play: &mut Play, percent: f64, seconds: u64) {
    for _ in 0..seconds.div_ceil(10) {
        let counts = Counts { bad: percent * 10.0, total: 1_000_000.0 };
        play.read("availability", |at| Reading::Budget { reading: counts, at });
        play.run(10);
    }
}

#[test]
fn a_spent_budget_lets_nothing_start_until_it_recovered() {
    let mut play = Play::new(budgeted());
    spend(&mut play, 120.0, 600);
    assert_eq!(play.state().phase, Phase::Idle);
    spend(&mut play, 80.0, 600);
    assert_eq!(play.state().phase, Phase::Idle, "not before 70 %");
    spend(&mut play, 60.0, 60);
    assert_eq!(play.weight(), 10);
    insta::assert_snapshot!(play.story());
}

#[test]
fn an_override_ends_a_freeze_for_its_time() {
    let mut play = Play::new(budgeted());
    spend(&mut play, 120.0, 60);
    let until = play.world.now + 600_000;
    play.command(CommandAction::Override { until });
    spend(&mut play, 120.0, 60);
    assert_eq!(play.weight(), 10);
    spend(&mut play, 120.0, 1200);
    assert_eq!(play.weight(), 100, "{}", play.story());
    insta::assert_snapshot!(play.story());
}

#[test]
fn a_fix_is_exempt() {
    let mut play = Play::new(Plan { is_fix: true, ..budgeted() });
    spend(&mut play, 120.0, 60);
    assert_eq!(play.weight(), 10);
}

#[test]
fn without_data_nothing_starts() {
    let mut play = Play::new(budgeted());
    play.run(3600);
    assert_eq!((play.state().phase, play.state().budgets["availability"]), (Phase::Idle, Budget::Unknown));
    assert!(play.state().held.is_some());
}

#[test]
fn a_freeze_holds_what_runs_and_a_warning_bakes_longer() {
    let mut play = Play::new(budgeted());
    spend(&mut play, 50.0, 60);
    assert_eq!(play.weight(), 10);
    spend(&mut play, 95.0, 500);
    assert_eq!(play.weight(), 10, "the bake is twice as long");
    spend(&mut play, 110.0, 3600);
    assert_eq!((play.state().phase, play.weight()), (Phase::Progressing, 10));
    spend(&mut play, 50.0, 60);
    assert_eq!(play.weight(), 100);
    insta::assert_snapshot!(play.story());
}

#[test]
fn a_warning_makes_steps_smaller() {
    let mut plan = budgeted();
    plan.steps[0].approval = true;
    let mut play = Play::new(plan);
    spend(&mut play, 95.0, 60);
    assert_eq!(play.weight(), 5, "half of the way to 10 %");
    spend(&mut play, 95.0, 600);
    assert_eq!(play.weight(), 10, "the other half, for which no person was asked");
    spend(&mut play, 95.0, 3600);
    assert_eq!(play.weight(), 10, "a person is asked at the step's whole weight");
    play.command(CommandAction::Approve);
    spend(&mut play, 95.0, 20);
    assert_eq!(play.weight(), 55);
    spend(&mut play, 80.0, 300);
    assert_eq!(
        play.weight(),
        100,
        "the warning is over, and with it the longer bake; the portion that was begun is ended"
    );
    play.run_to(Phase::Observing);
    insta::assert_snapshot!(play.story());
}

#[test]
fn a_person_who_promotes_is_not_slowed_by_a_warning() {
    let mut play = Play::new(budgeted());
    spend(&mut play, 95.0, 60);
    assert_eq!(play.weight(), 5);
    play.command(CommandAction::Promote { full: false });
    spend(&mut play, 95.0, 10);
    assert_eq!(play.weight(), 10, "the portion ends, and with it what is left of the step's weight");
    play.command(CommandAction::Promote { full: true });
    spend(&mut play, 95.0, 20);
    assert_eq!(play.weight(), 100);
}

#[test]
fn an_emergency_that_the_rollout_made_rolls_it_back() {
    let mut play = Play::new(budgeted());
    spend(&mut play, 50.0, 60);
    assert_eq!(play.weight(), 10);
    // Within the step 2 % of all requests fail, 20 times what the budget allows.
    let counts = Counts { bad: 500.0 + 1100.0, total: 1_000_000.0 + 55_000.0 };
    play.read("availability", |at| Reading::Budget { reading: counts, at });
    play.look();
    assert_eq!(play.weight(), 0, "{}", play.story());
    play.run_to(Phase::RolledBack);
    insta::assert_snapshot!(play.story());
}

#[test]
fn an_emergency_that_was_there_before_holds() {
    let mut play = Play::new(budgeted());
    spend(&mut play, 50.0, 60);
    // It burns as slowly as before; old errors came to light.
    let counts = Counts { bad: 1600.0, total: 3_000_000.0 - 1_933_000.0 };
    play.read("availability", |at| Reading::Budget { reading: Counts { bad: 500.0, total: 400_000.0 }, at });
    play.run(10);
    play.read("availability", |at| Reading::Budget { reading: Counts { bad: 1_501.0, total: 1_000_000.0 }, at });
    let _ = counts;
    play.look();
    assert_eq!(play.state().budgets["availability"], Budget::Emergency);
    assert_eq!(play.state().phase, Phase::Progressing, "{}", play.story());
}
