//! What intake needs to know of the configuration, prepared: it reads no database on its way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use spillway_model::{
    ApiKey, Configuration, Connection, ConnectionId, DestinationId, EventId, KeyHash, NewDelivery, Secret,
    SecretResolver, Source, SourceId,
};
use spillway_signature::{Provider, SchemeOptions, Verifier};
use spillway_telemetry::{Metrics, SourceMetrics, UNKNOWN_SOURCE};
use tokio::sync::watch;

use crate::rules::{CompiledRules, ConnectionRules, EventTypes, Rules};

/// Deliveries that one event may have; the number of a delivery has 16 bits.
pub(crate) const MAX_CONNECTIONS: usize = 1 << 16;

/// A source with its keys prepared.
#[derive(Debug)]
pub struct RoutedSource {
    /// The source as it is configured.
    pub source: Source,
    /// Checks its requests; the error says why the source refuses every request.
    pub verifier: Result<Verifier, String>,
    /// Where its events go.
    pub connections: Vec<(ConnectionId, DestinationId)>,
    /// Filters and order of its connections; `None` when none has any.
    pub(crate) rules: Option<Rules>,
    /// What its events must look like; `None` when nothing is checked.
    pub(crate) event_types: Option<EventTypes>,
    /// What the limiter counts its requests under.
    pub rate_key: String,
    /// Its counters.
    pub metrics: SourceMetrics,
}

impl RoutedSource {
    /// The deliveries of a new event to all connections, due now, unclaimed and without order.
    #[must_use]
    pub fn deliveries(&self, event: EventId, due_at: i64) -> Vec<NewDelivery> {
        let numbered = (0..=u16::MAX).zip(&self.connections);
        let delivery = |(ordinal, (connection, destination)): (u16, &(ConnectionId, DestinationId))| NewDelivery {
            order: None,
            id: event.delivery(ordinal),
            destination: *destination,
            connection: *connection,
            due_at,
            generation: 0,
        };
        numbered.map(delivery).collect()
    }
}

/// One version of the configuration, indexed for requests.
#[derive(Debug, Default)]
pub struct Routing {
    /// The configuration itself.
    pub configuration: Arc<Configuration>,
    /// Counts requests that name no enabled source.
    pub unknown_source: SourceMetrics,
    sources: HashMap<String, Arc<RoutedSource>>,
    by_id: HashMap<SourceId, Arc<RoutedSource>>,
    keys: HashMap<KeyHash, ApiKey>,
}

impl Routing {
    /// The enabled source of this name.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Arc<RoutedSource>> {
        self.sources.get(name)
    }

    /// The enabled source with this id.
    #[must_use]
    pub fn source_by_id(&self, id: SourceId) -> Option<&Arc<RoutedSource>> {
        self.by_id.get(&id)
    }

    /// The key whose text has this hash.
    #[must_use]
    pub fn key(&self, hash: &KeyHash) -> Option<&ApiKey> {
        self.keys.get(hash)
    }

    /// Prepares `configuration`. A source that cannot be prepared refuses its requests and harms no other.
    #[must_use]
    pub(crate) fn build(
        configuration: Arc<Configuration>,
        metrics: &Metrics,
        resolve: &SecretResolver,
        compiled: &mut CompiledRules,
    ) -> Self {
        compiled.begin();
        let mut connections: HashMap<SourceId, Vec<&Connection>> = HashMap::new();
        for connection in configuration.connections.iter().filter(|connection| connection.enabled) {
            connections.entry(connection.source).or_default().push(connection);
        }
        let mut sources = HashMap::new();
        let mut by_id = HashMap::new();
        for source in configuration.sources.iter().filter(|source| source.enabled) {
            let verifier = prepare(source, resolve);
            if let Err(reason) = &verifier {
                tracing::error!(source = %source.name, reason, "the source refuses every request until this is mended");
            }
            let mut connections = connections.remove(&source.id).unwrap_or_default();
            connections.truncate(MAX_CONNECTIONS);
            let rules = connections.iter().map(|connection| ConnectionRules::new(connection, compiled)).collect();
            let connections = connections.iter().map(|connection| (connection.id, connection.destination)).collect();
            let metrics = metrics.intake_for_source(source.name.as_str());
            let rate_key = format!("source:{}", source.id);
            let routed = Arc::new(RoutedSource {
                source: source.clone(),
                verifier,
                connections,
                rules: Rules::new(rules),
                event_types: EventTypes::of(source, compiled),
                rate_key,
                metrics,
            });
            sources.insert(source.name.to_string(), routed.clone());
            by_id.insert(source.id, routed);
        }
        let keys = configuration.keys.iter().map(|key| (key.hash, key.clone())).collect();
        metrics.intake_requests.retain(|name| sources.contains_key(name));
        let unknown_source = metrics.intake_for_source(UNKNOWN_SOURCE);
        Self { configuration, unknown_source, sources, by_id, keys }
    }
}

