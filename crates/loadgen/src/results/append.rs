//! The deployment report: a file with a section for each run.

use std::io;
use std::path::Path;

use super::RunSummary;
use super::markdown::section;

/// Appends the run to a Markdown file, which is made with a heading when it is not there.
///
/// A reader sees the file with the whole section or without it, also after a crash. Runs that end at the same time wait for each other.
///
/// # Errors
/// When the file cannot be read or its folder cannot be written; then the file is as it was.
pub fn append_markdown(path: &Path, summary: &RunSummary) -> io::Result<()> {
    spillway_report::markdown::append(path, &section(summary))
}
