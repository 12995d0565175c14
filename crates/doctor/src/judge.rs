//! From numbers to findings. Nothing here reads anything: time and limits are handed in.

mod certificate;
mod gateway;
mod host;
mod indexes;
mod level;
mod queries;
mod queue;
mod redis;
mod rollouts;
mod server;
mod sessions;
mod space;
mod sqlite;
mod wording;

use std::time::Duration;

use spillway_model::UnixMillis;
use spillway_store::examination::{Facts, Part};

use crate::{Check, Finding};

pub use certificate::certificate;
pub use gateway::{gateway, gateway_latency, no_gateway};
pub use host::host;
pub(crate) use redis::check_of as redis_check_of;
pub use redis::{redis, redis_failed};
pub use server::{unreachable, unreadable};

/// What settings say of limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Share of the store's pool that is a warning.
    pub pool_warning_ratio: f64,
    /// Share of the store's pool that is critical.
    pub pool_critical_ratio: f64,
    /// Connections to the database that one node may open.
    pub node_connections: u32,
    /// Events that may wait for their commit.
    pub intake_queue: usize,
    /// Deliveries that may lie in a ready queue.
    pub ready_queue: usize,
    /// Requests that a node serves at once.
    pub node_clients: usize,
    /// How far a replica may be behind.
    pub replica_max_lag: Duration,
}

/// What a judgement of the database knows beside the facts.
#[derive(Debug, Clone)]
pub struct Context {
    /// The place of the database, without a password.
    pub shown: String,
    /// Now.
    pub now: UnixMillis,
    /// Limits of the settings.
    pub limits: Limits,
}

/// What a part of the database comes to.
#[must_use]
pub fn database(facts: &Facts, context: &Context) -> Vec<Finding> {
    match facts {
        Facts::Server(facts) => server::server(facts, context),
        Facts::Queue(backlog) => vec![queue::queue(backlog, context.now)],
        Facts::DeadLetters(facts) => vec![queue::dead_letters(facts)],
        Facts::Rollouts(documents) => vec![rollouts::rollouts(documents, context.now)],
        Facts::Locks(facts) => vec![sessions::locks(facts)],
        Facts::Transactions(facts) => vec![sessions::transactions(facts)],
        Facts::Connections(facts) => vec![sessions::connections(facts, &context.limits)],
        Facts::Statements(facts) => vec![queries::statements(facts)],
        Facts::Indexes(facts) => indexes::indexes(facts),
        Facts::Bloat(facts) => space::bloat(facts),
        Facts::Storage(facts) => space::storage(facts),
        Facts::Replication(facts) => vec![space::replication(facts)],
        Facts::ReplicaLag(facts) => vec![space::replica(facts, context)],
        Facts::Files(facts) => sqlite::files(facts),
        Facts::Integrity(facts) => vec![sqlite::integrity(facts)],
    }
}

/// The check that stands for a part which could not be looked at.
#[must_use]
pub fn check_of(part: Part) -> Check {
    match part {
        Part::Server => Check::Database,
        Part::Queue => Check::Queue,
        Part::DeadLetters => Check::DeadLetters,
        Part::Rollouts => Check::Rollouts,
        Part::Locks => Check::Locks,
        Part::Transactions => Check::Transactions,
        Part::Connections => Check::Connections,
        Part::Statements => Check::SlowQueries,
        Part::Indexes => Check::UnusedIndexes,
        Part::Bloat => Check::Bloat,
        Part::Storage => Check::DatabaseSize,
        Part::Replication => Check::Replication,
        Part::ReplicaLag => Check::Replica,
        Part::Files => Check::DatabaseLog,
        Part::Integrity => Check::Integrity,
    }
}

#[cfg(test)]
mod tests;
