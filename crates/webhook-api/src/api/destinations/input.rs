//! What may be set about a destination, and whether it can be used.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri, header};
use serde::{Deserialize, Serialize};
use spillway_model::{
    BreakerPolicy, Destination, DestinationState, DestinationUrl, Name, Rate, RetrySchedule, Secret, SigningSecret,
};
use spillway_signature::StandardSigner;
use utoipa::ToSchema;

use super::budget::{BudgetSettings, check_budget};
use crate::api::access::Caller;
use crate::api::entry::{Circumstances, Settable};
use crate::api::error::ApiError;
use crate::api::secrets::{check_references, is_reference};
use crate::gateway::Gateway;

/// Headers that one destination may add.
const MAX_HEADERS: usize = 32;
/// Attempts under way at once that one destination may ask for.
const MAX_CONCURRENT: u32 = 65_536;
const SHORTEST_TIMEOUT_MS: u64 = 100;
const DAY_MS: u64 = 86_400_000;

/// Headers that the worker or the connection sets.
const RESERVED_HEADERS: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("webhook-timestamp"),
    HeaderName::from_static("webhook-signature"),
];

/// What may be set about a destination.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationInput {
    /// What people call it, unique: 1 to 64 letters, digits, '.', '_' or '-'.
    #[schema(value_type = String)]
    name: Name,
    /// Where requests go: `http://` or `https://`, without user, password and fragment.
    #[schema(value_type = String)]
    url: DestinationUrl,
    /// Secrets that sign, the current one first: `whsec_…`, `whsk_…`, `env:NAME` or `file:PATH` (these two need scope admin).
    /// Left out of a creation one is made; left out of a change they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) signing_secrets: Option<Vec<Secret>>,
    /// Headers added to every request; values may be `env:NAME` or `file:PATH` (these need scope admin). Left out of a change
    /// they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    headers: Option<BTreeMap<String, Secret>>,
    /// Total time of one attempt in milliseconds: at least 100, at most the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    /// Attempts under way at once, 1 to 65 536.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_concurrent: Option<u32>,
    /// Attempts in a time, such as `100/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    rate_limit: Option<Rate>,
    /// When it is given a rest.
    #[serde(default)]
    breaker: Breaker,
    /// Delays before each attempt in milliseconds, the first one included: 1 to 100 of at most 30 days each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u64>>)]
    retry_schedule_ms: Option<RetrySchedule>,
    /// What it may cost. What is over it waits for the next hour, or for a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetSettings>,
}

/// When a destination is given a rest.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Breaker {
    /// Failures in a row that open the breaker. Zero never opens it.
    consecutive_failures: u32,
    /// A row of failures older than this is forgotten; 1000 (a second) to 86 400 000 (a day).
    interval_ms: u64,
    /// First rest; each opening in a row doubles it. 100 to 86 400 000 (a day).
    base_ejection_ms: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        BreakerPolicy::default().into()
    }
}

impl From<BreakerPolicy> for Breaker {
    fn from(policy: BreakerPolicy) -> Self {
        let BreakerPolicy { consecutive_failures, interval_ms, base_ejection_ms } = policy;
        Self { consecutive_failures, interval_ms, base_ejection_ms }
    }
}

impl From<Breaker> for BreakerPolicy {
    fn from(breaker: Breaker) -> Self {
        let Breaker { consecutive_failures, interval_ms, base_ejection_ms } = breaker;
        Self { consecutive_failures, interval_ms, base_ejection_ms }
    }
}

impl From<&Destination> for DestinationInput {
    /// What a merge patch applies to. Signing secrets are left out: a patch that says nothing of them leaves them.
    fn from(destination: &Destination) -> Self {
        Self {
            name: destination.name.clone(),
            url: destination.url.clone(),
            signing_secrets: None,
            headers: Some(destination.headers.clone()),
            timeout_ms: destination.timeout_ms,
            max_concurrent: destination.max_concurrent,
            rate_limit: destination.rate_limit,
            breaker: destination.breaker.into(),
            retry_schedule_ms: destination.retry.clone(),
            budget: destination.budget.clone().map(BudgetSettings::from),
        }
    }
}

impl Settable for Destination {
    type Input = DestinationInput;

    fn set(input: DestinationInput, existing: Option<&Self>, at: &Circumstances<'_>) -> Result<Self, ApiError> {
        let current = |secret| SigningSecret { secret, expires_at: None };
        let given = input.signing_secrets.map(|secrets| secrets.into_iter().map(current).collect());
        let headers = input
            .headers
            .map(|headers| headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect());
        let destination = Self {
            budget: input.budget.map(Into::into),
            id: existing.map_or_else(|| at.gateway.ids.destination(), |destination| destination.id),
            name: input.name,
            url: input.url,
            state: existing.map_or(DestinationState::Active, |destination| destination.state),
            signing_secrets: given
                .or_else(|| existing.map(|destination| destination.signing_secrets.clone()))
                .unwrap_or_default(),
            headers: headers.or_else(|| existing.map(|destination| destination.headers.clone())).unwrap_or_default(),
            timeout_ms: input.timeout_ms,
            max_concurrent: input.max_concurrent,
            rate_limit: input.rate_limit,
            breaker: input.breaker.into(),
            retry: input.retry_schedule_ms,
            created_at: existing.map_or_else(|| at.gateway.clock.now(), |destination| destination.created_at),
        };
        check_caller(at.caller, existing, &destination)?;
        check(&destination, at.gateway)?;
        Ok(destination)
    }
}

