//! Entity tags: an answer that the client has already is not sent again.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};

/// Marks an answer that is made of this version of the configuration alone.
pub(crate) fn versioned(version: u64, mut response: Response) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("W/\"c{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Turns an answer whose tag is in `If-None-Match` into 304.
pub(crate) async fn conditional(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(header::IF_NONE_MATCH).filter(|_| reads).cloned();
    let mut response = next.run(request).await;
    let is_known = match (&known, response.headers().get(header::ETAG)) {
        (Some(known), Some(tag)) if response.status() == StatusCode::OK => lists(known, tag),
        _ => false,
    };
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    response
}

/// Weak comparison (RFC 9110, section 8.8.3.2). Our tags hold no comma.
fn lists(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else { return false };
    known.trim() == "*" || known.split(',').any(|one| opaque(one) == opaque(tag))
}
