//! Who gets in, and what may be posted.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::api::{Problem, with_query};
use crate::console::Console;
use crate::cookies;
use crate::form::{Form, MAX_FORM_BYTES};
use crate::session::Session;
use crate::visit::{Visit, authority, see_other};

/// What pages may load and do: their own style, script and images, and nothing that stands in a page itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);

/// Adds what every answer of the console carries.
pub(crate) async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // With `no-referrer` browsers would hide where a form comes from, which is checked.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Lets somebody in who is signed in, and a form whose session and place are ours. Shows the page of a problem.
pub(crate) async fn admit(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let Some(session) = session(&console, request.headers()).await else { return sign_in(&request) };
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read {
        let form = Form::parse(request.uri().query().unwrap_or_default().as_bytes());
        let visit = Visit::new(&console, session, &request, form);
        return run(visit, request, next).await;
    }
    let foreign = is_foreign(&console, &request);
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_FORM_BYTES).await;
    let request = Request::from_parts(parts, axum::body::Body::empty());
    let form = body.as_ref().map(|body| Form::parse(body)).unwrap_or_default();
    let is_ours = !foreign && session.owns(form.get("token"));
    let visit = Visit::new(&console, session, &request, form);
    if body.is_err() {
        return visit.refuse(&too_large()).await;
    }
    if !is_ours {
        return visit.refuse(&not_ours()).await;
    }
    run(visit, request, next).await
}

async fn run(visit: Visit, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(visit.clone());
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Problem>() {
        None => response,
        Some(problem) if problem.is_signed_out() => see_other("/console/login?ended=key"),
        Some(problem) => visit.refuse(&problem).await,
    }
}

async fn session(console: &Console, headers: &HeaderMap) -> Option<Session> {
    let cookie = cookies::get(headers, cookies::SESSION)?;
    console.settings.keyring.open_session(cookie, console.settings.clock.now()).await
}

/// To the page where one signs in, and back afterwards. A script that asks is told in a way that it understands.
fn sign_in(request: &Request) -> Response {
    if request.uri().path() == "/console/live" {
        return axum::response::IntoResponse::into_response(StatusCode::UNAUTHORIZED);
    }
    let is_read = request.method() == Method::GET;
    let here = request.uri().path_and_query().map_or("", |path| path.as_str());
    let back = if is_read && here != "/console" { here } else { "" };
    see_other(&with_query("/console/login", [("next", back)]))
}

/// Whether a browser says that the form stands on another site.
pub(crate) fn is_foreign(console: &Console, request: &Request) -> bool {
    const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let header = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    if header(FETCH_SITE).is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let Some(origin) = header(header::ORIGIN) else { return false };
    let place = origin.split_once("://").map_or(origin, |(_, place)| place);
    let public = console.settings.public_url.as_deref().and_then(|url| url.split_once("://"));
    let public = public.map(|(_, place)| place.split('/').next().unwrap_or_default());
    Some(place) != authority(request) && Some(place) != public
}

fn not_ours() -> Problem {
    let detail = "The form did not come from this session, so nothing was done. That happens when you signed in again in another tab: \
                  go back, load the page again, and send the form once more.";
    Problem::new(StatusCode::FORBIDDEN, "form_not_ours", "Form not accepted", detail)
}

fn too_large() -> Problem {
    let detail =
        format!("The form is larger than {MAX_FORM_BYTES} bytes, so nothing was done. Send less, or use the API.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "Form too large", detail)
}
