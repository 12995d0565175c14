//! Where events, deliveries and attempts are kept.
//!
//! [`Store`] is the contract, named after what it promises; each engine keeps it on one database. An acknowledgement rests on
//! [`Store::append`] alone: event, deliveries and idempotency record are committed in one transaction and flushed.

mod amend;
mod budgets;
mod contract;
mod counts;
mod documents;
mod error;
pub mod examination;
mod query;
mod replays;
mod retention;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod schema;
mod watch;

#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use amend::amend_configuration;
pub use budgets::{BudgetRequest, BudgetUse, PlacesRequest};
pub use contract::{
    Backlog, COUNT_TIME, ClaimRequest, ClaimShare, NewRoute, ParallelAppends, PoolState, QueryKind, RetryOutcome,
    Store, StoreObserver, Unobserved,
};
pub use counts::StatementCounts;
pub use documents::{DOCUMENT_LIMIT_BYTES, DOCUMENT_LIST_LIMIT, DOCUMENT_NAME_LIMIT_BYTES, Document};
pub use error::{StoreError, StoreErrorKind};
pub use examination::{DEAD_COUNTED, EXAMINE_ROWS, EXAMINE_TIMEOUT, Examiner, SLOW_STATEMENT_MS};
pub use query::{Cursor, DeliveryFilter, EventFilter, InvalidCursor, Page};
pub use replays::{
    Counted, DeadLetterGroup, DeadLetters, HeldReplay, ReplayFilter, ReplayStep, SELECT_LOOKED_AT, Selected,
};
pub use retention::{ExpireLimits, Expired, RetentionPolicy};
pub use watch::watch_configuration;
