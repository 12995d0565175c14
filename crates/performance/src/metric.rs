//! The series that a process keeps about itself: closed lists, like the labels of its exported metrics.

/// What a series measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// How often something happened; shown as a rate per second.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// A distribution of durations.
    Latency,
}

impl MetricKind {
    /// `counter`, `gauge` or `latency`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Latency => "latency",
        }
    }
}

macro_rules! metrics {
    ($($(#[$meta:meta])* $kind:ident { $($name:ident = $text:literal, $unit:literal, $help:literal;)+ })+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
            pub enum $kind {
                $(#[doc = $help] $name,)+
            }

            impl $kind {
                /// All of them, in the order in which they are listed.
                pub const ALL: &'static [Self] = &[$(Self::$name,)+];

                /// The name in the API.
                #[must_use]
                pub const fn name(self) -> &'static str {
                    match self { $(Self::$name => $text,)+ }
                }

                /// What it counts or is measured in.
                #[must_use]
                pub const fn unit(self) -> &'static str {
                    match self { $(Self::$name => $unit,)+ }
                }

                /// What it means, in a sentence.
                #[must_use]
                pub const fn description(self) -> &'static str {
                    match self { $(Self::$name => $help,)+ }
                }

                /// The one with this name.
                #[must_use]
                pub fn named(name: &str) -> Option<Self> {
                    Self::ALL.iter().copied().find(|metric| metric.name() == name)
                }
            }
        )+
    };
}

