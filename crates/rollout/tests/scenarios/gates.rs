use spillway_rollout::observed::{CommandAction, GateState};
use spillway_rollout::state::{Phase, Verdict};

use crate::play::{GUARDS, Play, plan};

fn gated(more: &str) -> Play {
    let steps = r#"  steps:
    - { weight: 0, smoke: [{ path: /healthz }] }
    - weight: 10
      bake: 5m
      webhooks: [{ name: change-board, url: "http://a" }, { name: other, url: "http://b" }]
      loadTest: { file: load.toml }
    - { weight: 100, bake: 5m }
"#;
    Play::new(plan(&format!("{steps}{more}{GUARDS}")))
}

fn failed() -> GateState {
    GateState::Failed { summary: "status 500 instead of 2xx".to_owned(), report: Some("smoke.txt".to_owned()) }
}

#[test]
fn gates_run_in_their_order_before_the_bake() {
    let mut play = gated("");
    play.run_to(Phase::Observing);
    let names: Vec<_> =
        play.progress().gates.iter().map(|gate| (gate.step, gate.name.as_str(), gate.verdict)).collect();
    assert_eq!(
        names,
        [
            (0, "smoke", Verdict::Good),
            (1, "webhook change-board", Verdict::Good),
            (1, "webhook other", Verdict::Good),
            (1, "load test", Verdict::Good),
        ]
    );
    insta::assert_snapshot!(play.story());
}

#[test]
fn smoke_runs_before_any_traffic_and_its_failure_ends_the_rollout() {
    let mut play = gated("");
    play.world.gate_ends.insert("smoke".to_owned(), failed());
    play.run_to(Phase::RolledBack);
    assert!(play.state().history.iter().all(|happened| happened.weight == 0), "{}", play.story());
    insta::assert_snapshot!(play.story());
}

#[test]
fn ids_are_stable_while_it_runs_and_new_for_every_attempt() {
    let mut play = gated("");
    let running = GateState::Running { progress: "1 of 1".to_owned() };
    play.world.gate_ends.insert("smoke".to_owned(), running);
    let mut ids = Vec::new();
    for _ in 0..2 {
        play.run(60);
        let asked = play.last.as_ref().unwrap().desired.gates.clone();
        play.run(60);
        assert_eq!(asked, play.last.as_ref().unwrap().desired.gates);
        ids.push(asked[0].id.clone());
        play.command(CommandAction::Abort);
        play.run_to(Phase::Aborted);
        play.command(CommandAction::Retry);
    }
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && id.len() <= 63, "{id}");
    }
}

#[test]
fn a_gate_that_breaks_holds_and_is_tried_again() {
    let mut play = gated("");
    play.world.gate_ends.insert("webhook-0".to_owned(), GateState::Broken { summary: "no route to host".to_owned() });
    play.run(600);
    assert_eq!((play.state().phase, play.weight()), (Phase::Progressing, 10));
    assert!(play.state().held.as_deref().is_some_and(|held| held.contains("no route to host")), "{}", play.story());
    play.world.gate_ends.clear();
    play.run_to(Phase::Observing);
}

#[test]
fn a_broken_gate_may_roll_back() {
    let mut play = gated("  onInconclusive: rollback\n");
    play.world.gate_ends.insert("webhook-0".to_owned(), GateState::Broken { summary: "no route to host".to_owned() });
    play.run_to(Phase::RolledBack);
}

#[test]
fn a_failed_gate_that_holds_is_tried_again_by_resume() {
    let mut play = gated("  onFailure: hold\n");
    play.world.gate_ends.insert("smoke".to_owned(), failed());
    play.run(600);
    assert_eq!(play.state().phase, Phase::Progressing);
    play.world.gate_ends.clear();
    play.run(600);
    assert_eq!(play.weight(), 0, "not by itself");
    play.command(CommandAction::Resume);
    play.run(30);
    assert_eq!(play.weight(), 10, "{}", play.story());
}
