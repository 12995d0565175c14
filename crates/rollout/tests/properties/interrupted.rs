//! A controller that is killed at any moment goes on where it was.

use proptest::collection::vec;
use proptest::prelude::*;
use spillway_rollout::decide::decide;
use spillway_rollout::observed::{Block, Counts, Reading};
use spillway_rollout::plan::Plan;
use spillway_rollout::simulate::World;
use spillway_rollout::slot::Slot;
use spillway_rollout::state::{Phase, State};

use crate::arbitrary::plans;

/// What happens to the controller at a look.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Nothing.
    Lives,
    /// Killed after it decided, before it saved.
    DiesBeforeSaving,
    /// Killed after it saved, before it did anything.
    DiesBeforeActing,
    /// Killed after it saved, and back at once: it sees the same again.
    LooksTwice,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        3 => Just(Fate::Lives),
        1 => Just(Fate::DiesBeforeSaving),
        1 => Just(Fate::DiesBeforeActing),
        1 => Just(Fate::LooksTwice),
    ];
    vec(fate, 1..200)
}

/// Plays a rollout of v2 to its end; the fates come one after another, then all goes well.
fn play(plan: &Plan, errors: bool, fates: &[Fate]) -> World {
    let mut world = World::with_live("v1", 1_700_000_000_000);
    world.look(plan);
    world.want("v2");
    let mut fates = fates.iter();
    let mut approved = false;
    for _ in 0..20_000 {
        world.pass(5000);
        measure(&mut world, errors);
        for guard in &plan.guards {
            let at = world.now;
            if guard.alerts.is_some() {
                world.read(&guard.name, Reading::Alerts { firing: Vec::new(), at });
            } else if guard.name == "query" {
                world.read("query", Reading::Value { value: 0.5, at });
            }
        }
        if !approved && world.state.held.as_deref().is_some_and(|held| held.contains("approve")) {
            world.command("alice", spillway_rollout::observed::CommandAction::Approve);
            approved = true;
        }
        look(plan, &mut world, fates.next().copied().unwrap_or(Fate::Lives));
        if matches!(world.state.phase, Phase::Idle | Phase::RolledBack | Phase::Aborted)
            && world.state.rollout.as_ref().is_some_and(|progress| progress.ended_at.is_some())
        {
            break;
        }
    }
    // The one that ended it may have been killed before it acted.
    look(plan, &mut world, Fate::Lives);
    world
}

fn look(plan: &Plan, world: &mut World, fate: Fate) {
    // Every look begins with what was saved, read back from text.
    let saved = serde_json::to_string(&world.state).expect("a state can be saved");
    let state: State = serde_json::from_str(&saved).expect("a state can be read");
    assert_eq!(state, world.state, "nothing is lost on the way");
    let decision = decide(plan, &state, &world.observed, world.now);
    if matches!(fate, Fate::DiesBeforeSaving) {
        return;
    }
    world.state = decision.state.clone();
    if matches!(fate, Fate::DiesBeforeActing) {
        return;
    }
    if matches!(fate, Fate::LooksTwice) {
        let again = decide(plan, &world.state, &world.observed, world.now);
        world.state = again.state;
        world.obey(&again.desired);
        return;
    }
    world.obey(&decision.desired);
}

fn measure(world: &mut World, errors: bool) {
    let Some(router) = world.observed.router else { return };
    let live = world.state.candidate_slot().other();
    let counts = |slot: Slot| {
        let revision = world.observed.slots.get(slot).revision.as_deref()?;
        let share = u64::from(*router.weights.get(slot)).max(u64::from(*router.mirror.get(slot)));
        let requests = 10 * share;
        let bad = if errors && revision == "v2" { requests / 10 } else { 0 };
        Some(Counts { requests, errors: bad, timed: requests, slower: vec![requests / 2, 0] })
    };
    let (candidate, of_live) = (counts(live.other()), counts(live));
    world.measure(Block { at: world.now, window_ms: 5000, boundaries: vec![0.1, 0.4], candidate, live: of_live });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn it_reaches_the_same_end(place in 0..plans().len(), errors in any::<bool>(), fates in fates()) {
        let mut plan = plans().swap_remove(place);
        plan.paused = false;
        plan.guards.retain(|guard| guard.budget.is_none());
        plan.on_failure = spillway_rollout::spec::OnFailure::Rollback;
        let calm = play(&plan, errors, &[]);
        let stormy = play(&plan, errors, &fates);
        prop_assert!(calm.state.rollout.as_ref().unwrap().ended_at.is_some(), "it ends: {:#?}", calm.state.history);
        prop_assert_eq!(stormy.state.phase, calm.state.phase, "{:#?}", stormy.state.history);
        prop_assert_eq!(stormy.state.live_slot, calm.state.live_slot);
        prop_assert_eq!(stormy.state.live_revision, calm.state.live_revision);
        prop_assert_eq!(stormy.observed.router, calm.observed.router);
        prop_assert_eq!(stormy.observed.slots, calm.observed.slots);
    }
}
