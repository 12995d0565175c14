//! What every engine promises, tried on each of them; and what only PostgreSQL promises.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod append;
mod claim;
mod configuration;
mod crashes;
mod large;
mod lists;
mod postgres;
mod settle;
mod shares;
mod statements;
mod support;
