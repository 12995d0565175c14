//! How a new version is let out: the plan a user writes, the judge of its evidence, and the decision what happens next.
//!
//! [`decide`](decide::decide) is pure: every verdict can be replayed from recorded observations. Nothing here performs I/O or
//! reads a clock; drivers observe and actuate through [`ports`], and decide nothing.

pub mod decide;
pub mod decision;
pub mod judge;
pub mod observed;
pub mod plan;
pub mod ports;
pub mod simulate;
pub mod slot;
pub mod spec;
pub mod state;

pub use plan::Plan;
pub use slot::{Slot, Slots};
pub use spec::Rollout;
