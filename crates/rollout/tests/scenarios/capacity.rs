//! Replicas follow the weight where slots are scaled.

use spillway_rollout::Plan;
use spillway_rollout::observed::CommandAction;
use spillway_rollout::spec::Strategy;
use spillway_rollout::state::Phase;

use crate::play::{Play, canary};

/// The whole load needs this many replicas.
const REPLICAS: u32 = 10;

fn scaled(plan: Plan) -> Play {
    let mut play = Play::new(plan);
    play.world.replicas = Some(REPLICAS);
    play
}

/// Replicas of the candidate's slot that shall be there, and that are ready.
fn replicas(play: &Play) -> (u32, u32) {
    let green = &play.world.observed.slots.green;
    (green.desired_replicas, green.ready_replicas)
}

#[test]
fn the_candidate_has_the_replicas_before_it_has_the_traffic() {
    let mut play = scaled(canary());
    let mut seen = Vec::new();
    while play.state().phase != Phase::Observing {
        play.run(1);
        let (weight, (wanted, ready)) = (u32::from(play.weight()), replicas(&play));
        assert!(ready * 100 >= weight * REPLICAS, "{ready} ready replicas for {weight} %:\n{}", play.story());
        assert_eq!(play.world.observed.slots.blue.desired_replicas, REPLICAS, "going back waits for nothing");
        if seen.last() != Some(&(weight, wanted)) {
            seen.push((weight, wanted));
        }
    }
    assert_eq!(seen, [(0, 1), (10, 1), (10, 5), (50, 5), (50, 10), (100, 10)]);
    assert!(!play.story().contains("Held"), "to wait for replicas is no news:\n{}", play.story());
}

#[test]
fn going_back_leaves_as_little_as_possible_until_it_is_stopped() {
    let mut play = scaled(canary());
    play.run_until("half of the traffic", |play| play.weight() == 50);
    assert_eq!(replicas(&play), (5, 5));
    play.command(CommandAction::Abort);
    assert_eq!((play.weight(), replicas(&play).0), (0, 1), "it is kept for whoever looks for the reason");
    play.run_to(Phase::Aborted);
    play.run(10);
    assert_eq!(replicas(&play).0, 0);
}

#[test]
fn the_version_before_keeps_its_replicas_until_the_new_one_was_watched() {
    let mut play = scaled(canary());
    play.run_to(Phase::Observing);
    play.run(60);
    assert_eq!(play.world.observed.slots.blue.ready_replicas, REPLICAS);
}

#[test]
fn blue_green_has_all_of_both_from_the_start() {
    let mut play = scaled(Plan { strategy: Strategy::BlueGreen, ..canary() });
    play.run_until("a share of the traffic", |play| play.weight() == 10);
    assert_eq!(replicas(&play), (REPLICAS, REPLICAS));
}

#[test]
fn replicas_that_never_get_ready_take_it_back() {
    let mut play = scaled(canary());
    play.run_until("the first share", |play| play.weight() == 10);
    play.world.ready_after_ms = None;
    play.run_to(Phase::RolledBack);
    let failure = play.progress().failure.clone().unwrap_or_default();
    assert!(failure.contains("did not get its replicas for more traffic: 1 of 5 are ready"), "{failure}");
}
