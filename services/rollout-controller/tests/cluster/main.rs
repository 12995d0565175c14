//! The program in front of a real API server: what people type, and the controller as a process.

#[path = "../../../../crates/rollout-drivers/tests/support/cluster.rs"]
mod cluster;
#[path = "../../../../crates/rollout-drivers/tests/kubernetes/meter.rs"]
#[expect(dead_code, reason = "each test program uses a part")]
mod meter;
#[path = "../../../../crates/rollout-drivers/tests/kubernetes/shop.rs"]
#[expect(dead_code, reason = "each test program uses a part")]
mod shop;

mod commands;
mod controller;
mod load_test;
mod program;
