//! Weights and copies on the real API server: only what belongs to the rollout changes, and nobody's change is lost.

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/plans.rs"]
mod plans;

mod http_route;
mod kubelet;
mod nginx;
mod support;
mod together;
mod trouble;
mod virtual_service;
