//! Meters against real processes: small servers with metrics, Prometheus, Alertmanager.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it does not expect, in its helpers too")]

#[path = "../support/plan.rs"]
mod plan;

mod gateway;
mod guards;
mod process;
mod prometheus;
mod slots;
