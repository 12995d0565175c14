//! Secrets by reference: tokens, routing keys and addresses that hold one.

use async_trait::async_trait;
use spillway_model::Secret;
use spillway_settings::{Environment, resolve_secret};

/// Turns a reference (`env:NAME`, `file:PATH`, what a platform adds, or a literal) into the secret, at every use, so that a rotated one is taken.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The secret itself.
    ///
    /// # Errors
    /// One sentence that says what is missing, without the secret.
    async fn resolve(&self, reference: &str) -> Result<Secret, String>;
}

/// Secrets of this process: its variables as they were when it started, and files.
#[derive(Debug, Clone)]
pub struct ProcessSecrets(Environment);

impl ProcessSecrets {
    /// With these variables.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self(environment)
    }
}

#[async_trait]
impl Secrets for ProcessSecrets {
    async fn resolve(&self, reference: &str) -> Result<Secret, String> {
        resolve_secret(&Secret::new(reference), &self.0).map_err(|error| error.to_string())
    }
}
