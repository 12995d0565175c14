//! Load tests by the real `spillway-loadgen`: as the gate of a step on one host, and in `verify`.

#[path = "../program/support.rs"]
#[expect(dead_code, reason = "each test program uses a part")]
mod support;

mod gate;
mod rig;
mod verify;
