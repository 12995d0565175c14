//! What people and scripts see of a run: progress, summary, reports, files, and what can be said of two runs.
//!
//! Everything is made of a [`RunSummary`], which is JSON and back without loss: a report can be drawn, and runs can be compared, long
//! after the run.

mod append;
mod compare;
mod comparison_text;
mod facts;
mod figures;
mod html;
mod junit;
mod k6;
mod markdown;
mod merge;
mod meta;
mod points;
mod published;
mod read;
mod screen;
mod sparkline;
mod summary;
mod tables;
mod tabular;
mod terminal;
mod text;

pub use append::append_markdown;
pub use compare::{Change, Compared, Comparison, Measure, compare};
pub use comparison_text::terminal_comparison;
pub use html::html;
pub use junit::junit;
pub use k6::k6_summary;
pub use merge::{MergeError, merge};
pub use meta::Meta;
pub use published::Published;
pub use read::{ReadError, read};
pub use screen::Screen;
pub use summary::{RunSummary, SCHEMA_VERSION, Verdict};
pub use tabular::{csv, ndjson};
pub use terminal::terminal;

#[cfg(test)]
mod tests;
