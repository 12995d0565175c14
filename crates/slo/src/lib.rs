//! Service level objectives: thresholds, and the files that state them.
//!
//! Everything here is a value or a decision about values: no I/O, no runtime, no clock.

pub mod duration;
pub mod gate;
mod syntax;
pub mod threshold;

pub use syntax::SyntaxError;
