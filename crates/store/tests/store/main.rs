//! What every engine promises, tried on each of them; and what only PostgreSQL promises.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod append;
mod budgets;
mod claim;
mod configuration;
mod crashes;
mod documents;
mod examination;
mod follow;
mod large;
mod lists;
mod order;
mod partitions;
mod postgres;
mod replays;
mod replica;
mod retention;
mod schema;
mod selection;
mod settle;
mod shares;
mod statements;
mod support;
