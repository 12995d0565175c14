//! Everything that comes in over HTTP: webhooks, an application's own events, and management.
//!
//! Intake reads no database on its way: sources and secrets are a prepared snapshot, and the only wait is the group commit.

mod api;
mod committer;
mod durations;
mod gateway;
mod health;
mod intake;
mod limits;
mod problem;
mod router;
mod routing;
mod server;

pub use api::{PoolLevel, PoolLimits, keys, openapi};
pub use committer::{CommitError, Committer, CommitterHandle, CommitterSettings, Handover};
pub use gateway::{ApiSettings, Gateway};
pub use intake::{IntakeError, IntakeLimits};
pub use limits::RateRefusal;
pub use problem::Problem;
pub use router::router;
pub use routing::{CurrentRouting, RoutedSource, Routing, prepare};
pub use server::{ServerSettings, serve};
