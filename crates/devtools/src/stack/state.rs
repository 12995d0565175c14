//! What runs, written down: the only thing that one command hands to the next.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::parts::Part;
use super::process::Identity;
use crate::Failure;

const FILE: &str = "state.json";

/// A local stack.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// By the names of [`Part::ports`].
    pub(super) ports: BTreeMap<String, u16>,
    /// How many times faster rules run.
    pub(super) hurry: u32,
    /// In the order of their start.
    pub(super) processes: Vec<Process>,
}

/// A part that was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) part: String,
    #[serde(flatten)]
    pub(super) identity: Identity,
}

impl State {
    /// `None` when there is no stack in this folder.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>, Failure> {
        let file = folder.join(FILE);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", file.display()).into()),
        };
        let state = serde_json::from_slice(&text).map_err(|error| {
            format!("{} cannot be used ({error}): end what runs by hand, then remove it", file.display())
        })?;
        Ok(Some(state))
    }

    /// In one piece, whatever happens meanwhile.
    pub(super) fn save(&self, folder: &Path) -> Result<(), Failure> {
        let staged = folder.join("state.json.new");
        fs::write(&staged, serde_json::to_vec_pretty(self)?)?;
        Ok(fs::rename(staged, folder.join(FILE))?)
    }

    pub(super) fn remove(folder: &Path) -> Result<(), Failure> {
        match fs::remove_file(folder.join(FILE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The process of a part, whether it still runs or not.
    pub(super) fn process(&self, part: Part) -> Option<&Identity> {
        self.processes.iter().find(|process| process.part == part.name()).map(|process| &process.identity)
    }

    pub(super) fn is_alive(&self, part: Part) -> bool {
        self.process(part).is_some_and(Identity::is_alive)
    }

    pub(super) fn started(&mut self, part: Part, identity: Identity) {
        self.ended(part);
        self.processes.push(Process { part: part.name().to_owned(), identity });
    }

    pub(super) fn ended(&mut self, part: Part) {
        self.processes.retain(|process| process.part != part.name());
    }

    /// The port with this name; every name of [`Part::ports`] has one.
    pub(super) fn port(&self, name: &str) -> u16 {
        self.ports.get(name).copied().unwrap_or_default()
    }

    /// `127.0.0.1:PORT`.
    pub(super) fn address(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.port(name))
    }

    /// Where a part is found.
    pub(super) fn address_of(&self, part: Part) -> String {
        self.address(part.ports()[0].name)
    }
}

/// Keeps other commands from the folder while this value lives.
pub(super) fn lock(folder: &Path) -> Result<File, Failure> {
    let file: PathBuf = folder.join("lock");
    let lock = File::options().create(true).append(true).open(&file);
    let lock = lock.map_err(|error| format!("{}: {error}", file.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another command is starting or ending the stack in {}: wait for it", folder.display()).into())
        }
        Err(TryLockError::Error(error)) => Err(format!("{}: {error}", file.display()).into()),
    }
}
