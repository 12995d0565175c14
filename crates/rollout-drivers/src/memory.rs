//! The memory of a controller on one host: a directory.
//!
//! ```text
//! lock          held while a controller works; names its process
//! state.json    what is remembered between two looks
//! status.json   what people are shown
//! commands/     what people asked for, one file each
//! ```
//!
//! Other drivers keep their files beside these, under names of their own.

pub(crate) mod files;
mod inbox;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use spillway_rollout::observed::Command;
use spillway_rollout::ports::{Memory, PortError};
use spillway_rollout::state::State;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use inbox::{MAX_COMMAND_BYTES, MAX_COMMANDS};

use crate::controller::Status;
use crate::host::proc;

const VERSION: u32 = 1;
const MAX_STATE_BYTES: u64 = 32 << 20;
const MAX_STATUS_BYTES: u64 = 64 << 20;

/// A directory that one controller works in.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    /// Its lock falls when it is closed, however the process ends.
    _lock: File,
}

/// Why the directory is of no use, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Another controller works in it.
    #[error("process {pid} is a controller that works in {} already: stop it, or give this one a directory of its own", .path.display())]
    Taken {
        /// The directory.
        path: PathBuf,
        /// The other one.
        pid: String,
    },
    /// The system refused.
    #[error("{} cannot be used: {reason}", .path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// It is not what was written.
    #[error(
        "{} is damaged ({reason}): restore it from a backup, or move it away to start from nothing. What it held is not guessed: \
         traffic stays where it is meanwhile",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer program wrote it.
    #[error("{} has format {found}, and this program knows {VERSION}: use the newer spillway-rollout that wrote it", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// No controller has worked there.
    #[error("no controller has worked in {}: start one with `spillway-rollout run`, or name its directory", .path.display())]
    Nothing {
        /// The directory.
        path: PathBuf,
    },
    /// Too many commands wait.
    #[error("{MAX_COMMANDS} commands wait in {} already: is a controller running?", .path.display())]
    InboxFull {
        /// The inbox.
        path: PathBuf,
    },
    /// A command that cannot be given.
    #[error("the command cannot be given: {reason}")]
    CommandInvalid {
        /// What is wrong.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Saved<T> {
    version: u32,
    content: T,
}

impl StateDirectory {
    /// Makes the directory if there is none, and takes it.
    ///
    /// # Errors
    /// When another controller works in it, or the system refuses.
    pub fn open(path: &Path) -> Result<Self, MemoryError> {
        for folder in [path.to_owned(), path.join("commands")] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.map_err(|error| MemoryError::unusable(&folder, &error))?;
        }
        let lock = path.join("lock");
        let unusable = |error: io::Error| MemoryError::unusable(&lock, &error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(files::PRIVATE)
            .open(&lock)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::Error(error)) => return Err(unusable(error)),
            Err(fs::TryLockError::WouldBlock) => {
                let pid = holder(&mut file).map_or_else(|| "(unknown)".to_owned(), |(pid, _)| pid.to_string());
                return Err(MemoryError::Taken { path: path.to_owned(), pid });
            }
        }
        let pid = std::process::id();
        let started = proc::stat(pid).map_or(0, |stat| stat.started);
        file.set_len(0).and_then(|()| file.rewind()).map_err(unusable)?;
        writeln!(file, "{pid} {started}").map_err(unusable)?;
        Ok(Self { path: path.to_owned(), _lock: file })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that [`read_status`](Self::read_status) reads.
    #[must_use]
    pub fn status_file(&self) -> PathBuf {
        self.path.join("status.json")
    }

    /// Wakes the controller that works in `path` when a command arrives, until `stop`.
    pub fn wake_on_commands(
        path: &Path,
        wake: Arc<Notify>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        inbox::wake_on_arrival(path.join("commands"), wake, stop)
    }

    /// Gives a command to the controller that works in `path`, now or when it starts again. Each id counts once.
    ///
    /// # Errors
    /// When no controller has worked there, too many commands wait, the command is too long, or the system refuses.
    pub fn give(path: &Path, command: &Command) -> Result<(), MemoryError> {
        let inbox = path.join("commands");
        if !inbox.is_dir() {
            return Err(MemoryError::Nothing { path: path.to_owned() });
        }
        inbox::put(&inbox, command)
    }

    /// What the controller in `path` says, or said when it ended.
    ///
    /// # Errors
    /// When no controller has worked there, or the file cannot be read.
    pub fn read_status(path: &Path) -> Result<Status, MemoryError> {
        let file = path.join("status.json");
        let content = read_versioned(&file, MAX_STATUS_BYTES)?;
        content.ok_or_else(|| MemoryError::Nothing { path: path.to_owned() })
    }

    /// Process id of the controller that works in `path`; `None` when none does.
    #[must_use]
    pub fn controller(path: &Path) -> Option<u32> {
        let (pid, started) = holder(&mut File::open(path.join("lock")).ok()?)?;
        proc::stat(pid).filter(|stat| stat.started == started && stat.is_alive()).map(|_| pid)
    }

    /// The state that a controller in `path` saved last, for reports; `None` when there is none. Takes no lock.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_state(path: &Path) -> Result<Option<State>, MemoryError> {
        read_versioned(&path.join("state.json"), MAX_STATE_BYTES)
    }

    fn write_state(&self, state: &State) -> Result<(), MemoryError> {
        let path = self.path.join("state.json");
        let text = versioned(state);
        let text = text.and_then(|text| serde_json::from_slice::<Saved<State>>(&text).map(|_| text));
        // What could not be read again is not written: JSON has no infinity, for one.
        let text = text.map_err(|error| MemoryError::Unusable {
            path: path.clone(),
            reason: format!("this state cannot be written as JSON: {error}"),
        })?;
        if text.len() as u64 > MAX_STATE_BYTES {
            return Err(MemoryError::Unusable { path, reason: format!("the state is over {MAX_STATE_BYTES} bytes") });
        }
        files::write_atomically(&path, &text, files::PRIVATE).map_err(|error| MemoryError::unusable(&path, &error))
    }
}

