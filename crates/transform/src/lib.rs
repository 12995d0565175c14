//! What operators write about events: jq programs that filter, transform and order them, and JSON Schemas that describe them.
//!
//! Programs are run by `jaq`, and are bounded whatever they do: each has a count of steps instead of a clock, so that a program either
//! fits or does not, on every machine and under every load. See [`limits`].

mod error;
mod input;
pub mod limits;
mod meter;
mod natives;
mod order;
mod program;
mod schema;
mod value;

pub use error::{Place, ProgramError};
pub use input::Input;
pub use order::order_key;
pub use program::Program;
pub use schema::{Schema, SchemaError, Violation};
