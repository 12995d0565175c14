//! What is remembered, and what people ask for.
//!
//! The memory is a text in the Rollout's own status. It is written together with everything that people see, by one conditional replacement: a
//! process that read an older version of the Rollout, such as one that lost its leadership meanwhile, cannot write. A text keeps every number
//! exactly as it was, and does not make the API server keep an owner for each of its fields.

use serde_json::{Value, json};
use spillway_rollout::Slot;
use spillway_rollout::observed::{Command, RouterObserved};
use spillway_rollout::ports::PortError;
use spillway_rollout::state::State;

use kube::api::{Api, Patch, PatchParams};

use super::call::{Cluster, FIELD_MANAGER, call};
use super::resource::RolloutObject;
use super::status::RolloutStatus;

/// Annotation in which people's commands arrive: one command as JSON, or a list of them.
pub const COMMAND_ANNOTATION: &str = "spillway.dev/command";
/// Commands that can wait at the same time.
pub const MAX_WAITING_COMMANDS: usize = 16;
/// The largest memory that is written. The API server takes 1 MiB for the whole object, and etcd 1.5 MiB.
pub const MAX_STATE_BYTES: usize = 512 << 10;
/// How often a command is tried again when the Rollout changes at the same moment.
const GIVE_TRIES: usize = 10;

/// What was remembered last: the default state when there is nothing yet.
///
/// # Errors
/// When it cannot be understood. It is never taken for empty then.
pub(crate) fn load(rollout: &RolloutObject) -> Result<State, PortError> {
    let text = rollout.status.as_ref().and_then(|status| status.get("state"));
    match text {
        None | Some(Value::Null) => Ok(State::default()),
        Some(Value::String(text)) => {
            serde_json::from_str(text).map_err(|error| unreadable(rollout, &error.to_string()))
        }
        Some(_) => Err(unreadable(rollout, "it is no text")),
    }
}

fn unreadable(rollout: &RolloutObject, why: &str) -> PortError {
    PortError::Permanent(format!(
        "the memory of {} in status.state cannot be read ({why}): a newer controller may have written it. Run that one, or delete the Rollout, \
         which gives traffic back to its Deployment, and create it again",
        rollout.name()
    ))
}

/// A state as it is written, with the oldest happenings left out while it is too large.
///
/// # Errors
/// When it is too large even without any.
pub(crate) fn written(state: &State) -> Result<String, PortError> {
    let write = |state: &State| serde_json::to_string(state).map_err(|error| PortError::Permanent(error.to_string()));
    let text = write(state)?;
    if text.len() <= MAX_STATE_BYTES {
        return Ok(text);
    }
    let mut shorter = state.clone();
    while !shorter.history.is_empty() {
        let half = shorter.history.len().div_ceil(2);
        shorter.history.drain(..half);
        let text = write(&shorter)?;
        if text.len() <= MAX_STATE_BYTES {
            return Ok(text);
        }
    }
    Err(PortError::Permanent(format!(
        "the memory of the Rollout is {} KiB, more than the {} KiB that are kept: use fewer guards or histogram boundaries",
        text.len() >> 10,
        MAX_STATE_BYTES >> 10
    )))
}

/// Writes a status, if the Rollout is still as it was read. Nothing is written when it is the same.
///
/// # Errors
/// When it was not written; nothing may be done then.
pub(crate) async fn save(
    cluster: &Cluster,
    rollout: &RolloutObject,
    status: &RolloutStatus,
) -> Result<RolloutObject, PortError> {
    let status = serde_json::to_value(status).map_err(|error| PortError::Permanent(error.to_string()))?;
    if rollout.status.as_ref().is_some_and(|before| is_same(before, &status)) {
        return Ok(rollout.clone());
    }
    let body = RolloutObject { status: Some(status), ..rollout.clone() };
    cluster.replace_status(rollout.namespace(), rollout.name(), &body).await
}

