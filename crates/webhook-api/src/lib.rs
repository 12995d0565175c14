//! Everything that comes in over HTTP: webhooks, an application's own events, and management.
//!
//! Intake reads no database on its way: sources and secrets are a prepared snapshot, and the only wait is the group commit.

mod api;
mod cached;
mod committer;
mod durations;
mod feed;
mod gateway;
mod health;
mod intake;
mod limits;
mod performance;
mod problem;
mod router;
mod routing;
mod rules;
mod server;
mod streams;

pub use api::{PoolLevel, PoolLimits, keys, openapi};
pub use cached::{Flights, prewarm};
pub use committer::{CommitError, Committer, CommitterHandle, CommitterSettings, Handover};
pub use feed::{Feed, FeedBatch, FeedEvent, FeedFilter, FeedParts, FeedStatus, FeedSubscription, TypePattern};
pub use gateway::{ApiSettings, Gateway};
pub use intake::{AttemptWaiters, IntakeError, IntakeLimits};
pub use limits::{RateRefusal, forward_client};
pub use performance::{Performance, PerformanceSettings, Sampler};
pub use problem::Problem;
pub use router::{Front, router, router_with};
pub use routing::{CurrentRouting, RoutedSource, Routing, prepare};
pub use rules::check_event_types;
pub use server::{ServerSettings, serve};
pub use streams::Streams;
