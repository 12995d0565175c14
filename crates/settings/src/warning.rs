//! What works, but deserves a look.

use std::fmt;

/// Something that an operator should know; the caller logs it once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsWarning {
    /// A secret stands in the settings file as text.
    LiteralSecret {
        /// Full path of the key.
        key: String,
    },
    /// A source accepts requests without proof of their sender.
    UnverifiedSource {
        /// The source's name.
        name: String,
    },
    /// A source has no secret, so that it refuses every request.
    SourceWithoutSecret {
        /// The source's name.
        name: String,
    },
    /// Two variables set the same key.
    AliasIgnored {
        /// The variable that is ignored.
        alias: &'static str,
        /// The variable that counts.
        variable: String,
    },
    /// A variable that looks like a setting but is not read, because its prefix has one underscore too few.
    VariableIgnored {
        /// The variable's name.
        name: String,
    },
}

impl SettingsWarning {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::LiteralSecret { .. } => "settings_literal_secret",
            Self::UnverifiedSource { .. } => "settings_unverified_source",
            Self::SourceWithoutSecret { .. } => "settings_source_without_secret",
            Self::AliasIgnored { .. } => "settings_alias_ignored",
            Self::VariableIgnored { .. } => "settings_variable_ignored",
        }
    }
}

impl fmt::Display for SettingsWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LiteralSecret { key } => {
                write!(f, "{key} holds a secret as text: write env:NAME or file:PATH instead")
            }
            Self::UnverifiedSource { name } => {
                write!(f, "source {name} has provider \"none\": anybody who reaches it can send events")
            }
            Self::SourceWithoutSecret { name } => {
                write!(f, "source {name} has no secret: it refuses every request")
            }
            Self::AliasIgnored { alias, variable } => write!(f, "{alias} is ignored, because {variable} is set too"),
            Self::VariableIgnored { name } => {
                write!(f, "{name} is ignored: settings begin with SPILLWAY and two underscores")
            }
        }
    }
}
