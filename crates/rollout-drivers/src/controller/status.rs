//! What people are shown of a controller.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;
use spillway_rollout::decision::Desired;
use spillway_rollout::judge::Evidence;
use spillway_rollout::observed::Observed;
use spillway_rollout::state::State;

use crate::memory::{files, versioned};

/// Everything after one look: what is remembered, seen, wanted and proven.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name of the Rollout.
    pub rollout: String,
    /// When it was looked.
    pub at: UnixMillis,
    /// When it is looked again at the latest.
    pub next_look_at: UnixMillis,
    /// What is remembered.
    pub state: State,
    /// How each comparison stands; empty without a rollout.
    pub evidence: Vec<Evidence>,
    /// What was seen.
    pub observed: Observed,
    /// What was decided; `None` before the first decision of this controller.
    pub desired: Option<Desired>,
    /// Why the last look, or what followed from it, failed; then the rest may be older.
    pub trouble: Option<String>,
}

impl Status {
    /// Replaces the file that [`StateDirectory::read_status`](crate::memory::StateDirectory::read_status) reads.
    pub(super) fn write(&self, file: &Path) -> io::Result<()> {
        files::write_atomically(file, &versioned(self).map_err(io::Error::other)?, files::PRIVATE)
    }
}
