//! Starting a process that outlives the controller.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use spillway_rollout::slot::Slot;
use spillway_rollout::spec::CommandLine;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::host::proc::Identity;
use crate::host::records::ProcessRecord;

/// The variable that marks a process as ours.
const MARK: &str = "ROLLOUT_PROCESS_ID";
/// A log that is longer when its process starts becomes `.1`.
const MAX_LOG_BYTES: u64 = 16 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The variable of a process, as its environment has it.
pub(super) fn mark(id: &str) -> String {
    format!("{MARK}={id}")
}

/// Whether the command is one for each address.
pub(super) fn names_address(start: &CommandLine) -> bool {
    start.command.iter().chain(start.environment.values()).any(|text| text.contains("{address}"))
}

/// The command with its placeholders filled in. Each is replaced once, so that a revision cannot bring in another.
pub(super) fn fill_in(start: &CommandLine, slot: Slot, address: &str, revision: &str) -> CommandLine {
    let values = [("{slot}", slot.name()), ("{address}", address), ("{revision}", revision)];
    let fill = |text: &String| {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find('{') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let (from, to) = values.into_iter().find(|(name, _)| rest.starts_with(name)).unwrap_or(("{", "{"));
            filled.push_str(to);
            rest = &rest[from.len()..];
        }
        filled + rest
    };
    CommandLine {
        command: start.command.iter().map(fill).collect(),
        environment: start.environment.iter().map(|(name, value)| (name.clone(), fill(value))).collect(),
        working_directory: start.working_directory.clone(),
    }
}

/// Starts it in a process group of its own, without input, its output appended to `log`.
///
/// # Errors
/// One sentence that says what to do.
pub(super) fn spawn(process: &ProcessRecord, log: &Path) -> Result<(Child, Identity), String> {
    let start = &process.start;
    let program = start.command.first().ok_or("target.host.candidate.start.command is empty: name a program")?;
    let logged = |error: io::Error| format!("the output of `{program}` cannot go to {}: {error}", log.display());
    let output = open_log(log).map_err(logged)?;
    let errors = output.try_clone().map_err(logged)?;
    let mut command = Command::new(program);
    command.args(&start.command[1..]).envs(&start.environment).env(MARK, &process.id);
    command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0).kill_on_drop(false);
    if let Some(folder) = &start.working_directory {
        command.current_dir(folder);
    }
    let child = command.spawn().map_err(|error| {
        format!("`{program}` cannot be started: {error}; correct target.host.candidate.start and run it again")
    })?;
    let identity = child.id().and_then(Identity::of).ok_or("a process cannot be seen in /proc: is it mounted?")?;
    Ok((child, identity))
}

/// The first of the addresses at which something listens.
pub(super) async fn taken(addresses: &[String]) -> Option<&String> {
    for address in addresses {
        if let Ok(Ok(_)) = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            return Some(address);
        }
    }
    None
}

fn open_log(log: &Path) -> io::Result<fs::File> {
    if let Some(folder) = log.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    if fs::metadata(log).is_ok_and(|metadata| metadata.len() > MAX_LOG_BYTES) {
        fs::rename(log, log.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(log)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn placeholders_are_filled_in_once() {
        let start = CommandLine {
            command: ["serve", "--listen={address}", "{slot}", "{\"json\":{}}", "{revision}"]
                .map(str::to_owned)
                .to_vec(),
            environment: BTreeMap::from([("VERSION".to_owned(), "v{revision}".to_owned())]),
            working_directory: None,
        };
        let filled = fill_in(&start, Slot::Green, "127.0.0.1:1", "{slot}");
        assert_eq!(filled.command, ["serve", "--listen=127.0.0.1:1", "green", "{\"json\":{}}", "{slot}"]);
        assert_eq!(filled.environment["VERSION"], "v{slot}");
    }
}
