use spillway_rollout::observed::SlotObserved;
use spillway_rollout::simulate::World;
use spillway_rollout::slot::{Slot, Slots};
use spillway_rollout::state::Phase;

use crate::play::{Play, canary};

#[test]
fn a_newer_revision_replaces_the_one_under_way() {
    let mut play = Play::new(canary());
    play.run_until("50 %", |play| play.weight() == 50);
    play.world.want("v3");
    play.look();
    assert_eq!(play.weight(), 0, "back first");
    play.run_to(Phase::Observing);
    assert_eq!(play.state().live_revision.as_deref(), Some("v3"));
    insta::assert_snapshot!(play.story());
}

#[test]
fn wanting_the_live_revision_again_ends_the_rollout() {
    let mut play = Play::new(canary());
    play.run_until("10 %", |play| play.weight() == 10);
    play.world.want("v1");
    play.run_to(Phase::Aborted);
    play.run(600);
    assert_eq!((play.state().phase, play.weight()), (Phase::Aborted, 0));
    play.world.want("v2");
    play.run_to(Phase::Observing);
}

#[test]
fn a_newer_revision_while_the_last_one_is_observed_ends_the_observation() {
    let mut play = Play::new(canary());
    play.run_to(Phase::Observing);
    play.world.want("v3");
    play.run_until("v3 live", |play| play.state().live_revision.as_deref() == Some("v3"));
    assert_eq!(play.state().previous_revision.as_deref(), Some("v2"));
    insta::assert_snapshot!(play.story());
}

#[test]
fn another_revision_after_a_failure_starts_by_itself() {
    let mut play = Play::new(canary());
    play.errors_per_mille = 50;
    play.run_to(Phase::RolledBack);
    play.errors_per_mille = 0;
    play.world.want("v3");
    play.run_to(Phase::Observing);
    assert_eq!(play.state().live_revision.as_deref(), Some("v3"));
}

#[test]
fn the_first_look_takes_over_what_has_the_traffic() {
    let running = |revision: &str| SlotObserved {
        revision: Some(revision.to_owned()),
        desired_replicas: 1,
        ready_replicas: 1,
        ..SlotObserved::default()
    };
    let mut world = World::with_live("v1", 1000);
    world.observed.slots = Slots { blue: running("v2"), green: running("v1") };
    world.observed.router.as_mut().unwrap().weights = Slots { blue: 25, green: 75 };
    world.want("v2");
    world.look(&canary());
    assert_eq!((world.state.live_slot, world.state.live_revision.as_deref()), (Slot::Green, Some("v1")));

    let mut world = World::with_live("v1", 1000);
    world.observed.slots = Slots::default();
    world.observed.router = None;
    world.look(&canary());
    assert_eq!(world.state.live_revision.as_deref(), Some("v1"), "the wanted one, where nothing runs yet");
    assert_eq!(world.observed.slots.blue.revision.as_deref(), Some("v1"), "is started");

    let mut world = World::with_live("v1", 1000);
    world.observed = spillway_rollout::observed::Observed::default();
    let decision = world.look(&canary());
    assert_eq!((decision.state.live_revision, decision.notes.len()), (None, 0), "nothing is known, so nothing is done");
}
