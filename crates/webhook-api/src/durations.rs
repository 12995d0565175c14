//! The duration metrics of every route, found without a lock.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use http::Method;
use spillway_telemetry::{HttpRequests, RouteMetrics};

use crate::api::openapi;

/// Methods that are told apart; the last place is for all others.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
];

/// A handle for each method of a route, made at its first request.
type Handles = [OnceLock<RouteMetrics>; METHODS.len() + 1];

/// Handles for every route that is described, and for requests that match none.
pub(crate) struct RouteDurations {
    routes: HashMap<String, Handles>,
}

impl RouteDurations {
    pub(crate) fn new() -> Self {
        let described = openapi().paths.paths.into_keys();
        Self { routes: described.chain([String::new()]).map(|route| (route, Handles::default())).collect() }
    }

    /// The handle of one route. `route` is the pattern, or the empty string.
    pub(crate) fn get<'d>(&'d self, requests: &HttpRequests, method: &Method, route: &str) -> Cow<'d, RouteMetrics> {
        let make = || requests.for_route(method.as_str(), route);
        let position = METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len());
        match self.routes.get(route) {
            Some(handles) => Cow::Borrowed(handles[position].get_or_init(make)),
            None => Cow::Owned(make()),
        }
    }
}
