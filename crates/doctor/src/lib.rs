//! `spillway doctor`: looks at database, Redis, gateway and machine, judges what it finds, and says what to do.
//!
//! Looking and judging are apart. What is looked at is bounded in time, and what fails or hangs is a finding like any other; judging
//! ([`judge`]) makes findings of numbers and does nothing else. Nothing is changed anywhere.

pub mod certificates;
pub mod examine;
pub mod finding;
pub mod host;
pub mod judge;
pub mod render;
pub mod scrape;

pub use examine::{Database, Probe, Redis, Subject, examine};
pub use finding::{Action, Check, Finding, Report, Verdict};
pub use judge::Limits;
