//! What people see of a rollout: status, reports, the comparison of two addresses.
//!
//! Everything is made of a [`View`], which is JSON and back: a status can be drawn, and a report written, far from the rollout and long after it.

pub mod headline;
pub mod picture;
pub mod report;
pub mod series;
pub mod status;
mod values;
pub mod verify;
pub mod view;

pub use headline::{Headline, Tone};
pub use report::Report;
pub use series::Series;
pub use view::View;

#[cfg(test)]
pub(crate) mod sample;
