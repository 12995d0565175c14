//! All paths of the gateway.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use hyper::body::Incoming;
use tower::Service;

use crate::durations::RouteDurations;
use crate::gateway::Gateway;
use crate::limits::ClientAddress;
use crate::problem::Problem;
use crate::{api, health, intake};

/// Where webhooks come in.
pub(crate) const INTAKE: &str = "/in/{source}";
const INTAKE_PREFIX: &str = "/in/";

/// The paths that this process serves. A worker has health and metrics only.
pub fn router(gateway: Arc<Gateway>) -> Router {
    router_with(gateway, Router::new())
}

/// The same beside the paths of `more`, which are compressed and measured like the API's.
pub fn router_with(gateway: Arc<Gateway>, more: Router) -> Router {
    let mut router = Router::new()
        .route("/health", get(health::health))
        .route("/readyz", get(health::ready))
        .route("/healthz", get(health::healthz))
        .merge(Router::new().route("/metrics", get(metrics)).layer(api::compression()));
    if gateway.serves_api {
        router = router.route(INTAKE, any(receive)).merge(api::router(&gateway));
    }
    let observed = Observed::of(&gateway);
    router
        .merge(more.layer(api::compression()).with_state(()))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(observed, observe))
        .with_state(gateway)
}

async fn receive(
    State(gateway): State<Arc<Gateway>>,
    source: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let Ok(Path(source)) = source else { return not_found(request).await };
    let (parts, body) = request.into_parts();
    intake::receive(gateway, &source, parts, body).await
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, spillway_telemetry::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn not_found(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    let detail = format!("There is nothing at {path}. The API is described at /openapi.json.");
    Problem::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail).into_response()
}

pub(crate) async fn method_not_allowed(request: Request) -> Response {
    let detail = format!("{} is not possible here. The API is described at /openapi.json.", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", detail).into_response()
}

/// Headers that every answer carries. The strictest policy: nothing here is meant to be shown inside another page.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-embedder-policy"), HeaderValue::from_static("require-corp")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// What every request is measured with.
struct Observed {
    gateway: Arc<Gateway>,
    durations: RouteDurations,
}

impl Observed {
    fn of(gateway: &Arc<Gateway>) -> Arc<Self> {
        Arc::new(Self { gateway: gateway.clone(), durations: RouteDurations::default() })
    }

    /// Measures a request and adds what every answer carries.
    fn finish(&self, method: &Method, route: &str, start: Instant, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.reserve(SECURITY_HEADERS.len() + 1);
        for (name, value) in &SECURITY_HEADERS {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        if self.gateway.api.tls {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
        let duration = self.durations.get(&self.gateway.metrics.http_requests, method, route);
        duration.observe(response.status().as_u16(), start.elapsed(), None);
        response
    }
}

async fn observe(State(observed): State<Arc<Observed>>, request: Request<Body>, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    observed.finish(&method, route.as_ref().map_or("", MatchedPath::as_str), start, response)
}

/// All paths as a server answers them: webhooks at once, the rest by the router.
///
/// Nearly all requests are webhooks, and router and layers take some per cent of the processor time of one (`cargo xtask bench intake`).
#[derive(Clone)]
pub struct Front {
    router: Router,
    observed: Arc<Observed>,
}

impl Front {
    /// `router` is the one of [`router`] or [`router_with`].
    #[must_use]
    pub fn new(gateway: &Arc<Gateway>, router: Router) -> Self {
        Self { router, observed: Observed::of(gateway) }
    }

    pub(crate) fn answer(
        &self,
        client: ClientAddress,
        mut request: Request<Incoming>,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>> {
        if self.observed.gateway.serves_api && request.method() == Method::POST && is_plain(source_of(request.uri())) {
            return Box::pin(receive_at_once(self.observed.clone(), request));
        }
        request.extensions_mut().insert(client);
        Box::pin(self.router.clone().call(request))
    }
}

async fn receive_at_once(observed: Arc<Observed>, request: Request<Incoming>) -> Result<Response, Infallible> {
    let start = Instant::now();
    let (parts, body) = request.into_parts();
    let uri = parts.uri.clone();
    let response = intake::receive(observed.gateway.clone(), source_of(&uri), parts, Body::new(body)).await;
    Ok(observed.finish(&Method::POST, INTAKE, start, response))
}

/// What the path names as a source, if it does.
fn source_of(uri: &Uri) -> &str {
    uri.path().strip_prefix(INTAKE_PREFIX).unwrap_or_default()
}

/// Whether this is one segment of a path that stands for itself.
fn is_plain(segment: &str) -> bool {
    !segment.is_empty() && !segment.bytes().any(|byte| matches!(byte, b'/' | b'%'))
}
