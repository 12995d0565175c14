//! The controller on a real API server, with exactly the rights of its manifest.

#[path = "../support/cluster.rs"]
mod cluster;

mod adopt;
mod commands;
mod crash;
mod definition;
mod drift;
mod finish;
mod leader;
mod meter;
mod refused;
mod rollout;
mod shop;
mod watched;
