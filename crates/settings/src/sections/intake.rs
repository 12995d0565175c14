//! `[intake]`.

use std::time::Duration;

use super::words;
use crate::section::Section;

words! {
    /// When a webhook is answered.
    IntakeMode, "\"quick\" or \"synchronous\"" {
        /// When it is committed. Its deliveries follow.
        #[default]
        Quick = "quick",
        /// When it is committed and each of its deliveries has been attempted: 202 when all were delivered, 502 when one failed, 504 when
        /// `server.request_timeout` is over. Only to compare with: a slow destination makes the senders wait.
        Synchronous = "synchronous",
    }
}

/// `[intake]`: from request to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeSettings {
    /// When a webhook is answered. Default quick. The other one needs the role `all`.
    pub mode: IntakeMode,
    /// Verified events that may wait for their commit; when it is full the answer is 503 at once. Default 8192.
    pub queue: usize,
    /// Most events of one commit. Default 256, at most 10,000.
    pub commit_batch: usize,
    /// Longest time a partial batch may wait before it is committed. Zero never waits: a commit takes what has gathered
    /// during the one before. Default 0, at most 1 s.
    pub commit_wait: Duration,
    /// How long a sender's idempotency key is remembered. Default 24 h, from 1 min to 30 days.
    pub idempotency_window: Duration,
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self {
            mode: IntakeMode::Quick,
            queue: 8_192,
            commit_batch: 256,
            commit_wait: Duration::ZERO,
            idempotency_window: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl IntakeSettings {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            mode: section.read("mode", default.mode),
            queue: section.read_within("queue", default.queue, 1..=1_000_000),
            commit_batch: section.read_within("commit_batch", default.commit_batch, 1..=10_000),
            commit_wait: section.read_within(
                "commit_wait",
                default.commit_wait,
                Duration::ZERO..=Duration::from_secs(1),
            ),
            idempotency_window: section.read_within(
                "idempotency_window",
                default.idempotency_window,
                Duration::from_secs(60)..=Duration::from_secs(30 * 86_400),
            ),
        }
    }
}
