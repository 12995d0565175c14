//! `cargo xtask manifests` as its user has it: what overlays hold, what is caught, and a real API server.

mod bad_input;
mod cluster;
mod overlays;
mod support;
