//! The list of all metrics: names, types, help texts. There is no other place where a metric can be declared.

use std::fmt::{self, Write as _};

use prometheus_client::{
    encoding::EncodeMetric,
    registry::{Registry, Unit},
};
use spillway_model::AttemptClass;

use super::{
    AlertName, BuildInfo, BusinessMetrics, CacheName, CacheResult, Counter, DeliveryOutcome, Family, Gauge,
    HttpRequests, IntakeOutcome, IntakeRequests, LabelSet, LatencyHistogram, PoolState, Removed, SampledCounter,
    SizeHistogram, StoreQuery, StreamEvent, StreamKind,
};

/// A metric as the documentation lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricDescription {
    /// The name to query, with `_total` and `_info`; a histogram's series add `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// The unit in its name, if it has one.
    pub unit: Option<&'static str>,
    /// Its labels, without a histogram's `le`.
    pub labels: Vec<LabelDescription>,
    /// One or two sentences.
    pub help: String,
}

/// A label of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelDescription {
    /// The label's name.
    pub name: &'static str,
    /// Its possible values; empty when they come from the configuration or the build.
    pub values: Vec<&'static str>,
}

/// The OpenMetrics types in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
    /// Labels on a constant 1.
    Info,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        })
    }
}

/// Every metric, for `spillway metrics` and the documentation, in the order in which they are exported.
#[must_use]
pub fn catalogue() -> Vec<MetricDescription> {
    Catalogue::describe()
}

/// The catalogue as a Markdown table, which the documentation keeps a copy of.
#[must_use]
pub fn catalogue_markdown() -> String {
    let mut table = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for metric in catalogue() {
        let labels: Vec<String> = metric.labels.iter().map(LabelDescription::markdown).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| `{}` | {} | {} | {} |", metric.name, metric.kind, labels.join("; "), metric.help);
    }
    table
}

impl LabelDescription {
    fn markdown(&self) -> String {
        let values: Vec<String> = self.values.iter().map(|value| format!("`{value}`")).collect();
        match values.is_empty() {
            true => format!("`{}`", self.name),
            false => format!("`{}`: {}", self.name, values.join(", ")),
        }
    }
}

/// What a type must say about itself to stand in the catalogue.
trait CatalogueMetric: EncodeMetric + Clone + Default + fmt::Debug + Send + Sync + 'static {
    const KIND: MetricKind;

    fn labels() -> Vec<LabelDescription> {
        Vec::new()
    }
}

