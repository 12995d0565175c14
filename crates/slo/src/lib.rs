//! Service level objectives: thresholds, the files that state them, and error budgets.
//!
//! Everything here is a value or a decision about values: no I/O, no runtime, no clock.

pub mod budget;
pub mod burn;
pub mod duration;
pub mod gate;
mod syntax;
pub mod threshold;

pub use syntax::SyntaxError;
