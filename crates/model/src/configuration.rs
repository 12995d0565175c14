//! What operators configure: sources, destinations, connections and keys.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    ApiKey, ConnectionId, DestinationId, KeyId, Name, Rate, RetrySchedule, Secret, SourceId, UnixMillis, WorkerShares,
};

/// A place events come from: a path of intake and the scheme that proves its sender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Identifier.
    pub id: SourceId,
    /// The last part of the intake path, unique.
    pub name: Name,
    /// The signature scheme, as named in the list of providers.
    pub provider: String,
    /// Secrets, each a literal, `env:NAME` or `file:PATH`; any of them may verify a request.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// Options of the scheme, in the form that the signature crate reads. Empty means its defaults.
    #[serde(default)]
    pub scheme: serde_json::Map<String, serde_json::Value>,
    /// Requests that are not admitted get 429; `None` means no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Rate>,
    /// Largest body in bytes; `None` means the server's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// A disabled source answers 404.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Kinds of events that come from here. Empty: any, unchecked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<EventType>,
    /// What becomes of events that fit none of [`Source::event_types`], or not the schema of theirs.
    #[serde(default, skip_serializing_if = "Validation::is_off")]
    pub validation: Validation,
    /// How long its events are kept, where that differs from the server's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// When it was made.
    #[serde(default)]
    pub created_at: UnixMillis,
}

/// A kind of event and what its payload looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventType {
    /// The sender's name for it, such as `invoice.paid`.
    pub name: String,
    /// JSON Schema (draft 2020-12 unless it names another) that the body must satisfy; `None` accepts any body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
}

/// What becomes of an event that its source's event types do not describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// It is not checked.
    #[default]
    Off,
    /// It is refused with 422, and the sender knows.
    Reject,
    /// It is stored and acknowledged, and goes nowhere until somebody releases it.
    Quarantine,
}

impl Validation {
    /// Whether nothing is checked.
    #[must_use]
    pub fn is_off(&self) -> bool {
        *self == Self::Off
    }
}

/// How long things are kept, in milliseconds after the event was received. `None` in a source is the server's setting; there it is for ever.
/// An event with a delivery that has not ended is kept whatever its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Events, with their deliveries.
    pub events_ms: Option<u64>,
    /// Headers and bodies; the event is then still listed, and can no longer be replayed.
    pub payloads_ms: Option<u64>,
    /// Attempts.
    pub attempts_ms: Option<u64>,
}

/// What a destination may cost. What is over it waits for the next hour, or for a place.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Requests in each clock hour (UTC), over all nodes.
    pub requests_per_hour: Option<u64>,
    /// Cost in each clock hour, over all nodes, in the currency that the owner thinks in.
    pub cost_per_hour: Option<f64>,
    /// What a request costs, unless its answer says so itself. Zero when left out.
    pub cost_per_request: Option<f64>,
    /// The header of the answer that says what the request cost, as a decimal number.
    pub cost_header: Option<String>,
    /// Requests under way at once, over all nodes.
    pub max_concurrent: Option<u32>,
}

/// An absolute `http` or `https` URL without credentials and fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DestinationUrl(Box<str>);

/// Text that cannot be a [`DestinationUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a destination URL: it must be http:// or https:// with a host, without user, password or fragment"
)]
pub struct InvalidDestinationUrl(String);

impl DestinationUrl {
    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DestinationUrl {
    type Err = InvalidDestinationUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDestinationUrl> {
        let invalid = || InvalidDestinationUrl(text.chars().take(200).collect());
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(invalid)?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let printable = text.bytes().all(|b| b.is_ascii_graphic());
        let fits = printable
            && text.len() <= 2_048
            && !authority.is_empty()
            && !authority.contains('@')
            && !text.contains('#');
        if fits { Ok(Self(text.into())) } else { Err(invalid()) }
    }
}

impl TryFrom<String> for DestinationUrl {
    type Error = InvalidDestinationUrl;

    fn try_from(text: String) -> Result<Self, InvalidDestinationUrl> {
        text.parse()
    }
}

impl From<DestinationUrl> for String {
    fn from(url: DestinationUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Display for DestinationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a destination is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DestinationState {
    /// Deliveries go out.
    #[default]
    Active,
    /// Held by an operator: deliveries wait, none is lost.
    Paused,
    /// It answered 410 Gone: deliveries wait until an operator enables it again.
    Disabled,
}

/// When a destination is given a rest. Defaults: 5 consecutive failures within 30 s, 30 s of rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerPolicy {
    /// Failures in a row that open the breaker. Zero never opens it.
    pub consecutive_failures: u32,
    /// A row of failures older than this, in milliseconds, is forgotten.
    pub interval_ms: u64,
    /// First rest in milliseconds; each opening in a row doubles it, up to 32 times.
    pub base_ejection_ms: u64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { consecutive_failures: 5, interval_ms: 30_000, base_ejection_ms: 30_000 }
    }
}

/// One secret that outgoing requests are signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSecret {
    /// `whsec_…` (HMAC-SHA256) or `whsk_…` (ed25519); may be `env:NAME` or `file:PATH`.
    pub secret: Secret,
    /// Until when it signs beside its successor; `None` for the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
}

