//! All paths of the gateway.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{HeaderName, HeaderValue, StatusCode, header};
use std::time::Instant;

use crate::durations::RouteDurations;
use crate::gateway::Gateway;
use crate::problem::Problem;
use crate::{api, health, intake};

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
        router = router.route("/in/{source}", any(receive)).merge(api::router(&gateway));
    }
    let observed = Arc::new(Observed { gateway: gateway.clone(), durations: RouteDurations::default() });
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

/// Measures each request and adds what every answer carries.
async fn observe(State(observed): State<Arc<Observed>>, request: Request<Body>, next: Next) -> Response {
    let start = Instant::now();
    let Observed { gateway, durations } = &*observed;
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in &SECURITY_HEADERS {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    if gateway.api.tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let duration = durations.get(&gateway.metrics.http_requests, &method, route);
    duration.observe(response.status().as_u16(), start.elapsed(), None);
    response
}
