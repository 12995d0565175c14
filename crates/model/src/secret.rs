//! Text that must not be printed.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A secret. `Debug` and `Display` print `[redacted]`; [`Secret::expose`] is the only way to the text.
///
/// It serialises as its text, because it has to be stored: never put it into an answer of the API.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Turns a secret as it is configured (a literal, `env:NAME` or `file:PATH`) into the secret itself. The error is one sentence
/// that says what is missing, without the secret.
pub type SecretResolver = Arc<dyn Fn(&Secret) -> Result<Secret, String> + Send + Sync>;
