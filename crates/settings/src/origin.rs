//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;

/// The place of a value, in the order of the layers: a later one overrides an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The settings file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1; `None` when only the file is known.
        line: Option<usize>,
    },
    /// A variable of the environment.
    Environment {
        /// Its name.
        name: String,
    },
    /// A flag of the command line.
    Flag {
        /// The flag with its dashes.
        name: &'static str,
    },
}

impl Origin {
    /// The layer's rank; a higher rank overrides a lower one.
    pub(crate) const fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment { .. } => 2,
            Self::Flag { .. } => 3,
        }
    }

    /// Orders problems as a person reads them: the file from top to bottom, then the environment, then flags.
    pub(crate) fn reading_order(&self) -> (u8, usize, &str) {
        match self {
            Self::Default => (0, 0, ""),
            Self::File { line, .. } => (1, line.unwrap_or(0), ""),
            Self::Environment { name } => (2, 0, name),
            Self::Flag { name } => (3, 0, name),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{} line {line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment { name } => write!(f, "environment variable {name}"),
            Self::Flag { name } => write!(f, "flag {name}"),
        }
    }
}
