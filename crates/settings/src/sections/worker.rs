//! `[worker]`.

use std::time::Duration;

use spillway_model::Slot;

use crate::section::Section;

/// `[worker]`: which deliveries this process takes, while worker slots share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The slot of this process. Default none: it takes any delivery, and while the slots share them what they leave lying.
    pub slot: Option<Slot>,
    /// How long a delivery of another slot must have been due before this process takes it: what a slot whose processes are gone costs,
    /// after the lease of what they held. Nothing is taken with a share of 0. Default 60 s, from 1 s to 24 h.
    pub share_grace: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self { slot: None, share_grace: Duration::from_secs(60) }
    }
}

impl WorkerSettings {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            slot: section.optional("slot"),
            share_grace: section.read_within(
                "share_grace",
                default.share_grace,
                Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60),
            ),
        }
    }
}