/// Whether two values say the same: the API server writes 1.0 as 1.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| is_same(one, other)))
        }
        (one, other) => one == other,
    }
}

/// The live slot of a Rollout whose memory is empty: the one that has most of the traffic, blue when neither has more.
pub(crate) fn live_slot_of(router: Option<&RouterObserved>) -> Slot {
    match router {
        Some(router) if router.weights.green > router.weights.blue => Slot::Green,
        _ => Slot::Blue,
    }
}

/// Commands that the state does not list as applied, oldest first, and what is wrong with the others.
pub(crate) fn commands(rollout: &RolloutObject, state: &State) -> (Vec<Command>, Vec<String>) {
    let annotations = rollout.metadata.annotations.as_ref();
    let Some(text) = annotations.and_then(|annotations| annotations.get(COMMAND_ANNOTATION)) else {
        return (Vec::new(), Vec::new());
    };
    let (mut commands, troubles) = parsed(text);
    commands.retain(|command| !state.commands.contains(&command.id));
    commands.sort_by_key(|command| command.at);
    commands.truncate(MAX_WAITING_COMMANDS);
    (commands, troubles)
}

fn parsed(text: &str) -> (Vec<Command>, Vec<String>) {
    let listed = match serde_json::from_str(text) {
        Ok(Value::Array(listed)) => listed,
        Ok(one) => vec![one],
        Err(error) => return (Vec::new(), vec![format!("the annotation {COMMAND_ANNOTATION} is no JSON: {error}")]),
    };
    let (mut commands, mut troubles) = (Vec::new(), Vec::new());
    for value in listed {
        match serde_json::from_value(value) {
            Ok(command) => commands.push(command),
            Err(error) => troubles.push(format!("a command in the annotation {COMMAND_ANNOTATION} is none: {error}")),
        }
    }
    (commands, troubles)
}

/// Gives a command to the controller of a Rollout. It is carried out at the next look, at most once.
///
/// # Errors
/// When there is no such Rollout, it may not be changed, or too many commands wait.
pub async fn give_command(
    client: &kube::Client,
    namespace: &str,
    name: &str,
    command: &Command,
) -> Result<(), PortError> {
    let api: Api<RolloutObject> = Api::namespaced(client.clone(), namespace);
    let what = format!("give a command to the Rollout {namespace}/{name}");
    let mut last = Ok(());
    for _ in 0..GIVE_TRIES {
        let rollout = call(&what, api.get_opt(name))
            .await?
            .ok_or_else(|| PortError::Permanent(format!("there is no Rollout {name} in namespace {namespace}")))?;
        let (mut waiting, _) = commands(&rollout, &load(&rollout)?);
        if waiting.iter().any(|each| each.id == command.id) {
            return Ok(());
        }
        if waiting.len() >= MAX_WAITING_COMMANDS {
            return Err(PortError::Temporary(format!(
                "{MAX_WAITING_COMMANDS} commands wait already: is the controller running?"
            )));
        }
        waiting.push(command.clone());
        let text = serde_json::to_string(&waiting).map_err(|error| PortError::Permanent(error.to_string()))?;
        let change = json!({
            "metadata": {
                "resourceVersion": rollout.metadata.resource_version,
                "annotations": { COMMAND_ANNOTATION: text },
            },
        });
        let params = PatchParams { field_manager: Some(format!("{FIELD_MANAGER}-cli")), ..PatchParams::default() };
        match call(&what, api.patch(name, &params, &Patch::Merge(&change))).await {
            Ok(_) => return Ok(()),
            Err(error @ PortError::Permanent(_)) => return Err(error),
            Err(error) => last = Err(error),
        }
    }
    last
}

