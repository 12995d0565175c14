//! What observes and moves a rollout. Nothing here decides: [`spillway_rollout::decide`] does.

pub mod cli;
pub mod code;
pub mod console;
pub mod controller;
pub mod gates;
mod gateway;
pub mod host;
pub mod http;
pub mod kubernetes;
pub mod memory;
pub mod meter;
pub mod metrics;
pub mod notify;
pub mod people;
pub mod secrets;
pub mod workers;
