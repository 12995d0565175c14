//! `[[sources]]`, `[[destinations]]` and `[[connections]]`: configuration that the file declares.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use spillway_model::{
    BreakerPolicy, Budget, DestinationUrl, EventType, InvalidBudget, Name, Rate, Retention, RetrySchedule, Secret,
    Validation,
};

use super::delivery::{CONCURRENCY, TIMEOUT};
use super::telemetry::read_headers;
use crate::section::Section;
use crate::suggest::nearest_name;
use crate::{ByteSize, SettingsError, SettingsWarning};

/// Options of a source's signature scheme, which the signature crate reads and checks.
const SCHEME_OPTIONS: [(&str, &str); 6] = [
    ("public_url", "the URL that the sender signs"),
    ("tolerance", "how far a signed time may be from now"),
    ("credential_header", "the header that carries the credential"),
    ("username", "the user of provider \"basic\""),
    ("idempotency", "where the sender's delivery id is"),
    ("hmac", "a table with the options of provider \"hmac\""),
];

/// `[[sources]]`: a place events come from.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSettings {
    /// The last part of the intake path, unique.
    pub name: Name,
    /// The signature scheme, as the signature crate names it.
    pub provider: String,
    /// Secrets as written: a literal, `env:NAME` or `file:PATH`; any of them may verify a request. Default none, with which
    /// every provider but "none" refuses all requests.
    pub secrets: Vec<Secret>,
    /// Requests that are admitted; more are answered 429. Default none: no limit of its own.
    pub rate_limit: Option<Rate>,
    /// Largest body, at most 64 MiB. Default none: the server's limit.
    pub max_body: Option<ByteSize>,
    /// A disabled source answers 404. Default true.
    pub enabled: bool,
    /// `[[sources.event_types]]`: kinds of events that come from here, each with a name and, if it is wanted, a `schema`. Default none: any,
    /// unchecked.
    pub event_types: Vec<EventType>,
    /// What becomes of events that are none of these kinds. Default "off".
    pub validation: Validation,
    /// `[sources.retention]`: how long `events`, `payloads` and `attempts` are kept, from 1 min to 36500 d. Default none: the server's
    /// settings.
    pub retention: Option<Retention>,
    /// Options of the scheme as they stand in the file, for the signature crate: `public_url`, `tolerance`,
    /// `credential_header`, `username`, `idempotency` and the table `hmac`. Empty means the scheme's defaults.
    pub scheme: serde_json::Map<String, serde_json::Value>,
}

impl SourceSettings {
    pub(crate) fn read(section: &mut Section<'_>, names: &mut BTreeSet<String>) -> Option<Self> {
        let name = read_new_name(section, names);
        let provider = section.required::<String>("provider");
        let secrets = section.secrets("secrets");
        let rate_limit = section.optional("rate_limit");
        let max_body = section.optional_within("max_body", ByteSize::new(1)..=ByteSize::mib(64));
        let enabled = section.read("enabled", true);
        let event_types = section.tables("event_types", read_event_type);
        let validation = section.read("validation", Validation::Off);
        let retention = Some(section.table("retention", read_retention)).filter(|read| *read != Retention::default());
        let options = SCHEME_OPTIONS.into_iter();
        let scheme =
            options.filter_map(|(key, form)| Some((key.to_owned(), crate::value::to_json(section.any(key, form)?))));
        let scheme = scheme.collect();
        let source = Self {
            name: name?,
            provider: provider?,
            secrets,
            rate_limit,
            max_body,
            enabled,
            event_types,
            validation,
            retention,
            scheme,
        };
        section.journal.warnings.extend(source.warning());
        Some(source)
    }

    fn warning(&self) -> Option<SettingsWarning> {
        let name = self.name.to_string();
        match self.provider.as_str() {
            "none" => Some(SettingsWarning::UnverifiedSource { name }),
            _ if self.secrets.is_empty() => Some(SettingsWarning::SourceWithoutSecret { name }),
            _ => None,
        }
    }
}

/// `[[destinations]]`: a place deliveries go to.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationSettings {
    /// What people call it, unique.
    pub name: Name,
    /// Where requests go.
    pub url: DestinationUrl,
    /// Total time of an attempt, at most 1 h and at most the lease. Default none: `delivery.timeout`.
    pub timeout: Option<Duration>,
    /// Attempts under way at once. Default none: `delivery.per_destination`.
    pub max_concurrent: Option<u32>,
    /// Attempts in a time. Default none: no limit.
    pub rate_limit: Option<Rate>,
    /// Headers added to every request, by lower-case name; values may be `env:NAME` or `file:PATH`. Default none.
    pub headers: BTreeMap<String, Secret>,
    /// Secrets that sign, as written, the current one first: `whsec_…` or `whsk_…`, `env:NAME` or `file:PATH`. Default none:
    /// one is made when the destination is.
    pub signing_secrets: Vec<Secret>,
    /// When failed deliveries are tried again. Default none: `delivery.retry_schedule`.
    pub retry_schedule: Option<RetrySchedule>,
    /// `[destinations.breaker]`: when it is given a rest. Default 5 failures in a row within 30 s, 30 s of rest.
    pub breaker: BreakerPolicy,
    /// `[destinations.budget]`: what it may cost. Default none: no limit.
    pub budget: Option<Budget>,
}

impl DestinationSettings {
    pub(crate) fn read(section: &mut Section<'_>, names: &mut BTreeSet<String>) -> Option<Self> {
        let name = read_new_name(section, names);
        let url = section.required("url");
        let timeout = section.optional_within("timeout", TIMEOUT);
        let max_concurrent = section.optional_within("max_concurrent", CONCURRENCY);
        let rate_limit = section.optional("rate_limit");
        let headers = read_headers(section, "headers");
        let signing_secrets = section.secrets("signing_secrets");
        let retry_schedule = section.optional("retry_schedule");
        let breaker = section.table("breaker", read_breaker);
        let budget = section.table("budget", read_budget);
        Some(Self {
            name: name?,
            url: url?,
            timeout,
            max_concurrent,
            rate_limit,
            headers,
            signing_secrets,
            retry_schedule,
            breaker,
            budget,
        })
    }
}