/// A Rollout and what its controller remembers, for showing.
///
/// # Errors
/// When there is none, or it cannot be read.
pub async fn read_state(
    client: &kube::Client,
    namespace: &str,
    name: &str,
) -> Result<(RolloutObject, State), PortError> {
    let api: Api<RolloutObject> = Api::namespaced(client.clone(), namespace);
    let rollout = call(&format!("read the Rollout {namespace}/{name}"), api.get_opt(name))
        .await?
        .ok_or_else(|| PortError::Permanent(format!("there is no Rollout {name} in namespace {namespace}")))?;
    let state = load(&rollout)?;
    Ok((rollout, state))
}

#[cfg(test)]
mod tests {
    use spillway_rollout::decision::NoteKind;
    use spillway_rollout::observed::CommandAction;
    use spillway_rollout::state::Happened;

    use super::*;

    fn rollout(annotation: Option<&str>, state: Option<Value>) -> RolloutObject {
        let annotations = annotation.map(|text| json!({ COMMAND_ANNOTATION: text }));
        let object = json!({
            "metadata": { "name": "web", "annotations": annotations },
            "spec": {},
            "status": { "state": state },
        });
        serde_json::from_value(object).expect("a Rollout")
    }

    #[test]
    fn a_memory_that_cannot_be_read_is_never_taken_for_empty() {
        assert_eq!(load(&rollout(None, None)), Ok(State::default()));
        for broken in [json!("{"), json!({ "phase": "idle" }), json!(3)] {
            assert!(matches!(load(&rollout(None, Some(broken))), Err(PortError::Permanent(_))));
        }
        let state = State { live_slot: Slot::Green, live_revision: Some("a".to_owned()), ..State::default() };
        let text = written(&state).expect("it is small");
        assert_eq!(load(&rollout(None, Some(Value::from(text)))), Ok(state));
    }

    #[test]
    fn a_large_memory_loses_its_oldest_happenings_first() {
        let happened = |at| Happened { at, kind: NoteKind::Held, text: "x".repeat(8 << 10), weight: 0 };
        let state = State { history: (0..100).map(happened).collect(), ..State::default() };
        let text = written(&state).expect("it gets shorter");
        assert!(text.len() <= MAX_STATE_BYTES);
        let kept: State = serde_json::from_str(&text).expect("a state");
        assert_eq!(kept.history.last().map(|happened| happened.at), Some(99));
        let hopeless = State { held: Some("x".repeat(MAX_STATE_BYTES)), ..State::default() };
        assert!(written(&hopeless).is_err());
    }

    #[test]
    fn commands_come_alone_or_in_a_list_and_are_given_once() {
        let command = |id: &str, at| Command {
            id: id.to_owned(),
            at,
            by: "a".to_owned(),
            action: CommandAction::Pause,
            reason: None,
        };
        let one = serde_json::to_string(&command("1", 1)).expect("JSON");
        assert_eq!(commands(&rollout(Some(&one), None), &State::default()).0, [command("1", 1)]);
        let list = serde_json::to_string(&[command("2", 2), command("1", 1)]).expect("JSON");
        assert_eq!(commands(&rollout(Some(&list), None), &State::default()).0, [command("1", 1), command("2", 2)]);
        let applied = State { commands: vec!["1".to_owned()], ..State::default() };
        assert_eq!(commands(&rollout(Some(&list), None), &applied).0, [command("2", 2)]);
        let (none, troubles) = commands(&rollout(Some("pause"), None), &State::default());
        assert!(none.is_empty() && troubles.len() == 1);
    }

    #[test]
    fn a_whole_number_is_the_same_with_and_without_a_fraction() {
        assert!(is_same(&json!({ "a": [1, "x"] }), &json!({ "a": [1.0, "x"] })));
        assert!(!is_same(&json!({ "a": 1 }), &json!({ "a": 1.5 })));
        assert!(!is_same(&json!({ "a": 1 }), &json!({ "a": 1, "b": null })));
    }

    #[test]
    fn an_empty_memory_takes_the_slot_with_most_traffic_for_live() {
        assert_eq!(live_slot_of(None), Slot::Blue);
        assert_eq!(live_slot_of(Some(&RouterObserved::all_to(Slot::Green))), Slot::Green);
    }
}
