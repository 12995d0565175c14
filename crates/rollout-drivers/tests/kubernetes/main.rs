//! The controller on a real API server, with exactly the rights of its manifest.

#[path = "../support/cluster.rs"]
mod cluster;

mod adopt;
mod commands;
mod crash;
mod definition;
mod drift;
mod explain;
mod finish;
mod leader;
mod meter;
mod refused;
mod replicas;
mod rollout;
mod shop;
mod watched;
