//! Destinations as the API shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use spillway_model::{Destination, DestinationId, DestinationState, DestinationUrl, Name, Rate, Secret, SigningSecret};
use utoipa::ToSchema;

use super::budget::BudgetSettings;
use super::input::Breaker;
use crate::api::secrets::SecretView;
use crate::api::timestamp::Timestamp;

/// A destination.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DestinationView {
    /// Identifier.
    #[schema(value_type = String, example = "dst_01k9zv5w3hf6p8r2t4x6y8a0b2")]
    pub(super) id: DestinationId,
    /// What people call it, unique.
    #[schema(value_type = String, example = "billing")]
    name: Name,
    /// Where requests go.
    #[schema(value_type = String)]
    url: DestinationUrl,
    /// `active`, `paused` by an operator, or `disabled` because it answered 410 Gone.
    #[schema(value_type = String, example = "active")]
    state: DestinationState,
    /// One entry for each secret that signs, the current one first.
    signing_secrets: Vec<SigningSecretView>,
    /// Headers added to every request. Their values are shown only where they are references.
    headers: BTreeMap<String, SecretView>,
    /// Total time of one attempt in milliseconds; null for the server's default.
    timeout_ms: Option<u64>,
    /// Attempts under way at once; null for the server's default.
    max_concurrent: Option<u32>,
    /// Attempts in a time, such as `100/s`; null for no limit.
    #[schema(value_type = Option<String>)]
    rate_limit: Option<Rate>,
    /// When it is given a rest.
    breaker: Breaker,
    /// Delays before each attempt in milliseconds; null for the server's default.
    retry_schedule_ms: Option<Vec<u64>>,
    /// What it may cost; null for no limit. `GET /api/v1/destinations/{destination}/budget` says what this hour has cost so far.
    budget: Option<BudgetSettings>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A signing secret as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SigningSecretView {
    #[serde(flatten)]
    secret: SecretView,
    /// Until when it signs beside its successor; null for the current one.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A destination with the secret that was made for it. This is the only time that the secret is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DestinationWithSecret {
    #[serde(flatten)]
    pub(super) destination: DestinationView,
    /// The new secret, `whsec_…`; null when the request brought one.
    #[schema(value_type = Option<String>)]
    pub(super) signing_secret: Option<Secret>,
}

impl From<&SigningSecret> for SigningSecretView {
    fn from(signing: &SigningSecret) -> Self {
        Self { secret: SecretView::from(&signing.secret), expires_at: signing.expires_at.map(Timestamp) }
    }
}

impl From<&Destination> for DestinationView {
    fn from(destination: &Destination) -> Self {
        let headers = destination.headers.iter();
        Self {
            id: destination.id,
            name: destination.name.clone(),
            url: destination.url.clone(),
            state: destination.state,
            signing_secrets: destination.signing_secrets.iter().map(SigningSecretView::from).collect(),
            headers: headers.map(|(name, value)| (name.clone(), SecretView::from(value))).collect(),
            timeout_ms: destination.timeout_ms,
            max_concurrent: destination.max_concurrent,
            rate_limit: destination.rate_limit,
            breaker: destination.breaker.into(),
            retry_schedule_ms: destination.retry.clone().map(Vec::from),
            budget: destination.budget.clone().map(BudgetSettings::from),
            created_at: Timestamp(destination.created_at),
        }
    }
}
