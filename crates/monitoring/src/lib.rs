//! Monitoring from descriptions: objectives as files become rules, alerts and their tests; hand-written alerts are held to the same rules.

pub mod alerts;
pub mod cli;
pub mod dashboards;
pub mod metrics;
pub mod promql;
pub mod runbooks;
pub mod slo;
pub mod status;
