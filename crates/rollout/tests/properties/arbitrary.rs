//! Anything that could be saved or seen, sensible or not.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use spillway_rollout::observed::{
    Block, Command, CommandAction, Counts, GateState, Observed, Reading, RouterObserved, SlotObserved,
};
use spillway_rollout::slot::{Slot, Slots};
use spillway_rollout::state::{
    BrokenGate, GateStatus, GuardStatus, Phase, Progress, ProgressMemory, RollbackCause, Skip, Stage, State, Total,
    Verdict,
};
use spillway_rollout::{Plan, Rollout};
use spillway_slo::budget::{self, Budget};

/// Plans of every kind.
pub(crate) fn plans() -> Vec<Plan> {
    let guards = r#"
  analysis: { prometheus: { url: "http://p" } }
  guards:
    - { name: error-ratio, threshold: { metric: errorRatio, max: 0.01, windows: 2 } }
    - { name: latency, threshold: { metric: latencyP99, max: 0.5, windows: 2 } }
    - { name: restarts, threshold: { metric: restarts, max: 0 } }
    - { name: query, threshold: { query: up, max: 1, windows: 2 } }
    - { name: critical, alerts: { from: prometheus } }
"#;
    let budget = "    - { name: budget, budget: { target: 0.999, bad: b, total: t } }\n";
    let gates = r#"
  steps:
    - { weight: 0, smoke: [{ path: / }] }
    - { weight: 10, bake: 2m, webhooks: [{ name: a, url: "http://a" }], loadTest: { file: f }, approval: true }
    - { weight: 50, bake: 2m }
    - { weight: 100, bake: 2m }"#;
    let steps = "\n  steps: [{ weight: 5, mirror: 10, bake: 2m }, { weight: 100, bake: 2m }]";
    [
        format!("{gates}{guards}"),
        format!("{steps}{guards}{budget}"),
        format!("{steps}\n  onFailure: hold\n  onInconclusive: extend{guards}"),
        format!("{steps}\n  paused: true\n  onInconclusive: rollback{guards}"),
        format!("\n  strategy: blueGreen\n  observation: 5m{guards}"),
        format!("\n  strategy: shadow\n  steps: [{{ bake: 2m }}]{guards}"),
        format!("{steps}{guards}    - {{ name: errors, compare: {{ metric: errors }} }}\n"),
    ]
    .iter()
    .map(|spec| {
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
      candidate: {{ revision: v2 }}{spec}"#
        );
        let rollout = Rollout::from_yaml(&text).unwrap_or_else(|problem| panic!("{problem}: {text}"));
        Plan::new(&rollout).unwrap_or_else(|problems| panic!("{problems:?}"))
    })
    .collect()
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    select(plans())
}

const GUARDS: [&str; 7] = ["error-ratio", "latency", "restarts", "query", "critical", "budget", "unknown"];

fn guard_name() -> impl Strategy<Value = String> {
    select(GUARDS.to_vec()).prop_map(str::to_owned)
}

pub(crate) fn revision() -> impl Strategy<Value = String> {
    select(vec!["v1", "v2", "v3", "", "Ünïcode/1:2 with a very long name that goes on and on"]).prop_map(str::to_owned)
}

fn slot() -> impl Strategy<Value = Slot> {
    select(Slot::BOTH.to_vec())
}

/// Times near each other mostly, and anything else sometimes.
pub(crate) fn time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0..1_000_000_i64, 1 => any::<i64>()]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![6 => 0.0..2.0_f64, 1 => any::<f64>()]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..5000_u64, 1 => any::<u64>()]
}

fn counts() -> impl Strategy<Value = Counts> {
    (count(), count(), count(), vec(count(), 0..4)).prop_map(|(requests, errors, timed, slower)| Counts {
        requests,
        errors,
        timed,
        slower,
    })
}

fn block() -> impl Strategy<Value = Block> {
    (time(), count(), vec(number(), 0..4), of(counts()), of(counts()))
        .prop_map(|(at, window_ms, boundaries, candidate, live)| Block { at, window_ms, boundaries, candidate, live })
}

fn slots<T: std::fmt::Debug>(each: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = Slots<T>> {
    (each.clone(), each).prop_map(|(blue, green)| Slots { blue, green })
}

fn slot_observed() -> impl Strategy<Value = SlotObserved> + Clone {
    (of(select(vec!["v1", "v2", "v3"])), 0..3_u32, 0..3_u32, 0..3_u32, of(0..=255_u8)).prop_map(
        |(revision, desired_replicas, ready_replicas, restarts, capacity)| SlotObserved {
            revision: revision.map(str::to_owned),
            desired_replicas,
            ready_replicas,
            restarts,
            capacity,
        },
    )
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        (number(), time()).prop_map(|(value, at)| Reading::Value { value, at }),
        (vec("[a-z]{1,3}", 0..3), time()).prop_map(|(firing, at)| Reading::Alerts { firing, at }),
        (number(), number(), time())
            .prop_map(|(bad, total, at)| Reading::Budget { reading: budget::Reading { bad, total: total * 1e6 }, at }),
        time().prop_map(|at| Reading::Nothing { reason: "it did not answer".to_owned(), at }),
    ]
}

fn gate_state() -> impl Strategy<Value = GateState> {
    let summary = "it says so".to_owned();
    select(vec![
        GateState::Running { progress: String::new() },
        GateState::Passed { summary: summary.clone(), report: None },
        GateState::Failed { summary: summary.clone(), report: None },
        GateState::Broken { summary },
    ])
}

