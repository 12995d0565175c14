//! The management API under `/api/v1`, and its description at `/openapi.json`.

mod access;
mod attempts;
mod body;
mod caching;
mod change;
mod connections;
mod dead_letters;
mod deliveries;
mod destinations;
mod document;
mod documents;
mod entry;
mod error;
mod events;
/// Keys of the API: their text, and the routes that manage them.
pub mod keys;
mod load_tests;
mod merge;
mod page;
mod path;
mod performance;
mod pool;
mod publish;
mod query;
mod replays;
mod resend;
mod rollouts;
mod secrets;
mod sources;
mod streams;
mod suggest;
mod tag;
mod timestamp;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::get;
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gateway::Gateway;
use crate::router::method_not_allowed;

pub use document::openapi;
pub(crate) use events::{summary_of as event_summary, view as event_view};
pub use pool::{PoolLevel, PoolLimits};

/// Smaller answers are not worth compressing.
const COMPRESS_FROM_BYTES: u16 = 1_024;
/// How long a browser may remember what the API allows it.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(600);

pub(crate) fn router(gateway: &Arc<Gateway>) -> Router<Arc<Gateway>> {
    let (managed, _) = managed().split_for_parts();
    let described = Router::new()
        .route("/openapi.json", get(document::serve))
        .route_layer(middleware::from_fn(caching::conditional));
    let mut router = managed
        .route_layer(middleware::from_fn(caching::conditional))
        .route_layer(middleware::from_fn_with_state(gateway.clone(), access::admit))
        .merge(described)
        .method_not_allowed_fallback(method_not_allowed);
    if let Some(cors) = cors(&gateway.api.cors_allow_origins) {
        router = router.layer(cors);
    }
    router.layer(compression())
}

/// Every route that needs a key, with its description: one cannot exist without the other.
fn managed() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::with_openapi(document::base())
        .routes(routes!(sources::list, sources::create))
        .routes(routes!(sources::show, sources::replace, sources::update, sources::delete))
        .routes(routes!(sources::add_secret))
        .routes(routes!(sources::remove_secret))
        .routes(routes!(destinations::routes::list, destinations::routes::create))
        .routes(routes!(
            destinations::routes::show,
            destinations::routes::replace,
            destinations::routes::update,
            destinations::routes::delete
        ))
        .routes(routes!(destinations::state::pause))
        .routes(routes!(destinations::state::resume))
        .routes(routes!(destinations::state::enable))
        .routes(routes!(destinations::rotation::rotate_secret))
        .routes(routes!(destinations::budget::show))
        .routes(routes!(destinations::budget::list))
        .routes(routes!(sources::validate::validate))
        .routes(routes!(connections::list, connections::create))
        .routes(routes!(connections::trial::test))
        .routes(routes!(connections::show, connections::replace, connections::update, connections::delete))
        .routes(routes!(events::list, publish::publish))
        .routes(routes!(events::show))
        .routes(routes!(deliveries::of_event))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::show))
        .routes(routes!(attempts::of_delivery))
        .routes(routes!(deliveries::retry))
        .routes(routes!(attempts::list))
        .routes(routes!(keys::own))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::show, keys::delete))
        .routes(routes!(workers::show_shares, workers::set_shares, workers::unset_shares))
        .routes(routes!(pool::show))
        .routes(routes!(streams::sse::stream))
        .routes(routes!(streams::socket::stream))
        .routes(routes!(rollouts::list))
        .routes(routes!(rollouts::show, rollouts::put, rollouts::delete))
        .routes(routes!(rollouts::commands::list, rollouts::commands::give))
        .routes(routes!(rollouts::commands::take))
        .routes(routes!(load_tests::list))
        .routes(routes!(load_tests::show, load_tests::put, load_tests::delete))
        .routes(routes!(replays::list, replays::create))
        .routes(routes!(replays::show))
        .routes(routes!(replays::cancel))
        .routes(routes!(resend::replay))
        .routes(routes!(resend::release))
        .routes(routes!(dead_letters::show))
        .routes(routes!(performance::metrics::show))
        .routes(routes!(performance::health::show))
        .routes(routes!(performance::alerts::show))
        .routes(routes!(performance::trends::list))
        .routes(routes!(performance::trends::show))
        .routes(routes!(performance::recommendations::list))
        .routes(routes!(performance::forecast::show))
        .routes(routes!(performance::slos::list))
        .routes(routes!(performance::business::record))
}

/// Gzip at level 6, from 1 KiB on.
pub(crate) fn compression() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new()
        .quality(CompressionLevel::Precise(6))
        .compress_when(DefaultPredicate::new().and(SizeAbove::new(COMPRESS_FROM_BYTES)))
}

/// What browsers on other origins may do; `None` when no origin is allowed.
fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let any = origins.iter().any(|origin| origin == "*");
    let allowed = if any { AllowOrigin::any() } else { AllowOrigin::list(origins.iter().cloned()) };
    let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let exposed = ["etag", "location", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after"];
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(methods)
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::IF_MATCH,
                header::IF_NONE_MATCH,
                HeaderName::from_static("idempotency-key"),
            ])
            .expose_headers(exposed.map(HeaderName::from_static))
            .max_age(PREFLIGHT_MAX_AGE),
    )
}
