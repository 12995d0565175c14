//! Rollouts for tests.

use std::collections::BTreeMap;

use spillway_rollout::decision::NoteKind;
use spillway_rollout::judge::Evidence;
use spillway_rollout::observed::{RouterObserved, SlotObserved};
use spillway_rollout::spec::{CompareMetric, Strategy};
use spillway_rollout::state::{GateStatus, GuardStatus, Happened, Phase, Progress, Stage, State, Total, Verdict};
use spillway_rollout::{Slot, Slots};
use spillway_slo::budget::Budget;

use super::view::{GuardUnit, GuardView, StepView, View};

/// 2026-11-25 12:00:00 UTC.
pub(crate) const NOON: i64 = 1_795_608_000_000;
const MINUTE: i64 = 60_000;

/// The second step of four; all is well.
pub(crate) fn good() -> View {
    let guard = |name: &str, unit, windows| GuardView { name: name.to_owned(), unit, windows };
    let step = |weight, gates: &[&str]| StepView {
        weight,
        mirror: 0,
        bake_ms: 1_800_000,
        gates: gates.iter().map(ToString::to_string).collect(),
    };
    let slot = |revision: &str| SlotObserved {
        revision: Some(revision.to_owned()),
        desired_replicas: 3,
        ready_replicas: 3,
        ..SlotObserved::default()
    };
    View {
        at: NOON,
        name: "checkout".to_owned(),
        namespace: None,
        strategy: Strategy::Canary,
        steps: vec![
            step(10, &["smoke"]),
            step(25, &["smoke", "load test"]),
            step(50, &["webhook release-gate", "approval"]),
            step(100, &[]),
        ],
        observation_ms: 3_600_000,
        guards: vec![
            guard("errors-compared", GuardUnit::Comparison, 1),
            guard("latency-compared", GuardUnit::Comparison, 1),
            guard("errors", GuardUnit::Share, 5),
            guard("p99", GuardUnit::Seconds, 5),
            guard("restarts", GuardUnit::Count, 1),
            guard("critical-alerts", GuardUnit::Alerts, 1),
            guard("budget", GuardUnit::Budget, 1),
        ],
        state: State {
            phase: Phase::Progressing,
            live_slot: Slot::Blue,
            live_revision: Some("v1.4.0".to_owned()),
            rollout: Some(rollout()),
            budgets: BTreeMap::from([("budget".to_owned(), Budget::Healthy)]),
            history: history(),
            ..State::default()
        },
        evidence: vec![
            evidence(CompareMetric::Errors, (0.4, 1.8), (0.001_3, 0.001_2)),
            evidence(CompareMetric::Latency, (1.1, 2.9), (0.021, 0.02)),
        ],
        slots: Some(Slots { blue: slot("v1.4.0"), green: slot("v1.5.0") }),
        router: Some(RouterObserved { weights: Slots { blue: 75, green: 25 }, mirror: Slots { blue: 0, green: 0 } }),
        troubles: Vec::new(),
    }
}

/// Ten times the errors: rolled back in the first step.
pub(crate) fn failed() -> View {
    let mut view = good();
    let reason = "errors of v1.5.0 are proven worse: 4.2 % against 0.12 % of the live version, after 1,240 requests";
    view.state.phase = Phase::RolledBack;
    view.router = Some(RouterObserved::all_to(Slot::Blue));
    view.evidence[0] = evidence(CompareMetric::Errors, (5.6, 0.0), (0.042, 0.001_2));
    if let Some(slots) = &mut view.slots {
        slots.green = SlotObserved::default();
    }
    let rollout = view.state.rollout.as_mut().expect("a rollout");
    rollout.step = 0;
    rollout.weight = 0;
    rollout.failure = Some(reason.to_owned());
    rollout.ended_at = Some(NOON - 2 * MINUTE);
    rollout.gates.truncate(1);
    let failed = GuardStatus {
        verdict: Verdict::Failed,
        value: Some(0.042),
        limit: Some(0.01),
        windows_beyond: 5,
        text: "errors are 4.2 %, at most 1 % is good".to_owned(),
        ..GuardStatus::default()
    };
    rollout.guards.insert("errors".to_owned(), failed);
    view.state.history.truncate(3);
    view.state.history.push(happened(2, NoteKind::RolledBack, &format!("Rolled back: {reason}."), 0));
    view
}

/// Too little traffic to say anything.
pub(crate) fn held() -> View {
    let mut view = good();
    view.state.held = Some("step 2 ended without enough evidence: errors-compared, latency-compared".to_owned());
    view.evidence[0].candidate_ratio = None;
    view.evidence[0].live_ratio = None;
    view.evidence[0].candidate_requests = 0;
    view.evidence[0].expected_ms = None;
    view.troubles.push("http://127.0.0.1:8082/metrics did not answer within 2000 ms".to_owned());
    view
}