metrics! {
    /// What is counted. Errors of the platform are ours, those of senders, clients and destinations theirs.
    CounterMetric {
        IntakeReceived = "intake_received", "requests", "Requests to intake, however they ended";
        IntakeAccepted = "intake_accepted", "requests", "Webhooks that were stored, were stored before, or were a handshake";
        IntakeSenderErrors = "intake_sender_errors", "requests", "Requests to intake that were refused for the sender's fault";
        IntakePlatformErrors = "intake_platform_errors", "requests", "Requests to intake that failed by our fault";
        DeliveriesDelivered = "deliveries_delivered", "deliveries", "Deliveries that a destination accepted";
        DeliveriesDead = "deliveries_dead", "deliveries", "Deliveries that were given up";
        DeliveriesCancelled = "deliveries_cancelled", "deliveries", "Deliveries that were cancelled";
        Attempts = "attempts", "requests", "Requests to destinations";
        AttemptsDestinationErrors = "attempts_destination_errors", "requests", "Requests to destinations that failed by the destination's fault";
        AttemptsPlatformErrors = "attempts_platform_errors", "requests", "Requests to destinations that failed by our fault";
        ApiRequests = "api_requests", "requests", "Requests to the API";
        ApiClientErrors = "api_client_errors", "requests", "Requests to the API that were refused for the client's fault";
        ApiPlatformErrors = "api_platform_errors", "requests", "Requests to the API that failed by our fault";
        ApiConfigurationRequests = "api_configuration_requests", "requests", "Requests about sources, destinations, connections, keys and workers";
        ApiConfigurationClientErrors = "api_configuration_client_errors", "requests", "Those refused for the client's fault";
        ApiConfigurationPlatformErrors = "api_configuration_platform_errors", "requests", "Those that failed by our fault";
        ApiEventsRequests = "api_events_requests", "requests", "Requests about events, deliveries, attempts and replays";
        ApiEventsClientErrors = "api_events_client_errors", "requests", "Those refused for the client's fault";
        ApiEventsPlatformErrors = "api_events_platform_errors", "requests", "Those that failed by our fault";
        ApiPublishRequests = "api_publish_requests", "requests", "Events that applications published";
        ApiPublishClientErrors = "api_publish_client_errors", "requests", "Those refused for the client's fault";
        ApiPublishPlatformErrors = "api_publish_platform_errors", "requests", "Those that failed by our fault";
        ApiPerformanceRequests = "api_performance_requests", "requests", "Requests about performance and monitoring";
        ApiPerformanceClientErrors = "api_performance_client_errors", "requests", "Those refused for the client's fault";
        ApiPerformancePlatformErrors = "api_performance_platform_errors", "requests", "Those that failed by our fault";
        CacheKeysHits = "cache_keys_hits", "lookups", "Look-ups that the cache of keys answered";
        CacheKeysMisses = "cache_keys_misses", "lookups", "Look-ups that the cache of keys did not answer";
        CacheConfigurationHits = "cache_configuration_hits", "lookups", "Look-ups that the cache of the configuration answered";
        CacheConfigurationMisses = "cache_configuration_misses", "lookups", "Look-ups that the cache of the configuration did not answer";
        CacheListsHits = "cache_lists_hits", "lookups", "Look-ups that the cache of lists answered";
        CacheListsMisses = "cache_lists_misses", "lookups", "Look-ups that the cache of lists did not answer";
        CacheAnalyticsHits = "cache_analytics_hits", "lookups", "Look-ups that the cache of analytics answered";
        CacheAnalyticsMisses = "cache_analytics_misses", "lookups", "Look-ups that the cache of analytics did not answer";
    }

    /// What goes up and down.
    GaugeMetric {
        IntakeQueueDepth = "intake_queue_depth", "events", "Events that wait for their commit";
        ReadyQueueDepth = "ready_queue_depth", "deliveries", "Deliveries handed to this node's worker that have not started";
        PendingDeliveries = "pending_deliveries", "deliveries", "Deliveries in the store that have not ended";
        OldestDue = "oldest_due_seconds", "seconds", "How long the longest-waiting due delivery has been due";
        BreakersOpen = "breakers_open", "destinations", "Destinations whose circuit breaker is open";
        PoolUsed = "pool_used", "connections", "Connections of the store's pool in use";
        PoolRatio = "pool_ratio", "ratio", "Share of the store's pool in use";
        CpuRatio = "cpu_ratio", "ratio", "Share of the processor time this process may use that it uses";
        Memory = "memory_bytes", "bytes", "Resident memory";
        MemoryRatio = "memory_ratio", "ratio", "Share of the memory this process may use that it uses";
        Disk = "disk_used_bytes", "bytes", "Used space of the volume that holds the store";
        DiskRatio = "disk_ratio", "ratio", "Share of the volume that holds the store that is used";
    }

    /// Durations.
    LatencyMetric {
        Acknowledgement = "acknowledgement", "seconds", "From a complete request at intake until its acknowledgement";
        Commit = "commit", "seconds", "A commit of events, flush included";
        Delivery = "delivery", "seconds", "From the receipt of an event until a destination accepted it, retries included";
        DeliveryFirstAttempt = "delivery_first_attempt", "seconds", "The same for deliveries that their destination accepted at the first attempt";
        Attempt = "attempt", "seconds", "A request to a destination";
        Api = "api", "seconds", "A request to the API";
        ApiConfiguration = "api_configuration", "seconds", "A request about sources, destinations, connections, keys and workers";
        ApiEvents = "api_events", "seconds", "A request about events, deliveries, attempts and replays";
        ApiPublish = "api_publish", "seconds", "An event that an application published";
        ApiPerformance = "api_performance", "seconds", "A request about performance and monitoring";
        StoreAppend = "store_append", "seconds", "Commit of a batch of events in the store";
        StoreClaim = "store_claim", "seconds", "Taking due deliveries from the store";
        StoreSettle = "store_settle", "seconds", "Commit of a batch of outcomes in the store";
        StoreRenew = "store_renew", "seconds", "Extending leases in the store";
        StoreLists = "store_lists", "seconds", "A page of a list from the store";
        StoreLookup = "store_lookup", "seconds", "One row from the store";
        StoreConfiguration = "store_configuration", "seconds", "Reading or changing the configuration in the store";
        StoreReplay = "store_replay", "seconds", "A replay in the store";
        StoreMaintenance = "store_maintenance", "seconds", "Housekeeping of the store";
    }
}

impl LatencyMetric {
    /// Whether it is a part of the whole, of which only the last hour is kept.
    pub(crate) const fn is_part(self) -> bool {
        !matches!(
            self,
            Self::Acknowledgement
                | Self::Commit
                | Self::Delivery
                | Self::DeliveryFirstAttempt
                | Self::Attempt
                | Self::Api
        )
    }
}
