//! Where events, deliveries and attempts are kept.
//!
//! [`Store`] is the contract, named after what it promises; each engine keeps it on one database. An acknowledgement rests on
//! [`Store::append`] alone: event, deliveries and idempotency record are committed in one transaction and flushed.

mod amend;
mod contract;
mod counts;
mod error;
mod query;
mod watch;

#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use amend::amend_configuration;
pub use contract::{
    Backlog, ClaimRequest, ClaimShare, PoolState, QueryKind, RetryOutcome, Store, StoreObserver, Unobserved,
};
pub use counts::StatementCounts;
pub use error::{StoreError, StoreErrorKind};
pub use query::{Cursor, DeliveryFilter, EventFilter, InvalidCursor, Page};
pub use watch::watch_configuration;
