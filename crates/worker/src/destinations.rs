//! Destinations, prepared for sending.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use spillway_model::{
    Configuration, Destination, DestinationId, DestinationState, Rate, RetrySchedule, Secret, SecretResolver,
    UnixMillis,
};
use spillway_signature::StandardSigner;

use crate::budget::Limits;
use crate::headers::is_of_connection;
use crate::lease::milliseconds;

/// A destination with its keys prepared.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) destination: Destination,
    pub(crate) timeout: Duration,
    pub(crate) max_concurrent: usize,
    /// Deliveries worth holding in memory for it, beside those under way.
    pub(crate) max_waiting: usize,
    pub(crate) retry: RetrySchedule,
    /// What it may cost, if that is limited.
    pub(crate) budget: Option<Limits>,
    /// The schedule's delay before the first attempt, in milliseconds.
    pub(crate) first_delay_ms: i64,
    /// How to send; the error says what is wrong with URL, headers or secrets.
    pub(crate) sending: Result<Sending, String>,
}

#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) uri: Uri,
    /// `None` for a destination without signing secrets: its requests are not signed.
    pub(crate) signer: Option<StandardSigner>,
    pub(crate) headers: HeaderMap,
}

/// What holds for destinations that set nothing of their own.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    pub(crate) timeout: Duration,
    pub(crate) max_concurrent: usize,
    pub(crate) retry: RetrySchedule,
}

/// Deliveries that may wait for a destination, for each attempt that may be under way.
const WAITING_PER_ATTEMPT: usize = 4;
/// Of a destination with a rate no more deliveries are held than it takes in this time.
const RATED_SECONDS: f64 = 10.0;

/// All destinations of one version of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Destinations {
    by_id: HashMap<DestinationId, Arc<Prepared>>,
    claim_limits: HashMap<DestinationId, usize>,
    next_expiry: UnixMillis,
}

impl Destinations {
    pub(crate) fn build(
        configuration: &Configuration,
        defaults: &Defaults,
        resolve: &SecretResolver,
        now: UnixMillis,
    ) -> Self {
        let by_id: HashMap<_, _> = configuration
            .destinations
            .iter()
            .map(|destination| (destination.id, Arc::new(Prepared::new(destination, defaults, resolve, now))))
            .collect();
        let usual = defaults.claim_limit();
        let limits = by_id.iter().map(|(id, prepared)| (*id, prepared.claim_limit()));
        let claim_limits = limits.filter(|(_, limit)| *limit != usual).collect();
        let secrets = configuration.destinations.iter().flat_map(|destination| &destination.signing_secrets);
        let ends = secrets.filter_map(|secret| secret.expires_at).filter(|end| *end > now);
        Self { by_id, claim_limits, next_expiry: ends.min().unwrap_or(UnixMillis::MAX) }
    }

    pub(crate) fn get(&self, id: DestinationId) -> Option<&Arc<Prepared>> {
        self.by_id.get(&id)
    }

    /// What may be claimed at once for each destination for which nothing waits here, where that is not [`Defaults::claim_limit`].
    pub(crate) fn claim_limits(&self) -> &HashMap<DestinationId, usize> {
        &self.claim_limits
    }

    /// When the next signing secret expires: from then on these destinations are out of date.
    pub(crate) fn next_expiry(&self) -> UnixMillis {
        self.next_expiry
    }
}

impl Defaults {
    /// What may be claimed at once for a destination for which nothing waits here.
    pub(crate) fn claim_limit(&self) -> usize {
        self.max_concurrent * 2
    }
}

impl Prepared {
    pub(crate) fn new(
        destination: &Destination,
        defaults: &Defaults,
        resolve: &SecretResolver,
        now: UnixMillis,
    ) -> Self {
        let sending = prepare(destination, resolve, now);
        if let Err(reason) = &sending {
            tracing::error!(destination = %destination.name, reason, "nothing can be delivered until this is mended");
        }
        let budget = destination.budget.as_ref().map(Limits::of);
        let max_concurrent = destination.max_concurrent.map_or(defaults.max_concurrent, |n| n.max(1) as usize);
        let places = budget.as_ref().and_then(|limits| limits.max_places);
        let max_concurrent = places.map_or(max_concurrent, |places| max_concurrent.min(places.max(1) as usize));
        let retry = destination.retry.clone().unwrap_or_else(|| defaults.retry.clone());
        let first_delay = retry.delay_after(0, 0.5, None).unwrap_or_default();
        Self {
            timeout: destination.timeout(defaults.timeout),
            max_concurrent,
            max_waiting: max_waiting(max_concurrent, destination.rate_limit),
            first_delay_ms: milliseconds(first_delay),
            retry,
            budget,
            sending,
            destination: destination.clone(),
        }
    }

    pub(crate) fn is_served(&self) -> bool {
        self.destination.state == DestinationState::Active
    }

    fn claim_limit(&self) -> usize {
        if self.is_served() { (self.max_concurrent * 2).min(self.max_waiting) } else { 0 }
    }
}

fn max_waiting(max_concurrent: usize, rate: Option<Rate>) -> usize {
    let by_concurrency = max_concurrent * WAITING_PER_ATTEMPT;
    let Some(rate) = rate else { return by_concurrency };
    let taken = f64::from(rate.count.get()) * RATED_SECONDS / rate.per.as_secs_f64().max(0.001);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts from float saturate")]
    let by_rate = taken.ceil() as usize;
    by_concurrency.min(by_rate.max(1))
}

fn prepare(destination: &Destination, resolve: &SecretResolver, now: UnixMillis) -> Result<Sending, String> {
    let uri: Uri = destination.url.as_str().parse().map_err(|error| format!("the URL cannot be used: {error}"))?;
    let secrets = &destination.signing_secrets;
    let valid = secrets.iter().filter(|secret| secret.expires_at.is_none_or(|end| end > now));
    let valid = valid.map(|signing| resolve(&signing.secret)).collect::<Result<Vec<_>, _>>()?;
    let signer = match valid.iter().map(Secret::expose).collect::<Vec<_>>().as_slice() {
        [] if secrets.is_empty() => None,
        [] => return Err("every signing secret has expired; add one".to_owned()),
        secrets => Some(StandardSigner::new(secrets).map_err(|error| error.to_string())?),
    };
    let mut headers = HeaderMap::with_capacity(destination.headers.len());
    for (name, value) in &destination.headers {
        let value = resolve(value)?;
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("the header name {name:?} is invalid"))?;
        if is_of_connection(&name) && name != HOST {
            return Err(format!("the header {name} belongs to the connection and cannot be set"));
        }
        let value =
            HeaderValue::from_str(value.expose()).map_err(|_| format!("the value of header {name} is invalid"))?;
        headers.insert(name, value);
    }
    Ok(Sending { uri, signer, headers })
}
