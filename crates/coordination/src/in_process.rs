//! The engines of a single process.

mod cache;
mod changes;
mod rate;
mod ready;

pub(crate) use cache::InProcessCache;
#[cfg(feature = "redis")]
pub(crate) use cache::LocalCache;
pub(crate) use changes::InProcessChanges;
pub(crate) use rate::InProcessRateLimiter;
pub(crate) use ready::InProcessReadyQueue;
