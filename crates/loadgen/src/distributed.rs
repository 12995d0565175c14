//! One run on several machines: a coordinator and its shards, over HTTP.
//!
//! # The protocol, version 1
//!
//! Messages are JSON, each a `POST` to the coordinator; [`Join`], [`Ready`], [`Report`] and [`Answer`] are their shapes. With a token each
//! has `Authorization: Bearer TOKEN`.
//!
//! 1. **Join.** `/v1/join` names the version and a member name that the process made up. The coordinator gives it a place from 0 to N − 1,
//!    the one it asks for or the first free one. When all places are taken, the coordinator runs `setup`, once, and answers everybody:
//!    place, execution segment, what to run, what `setup` captured. Until then the answer is held back for a few seconds, is
//!    [`Answer::Wait`], and the shard asks again; so it is known to live.
//! 2. **Barrier.** A shard prepares (`/v1/ready` with `ready: false` each second says that it lives), then says `ready: true`. When all have,
//!    the coordinator fixes one instant and answers all at once with the time until then. So clocks need not agree: shards start together
//!    up to the time that an answer takes to arrive, and the timers' millisecond. A shard that asks more than a quarter of a second after
//!    the start has missed it, and the run fails.
//! 3. **Reports.** Each second a shard sends everything it has measured since the start, with a sequence number; a report that is not newer
//!    than what is there changes nothing, so late ones and duplicates do no harm, and one that got lost is contained in the next. The
//!    answer says go on, with what the control asks for, or stop. The snapshot of the last one has `last`.
//! 4. **End.** When all shards have sent their last report, the coordinator runs `teardown`, once, and the merged values are the result.
//!
//! # What can go wrong
//!
//! A side that is not heard for [`CoordinatorSettings::silence`] is lost. One lost or failed shard fails the run: what the others measured
//! is no result of the whole. The coordinator names it and stops the others. A refused message has a [`Refusal`] and a status of 4xx; the
//! shard gives up. Anything else (no connection, 5xx) it tries again until the silence is over.
//!
//! # What is merged
//!
//! Histograms bucket by bucket, counters and rates by addition, gauges by addition because they hold at the same time. Windows of
//! thresholds by adding the shards' windows, which end up to a second apart. A second of the time line has the sums, and of percentiles
//! those of its worst shard.

mod coordinator;
mod link;
mod merge;
mod message;
mod server;
mod shard;
mod state;
mod timeline;

pub use coordinator::{CoordinationError, Coordinator, CoordinatorSettings, MOST_SHARDS, Merged, SoFar, Surroundings};
pub use link::LinkError;
pub use message::{Answer, Assignment, Join, PROTOCOL_VERSION, Ready, Refusal, Report, WantedUsers, WindowValues};
pub use shard::{Shard, ShardEnd, ShardFailure, Stopped};

#[cfg(test)]
mod tests;
