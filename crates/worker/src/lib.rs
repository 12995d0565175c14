//! Delivery: each destination has a lane of its own, so that a slow one fills its own lane and nobody else's.
//!
//! ```text
//! ready queue ─┐
//!              ├─▶ dispatcher ─▶ lanes ─▶ attempt task ─▶ settler ─▶ Store::settle
//! Store::claim ┘    (limits, breaker)   (lease, rate, HTTP)
//! ```
//!
//! The dispatcher alone owns the lanes and decides; attempts run beside it and report back. No transaction and no pooled
//! connection of the store is held during a request.

mod attempt;
mod attempt_task;
mod breaker;
mod budget;
mod client;
mod destinations;
mod dispatcher;
mod guard;
mod headers;
mod lane;
mod lanes;
mod lease;
mod portion;
mod programs;
mod replays;
mod retry_after;
mod settings;
mod settler;
mod stop;
mod verdict;
mod worker;

pub use client::{Client, ClientSettings, NoRootCertificates};
pub use guard::{AddressGuard, BlockedAddress};
pub use replays::{ReplayRunner, ReplaySettings};
pub use settings::WorkerSettings;
pub use settler::SettlementObserver;
pub use stop::{StopSignal, StopTimes};
pub use worker::Worker;