/// Refuses what only an administrator may do: a reference that is new here, or another address for one that is here.
fn check_caller(caller: Caller, existing: Option<&Destination>, changed: &Destination) -> Result<(), ApiError> {
    let known = existing.filter(|existing| existing.url == changed.url).map(references).unwrap_or_default();
    let new = references(changed);
    check_references(caller, new.difference(&known).map(|(_, secret)| *secret))
}

/// Every reference of the destination, with the header that carries it; none for one that signs.
fn references(destination: &Destination) -> HashSet<(Option<&str>, &Secret)> {
    let signing = destination.signing_secrets.iter().map(|signing| (None, &signing.secret));
    let headers = destination.headers.iter().map(|(name, value)| (Some(name.as_str()), value));
    signing.chain(headers).filter(|(_, secret)| is_reference(secret)).collect()
}

/// Whether deliveries could be sent with these settings.
fn check(destination: &Destination, gateway: &Gateway) -> Result<(), ApiError> {
    if let Err(error) = destination.url.as_str().parse::<Uri>() {
        return Err(ApiError::invalid("url", error.to_string()));
    }
    check_timeout(destination, gateway)?;
    if destination.max_concurrent.is_some_and(|limit| !(1..=MAX_CONCURRENT).contains(&limit)) {
        return Err(ApiError::invalid("max_concurrent", format!("it must be from 1 to {MAX_CONCURRENT}")));
    }
    if !(1_000..=DAY_MS).contains(&destination.breaker.interval_ms) {
        return Err(ApiError::invalid("breaker.interval_ms", format!("it must be from 1000 to {DAY_MS}")));
    }
    if !(100..=DAY_MS).contains(&destination.breaker.base_ejection_ms) {
        return Err(ApiError::invalid("breaker.base_ejection_ms", format!("it must be from 100 to {DAY_MS}")));
    }
    destination.budget.as_ref().map_or(Ok(()), check_budget)?;
    check_headers(destination, gateway)?;
    check_secrets(&destination.signing_secrets, gateway)
}

fn check_timeout(destination: &Destination, gateway: &Gateway) -> Result<(), ApiError> {
    let lease = gateway.api.lease;
    let timeout = destination.timeout(gateway.api.default_timeout);
    if timeout > lease {
        let reason = format!(
            "{} ms is longer than the lease of {} ms, after which another worker would attempt the same delivery; \
             set a shorter timeout, or raise delivery.lease",
            timeout.as_millis(),
            lease.as_millis()
        );
        return Err(ApiError::invalid("timeout_ms", reason));
    }
    if timeout < Duration::from_millis(SHORTEST_TIMEOUT_MS) {
        return Err(ApiError::invalid("timeout_ms", format!("it must be at least {SHORTEST_TIMEOUT_MS}")));
    }
    Ok(())
}

fn check_headers(destination: &Destination, gateway: &Gateway) -> Result<(), ApiError> {
    let invalid = |reason: String| ApiError::invalid("headers", reason);
    if destination.headers.len() > MAX_HEADERS {
        return Err(invalid(format!("there are more than {MAX_HEADERS}")));
    }
    for (name, value) in &destination.headers {
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(invalid(format!("{name:?} is not a header name")));
        };
        if RESERVED_HEADERS.contains(&parsed) {
            return Err(invalid(format!("{name:?} is set by Spillway itself")));
        }
        let value = (gateway.secrets)(value).map_err(&invalid)?;
        if HeaderValue::from_str(value.expose()).is_err() {
            return Err(invalid(format!("the value of {name:?} has characters that a header cannot have")));
        }
    }
    Ok(())
}

/// Whether these secrets can sign. Those that have expired count too: they were valid once.
pub(super) fn check_secrets(signing: &[SigningSecret], gateway: &Gateway) -> Result<(), ApiError> {
    if signing.is_empty() {
        return Ok(());
    }
    let invalid = |reason: String| ApiError::invalid("signing_secrets", reason);
    let secrets = signing.iter().map(|signing| (gateway.secrets)(&signing.secret));
    let secrets = secrets.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
    let secrets: Vec<&str> = secrets.iter().map(Secret::expose).collect();
    StandardSigner::new(&secrets).map(drop).map_err(|error| invalid(error.to_string()))
}