#[async_trait]
impl Memory for StateDirectory {
    async fn load(&mut self) -> Result<State, PortError> {
        Ok(Self::read_state(&self.path)?.unwrap_or_default())
    }

    async fn save(&mut self, state: &State) -> Result<(), PortError> {
        Ok(self.write_state(state)?)
    }

    async fn commands(&mut self, state: &State) -> Result<Vec<Command>, PortError> {
        Ok(inbox::take_stock(&self.path.join("commands"), state)?)
    }
}

impl MemoryError {
    fn unusable(path: &Path, error: &io::Error) -> Self {
        Self::Unusable { path: path.to_owned(), reason: error.to_string() }
    }
}

impl From<MemoryError> for PortError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Unusable { .. } | MemoryError::InboxFull { .. } => Self::Temporary(error.to_string()),
            _ => Self::Permanent(error.to_string()),
        }
    }
}

/// The content of a file with its version in front.
pub(crate) fn versioned<T: Serialize>(content: &T) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec_pretty(&Saved { version: VERSION, content })
}

/// What [`versioned`] wrote; `None` without a file.
pub(crate) fn read_versioned<T: for<'de> Deserialize<'de>>(path: &Path, limit: u64) -> Result<Option<T>, MemoryError> {
    let damaged = |reason: String| MemoryError::Damaged { path: path.to_owned(), reason };
    let content = files::read_bounded(path, limit).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => damaged(error.to_string()),
        _ => MemoryError::unusable(path, &error),
    })?;
    let Some(content) = content else { return Ok(None) };
    let json: serde_json::Value = serde_json::from_slice(&content).map_err(|error| damaged(error.to_string()))?;
    match json.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version > u64::from(VERSION) => {
            return Err(MemoryError::Newer { path: path.to_owned(), found: version });
        }
        Some(_) => {}
        None => return Err(damaged("it has no version".to_owned())),
    }
    let saved: Saved<T> = serde_json::from_value(json).map_err(|error| damaged(error.to_string()))?;
    Ok(Some(saved.content))
}

/// Process id and start of who took the lock.
fn holder(lock: &mut File) -> Option<(u32, u64)> {
    let mut text = String::new();
    lock.take(100).read_to_string(&mut text).ok()?;
    let (pid, started) = text.trim().split_once(' ')?;
    Some((pid.parse().ok()?, started.parse().ok()?))
}
