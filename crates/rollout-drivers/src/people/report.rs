//! The report of a rollout: a section of the deployment report, and a page.

mod charts;
mod markdown;
mod page;

use std::io;
use std::path::{Path, PathBuf};

use super::series::Series;
use super::view::View;

/// What a report is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How the rollout stands, or ended.
    pub view: View,
    /// How it stood over time. One without points is drawn from the history.
    pub series: Series,
    /// The plan as its user wrote it, to repeat the rollout. Empty leaves it out.
    pub plan: String,
}

/// Name of the file that sections are appended to.
pub const DEPLOYMENT_REPORT: &str = "deployment_report.md";

impl Report {
    /// A section of Markdown in the form that the load generator's runs have.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::section(self)
    }

    /// A page of less than 300 KB that needs no other file.
    #[must_use]
    pub fn html(&self) -> String {
        page::page(self)
    }

    /// Writes the page into a folder, which is made when it is not there, and appends the section to its [`DEPLOYMENT_REPORT`]. Returns the
    /// page's path.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let page = folder.join(self.file_name());
        std::fs::write(&page, self.html())?;
        spillway_report::markdown::append(&folder.join(DEPLOYMENT_REPORT), &self.markdown())?;
        Ok(page)
    }

    /// `checkout-v1-5-0-1.html`: name, revision and attempt.
    pub(crate) fn file_name(&self) -> String {
        let simple = |text: &str| -> String {
            let kept = text.chars().take(80).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
            kept.collect()
        };
        let rollout = self.view.rollout();
        let (revision, attempt) = rollout.map_or(("none", 0), |rollout| (&rollout.revision, rollout.attempt));
        format!("{}-{}-{attempt}.html", simple(&self.view.name), simple(revision))
    }

    /// The series, or what the history tells.
    fn over_time(&self) -> Series {
        self.series.of_rollout(&self.view)
    }
}

#[cfg(test)]
mod tests;
