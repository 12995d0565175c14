//! Durations of HTTP requests, labelled as OpenTelemetry's semantic conventions for HTTP servers ask.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use parking_lot::RwLock;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::MetricType,
};
use spillway_model::TraceContext;

use super::LatencyHistogram;

/// What the conventions put in place of a method that is not standard. Routes above [`MAX_ROUTES`] use it too.
const OTHER: &str = "_OTHER";

/// Pairs of method and route that have series of their own; a router has far fewer.
const MAX_ROUTES: usize = 512;

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/// The request durations of every route.
#[derive(Debug, Clone, Default)]
pub struct HttpRequests {
    routes: Arc<RwLock<Routes>>,
}

type Routes = BTreeMap<(&'static str, Box<str>), RouteMetrics>;

impl HttpRequests {
    /// The handle of one route. `route` is the pattern (`/api/v1/sources/{id}`), never the path; use the empty string for
    /// requests that match none. It takes a lock: keep the handle beside the route. Above 512 routes all further ones
    /// count together as `_OTHER`.
    #[must_use]
    pub fn for_route(&self, method: &str, route: &str) -> RouteMetrics {
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER);
        let mut key = (method, Box::from(route));
        if let Some(known) = self.routes.read().get(&key) {
            return known.clone();
        }
        let mut routes = self.routes.write();
        if routes.len() >= MAX_ROUTES && !routes.contains_key(&key) {
            key = (OTHER, Box::from(OTHER));
        }
        routes.entry(key).or_default().clone()
    }

    /// Calls `visit` with the method, route and status of each series, and what it has counted so far. Requests that begin a new series wait
    /// meanwhile: it must be quick.
    pub fn visit(&self, mut visit: impl FnMut(&str, &str, u16, &LatencyHistogram)) {
        for ((method, route), metrics) in self.routes.read().iter() {
            for (status, histogram) in metrics.by_status.read().iter() {
                visit(method, route, *status, histogram);
            }
        }
    }
}

/// The request durations of one route, by status.
#[derive(Debug, Clone, Default)]
pub struct RouteMetrics {
    by_status: Arc<RwLock<BTreeMap<u16, LatencyHistogram>>>,
}

impl RouteMetrics {
    /// Counts one request, from its first byte until its answer was handed to the connection. Statuses outside 100–599
    /// count as the nearest of these.
    pub fn observe(&self, status: u16, duration: Duration, trace: Option<TraceContext>) {
        let status = status.clamp(100, 599);
        if let Some(histogram) = self.by_status.read().get(&status) {
            return histogram.observe_traced(duration, trace);
        }
        self.by_status.write().entry(status).or_default().observe_traced(duration, trace);
    }
}

impl EncodeMetric for HttpRequests {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for ((method, route), metrics) in self.routes.read().iter() {
            for (status, histogram) in metrics.by_status.read().iter() {
                let labels = [
                    ("http_request_method", (*method).to_owned()),
                    ("http_route", route.to_string()),
                    ("http_response_status_code", status.to_string()),
                ];
                histogram.encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
