//! A directory as memory.

use std::fs;
use std::sync::Arc;

use spillway_rollout::observed::{Command, CommandAction};
use spillway_rollout::ports::{Memory as _, PortError};
use spillway_rollout::state::{Phase, State};
use spillway_rollout_drivers::memory::{MAX_COMMANDS, MemoryError, StateDirectory};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::support::{DEADLINE, temporary};

fn command(id: &str, at: i64) -> Command {
    Command { id: id.to_owned(), at, by: "me".to_owned(), action: CommandAction::Pause, reason: None }
}

#[tokio::test]
async fn what_was_saved_is_loaded_by_the_next_controller() {
    let directory = temporary();
    let path = directory.path().join("a/b");
    let mut memory = StateDirectory::open(&path).unwrap();
    assert_eq!(memory.load().await.unwrap(), State::default());
    let state = State { phase: Phase::Observing, live_revision: Some("v2".to_owned()), ..State::default() };
    memory.save(&state).await.unwrap();
    drop(memory);
    let mut memory = StateDirectory::open(&path).unwrap();
    assert_eq!(memory.load().await.unwrap(), state);
    assert_eq!(StateDirectory::read_state(&path).unwrap(), Some(state));
}

#[tokio::test]
async fn a_second_controller_is_told_who_the_first_is() {
    let directory = temporary();
    assert_eq!(StateDirectory::controller(directory.path()), None);
    let first = StateDirectory::open(directory.path()).unwrap();
    let error = StateDirectory::open(directory.path()).unwrap_err();
    let pid = std::process::id();
    assert!(matches!(&error, MemoryError::Taken { pid: holder, .. } if *holder == pid.to_string()), "{error}");
    assert!(error.to_string().contains("stop it, or give this one a directory of its own"), "{error}");
    assert_eq!(StateDirectory::controller(directory.path()), Some(pid));
    drop(first);
    StateDirectory::open(directory.path()).unwrap();
}

#[tokio::test]
async fn a_damaged_state_is_never_taken_for_an_empty_one() {
    let directory = temporary();
    let mut memory = StateDirectory::open(directory.path()).unwrap();
    memory.save(&State { paused: true, ..State::default() }).await.unwrap();
    let file = directory.path().join("state.json");
    let whole = fs::read_to_string(&file).unwrap();
    for damaged in ["", "{}", "null", "{\"version\":1}", &whole[..whole.len() / 2]] {
        fs::write(&file, damaged).unwrap();
        let error = memory.load().await.unwrap_err();
        assert!(matches!(error, PortError::Permanent(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("is damaged") && text.contains("restore it from a backup"), "{text}");
    }
    fs::write(&file, whole.replace("\"version\": 1", "\"version\": 2")).unwrap();
    let text = memory.load().await.unwrap_err().to_string();
    assert!(text.contains("format 2") && text.contains("use the newer spillway-rollout"), "{text}");
    fs::write(&file, whole).unwrap();
    assert!(memory.load().await.unwrap().paused);
}

#[tokio::test]
async fn commands_come_in_their_order_and_once() {
    let directory = temporary();
    let path = directory.path();
    let error = StateDirectory::give(path, &command("early", 1)).unwrap_err();
    assert!(matches!(error, MemoryError::Nothing { .. }), "{error}");

    let mut memory = StateDirectory::open(path).unwrap();
    StateDirectory::give(path, &command("second", 2)).unwrap();
    StateDirectory::give(path, &command("first", 1)).unwrap();
    StateDirectory::give(path, &command("first", 1)).unwrap();
    let mut state = State::default();
    let both = vec![command("first", 1), command("second", 2)];
    assert_eq!(memory.commands(&state).await.unwrap(), both);
    assert_eq!(memory.commands(&state).await.unwrap(), both, "they stay until the state lists them");
    state.commands.push("first".to_owned());
    assert_eq!(memory.commands(&state).await.unwrap(), [command("second", 2)]);
    assert!(!path.join("commands/first.json").exists());
}

#[tokio::test]
async fn an_inbox_has_limits() {
    let directory = temporary();
    let path = directory.path();
    let mut memory = StateDirectory::open(path).unwrap();
    for bad in ["", "../x", "a/b", "a b", &"x".repeat(101)] {
        let error = StateDirectory::give(path, &command(bad, 1)).unwrap_err();
        assert!(matches!(error, MemoryError::CommandInvalid { .. }), "{error}");
    }
    let long = Command { reason: Some("x".repeat(20_000)), ..command("long", 1) };
    assert!(StateDirectory::give(path, &long).unwrap_err().to_string().contains("shorten the reason"));

    for (name, content) in [("garbage.json", "{"), ("other.json", &serde_json::to_string(&command("x", 1)).unwrap())] {
        fs::write(path.join("commands").join(name), content).unwrap();
    }
    assert_eq!(memory.commands(&State::default()).await.unwrap(), [], "what is no command is left out");
    assert!(path.join("commands/refused").exists() && !path.join("commands/garbage.json").exists());

    for number in 0..MAX_COMMANDS {
        StateDirectory::give(path, &command(&format!("c-{number}"), 1)).unwrap();
    }
    let error = StateDirectory::give(path, &command("one-more", 1)).unwrap_err();
    assert!(matches!(error, MemoryError::InboxFull { .. }), "{error}");
    assert_eq!(memory.commands(&State::default()).await.unwrap().len(), MAX_COMMANDS);
}

#[tokio::test]
async fn a_command_wakes_the_controller() {
    let directory = temporary();
    let _memory = StateDirectory::open(directory.path()).unwrap();
    let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let watch = tokio::spawn(StateDirectory::wake_on_commands(directory.path(), Arc::clone(&wake), stop.clone()));
    StateDirectory::give(directory.path(), &command("now", 1)).unwrap();
    tokio::time::timeout(DEADLINE, wake.notified()).await.unwrap();
    stop.cancel();
    watch.await.unwrap();
}

#[test]
fn there_is_no_status_before_the_first_look() {
    let directory = temporary();
    let error = StateDirectory::read_status(directory.path()).unwrap_err().to_string();
    assert!(error.contains("no controller has worked in") && error.contains("spillway-rollout run"), "{error}");
}
