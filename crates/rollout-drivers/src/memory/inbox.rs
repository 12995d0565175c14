//! Commands of people: one JSON file each.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use spillway_rollout::observed::Command;
use spillway_rollout::state::State;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::MemoryError;
use super::files::{self, PRIVATE};

/// Commands that wait; more are refused.
pub const MAX_COMMANDS: usize = 100;
/// Size of one command's file.
pub const MAX_COMMAND_BYTES: u64 = 16 << 10;
/// Longest id of a command.
const MAX_ID: usize = 100;
/// The last file that was no command, kept for whoever wrote it.
const REFUSED: &str = "refused";
/// Time between two looks into the inbox.
const POLL: Duration = Duration::from_millis(300);

/// Puts a command in.
pub(super) fn put(folder: &Path, command: &Command) -> Result<(), MemoryError> {
    let invalid = |reason: String| MemoryError::CommandInvalid { reason };
    if !is_id(&command.id) {
        return Err(invalid(format!(
            "its id `{}` has to be 1 to {MAX_ID} letters, digits and hyphens",
            command.id.escape_default()
        )));
    }
    let text = serde_json::to_vec_pretty(command).map_err(|error| invalid(error.to_string()))?;
    if text.len() as u64 > MAX_COMMAND_BYTES {
        return Err(invalid(format!("it is longer than {MAX_COMMAND_BYTES} bytes: shorten the reason")));
    }
    let names = names(folder)?;
    let file = format!("{}.json", command.id);
    if names.len() >= MAX_COMMANDS && !names.iter().any(|name| *name == *file) {
        return Err(MemoryError::InboxFull { path: folder.to_owned() });
    }
    let path = folder.join(file);
    files::write_atomically(&path, &text, PRIVATE).map_err(|error| MemoryError::unusable(&path, &error))
}

/// Commands that were not applied, oldest first. Those that were are removed; what is no command is moved aside.
pub(super) fn take_stock(folder: &Path, state: &State) -> Result<Vec<Command>, MemoryError> {
    let mut commands = Vec::new();
    for name in names(folder)?.into_iter().take(MAX_COMMANDS) {
        let path = folder.join(&name);
        match read(&path) {
            Ok(Some(command)) if state.commands.contains(&command.id) => {
                files::remove(&path).map_err(|error| MemoryError::unusable(&path, &error))?;
            }
            Ok(Some(command)) => commands.push(command),
            Ok(None) => {}
            Err(reason) => {
                warn!(file = %path.display(), reason, "a file in the inbox is no command: it is ignored and kept as `{REFUSED}`");
                fs::rename(&path, folder.join(REFUSED)).map_err(|error| MemoryError::unusable(&path, &error))?;
            }
        }
    }
    commands.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
    Ok(commands)
}

/// Wakes when a new command lies in the inbox, until `stop`.
pub(super) async fn wake_on_arrival(folder: PathBuf, wake: Arc<Notify>, stop: CancellationToken) {
    let mut known = HashSet::new();
    loop {
        // An inbox that cannot be read is reported by the look itself.
        let now: HashSet<OsString> = names(&folder).unwrap_or_default().into_iter().collect();
        if !now.is_subset(&known) {
            wake.notify_one();
        }
        known = now;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

fn read(path: &Path) -> Result<Option<Command>, String> {
    let Some(text) = files::read_bounded(path, MAX_COMMAND_BYTES).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let command: Command = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let is_named_so = path.file_stem().is_some_and(|stem| *stem == *command.id);
    if is_id(&command.id) && is_named_so {
        Ok(Some(command))
    } else {
        Err("the file is not named by its id".to_owned())
    }
}

fn names(folder: &Path) -> Result<Vec<OsString>, MemoryError> {
    let unusable = |error: &std::io::Error| MemoryError::unusable(folder, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unusable(&error))? {
        let name = entry.map_err(|error| unusable(&error))?.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".json") && !text.starts_with('.') {
            names.push(name);
        }
    }
    Ok(names)
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
