//! `simulate`: what would be decided, when and why.

use crate::support::{Ended, Folder, HOST};

fn simulate(folder: &Folder, arguments: &[&str]) -> Ended {
    folder.run(&[&["simulate"][..], arguments].concat())
}

#[test]
fn a_good_version_is_promoted_and_a_bad_one_rolled_back_early() {
    let folder = Folder::with(&[("rollout.yaml", HOST)]);
    let good = simulate(&folder, &["--plan", "rollout.yaml", "-o", "json"]).json(0);
    assert_eq!(good["verdict"], "promoted", "{good}");
    let bad = simulate(&folder, &["--plan", "rollout.yaml", "--candidate-errors", "5%", "-o", "json"]).json(0);
    assert_eq!(bad["verdict"], "rolled back", "{bad}");
    assert!(bad["failure"].as_str().is_some_and(|why| why.contains("error")), "{bad}");
    let minutes = |json: &serde_json::Value| json["durationMs"].as_f64().expect("a length") / 60_000.0;
    assert!(minutes(&bad) < 10.0 && minutes(&good) > 60.0, "{} and {} minutes", minutes(&bad), minutes(&good));
    let slow = simulate(&folder, &["--latency-factor", "3", "-o", "json"]).json(0);
    assert_eq!(slow["verdict"], "rolled back", "{slow}");
}

#[test]
fn people_see_the_verdict_the_picture_and_the_reasons() {
    let folder = Folder::with(&[]);
    let text = simulate(&folder, &["--candidate-errors", "5%"]).text();
    assert!(text.starts_with("✗ rolled back: "), "{text}");
    for part in ["traffic of the candidate", "100 % ┤", "what was decided, and why", "10 %"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn a_recording_is_decided_again_and_by_another_plan_otherwise() {
    let folder = Folder::with(&[("strict.yaml", &format!("{HOST}  onFailure: hold\n"))]);
    let made_up = simulate(&folder, &["--candidate-errors", "5%", "--save", "recording.jsonl", "-o", "json"]).json(0);
    let again = simulate(&folder, &["--recording", "recording.jsonl", "-o", "json"]).json(0);
    assert_eq!(again["events"].as_array().map(Vec::len), made_up["events"].as_array().map(Vec::len));
    assert_eq!(again["failure"], made_up["failure"]);
    let held = simulate(&folder, &["--recording", "recording.jsonl", "--plan", "strict.yaml", "-o", "json"]).json(0);
    assert_eq!(held["verdict"], "progressing", "it holds where the other plan rolled back: {held}");
}

#[test]
fn many_runs_are_counted() {
    let folder = Folder::with(&[]);
    let ends = simulate(&folder, &["--candidate-errors", "20%", "--runs", "5", "-o", "json"]).json(0);
    assert_eq!(ends["ends"][0]["verdict"], "rolled back");
    assert_eq!(ends["ends"][0]["runs"], 5);
    assert!(simulate(&folder, &["--candidate-errors", "20%", "--runs", "2"]).text().contains("rolled back"));
}

#[test]
fn what_is_no_recording_is_refused() {
    let folder = Folder::with(&[("empty", ""), ("other.json", "{\"a\": 1}\n"), ("text", "hello\n")]);
    for file in ["empty", "other.json", "text", "missing"] {
        simulate(&folder, &["--recording", file]).refused(&[file]);
    }
    simulate(&folder, &["--recording", "empty", "--live-errors", "1%"]).refused(&["cannot be used with"]);
    simulate(&folder, &["--live-errors", "200%"]).refused(&["from 0 to 1"]);
}
