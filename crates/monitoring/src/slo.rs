//! Service level objectives, read from files in OpenSLO's format (v1).

pub mod document;
pub mod promtool;
pub mod rules;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use document::read;

use crate::promql::Query;

/// Stands in a query for the window that it is asked over, such as `5m`.
pub const WINDOW: &str = "{{.window}}";

/// One objective of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    /// Unique over all files: lower-case letters, digits and hyphens. A label of every series.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// Whose it is: a label of every series.
    pub service: String,
    /// What is promised, in a sentence.
    pub description: String,
    /// Share of the events, or of the time, that must be good: above 0 and below 1.
    pub target: f64,
    /// The window that the promise is made for; it rolls.
    pub window: Duration,
    /// What is counted.
    pub indicator: Indicator,
    /// Series that tests feed the rules with.
    pub samples: Samples,
    /// The queries as they stand in the file, with a window of five minutes.
    pub queries: Vec<Query>,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq)]
pub enum Indicator {
    /// Events: the share of bad ones is a ratio of counts, never an average of ratios.
    Events {
        /// Bad events over [`WINDOW`].
        bad: String,
        /// All events over [`WINDOW`].
        total: String,
    },
    /// Time: each minute is good or bad as a whole.
    Minutes {
        /// The value that a minute is judged by.
        query: String,
        /// How it must compare: `>=`, `<=`, `>` or `<`.
        operator: &'static str,
        /// With what.
        value: f64,
    },
}

/// Series in the notation of promtool, each a selector with equal signs only.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    /// Series that stand for good events; for an indicator of minutes, the one that is compared.
    pub good: Vec<String>,
    /// Series that stand for bad events.
    pub bad: Vec<String>,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 when it is the file as a whole.
    pub line: u64,
    /// What is wrong and what to do, in a sentence.
    pub text: String,
}

impl Problem {
    /// About the file as a whole.
    pub fn of_file(file: &Path, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, text } = self;
        match line {
            0 => write!(f, "{}: {text}", file.display()),
            line => write!(f, "{}:{line}: {text}", file.display()),
        }
    }
}

/// Reads every `.yaml` and `.yml` file of a folder, in the order of their names.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn read_folder(folder: &Path) -> Result<Vec<Slo>, Vec<Problem>> {
    let listed = std::fs::read_dir(folder)
        .map_err(|error| vec![Problem::of_file(folder, format!("the folder cannot be read: {error}"))])?;
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let mut files: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).filter(is_yaml).collect();
    files.sort();
    let (mut slos, mut problems) = (Vec::<(PathBuf, Slo)>::new(), Vec::new());
    for file in files {
        let read = std::fs::read_to_string(&file)
            .map_err(|error| vec![Problem::of_file(&file, format!("it cannot be read: {error}"))])
            .and_then(|text| read(&file, &text));
        match read {
            Ok(found) => slos.extend(found.into_iter().map(|slo| (file.clone(), slo))),
            Err(found) => problems.extend(found),
        }
    }
    for (n, (file, slo)) in slos.iter().enumerate() {
        if let Some((first, _)) = slos[..n].iter().find(|(_, other)| other.name == slo.name) {
            let text =
                format!("the name {} is taken by {}: names are unique over all files", slo.name, first.display());
            problems.push(Problem::of_file(file, text));
        }
    }
    if slos.is_empty() && problems.is_empty() {
        problems.push(Problem::of_file(folder, "there is no objective in this folder"));
    }
    if problems.is_empty() { Ok(slos.into_iter().map(|(_, slo)| slo).collect()) } else { Err(problems) }
}
