//! Gates and notifications against servers and programs that answer as a test says.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it does not expect, in its helpers too")]

#[path = "../support/plan.rs"]
mod plan;

mod load_test;
mod notify;
mod requests;
mod support;
