//! The metrics as numbers that only grow, and what grew between two readings.

use http::Method;
use spillway_performance::{BUCKETS, CounterMetric, Histogram, LatencyMetric, Recorder};
use spillway_telemetry::{
    AttemptClass, CacheName, CacheResult, DeliveryOutcome, IntakeOutcome, Label, LatencyHistogram, Metrics, StoreQuery,
};

/// What the exported histograms count is what the rings keep.
const _: () = {
    assert!(BUCKETS == LatencyHistogram::BUCKETS);
    let mut bound = 0;
    while bound < BUCKETS - 1 {
        assert!(spillway_performance::BOUNDS[bound].to_bits() == LatencyHistogram::BOUNDS[bound].to_bits());
        bound += 1;
    }
};

/// Everything that is counted, at one time.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    counts: [u64; CounterMetric::ALL.len()],
    durations: [[u64; BUCKETS]; LatencyMetric::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self { counts: [0; CounterMetric::ALL.len()], durations: [[0; BUCKETS]; LatencyMetric::ALL.len()] }
    }
}

/// Routes of the API that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteClass {
    Configuration,
    Events,
    Publish,
    Performance,
}

/// A class with its name, its requests, client errors and platform errors, and its durations.
pub(crate) type Class = (RouteClass, &'static str, [CounterMetric; 3], LatencyMetric);

pub(crate) const CLASSES: [Class; 4] = {
    use CounterMetric as C;
    [
        (
            RouteClass::Configuration,
            "configuration",
            [C::ApiConfigurationRequests, C::ApiConfigurationClientErrors, C::ApiConfigurationPlatformErrors],
            LatencyMetric::ApiConfiguration,
        ),
        (
            RouteClass::Events,
            "events",
            [C::ApiEventsRequests, C::ApiEventsClientErrors, C::ApiEventsPlatformErrors],
            LatencyMetric::ApiEvents,
        ),
        (
            RouteClass::Publish,
            "publish",
            [C::ApiPublishRequests, C::ApiPublishClientErrors, C::ApiPublishPlatformErrors],
            LatencyMetric::ApiPublish,
        ),
        (
            RouteClass::Performance,
            "performance",
            [C::ApiPerformanceRequests, C::ApiPerformanceClientErrors, C::ApiPerformancePlatformErrors],
            LatencyMetric::ApiPerformance,
        ),
    ]
};

impl RouteClass {
    /// The class of a route's pattern; `None` for what is not the API.
    pub(crate) fn of(method: &str, route: &str) -> Option<Self> {
        let rest = route.strip_prefix("/api/v1/")?;
        Some(match rest.split('/').next().unwrap_or_default() {
            "performance" | "monitoring" => Self::Performance,
            "events" if rest == "events" && method == Method::POST.as_str() => Self::Publish,
            "events" | "deliveries" | "attempts" | "replays" | "dead-letters" | "stream" => Self::Events,
            _ => Self::Configuration,
        })
    }
}

impl Counters {
    pub(super) fn read(metrics: &Metrics) -> Self {
        let mut counters = Self::default();
        counters.read_intake(metrics);
        counters.read_deliveries(metrics);
        counters.read_api(metrics);
        counters.read_store(metrics);
        counters
    }

    /// Adds what grew since `before` to the rings.
    pub(super) fn record(&self, before: &Self, recorder: &mut Recorder, at_s: i64) {
        for metric in CounterMetric::ALL {
            let place = *metric as usize;
            recorder.count(*metric, at_s, self.counts[place].saturating_sub(before.counts[place]));
        }
        for metric in LatencyMetric::ALL {
            let place = *metric as usize;
            if self.durations[place] != before.durations[place] {
                let grown = Histogram::between(&before.durations[place], &self.durations[place]);
                recorder.latency(*metric, at_s, &grown);
            }
        }
    }

    fn read_intake(&mut self, metrics: &Metrics) {
        let totals = metrics.intake_requests.totals();
        for outcome in IntakeOutcome::ALL {
            let n = totals.get(outcome.index()).copied().unwrap_or(0);
            self.add(CounterMetric::IntakeReceived, n);
            self.add(
                match outcome {
                    IntakeOutcome::Accepted
                    | IntakeOutcome::Duplicate
                    | IntakeOutcome::Handshake
                    | IntakeOutcome::Quarantined => CounterMetric::IntakeAccepted,
                    IntakeOutcome::QueueFull | IntakeOutcome::StoreError => CounterMetric::IntakePlatformErrors,
                    IntakeOutcome::BadSignature
                    | IntakeOutcome::TooLarge
                    | IntakeOutcome::RateLimited
                    | IntakeOutcome::UnknownSource
                    | IntakeOutcome::EventInvalid
                    | IntakeOutcome::Invalid => CounterMetric::IntakeSenderErrors,
                },
                n,
            );
        }
        self.set(LatencyMetric::Acknowledgement, &metrics.intake_ack);
        self.set(LatencyMetric::Commit, &metrics.commit);
    }

    fn read_deliveries(&mut self, metrics: &Metrics) {
        for outcome in DeliveryOutcome::ALL {
            let metric = match outcome {
                DeliveryOutcome::Delivered => CounterMetric::DeliveriesDelivered,
                DeliveryOutcome::Dead => CounterMetric::DeliveriesDead,
                DeliveryOutcome::Cancelled => CounterMetric::DeliveriesCancelled,
            };
            self.add(metric, metrics.deliveries.get(*outcome).get());
        }
        for class in AttemptClass::ALL {
            let n = metrics.attempts.get(*class).get();
            self.add(CounterMetric::Attempts, n);
            match class {
                AttemptClass::Success => {}
                // A filter or transform that fails is its author's: neither ours nor the destination's.
                AttemptClass::Transform => {}
                AttemptClass::Platform => self.add(CounterMetric::AttemptsPlatformErrors, n),
                _ => self.add(CounterMetric::AttemptsDestinationErrors, n),
            }
        }
        self.set(LatencyMetric::Attempt, &metrics.attempt);
        self.set(LatencyMetric::Delivery, &metrics.delivery_latency);
        self.set(LatencyMetric::DeliveryFirstAttempt, &metrics.delivery_first_attempt);
    }

    fn read_api(&mut self, metrics: &Metrics) {
        metrics.http_requests.visit(|method, route, status, histogram| {
            let Some(class) = RouteClass::of(method, route) else { return };
            let counts = histogram.counts();
            let n = counts.iter().sum();
            let (_, _, [requests, client_errors, platform_errors], latency) = CLASSES[class as usize];
            self.add(CounterMetric::ApiRequests, n);
            self.add(requests, n);
            if (400..500).contains(&status) {
                self.add(CounterMetric::ApiClientErrors, n);
                self.add(client_errors, n);
            } else if status >= 500 {
                self.add(CounterMetric::ApiPlatformErrors, n);
                self.add(platform_errors, n);
            }
            for metric in [LatencyMetric::Api, latency] {
                for (sum, count) in self.durations[metric as usize].iter_mut().zip(counts) {
                    *sum += count;
                }
            }
        });
    }

    fn read_store(&mut self, metrics: &Metrics) {
        for query in StoreQuery::ALL {
            let metric = match query {
                StoreQuery::Append => LatencyMetric::StoreAppend,
                StoreQuery::Claim => LatencyMetric::StoreClaim,
                StoreQuery::Settle => LatencyMetric::StoreSettle,
                StoreQuery::Renew => LatencyMetric::StoreRenew,
                StoreQuery::Lists => LatencyMetric::StoreLists,
                StoreQuery::Lookup => LatencyMetric::StoreLookup,
                StoreQuery::Configuration => LatencyMetric::StoreConfiguration,
                StoreQuery::Replay => LatencyMetric::StoreReplay,
                StoreQuery::Maintenance => LatencyMetric::StoreMaintenance,
            };
            self.set(metric, metrics.store_query.get(*query));
        }
        for cache in CacheName::ALL {
            let [hits, misses] = of_cache(*cache);
            self.add(hits, metrics.cache_requests.get((*cache, CacheResult::Hit)).get());
            self.add(misses, metrics.cache_requests.get((*cache, CacheResult::Miss)).get());
        }
    }

    fn add(&mut self, metric: CounterMetric, n: u64) {
        self.counts[metric as usize] += n;
    }

    fn set(&mut self, metric: LatencyMetric, histogram: &LatencyHistogram) {
        self.durations[metric as usize] = histogram.counts();
    }
}

/// Hits and misses of a cache.
pub(crate) const fn of_cache(cache: CacheName) -> [CounterMetric; 2] {
    match cache {
        CacheName::Keys => [CounterMetric::CacheKeysHits, CounterMetric::CacheKeysMisses],
        CacheName::Configuration => [CounterMetric::CacheConfigurationHits, CounterMetric::CacheConfigurationMisses],
        CacheName::Lists => [CounterMetric::CacheListsHits, CounterMetric::CacheListsMisses],
        CacheName::Analytics => [CounterMetric::CacheAnalyticsHits, CounterMetric::CacheAnalyticsMisses],
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn classes_stand_at_their_place() {
        for (place, (class, ..)) in CLASSES.iter().enumerate() {
            assert_eq!(*class as usize, place);
        }
        for (method, route, class) in [
            ("GET", "/api/v1/sources/{source}", Some(RouteClass::Configuration)),
            ("GET", "/api/v1/events", Some(RouteClass::Events)),
            ("POST", "/api/v1/events", Some(RouteClass::Publish)),
            ("POST", "/api/v1/events/{event}/replay", Some(RouteClass::Events)),
            ("GET", "/api/v1/monitoring/database/pool", Some(RouteClass::Performance)),
            ("POST", "/in/{source}", None),
            ("GET", "", None),
        ] {
            assert_eq!(RouteClass::of(method, route), class, "{method} {route}");
        }
    }

    #[test]
    fn failures_of_ours_and_of_others_are_counted_apart() {
        let metrics = Metrics::new("0", "0");
        let source = metrics.intake_for_source("github");
        for outcome in [IntakeOutcome::Accepted, IntakeOutcome::StoreError, IntakeOutcome::BadSignature] {
            source.record(outcome);
        }
        for class in [AttemptClass::Success, AttemptClass::Timeout, AttemptClass::Platform, AttemptClass::Transform] {
            metrics.attempts.get(class).inc();
        }
        let route = metrics.http_requests.for_route("GET", "/api/v1/events");
        for status in [200, 404, 503] {
            route.observe(status, Duration::from_millis(3), None);
        }
        metrics.http_requests.for_route("GET", "/healthz").observe(503, Duration::from_millis(3), None);
        let mut recorder = Recorder::default();
        Counters::read(&metrics).record(&Counters::default(), &mut recorder, 100);
        let counted = |metric| recorder.counted(metric, 0, 200);
        use CounterMetric as C;
        for (metrics, expected) in [
            ([C::IntakeReceived, C::IntakePlatformErrors, C::IntakeSenderErrors], [3, 1, 1]),
            ([C::Attempts, C::AttemptsPlatformErrors, C::AttemptsDestinationErrors], [4, 1, 1]),
            ([C::ApiRequests, C::ApiPlatformErrors, C::ApiClientErrors], [3, 1, 1]),
            ([C::ApiEventsRequests, C::ApiEventsPlatformErrors, C::ApiConfigurationRequests], [3, 1, 0]),
        ] {
            assert_eq!(metrics.map(counted), expected, "{metrics:?}");
        }
        assert_eq!(recorder.durations(LatencyMetric::ApiEvents, 0, 200).count(), 3);
    }
}