/// `[[connections]]`: events of a source go to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// From which source.
    pub source: Name,
    /// To which destination.
    pub destination: Name,
    /// A jq program that says which events go. Default none: all.
    pub filter: Option<String>,
    /// A jq program that makes the body that is delivered. Default none: the body as it came.
    pub transform: Option<String>,
    /// A jq program that names what must stay in order. Default none: nothing.
    pub order_by: Option<String>,
}

impl ConnectionSettings {
    pub(crate) fn read(
        section: &mut Section<'_>,
        sources: &BTreeSet<String>,
        destinations: &BTreeSet<String>,
        pairs: &mut BTreeSet<(Name, Name)>,
    ) -> Option<Self> {
        let source = section.required::<Name>("source");
        let destination = section.required::<Name>("destination");
        let filter = section.optional("filter");
        let transform = section.optional("transform");
        let order_by = section.optional("order_by");
        let (source, destination) = (source?, destination?);
        check_declared(section, "source", &source, sources);
        check_declared(section, "destination", &destination, destinations);
        if !pairs.insert((source.clone(), destination.clone())) {
            let what = format!("a connection from {source} to {destination}");
            report_duplicate(section, "source", what);
        }
        Some(Self { source, destination, filter, transform, order_by })
    }
}

fn read_event_type(section: &mut Section<'_>) -> Option<EventType> {
    let name = section.required::<String>("name");
    let expected = "a JSON Schema, as a table or as a text of JSON";
    let schema = match section.any("schema", expected).map(crate::value::to_json) {
        Some(serde_json::Value::String(text)) => match serde_json::from_str(&text) {
            Ok(schema) => Some(schema),
            Err(error) => {
                let origin = section.origin("schema");
                section.invalid("schema", expected, format!("text that is not JSON: {error}"), origin);
                None
            }
        },
        schema => schema,
    };
    Some(EventType { name: name?, schema })
}

fn read_retention(section: &mut Section<'_>) -> Retention {
    let range = Duration::from_secs(60)..=Duration::from_secs(36_500 * 86_400);
    let mut read = |key| {
        let kept = section.optional_within(key, range.clone());
        kept.map(|kept: Duration| u64::try_from(kept.as_millis()).unwrap_or(u64::MAX))
    };
    Retention { events_ms: read("events"), payloads_ms: read("payloads"), attempts_ms: read("attempts") }
}

fn read_new_name(section: &mut Section<'_>, names: &mut BTreeSet<String>) -> Option<Name> {
    let name = section.required::<Name>("name")?;
    if !names.insert(name.to_string()) {
        report_duplicate(section, "name", name.to_string());
    }
    Some(name)
}

fn report_duplicate(section: &mut Section<'_>, key: &str, what: String) {
    let (key, origin) = (section.path_of(key), section.origin(key));
    section.journal.problems.push(SettingsError::Duplicate { key, origin, what });
}

/// When nothing of the kind is declared, the name is of something that the API has made.
fn check_declared(section: &mut Section<'_>, key: &str, name: &Name, declared: &BTreeSet<String>) {
    if declared.is_empty() || declared.contains(name.as_str()) {
        return;
    }
    let hint = match nearest_name(name.as_str(), declared.iter().map(String::as_str)) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => format!("declared are {}", declared.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
    };
    let (key, origin) = (section.path_of(key), section.origin(key));
    section.journal.problems.push(SettingsError::UnknownName { key, name: name.to_string(), origin, hint });
}

fn read_breaker(section: &mut Section<'_>) -> BreakerPolicy {
    let default = BreakerPolicy::default();
    let day = Duration::from_secs(86_400);
    let interval = Duration::from_millis(default.interval_ms);
    let base_ejection = Duration::from_millis(default.base_ejection_ms);
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    BreakerPolicy {
        consecutive_failures: section.read_within("consecutive_failures", default.consecutive_failures, 0..=1_000_000),
        interval_ms: ms(section.read_within("interval", interval, Duration::from_secs(1)..=day)),
        base_ejection_ms: ms(section.read_within("base_ejection", base_ejection, Duration::from_millis(100)..=day)),
    }
}

/// A table without any key is no budget.
fn read_budget(section: &mut Section<'_>) -> Option<Budget> {
    let budget = Budget {
        requests_per_hour: section.optional("requests_per_hour"),
        cost_per_hour: section.optional("cost_per_hour"),
        cost_per_request: section.optional("cost_per_request"),
        cost_header: section.optional("cost_header"),
        max_concurrent: section.optional("max_concurrent"),
    };
    if budget == Budget::default() {
        return None;
    }
    if let Err(InvalidBudget { field, reason }) = budget.check() {
        let found = match field {
            "requests_per_hour" => budget.requests_per_hour.map(|value| value.to_string()),
            "cost_per_hour" => budget.cost_per_hour.map(|value| value.to_string()),
            "cost_per_request" => budget.cost_per_request.map(|value| value.to_string()),
            "cost_header" => budget.cost_header.clone(),
            "max_concurrent" => budget.max_concurrent.map(|value| value.to_string()),
            _ => None,
        };
        let field = if field.is_empty() { "cost_header" } else { field };
        let origin = section.origin(field);
        let found = found.unwrap_or_else(|| "no limit".to_owned());
        section.invalid(field, &format!("part of a budget that can be kept: {reason}"), found, origin);
    }
    Some(budget)
}
