//! What is remembered of the slots: `slots.json`.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;
use spillway_rollout::ports::PortError;
use spillway_rollout::slot::Slots;
use spillway_rollout::spec::CommandLine;

use super::proc::Identity;
use crate::memory::{self, files};

const MAX_BYTES: u64 = 4 << 20;
/// Revisions whose command is remembered.
const MAX_KNOWN: usize = 16;

/// Both slots, and how revisions are started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Records {
    pub(super) slots: Slots<SlotRecord>,
    /// The newest last, at most [`MAX_KNOWN`].
    known: Vec<KnownStart>,
}

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SlotRecord {
    /// `None` when it is empty, or nothing is known of it.
    pub(super) revision: Option<String>,
    /// Empty when someone else started what is there.
    pub(super) processes: Vec<ProcessRecord>,
    /// Ends of processes that nobody asked for, since the revision came.
    pub(super) restarts: u32,
    /// When it was asked to stop.
    pub(super) stopping_since: Option<UnixMillis>,
}

/// A process that shall run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessRecord {
    /// Marks the process in its environment. Saved before it starts, so that it is found if the controller dies right after.
    pub(super) id: String,
    /// `None` before its start and after its end.
    pub(super) identity: Option<Identity>,
    /// Placeholders are filled in.
    pub(super) start: CommandLine,
    /// Number within the slot.
    pub(super) position: usize,
    /// When it started.
    pub(super) started_at: UnixMillis,
    /// Ends shortly after the start, in a row.
    pub(super) early_ends: u32,
    /// Not started again before.
    pub(super) start_after: UnixMillis,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KnownStart {
    revision: String,
    start: CommandLine,
}

impl Records {
    /// Reads the file; empty without one.
    ///
    /// # Errors
    /// When it is damaged: processes that it names could run, so it is not taken for empty.
    pub(super) fn read(path: &Path) -> Result<Self, PortError> {
        Ok(memory::read_versioned(path, MAX_BYTES)?.unwrap_or_default())
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), PortError> {
        let text = memory::versioned(self).map_err(io::Error::other);
        let written = text.and_then(|text| files::write_atomically(path, &text, files::PRIVATE));
        written.map_err(|error| PortError::Temporary(format!("{} cannot be written: {error}", path.display())))
    }

    /// Remembers how a revision is started, placeholders included.
    pub(super) fn learn(&mut self, revision: &str, start: &CommandLine) {
        self.known.retain(|known| known.revision != revision);
        self.known.push(KnownStart { revision: revision.to_owned(), start: start.clone() });
        let excess = self.known.len().saturating_sub(MAX_KNOWN);
        self.known.drain(..excess);
    }

    pub(super) fn known(&self, revision: &str) -> Option<&CommandLine> {
        self.known.iter().find(|known| known.revision == revision).map(|known| &known.start)
    }
}

impl SlotRecord {
    pub(super) fn is_any_alive(&self) -> bool {
        self.processes.iter().any(ProcessRecord::is_alive)
    }
}

impl ProcessRecord {
    pub(super) fn is_alive(&self) -> bool {
        self.identity.as_ref().is_some_and(Identity::is_alive)
    }
}

/// Where the output of a slot's processes goes.
pub(super) fn log_of(directory: &Path, slot: &str, position: usize) -> PathBuf {
    directory.join("logs").join(format!("{slot}-{position}.log"))
}
