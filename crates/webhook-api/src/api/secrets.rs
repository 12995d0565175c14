//! Secrets as the API takes and shows them.

use serde::Serialize;
use spillway_model::{Scope, Secret};
use utoipa::ToSchema;

use super::access::Caller;
use super::error::ApiError;

/// A secret as the API shows it: never its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretView {
    /// `env:NAME` or `file:PATH`; null for a secret that is stored as it is, which is never shown.
    reference: Option<String>,
}

impl From<&Secret> for SecretView {
    fn from(secret: &Secret) -> Self {
        Self { reference: is_reference(secret).then(|| secret.expose().to_owned()) }
    }
}

/// Whether the secret stands elsewhere, as `env:NAME` or `file:PATH`.
pub(crate) fn is_reference(secret: &Secret) -> bool {
    secret.expose().starts_with("env:") || secret.expose().starts_with("file:")
}

/// Refuses references from anyone but an administrator: whoever may choose one may have any variable and file of this process
/// sent to an address of their choice.
pub(crate) fn check_references<'s>(
    caller: Caller,
    secrets: impl IntoIterator<Item = &'s Secret>,
) -> Result<(), ApiError> {
    if caller.scope < Scope::Admin && secrets.into_iter().any(is_reference) {
        let why = "a secret of the form env:NAME or file:PATH";
        return Err(ApiError::Scope { needed: Scope::Admin, has: caller.scope, why });
    }
    Ok(())
}
