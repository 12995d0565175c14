//! What people see of a run or a rollout: numbers, lines of a terminal, charts, pages that need no other file, the deployment report.
//!
//! It knows nothing of what is shown. Text of others is made harmless on the way: [`text::plain`] for terminals and pages,
//! [`markdown::escape`] for Markdown.

pub mod markdown;
pub mod page;
pub mod plot;
pub mod screen;
pub mod terminal;
pub mod text;
