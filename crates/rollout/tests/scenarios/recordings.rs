use std::time::Duration;

use spillway_rollout::observed::CommandAction;
use spillway_rollout::simulate::{Recording, RecordingError, Synthetic, replay};
use spillway_rollout::state::Phase;
use spillway_rollout::{Plan, Rollout};

fn simulated() -> (Rollout, Plan) {
    let rollout = Rollout::from_yaml(include_str!("plans/simulated.yaml")).expect("it reads");
    let plan = Plan::new(&rollout).expect("it is a plan");
    (rollout, plan)
}

#[test]
fn a_recording_repeats_every_decision() {
    let (rollout, plan) = simulated();
    let timeline = Synthetic { candidate_error_ratio: 0.05, ..Synthetic::default() }.run(&plan);
    let recording = Recording { rollout, start: timeline.before.clone(), looks: timeline.looks.clone() };
    let read = Recording::parse(&recording.to_text().unwrap()).unwrap();
    assert_eq!(read, recording);

    let decisions: Vec<_> = replay(&plan, read.start, &read.looks).collect();
    let notes: Vec<_> = decisions.iter().flat_map(|(_, decision)| &decision.notes).map(|note| &note.text).collect();
    assert_eq!(notes, timeline.events.iter().map(|event| &event.text).collect::<Vec<_>>());
    assert_eq!(decisions.last().unwrap().1.state, timeline.end);
}

#[test]
fn a_line_that_a_crash_cut_off_is_left_out_and_others_are_errors() {
    let (rollout, plan) = simulated();
    let looks = Synthetic::default().run(&plan).looks[..3].to_vec();
    let text = Recording { rollout, start: spillway_rollout::state::State::default(), looks }.to_text().unwrap();
    assert_eq!(Recording::parse(&text[..text.len() - 10]).unwrap().looks.len(), 2);
    assert!(matches!(Recording::parse(""), Err(RecordingError::Empty)));
    let broken = text.replacen("{\"now\"", "{\"nwo\"", 1);
    let error = Recording::parse(&broken).unwrap_err().to_string();
    assert!(error.starts_with("line 2 of the recording"), "{error}");
}

#[test]
fn made_up_versions_end_as_they_deserve() {
    let (_, plan) = simulated();
    let good = Synthetic::default().run(&plan);
    assert_eq!((good.end.phase, good.ended), (Phase::Succeeded, true));
    let minute = Duration::from_secs(60);
    for (what, bad) in [
        ("errors", Synthetic { candidate_error_ratio: 0.05, ..Synthetic::default() }),
        ("slow", Synthetic { candidate_latency: 1.0, ..Synthetic::default() }),
        ("crash", Synthetic { crashes_after: Some(2 * minute), ..Synthetic::default() }),
        ("never ready", Synthetic { ready_after: None, ..Synthetic::default() }),
    ] {
        let timeline = bad.run(&plan);
        assert_eq!(timeline.end.phase, Phase::RolledBack, "{what}: {:#?}", timeline.events);
    }
    let commands = vec![(3 * minute, CommandAction::Abort)];
    assert_eq!(Synthetic { commands, ..Synthetic::default() }.run(&plan).end.phase, Phase::Aborted);
}

#[test]
fn without_traffic_it_waits_for_somebody() {
    let (_, plan) = simulated();
    let timeline = Synthetic { requests_per_second: 0.0, ..Synthetic::default() }.run(&plan);
    assert_eq!((timeline.end.phase, timeline.ended), (Phase::Progressing, false));
    assert!(timeline.end.held.is_some());
}
