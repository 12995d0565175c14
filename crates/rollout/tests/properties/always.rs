use proptest::collection::vec;
use proptest::prelude::*;
use spillway_rollout::decide::decide;
use spillway_rollout::decision::Decision;
use spillway_rollout::observed::{CommandAction, Observed, Reading, RouterObserved};
use spillway_rollout::plan::Plan;
use spillway_rollout::slot::Slot;
use spillway_rollout::state::{Phase, State, Verdict};

use crate::arbitrary::{observed, plan, state, time};

/// The tested version's share of the traffic that is decided on.
fn weight_of(decision: &Decision, slot: Slot) -> u8 {
    *decision.desired.router.weights.get(slot)
}

/// The share that the slot has by the state.
fn weight_before(state: &State, slot: Slot) -> u8 {
    let progress = state.rollout.as_ref().filter(|_| state.phase == Phase::Progressing);
    let candidate = progress.map_or(0, |progress| progress.weight.min(100));
    if slot == state.live_slot { 100 - candidate } else { candidate }
}

/// A state that is whole: with a live version, and in the phases that need it with a rollout in the other slot.
fn under_way(mut state: State) -> State {
    state.live_revision.get_or_insert_with(|| "v1".to_owned());
    match &mut state.rollout {
        Some(progress) => progress.slot = state.live_slot.other(),
        None => state.phase = Phase::Idle,
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn it_is_total_and_what_it_decides_is_whole(plan in plan(), state in state(), observed in observed(), now in time()) {
        let decision = decide(&plan, &state, &observed, now);
        let router = decision.desired.router;
        prop_assert_eq!(u16::from(router.weights.blue) + u16::from(router.weights.green), 100);
        let takes = |slot: &Slot| (*router.weights.get(*slot)).max(*router.mirror.get(*slot));
        let can_take = |slot: &Slot| *decision.desired.capacity.get(*slot) >= takes(slot);
        prop_assert!(decision.state.live_revision.is_none() || Slot::BOTH.iter().all(can_take), "{:?}", decision.desired);
        prop_assert!(decision.state.history.len() <= State::MAX_HISTORY);
        prop_assert!(decision.state.commands.len() <= State::MAX_COMMANDS);
        prop_assert!(decision.look_again_ms > 0);
        prop_assert_eq!(decide(&plan, &state, &observed, now), decision.clone(), "the same again");
        let text = serde_json::to_string(&decision.state).unwrap();
        prop_assert!(serde_json::from_str::<State>(&text).is_ok(), "it can be saved and read");
    }

    #[test]
    fn no_weight_is_given_while_a_guard_fails(plan in plan(), state in state(), observed in observed(), now in time()) {
        let state = under_way(state);
        let decision = decide(&plan, &state, &observed, now);
        let Some(progress) = &decision.state.rollout else { return Ok(()) };
        let fails = progress.guards.values().any(|guard| guard.verdict == Verdict::Failed);
        let was_live = progress.slot == state.live_slot;
        if fails && decision.state.phase == Phase::Progressing && state.phase == Phase::Progressing && !was_live {
            prop_assert!(weight_of(&decision, progress.slot) <= weight_before(&state, progress.slot));
        }
    }

    #[test]
    fn an_alert_that_fires_keeps_every_weight_where_it_is_or_takes_it_back(
        plan in plan(), state in state(), observed in observed(), now in time()
    ) {
        let mut state = under_way(state);
        state.phase = if state.rollout.is_some() { Phase::Progressing } else { Phase::Idle };
        let firing = Reading::Alerts { firing: vec!["ApiDown".to_owned()], at: now };
        let mut observed = observed;
        // A person who goes back to the version before is not kept from it.
        observed.commands.retain(|command| command.action != CommandAction::Undo);
        observed.readings.insert("critical".to_owned(), firing);
        let candidate = state.live_slot.other();
        let decision = decide(&plan, &state, &observed, now);
        prop_assert!(weight_of(&decision, candidate) <= weight_before(&state, candidate));
    }

    #[test]
    fn going_back_always_gives_the_live_slot_everything(
        plan in plan(), state in state(), observed in observed(), now in time()
    ) {
        let decision = decide(&plan, &state, &observed, now);
        if matches!(decision.state.phase, Phase::RollingBack | Phase::RolledBack | Phase::Aborted)
            && decision.state.live_revision.is_some()
        {
            prop_assert_eq!(decision.desired.router, RouterObserved::all_to(decision.state.live_slot));
        }
    }

    #[test]
    fn paused_it_moves_no_weight(plan in plan(), state in state(), observed in observed(), now in time()) {
        let state = State { paused_by: Some("alice".to_owned()), ..under_way(state) };
        let observed = Observed { commands: Vec::new(), ..observed };
        let decision = decide(&plan, &state, &observed, now);
        prop_assert_eq!(decision.state.live_slot, state.live_slot);
        for slot in Slot::BOTH {
            prop_assert_eq!(weight_of(&decision, slot), weight_before(&state, slot));
        }
    }

    #[test]
    fn each_command_is_applied_once(plan in plan(), state in state(), observed in observed(), now in time()) {
        let once = decide(&plan, &state, &observed, now);
        let ids: Vec<_> = observed.commands.iter().map(|command| &command.id).collect();
        prop_assert!(ids.iter().all(|id| once.state.commands.contains(id)) || once.state.commands.len() == State::MAX_COMMANDS);
        let again = decide(&plan, &once.state, &observed, now);
        let told = |decision: &Decision| decision.notes.iter().filter(|note| note.text.starts_with('`')).count();
        if ids.iter().all(|id| once.state.commands.contains(id)) {
            prop_assert_eq!(told(&again), 0);
        }
    }

    /// Whatever is read except data, nothing gets more traffic: not by time, not by windows without requests, not by old readings.
    #[test]
    fn without_data_nothing_goes_on(
        plan in plan(), seen in vec((observed(), 0..300_000_i64), 1..40)
    ) {
        let mut now = 1_000_000_000;
        let mut world = Evidence::new(&plan, now);
        for (observed, later) in seen {
            now += later;
            world.look(&plan, observed, now)?;
        }
    }
}

/// A step with traffic in which nothing is ever measured.
struct Evidence {
    state: State,
    weight: u8,
}

impl Evidence {
    fn new(plan: &Plan, now: i64) -> Self {
        let mut world = spillway_rollout::simulate::World::with_live("v1", now - 500_000);
        world.look(plan);
        world.want("v2");
        for _ in 0..60 {
            world.pass(2000);
            world.look(plan);
            let progress = world.state.rollout.as_ref();
            if progress.is_some_and(|progress| progress.weight > 0 || progress.mirror > 0) {
                break;
            }
        }
        let weight = world.state.rollout.as_ref().map_or(0, |progress| progress.weight);
        Self { state: world.state, weight }
    }

    fn look(&mut self, plan: &Plan, observed: Observed, now: i64) -> Result<(), TestCaseError> {
        let mut observed = observed;
        observed.commands.clear();
        observed.wanted_revision = Some("v2".to_owned());
        observed.readings.retain(|_, reading| !matches!(reading, Reading::Value { .. } | Reading::Budget { .. }));
        for block in &mut observed.blocks {
            block.at = now;
            block.candidate = None;
        }
        if let Some(progress) = &self.state.rollout {
            let slot = observed.slots.get_mut(progress.slot);
            slot.revision = Some(progress.revision.clone());
            (slot.desired_replicas, slot.ready_replicas, slot.restarts) = (1, 1, 0);
            let weights = spillway_rollout::Slots::make(|each| {
                if each == self.state.live_slot { 100 - progress.weight } else { progress.weight }
            });
            let mirror =
                spillway_rollout::Slots::make(|each| if each == self.state.live_slot { 0 } else { progress.mirror });
            observed.router = Some(RouterObserved { weights, mirror });
        }
        let decision = decide(plan, &self.state, &observed, now);
        let weight = decision.state.rollout.as_ref().map_or(0, |progress| progress.weight);
        prop_assert!(weight <= self.weight, "{:?}", decision.notes);
        prop_assert!(!matches!(decision.state.phase, Phase::Observing | Phase::Succeeded), "{:?}", decision.notes);
        self.state = decision.state;
        Ok(())
    }
}