pub(crate) fn action() -> impl Strategy<Value = CommandAction> {
    prop_oneof![
        any::<bool>().prop_map(|full| CommandAction::Promote { full }),
        time().prop_map(|until| CommandAction::Override { until }),
        select(vec![
            CommandAction::Pause,
            CommandAction::Resume,
            CommandAction::Abort,
            CommandAction::Retry,
            CommandAction::Undo,
            CommandAction::Approve,
        ]),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    ("[a-z]{1,2}", time(), "[a-z]{0,3}", action(), of("[a-z]{0,3}")).prop_map(|(id, at, by, action, reason)| Command {
        id,
        at,
        by,
        action,
        reason,
    })
}

pub(crate) fn observed() -> impl Strategy<Value = Observed> {
    let router = (slots(0..=110_u8), slots(0..=110_u8));
    let router = of(router.prop_map(|(weights, mirror)| RouterObserved { weights, mirror }));
    (
        of(revision()),
        slots(slot_observed()),
        router,
        vec(block(), 0..4),
        btree_map(guard_name(), reading(), 0..7),
        vec(gate_state(), 1),
        vec(command(), 0..3),
    )
        .prop_map(|(wanted_revision, slots, router, blocks, readings, gates, commands)| Observed {
            wanted_revision,
            slots,
            router,
            blocks,
            readings,
            gates: gates.into_iter().map(|gate| ("v2-0-smoke".to_owned(), gate)).collect(),
            commands,
            troubles: Vec::new(),
        })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    select(vec![Verdict::Inconclusive, Verdict::Good, Verdict::Failed])
}

fn guard_status() -> impl Strategy<Value = GuardStatus> {
    (verdict(), of(number()), 0..200_u32, of(time()), vec(count(), 0..4)).prop_map(
        |(verdict, value, windows_beyond, last_window, gathered)| GuardStatus {
            verdict,
            value,
            limit: value,
            windows_beyond,
            last_window,
            gathered,
            text: String::new(),
        },
    )
}

fn memory() -> impl Strategy<Value = ProgressMemory> {
    let times = (time(), of(time()), time(), of(time()));
    let broken = btree_map("[a-z]{1,2}", (any::<u32>(), of(time())), 0..2);
    let skip = select(vec![Skip::Nothing, Skip::Step, Skip::Rest]);
    let cause = of(select(vec![RollbackCause::Failure, RollbackCause::Person, RollbackCause::Superseded]));
    (times, broken, skip, cause, any::<[bool; 3]>(), any::<u32>()).prop_map(
        |(
            (entered_at, shown_at, counts_from, unready_since),
            broken,
            skip,
            rollback,
            [approved, verify, crossed],
            n,
        )| {
            ProgressMemory {
                entered_at,
                shown_at,
                counts_from,
                skip,
                approved,
                unready_since,
                restarts_before: n,
                broken: broken.into_iter().map(|(id, (tries, at))| (id, BrokenGate { tries, at })).collect(),
                crossed: crossed.then(|| "budget".to_owned()).into_iter().collect(),
                rollback,
                verify,
                calm_windows: n,
                capacity: (n % 256) as u8,
            }
        },
    )
}

fn progress() -> impl Strategy<Value = Progress> {
    use Stage::{Approval, Baking, LoadTest, Shifting, Smoke, Webhooks};
    let stages = select(vec![Shifting, Smoke, Webhooks, LoadTest, Baking, Approval]);
    let place = (prop_oneof![0..6_usize, any::<usize>()], stages, time(), count(), any::<u8>(), any::<u8>());
    let guards = btree_map(guard_name(), guard_status(), 0..7);
    let times = (time(), of(time()), of(time()));
    (revision(), slot(), any::<u32>(), times, place, guards, memory(), of(Just("it failed".to_owned())), verdict())
        .prop_map(|(revision, slot, attempt, times, place, guards, memory, failure, verdict)| {
            let (started_at, ready_at, ended_at) = times;
            let (step, stage, stage_since, paused_ms, weight, mirror) = place;
            let gate = GateStatus {
                id: "x-smoke".to_owned(),
                step,
                name: "smoke".to_owned(),
                verdict,
                summary: String::new(),
                report: None,
            };
            Progress {
                ready_at,
                ended_at,
                step,
                stage,
                stage_since,
                paused_ms,
                weight,
                mirror,
                extensions: attempt,
                guards,
                gates: vec![gate],
                candidate_total: Total { requests: paused_ms, errors: paused_ms },
                failure,
                memory,
                ..Progress::new(revision, slot, attempt, started_at)
            }
        })
}

pub(crate) fn state() -> impl Strategy<Value = State> {
    use Phase::{Aborted, Idle, Observing, Preparing, Progressing, RolledBack, RollingBack, Succeeded};
    let phases =
        select(vec![Idle, Preparing, Progressing, Progressing, Observing, Succeeded, RollingBack, RolledBack, Aborted]);
    let budgets = select(vec![Budget::Unknown, Budget::Healthy, Budget::Warning, Budget::Frozen, Budget::Emergency]);
    let revisions = (of(revision()), of(revision()), of(revision()));
    let times = (of(time()), of(time()), of(time()));
    (phases, slot(), revisions, of(progress()), times, budgets, any::<[bool; 3]>(), vec("[a-z]{1,2}", 0..64)).prop_map(
        |(phase, live_slot, revisions, rollout, times, budget, [paused, router_seen, slots_seen], commands)| {
            let (live_revision, previous_revision, finished_revision) = revisions;
            let (last_block, override_until, paused_since) = times;
            State {
                phase,
                live_slot,
                live_revision,
                previous_revision,
                rollout,
                held: paused.then(|| "held".to_owned()),
                paused,
                last_block,
                budgets: BTreeMap::from([("budget".to_owned(), budget)]),
                override_until,
                commands,
                paused_by: paused.then(|| "alice".to_owned()),
                paused_since,
                finished_revision,
                router_seen,
                slots_seen,
                ..State::default()
            }
        },
    )
}
