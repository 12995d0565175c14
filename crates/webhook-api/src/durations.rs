//! The duration metrics of routes; those that take events are found without a lock.

use std::borrow::Cow;
use std::sync::OnceLock;

use http::Method;
use spillway_telemetry::{HttpRequests, RouteMetrics};

use crate::router::INTAKE;

/// Routes that are called for every event.
const BUSY: [&str; 2] = [INTAKE, "/api/v1/events"];

/// The handles of the busy routes' posts, made at the first request.
#[derive(Default)]
pub(crate) struct RouteDurations {
    posts: [OnceLock<RouteMetrics>; BUSY.len()],
}

impl RouteDurations {
    /// The handle of one route. `route` is the pattern, or the empty string.
    pub(crate) fn get<'d>(&'d self, requests: &HttpRequests, method: &Method, route: &str) -> Cow<'d, RouteMetrics> {
        let make = || requests.for_route(method.as_str(), route);
        match BUSY.iter().position(|busy| *busy == route && method == Method::POST) {
            Some(position) => Cow::Borrowed(self.posts[position].get_or_init(make)),
            None => Cow::Owned(make()),
        }
    }
}