macro_rules! declare {
    ($($(#[doc = $help:literal])+ $field:ident: $metric:ty = $name:literal,)+) => {
        /// One field for each metric; the field's documentation is the metric's help text.
        #[derive(Debug)]
        pub struct Catalogue {
            $($(#[doc = $help])+ pub $field: $metric,)+
        }

        impl Catalogue {
            pub(super) fn register(registry: &mut Registry) -> Self {
                Self { $($field: register(registry, $name, &help(&[$($help),+])),)+ }
            }

            fn describe() -> Vec<MetricDescription> {
                vec![$(describe::<$metric>($name, help(&[$($help),+])),)+]
            }
        }
    };
}

declare! {
    /// Requests to intake by source and how they ended. `queue_full` and `store_error` are failures of ours, the other
    /// refusals are the sender's.
    intake_requests: IntakeRequests = "spillway_intake_requests_total",
    /// Time from a complete request at intake until its acknowledgement, durable write included.
    intake_ack: LatencyHistogram = "spillway_intake_ack_seconds",
    /// Events that wait for the committer.
    intake_queue_depth: Gauge = "spillway_intake_queue_depth",
    /// Duration of a commit of events, flush included.
    commit: LatencyHistogram = "spillway_commit_seconds",
    /// Events that one commit made durable.
    commit_batch_events: SizeHistogram = "spillway_commit_batch_events",
    /// Deliveries that ended, by how.
    deliveries: Family<DeliveryOutcome, Counter> = "spillway_deliveries_total",
    /// Requests to destinations by how they ended. `platform` is a failure of ours and `transform` one of the connection's program, for which
    /// nothing was sent; all other failures are the destination's.
    attempts: Family<AttemptClass, Counter> = "spillway_attempts_total",
    /// Duration of a request to a destination, from the connection until the whole answer was read.
    attempt: LatencyHistogram = "spillway_attempt_seconds",
    /// Time from the receipt of an event until a destination accepted it, retries included.
    delivery_latency: LatencyHistogram = "spillway_delivery_latency_seconds",
    /// The same for deliveries that their destination accepted at the first attempt: what a healthy destination waits for.
    delivery_first_attempt: LatencyHistogram = "spillway_delivery_first_attempt_seconds",
    /// Deliveries handed to this process's workers that have not started.
    ready_queue_depth: Gauge = "spillway_ready_queue_depth",
    /// Deliveries in the store that have not ended.
    pending_deliveries: Gauge = "spillway_pending_deliveries",
    /// How long the longest-waiting due delivery has been due; 0 when none is.
    oldest_due: Gauge = "spillway_oldest_due_seconds",
    /// Destinations whose circuit breaker is open.
    breaker_open: Gauge = "spillway_breaker_open",
    /// Destinations whose deliveries wait in this process because of their budget: it is used up until the next hour, or every place is taken.
    budget_waiting: Gauge = "spillway_budget_waiting",
    /// Share of all deliveries that this process's worker takes as its own, 0 to 1; 1 while worker slots do not share them.
    worker_share: Gauge = "spillway_worker_share_ratio",
    /// Connections of the store's pool; `max` is the limit.
    store_pool_connections: Family<PoolState, Gauge> = "spillway_store_pool_connections",
    /// Wait for a connection of the store's pool.
    store_pool_wait: LatencyHistogram = "spillway_store_pool_wait_seconds",
    /// Callers that got no connection of the store's pool in time, because all of them were in use.
    store_pool_exhausted: Counter = "spillway_store_pool_exhausted_total",
    /// Duration of work on the store, by its kind.
    store_query: Family<StoreQuery, LatencyHistogram> = "spillway_store_query_seconds",
    /// Look-ups in caches, by whether they had the answer.
    cache_requests: Family<(CacheName, CacheResult), Counter> = "spillway_cache_requests_total",
    /// Clients that look at live events, by how; all of them together are bounded by `server.max_streams`.
    stream_clients: Family<StreamKind, Gauge> = "spillway_stream_clients",
    /// Live events for all clients together: those that were sent, and those that clients were only told the number of.
    stream_rows: Family<StreamEvent, Counter> = "spillway_stream_rows_total",
    /// Values in caches of this process that had to make room for others before they had expired.
    cache_evictions: Family<CacheName, Counter> = "spillway_cache_evictions_total",
    /// Memory that cached values take in this process.
    cache_bytes: Family<CacheName, Gauge> = "spillway_cache_bytes",
    /// What retention removed, by what it was. Events that went with their partition are counted as a partition alone.
    retention_removed: Family<Removed, Counter> = "spillway_retention_removed_total",
    /// Duration of a round of retention, which is how long it may hold up intake on SQLite.
    retention_round: LatencyHistogram = "spillway_retention_round_seconds",
    /// 1 while Redis is configured and unreachable, so that nodes coordinate through the store alone; otherwise 0.
    coordination_degraded: Gauge = "spillway_coordination_degraded",
    /// 1 while an alert of this node is on, at whatever severity; otherwise 0. `spillway performance alerts` says more.
    alert_active: Family<AlertName, Gauge> = "spillway_alert_active",
    /// Numbers that users recorded: the sum since this node started for a counter, the last value for a gauge. At most 1,000 names.
    business_metrics: BusinessMetrics = "spillway_business_metric",
    /// The running version and its source revision.
    build_info: BuildInfo = "spillway_build_info",
    /// Duration of HTTP requests by method, route and status.
    http_requests: HttpRequests = "http_server_request_duration_seconds",
    /// Processor time used, user and system.
    process_cpu: SampledCounter = "process_cpu_seconds_total",
    /// Resident memory.
    process_resident_memory: Gauge = "process_resident_memory_bytes",
    /// Virtual memory.
    process_virtual_memory: Gauge = "process_virtual_memory_bytes",
    /// Open file descriptors.
    process_open_fds: Gauge = "process_open_fds",
    /// The limit of open file descriptors; absent when there is none.
    process_max_fds: Gauge = "process_max_fds",
    /// Start of the process as Unix time.
    process_start_time: Gauge = "process_start_time_seconds",
    /// Threads.
    process_threads: Gauge = "process_threads",
    /// Bytes read from storage.
    process_disk_read: SampledCounter = "process_disk_read_bytes_total",
    /// Bytes written to storage.
    process_disk_written: SampledCounter = "process_disk_written_bytes_total",
    /// Bytes received by the network interfaces that the process sees, loopback excepted.
    process_network_receive: SampledCounter = "process_network_receive_bytes_total",
    /// Bytes sent by the network interfaces that the process sees, loopback excepted.
    process_network_transmit: SampledCounter = "process_network_transmit_bytes_total",
}

impl CatalogueMetric for Counter {
    const KIND: MetricKind = MetricKind::Counter;
}

impl CatalogueMetric for SampledCounter {
    const KIND: MetricKind = MetricKind::Counter;
}

impl CatalogueMetric for Gauge {
    const KIND: MetricKind = MetricKind::Gauge;
}

impl CatalogueMetric for LatencyHistogram {
    const KIND: MetricKind = MetricKind::Histogram;
}

impl CatalogueMetric for SizeHistogram {
    const KIND: MetricKind = MetricKind::Histogram;
}

impl CatalogueMetric for BuildInfo {
    const KIND: MetricKind = MetricKind::Info;

    fn labels() -> Vec<LabelDescription> {
        open(&["version", "commit"])
    }
}

impl CatalogueMetric for BusinessMetrics {
    const KIND: MetricKind = MetricKind::Gauge;

    fn labels() -> Vec<LabelDescription> {
        open(&["name"])
    }
}

impl CatalogueMetric for IntakeRequests {
    const KIND: MetricKind = MetricKind::Counter;

    fn labels() -> Vec<LabelDescription> {
        open(&["source"]).into_iter().chain(closed::<IntakeOutcome>()).collect()
    }
}

impl CatalogueMetric for HttpRequests {
    const KIND: MetricKind = MetricKind::Histogram;

    fn labels() -> Vec<LabelDescription> {
        open(&["http_request_method", "http_route", "http_response_status_code"])
    }
}

impl<L, M> CatalogueMetric for Family<L, M>
where
    L: LabelSet,
    M: CatalogueMetric,
    Self: EncodeMetric,
{
    const KIND: MetricKind = M::KIND;

    fn labels() -> Vec<LabelDescription> {
        closed::<L>()
    }
}

fn open(names: &[&'static str]) -> Vec<LabelDescription> {
    names.iter().map(|name| LabelDescription { name, values: Vec::new() }).collect()
}

fn closed<L: LabelSet>() -> Vec<LabelDescription> {
    L::describe().into_iter().map(|(name, values)| LabelDescription { name, values }).collect()
}

/// The lines of a doc comment as one text.
fn help(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn describe<M: CatalogueMetric>(name: &'static str, help: String) -> MetricDescription {
    MetricDescription { name, kind: M::KIND, unit: unit(stem(name)), labels: M::labels(), help }
}

fn register<M: CatalogueMetric>(registry: &mut Registry, name: &'static str, help: &str) -> M {
    let metric = M::default();
    // The registry ends each help text with a full stop of its own.
    let help = help.strip_suffix('.').unwrap_or(help);
    let stem = stem(name);
    match unit(stem) {
        None => registry.register(stem, help, metric.clone()),
        Some(unit) => {
            let base = stem.strip_suffix(unit).unwrap_or(stem).trim_end_matches('_');
            registry.register_with_unit(base, help, Unit::Other(unit.to_owned()), metric.clone());
        }
    }
    metric
}

/// The name without the suffix that the encoder adds by type.
fn stem(name: &'static str) -> &'static str {
    name.strip_suffix("_total").or_else(|| name.strip_suffix("_info")).unwrap_or(name)
}

fn unit(stem: &str) -> Option<&'static str> {
    ["seconds", "bytes", "events"].into_iter().find(|unit| stem.rsplit('_').next() == Some(unit))
}
