//! Load tests: k6's grammar, honest latency, results that gate a release.

pub mod cli;
pub mod control;
pub mod distributed;
pub mod engine;
pub mod executor;
mod fetch;
pub mod flood;
pub mod flow;
pub mod generator;
pub mod goose_driver;
pub mod goose_scenarios;
pub mod http;
mod listening;
pub mod metrics;
pub mod observe;
pub mod options;
pub mod publish;
pub mod results;
pub mod schedule;
pub mod segment;
pub mod user;
