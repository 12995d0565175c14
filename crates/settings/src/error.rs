//! What can be wrong with settings.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::Origin;

/// One problem, with its place. No text of it holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A key that nothing reads.
    #[error("unknown key {key} ({origin}); {hint}")]
    UnknownKey {
        /// Full path, such as `sources[1].secretz`.
        key: String,
        /// Where it is.
        origin: Origin,
        /// The nearest known key as this layer would spell it, if one is near.
        nearest: Option<String>,
        /// What to write instead: the nearest key, or the keys of this table.
        hint: String,
    },
    /// A value of another type, form or range.
    #[error("{key} must be {expected}; found {found} ({origin})")]
    InvalidValue {
        /// Full path.
        key: String,
        /// The form with an example and its limits.
        expected: String,
        /// What is there instead; for a secret only its kind.
        found: String,
        /// Where it is.
        origin: Origin,
    },
    /// A key without which its table means nothing.
    #[error("{key} is missing ({origin}): set it to {expected}")]
    MissingKey {
        /// Full path.
        key: String,
        /// The form with an example.
        expected: String,
        /// The table that lacks it.
        origin: Origin,
    },
    /// The settings file cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The settings file is not TOML.
    #[error("{} line {line} is not valid TOML: {message}", path.display())]
    FileSyntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's sentence, without the text of the line.
        message: String,
    },
    /// The layers cannot be merged.
    #[error("cannot merge the layers of settings")]
    Layers(#[source] config::ConfigError),
    /// A lease that ends while its attempt may still run.
    #[error(
        "delivery.lease is {lease} ({origin}), shorter than {longest}: a second worker would send a delivery that is \
         still under way; set delivery.lease to at least {at_least}"
    )]
    LeaseTooShort {
        /// The lease.
        lease: String,
        /// Where it is set.
        origin: Origin,
        /// The timeout that is longer, and whose it is.
        longest: String,
        /// The shortest lease that fits.
        at_least: String,
    },
    /// Two values that contradict each other.
    #[error("{keys} contradict each other: {reason}")]
    Conflict {
        /// The keys.
        keys: &'static str,
        /// What must hold between them.
        reason: String,
    },
    /// A name, or a connection, that is declared twice.
    #[error("{key} is a duplicate ({origin}): {what} is already declared")]
    Duplicate {
        /// Full path of the later one.
        key: String,
        /// Where it is.
        origin: Origin,
        /// What is there twice.
        what: String,
    },
    /// A connection that names a source or destination the file does not declare.
    #[error("{key} names {name:?} ({origin}), which is not declared; {hint}")]
    UnknownName {
        /// Full path.
        key: String,
        /// The name.
        name: String,
        /// Where it is.
        origin: Origin,
        /// The nearest declared name, or all of them.
        hint: String,
    },
    /// A secret that refers to a variable which is not set, or is empty.
    #[error("the environment variable {name} that a secret refers to (env:{name}) is not set")]
    SecretVariableMissing {
        /// The variable.
        name: String,
    },
    /// A secret that refers to a file which cannot be used.
    #[error("cannot read the secret file {} (file:{})", path.display(), path.display())]
    SecretFileUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl SettingsError {
    /// The stable code, under which the problem has a page in the runbooks.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownKey { .. } => "settings_unknown_key",
            Self::InvalidValue { .. } => "settings_invalid_value",
            Self::MissingKey { .. } => "settings_missing_key",
            Self::FileUnreadable { .. } => "settings_file_unreadable",
            Self::FileSyntax { .. } => "settings_file_syntax",
            Self::Layers(_) => "settings_layers",
            Self::LeaseTooShort { .. } => "settings_lease_too_short",
            Self::Conflict { .. } => "settings_conflict",
            Self::Duplicate { .. } => "settings_duplicate",
            Self::UnknownName { .. } => "settings_unknown_name",
            Self::SecretVariableMissing { .. } | Self::SecretFileUnreadable { .. } => "settings_secret_unavailable",
        }
    }

    fn origin(&self) -> &Origin {
        match self {
            Self::UnknownKey { origin, .. }
            | Self::InvalidValue { origin, .. }
            | Self::MissingKey { origin, .. }
            | Self::LeaseTooShort { origin, .. }
            | Self::Duplicate { origin, .. }
            | Self::UnknownName { origin, .. } => origin,
            Self::FileUnreadable { .. }
            | Self::FileSyntax { .. }
            | Self::Layers(_)
            | Self::Conflict { .. }
            | Self::SecretVariableMissing { .. }
            | Self::SecretFileUnreadable { .. } => &Origin::Default,
        }
    }
}

/// Every problem that was found, at least one, in the order of the file, the environment and the flags.
#[derive(Debug)]
pub struct SettingsErrors(Vec<SettingsError>);

impl SettingsErrors {
    /// `Ok(value)` when there is no problem.
    pub(crate) fn unless_empty<T>(mut problems: Vec<SettingsError>, value: T) -> Result<T, Self> {
        if problems.is_empty() {
            return Ok(value);
        }
        problems.sort_by(|a, b| a.origin().reading_order().cmp(&b.origin().reading_order()));
        Err(Self(problems))
    }

    /// The problems.
    pub fn iter(&self) -> impl Iterator<Item = &SettingsError> {
        self.0.iter()
    }
}

impl From<SettingsError> for SettingsErrors {
    fn from(problem: SettingsError) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for SettingsErrors {
    /// One line for each problem: its code, its sentence and its causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            write!(f, "{}: {problem}", problem.code())?;
            let mut cause = problem.source();
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl Error for SettingsErrors {}
