//! A small world that obeys, with requests that are counted, not random.

use std::fmt::Write as _;

use spillway_model::UnixMillis;
use spillway_rollout::decision::Decision;
use spillway_rollout::observed::{Block, CommandAction, Counts, Reading};
use spillway_rollout::simulate::World;
use spillway_rollout::slot::Slot;
use spillway_rollout::state::{Phase, Progress, State};
use spillway_rollout::{Plan, Rollout};

const START: UnixMillis = 1_700_000_000_000;
/// Requests per second to both slots together.
const RATE: u64 = 1000;

/// Guards without a comparison.
pub(crate) const GUARDS: &str = r"
  guards:
    - { name: error-ratio, threshold: { metric: errorRatio, max: 0.01, window: 1m, windows: 3 } }
    - { name: restarts, threshold: { metric: restarts, max: 0 } }";

pub(crate) fn plan(spec: &str) -> Plan {
    let text = format!(
        r#"
apiVersion: spillway.dev/v1alpha1
kind: Rollout
metadata: {{ name: shop }}
spec:
  target:
    host:
      nginx: {{ file: /tmp/shop.conf }}
      slots:
        blue: {{ addresses: ["127.0.0.1:8081"] }}
        green: {{ addresses: ["127.0.0.1:8082"] }}
      candidate: {{ revision: v2 }}
{spec}"#
    );
    let rollout = Rollout::from_yaml(&text).unwrap_or_else(|problem| panic!("{problem}"));
    Plan::new(&rollout).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The steps of most scenarios.
pub(crate) fn canary() -> Plan {
    plan(&format!(
        "  steps: [{{ weight: 10, bake: 5m }}, {{ weight: 50, bake: 5m }}, {{ weight: 100, bake: 5m }}]{GUARDS}"
    ))
}

pub(crate) struct Play {
    pub(crate) plan: Plan,
    pub(crate) world: World,
    /// Errors in 1000 requests of each revision that is not the first.
    pub(crate) errors_per_mille: u64,
    /// Whether windows are measured at all.
    pub(crate) measures: bool,
    pub(crate) last: Option<Decision>,
}

impl Play {
    /// v1 is live; v2 is wanted after a first look.
    pub(crate) fn new(plan: Plan) -> Self {
        let world = World::with_live("v1", START);
        let mut play = Self { plan, world, errors_per_mille: 0, measures: true, last: None };
        play.look();
        play.world.want("v2");
        play
    }

    pub(crate) fn state(&self) -> &State {
        &self.world.state
    }

    pub(crate) fn progress(&self) -> &Progress {
        self.state().rollout.as_ref().expect("a rollout")
    }

    /// Weight of the candidate in the router.
    pub(crate) fn weight(&self) -> u8 {
        self.world.observed.router.map_or(0, |router| router.weights.green)
    }

    pub(crate) fn look(&mut self) -> u64 {
        let decision = self.world.look(&self.plan);
        let again = decision.look_again_ms;
        self.last = Some(decision);
        again
    }

    /// Looks for this many seconds.
    pub(crate) fn run(&mut self, seconds: u64) {
        let end = self.world.now + i64::try_from(seconds).expect("a short time") * 1000;
        let mut next = 1000;
        while self.world.now < end {
            let next_ms = next.min(u64::try_from(end - self.world.now).expect("not over"));
            self.world.pass(next_ms);
            self.measure(next_ms);
            next = self.look();
        }
    }

    /// Looks until something is so, at most a day.
    pub(crate) fn run_until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        for _ in 0..86_400 {
            if so(self) {
                return;
            }
            self.run(1);
        }
        panic!("never {what}:\n{}", self.story());
    }

    pub(crate) fn run_to(&mut self, phase: Phase) {
        self.run_until(&format!("{phase:?}"), |play| play.state().phase == phase);
    }

    pub(crate) fn command(&mut self, action: CommandAction) {
        self.world.command("alice", action);
        self.look();
    }

    pub(crate) fn read(&mut self, guard: &str, reading: impl FnOnce(UnixMillis) -> Reading) {
        let reading = reading(self.world.now);
        self.world.read(guard, reading);
    }

    fn measure(&mut self, window_ms: u64) {
        let Some(router) = self.world.observed.router.filter(|_| self.measures) else { return };
        let live = self.world.state.candidate_slot().other();
        let counts = |slot: Slot| {
            let revision = self.world.observed.slots.get(slot).revision.as_deref()?;
            let share = u64::from(*router.weights.get(slot)).max(u64::from(*router.mirror.get(slot)));
            let requests = RATE * window_ms * share / 100_000;
            let errors = if revision == "v1" { 0 } else { requests * self.errors_per_mille / 1000 };
            Some(Counts { requests, errors, timed: requests, slower: vec![requests / 2, 0] })
        };
        let block = Block {
            at: self.world.now,
            window_ms,
            boundaries: vec![0.1, 1.0],
            candidate: counts(live.other()),
            live: counts(live),
        };
        self.world.measure(block);
    }

    /// The history as people read it.
    pub(crate) fn story(&self) -> String {
        let mut story = String::new();
        for happened in &self.state().history {
            let seconds = (happened.at - START) / 1000;
            let (minutes, seconds) = (seconds / 60, seconds % 60);
            let kind = format!("{:?}", happened.kind);
            writeln!(story, "{minutes:>4}:{seconds:02} {:>3} %  {kind:<18} {}", happened.weight, happened.text)
                .expect("a text takes everything");
        }
        let held = self.state().held.as_deref().map_or_else(String::new, |held| format!(", held: {held}"));
        writeln!(story, "{:?}{held}", self.state().phase).expect("a text takes everything");
        story
    }
}