pub(crate) fn paused() -> View {
    let mut view = good();
    view.state.paused = true;
    view.state.held = Some("paused: `resume` goes on".to_owned());
    view
}

pub(crate) fn frozen() -> View {
    let mut view = good();
    view.state.held = Some("the error budget `budget` is spent: 104 % of 30d".to_owned());
    view.state.budgets.insert("budget".to_owned(), Budget::Frozen);
    view
}

/// Nobody looked yet.
pub(crate) fn no_data() -> View {
    let mut view = good();
    view.state = State::default();
    view.evidence.clear();
    view.slots = None;
    view.router = None;
    view
}

pub(crate) fn promoted() -> View {
    let mut view = good();
    view.state.phase = Phase::Observing;
    view.state.live_slot = Slot::Green;
    view.state.live_revision = Some("v1.5.0".to_owned());
    view.state.previous_revision = Some("v1.4.0".to_owned());
    view.router = Some(RouterObserved::all_to(Slot::Green));
    let rollout = view.state.rollout.as_mut().expect("a rollout");
    rollout.step = 3;
    rollout.weight = 100;
    view.evidence.clear();
    view
}

fn rollout() -> Progress {
    let guard = |value: f64, limit: f64, text: &str| GuardStatus {
        verdict: Verdict::Good,
        value: Some(value),
        limit: Some(limit),
        text: text.to_owned(),
        ..GuardStatus::default()
    };
    let bare = |verdict, text: &str| GuardStatus { verdict, text: text.to_owned(), ..GuardStatus::default() };
    let gate = |step: usize, name: &str, summary: &str, report: Option<&str>| GateStatus {
        id: format!("v1-5-0-{step}-{name}"),
        step,
        name: name.to_owned(),
        verdict: Verdict::Good,
        summary: summary.to_owned(),
        report: report.map(str::to_owned),
    };
    Progress {
        ready_at: Some(NOON - 23 * MINUTE),
        step: 1,
        stage: Stage::Baking,
        stage_since: NOON - 12 * MINUTE,
        weight: 25,
        guards: BTreeMap::from([
            ("errors-compared".to_owned(), bare(Verdict::Inconclusive, "not proven yet")),
            ("latency-compared".to_owned(), bare(Verdict::Good, "proven no worse")),
            ("errors".to_owned(), guard(0.001_3, 0.01, "")),
            ("p99".to_owned(), guard(0.31, 10.0, "")),
            ("restarts".to_owned(), guard(0.0, 0.0, "")),
            ("critical-alerts".to_owned(), bare(Verdict::Good, "no alert fires")),
            ("budget".to_owned(), guard(0.41, 1.0, "")),
        ]),
        gates: vec![
            gate(0, "smoke", "3 checks passed", None),
            gate(1, "smoke", "3 checks passed", None),
            gate(1, "load test", "passed: 2 thresholds held, p95 84.0 ms", Some("reports/load-1.html")),
        ],
        candidate_total: Total { requests: 4_210, errors: 5 },
        live_total: Total { requests: 21_804, errors: 26 },
        ..Progress::new("v1.5.0".to_owned(), Slot::Green, 1, NOON - 24 * MINUTE)
    }
}

fn happened(minutes_ago: i64, kind: NoteKind, text: &str, weight: u8) -> Happened {
    Happened { at: NOON - minutes_ago * MINUTE, kind, text: text.to_owned(), weight }
}

fn history() -> Vec<Happened> {
    vec![
        happened(24, NoteKind::Started, "v1.5.0 is rolled out in green; v1.4.0 stays live in blue.", 0),
        happened(23, NoteKind::Weight, "v1.5.0 gets 10 % of the traffic.", 10),
        happened(23, NoteKind::Gate, "smoke passed: 3 checks passed.", 10),
        happened(
            15,
            NoteKind::StepPassed,
            "Step 1 passed after 7m45s: errors and latency are proven no worse than those of the live version.",
            10,
        ),
        happened(15, NoteKind::Weight, "v1.5.0 gets 25 % of the traffic.", 25),
    ]
}

fn evidence(metric: CompareMetric, (roll_back, pass): (f64, f64), (candidate, live): (f64, f64)) -> Evidence {
    Evidence {
        metric,
        roll_back,
        roll_back_limit: 5.298,
        pass,
        pass_limit: 2.996,
        candidate_ratio: Some(candidate),
        live_ratio: Some(live),
        boundary: (metric == CompareMetric::Latency).then_some(0.25),
        candidate_requests: 3_120,
        dispersion: 1.0,
        expected_ms: Some(222_000),
    }
}