/// A place deliveries go to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Identifier.
    pub id: DestinationId,
    /// What people call it, unique.
    pub name: Name,
    /// Where requests go.
    pub url: DestinationUrl,
    /// Whether it is served.
    #[serde(default)]
    pub state: DestinationState,
    /// Secrets that sign, the current one first.
    #[serde(default)]
    pub signing_secrets: Vec<SigningSecret>,
    /// Headers added to every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Total time of one attempt in milliseconds, the answer's body included; `None` means the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Attempts under way at once; `None` means the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// Attempts in a time; `None` means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Rate>,
    /// When it is given a rest.
    #[serde(default)]
    pub breaker: BreakerPolicy,
    /// When failed deliveries are tried again; `None` means the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySchedule>,
    /// What it may cost; `None` is without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// When it was made.
    #[serde(default)]
    pub created_at: UnixMillis,
}

impl Destination {
    /// The attempt's time limit, given the server's default.
    #[must_use]
    pub fn timeout(&self, default: Duration) -> Duration {
        self.timeout_ms.map_or(default, Duration::from_millis)
    }
}

/// Events of a source go to a destination: all of them, or those that a filter lets through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Identifier.
    pub id: ConnectionId,
    /// From where.
    pub source: SourceId,
    /// To where.
    pub destination: DestinationId,
    /// A disabled connection makes no deliveries.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// A jq program: only events for which its first output is neither `false` nor `null` are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// A jq program whose one output is delivered in place of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// A jq program that names what must stay in order (a customer, an order): deliveries with the same output go out strictly one after
    /// the other. `null` is not ordered. Left out: nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_by: Option<String>,
    /// When it was made.
    #[serde(default)]
    pub created_at: UnixMillis,
}

/// All that is configured, at one version. Small: it is held in memory by every node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configuration {
    /// Raised by each change.
    pub version: u64,
    /// Sources, by id.
    pub sources: Vec<Source>,
    /// Destinations, by id.
    pub destinations: Vec<Destination>,
    /// Connections, by id.
    pub connections: Vec<Connection>,
    /// Keys, by id.
    pub keys: Vec<ApiKey>,
    /// How the worker slots share the deliveries; `None` while they do not: then every worker takes any delivery.
    pub worker_shares: Option<WorkerShares>,
}

/// One change of the configuration. Several are applied together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigurationChange {
    /// Changes nothing, but refuses all the changes beside it unless the configuration is still at this version: what was decided
    /// on the configuration as it was read must not overwrite what came in between.
    Expect {
        /// [`Configuration::version`] as it was read.
        version: u64,
    },
    /// Insert the source, or replace the one with its id.
    PutSource(Source),
    /// Delete the source and its connections. Its events stay.
    DeleteSource(SourceId),
    /// Insert the destination, or replace the one with its id.
    PutDestination(Destination),
    /// Delete the destination and its connections. Its pending deliveries are cancelled when they come up.
    DeleteDestination(DestinationId),
    /// Insert the connection, or replace the one with its id.
    PutConnection(Connection),
    /// Delete the connection.
    DeleteConnection(ConnectionId),
    /// Insert the key, or replace the one with its id.
    PutKey(ApiKey),
    /// Delete the key.
    DeleteKey(KeyId),
    /// Share the deliveries between the worker slots like this, or not at all.
    SetWorkerShares(Option<WorkerShares>),
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destination_urls_need_a_scheme_and_a_host_and_carry_no_credentials() {
        assert!("https://example.com/hooks?a=1".parse::<DestinationUrl>().is_ok());
        for bad in [
            "example.com",
            "ftp://example.com",
            "http://",
            "http:///x",
            "https://u:p@example.com/",
            "http://a/#b",
            "http://a b/",
        ] {
            assert!(bad.parse::<DestinationUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_never_appear_in_debug_output() {
        let destination: Destination = serde_json::from_value(serde_json::json!({
            "id": "dst_0000000000000000000000000a", "name": "billing", "url": "https://example.com",
            "signing_secrets": [{"secret": "whsec_hidden"}], "headers": {"authorization": "hidden too"},
        }))
        .expect("a destination");
        assert!(!format!("{destination:?}").contains("hidden"));
    }
}
