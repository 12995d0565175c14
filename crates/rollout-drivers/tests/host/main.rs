//! Rollouts on one host: real nginx, real processes, a directory as memory.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod controller;
mod memory;
mod processes;
mod reload;
mod router;
mod support;