/// Warns once of each enabled source that verifies nothing, however it was made.
fn warn_unverified(configuration: &Configuration, warned: &mut HashSet<SourceId>) {
    let is_open = |source: &&Source| source.enabled && source.provider == Provider::None.name();
    let open: HashMap<SourceId, &Source> =
        configuration.sources.iter().filter(is_open).map(|source| (source.id, source)).collect();
    warned.retain(|id| open.contains_key(id));
    for (id, source) in open {
        if warned.insert(id) {
            tracing::warn!(
                source = %source.name,
                code = "settings_unverified_source",
                "the source has provider \"none\": anybody who reaches it can send events"
            );
        }
    }
}

/// The verifier of a source.
///
/// # Errors
/// A sentence that says what is wrong with provider, options or secrets.
pub fn prepare(source: &Source, resolve: &SecretResolver) -> Result<Verifier, String> {
    let provider: Provider = source.provider.parse().map_err(|error| format!("{error}"))?;
    let options = serde_json::Value::Object(source.scheme.clone());
    let options: SchemeOptions = serde_json::from_value(options).map_err(|error| format!("scheme options: {error}"))?;
    let secrets = source.secrets.iter().map(|secret| resolve(secret)).collect::<Result<Vec<_>, _>>()?;
    let secrets: Vec<&str> = secrets.iter().map(Secret::expose).collect();
    Verifier::new(provider, &secrets, &options).map_err(|error| error.to_string())
}

/// The routing in force: a cheap handle that every request reads.
#[derive(Debug, Clone)]
pub struct CurrentRouting {
    routing: Arc<ArcSwap<Routing>>,
    version: watch::Receiver<u64>,
}

impl CurrentRouting {
    /// Prepares the configuration, and again whenever it changes, until the sender of `changes` is dropped.
    pub fn follow(mut changes: watch::Receiver<Arc<Configuration>>, metrics: Metrics, resolve: SecretResolver) -> Self {
        let first = changes.borrow_and_update().clone();
        let (in_force, version) = watch::channel(first.version);
        let mut warned = HashSet::new();
        warn_unverified(&first, &mut warned);
        let mut compiled = CompiledRules::default();
        let routing = Routing::build(first, &metrics, &resolve, &mut compiled);
        let routing = Arc::new(ArcSwap::from_pointee(routing));
        let target = routing.clone();
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let configuration = changes.borrow_and_update().clone();
                let version = configuration.version;
                warn_unverified(&configuration, &mut warned);
                target.store(Arc::new(Routing::build(configuration, &metrics, &resolve, &mut compiled)));
                in_force.send_replace(version);
            }
        });
        Self { routing, version }
    }

    /// The routing as it is now.
    pub fn load(&self) -> arc_swap::Guard<Arc<Routing>> {
        self.routing.load()
    }

    /// Tells of each version that comes into force.
    pub(crate) fn versions(&self) -> watch::Receiver<u64> {
        self.version.clone()
    }

    /// Returns once this version of the configuration, or a later one, is in force here; at once when no change can come any more.
    pub async fn wait_for(&self, version: u64) {
        let mut in_force = self.version.clone();
        // An error means that nobody follows changes any more: there is nothing to wait for.
        let _ = in_force.wait_for(|current| *current >= version).await;
    }
}
