//! One request of somebody who is signed in, and what it is answered with.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use maud::{Markup, html};
use spillway_model::{Scope, UnixMillis};

use crate::api::{Api, Problem};
use crate::console::Console;
use crate::cookies;
use crate::form::Form;
use crate::look::layout::{self, Theme};
use crate::look::rail::{Place, Rail};
use crate::session::Session;

/// What a page needs to know of the request.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) console: Arc<Console>,
    pub(crate) api: Api,
    pub(crate) session: Arc<Session>,
    pub(crate) theme: Theme,
    /// Where people and senders reach this server, such as `https://hooks.example.com`.
    pub(crate) base_url: Arc<str>,
    /// Path and query of the request.
    pub(crate) here: Arc<str>,
    pub(crate) now: UnixMillis,
    /// The fields of the query, or of the form that was posted.
    pub(crate) form: Arc<Form>,
}

/// A page, or why there is none.
pub(crate) type Outcome = Result<Response, Problem>;

/// A page before it is put into its frame.
pub(crate) struct Page {
    pub(crate) place: Place,
    /// What the browser calls it.
    pub(crate) title: String,
    pub(crate) content: Markup,
    pub(crate) status: StatusCode,
    /// Which live page it is, if it is one.
    pub(crate) live: Option<String>,
}

impl Page {
    pub(crate) fn new(place: Place, title: impl Into<String>, content: Markup) -> Self {
        Self { place, title: title.into(), content, status: StatusCode::OK, live: None }
    }

    #[must_use]
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    #[must_use]
    pub(crate) fn live(mut self, query: impl Into<String>) -> Self {
        self.live = Some(query.into());
        self
    }
}

impl Visit {
    /// Whoever has signed in, with the request that was made.
    pub(crate) fn new(console: &Arc<Console>, session: Session, request: &Request, form: Form) -> Self {
        let mut client = http::Extensions::new();
        (console.settings.forward)(request.extensions(), &mut client);
        let here = here(request);
        Self {
            api: Api::new(console.api.clone(), &session.key, client),
            console: console.clone(),
            session: Arc::new(session),
            theme: Theme::of(request.headers()),
            base_url: base_url(console, request).into(),
            here: here.into(),
            now: console.settings.clock.now(),
            form: Arc::new(form),
        }
    }

    /// Whether the key may change things; what it may not do is not offered.
    pub(crate) fn may_write(&self) -> bool {
        self.session.scope >= Scope::Write
    }

    /// The hidden field that every form carries.
    pub(crate) fn token(&self) -> Markup {
        html! { input type="hidden" name="token" value=(self.session.token()); }
    }

    /// Answers with a page in its frame.
    pub(crate) async fn show(&self, page: Page) -> Response {
        let rail = Rail::load(&self.api).await;
        let text = layout::page(self, &page, &rail).into_string();
        html_response(page.status, text)
    }

    /// The page of a problem.
    pub(crate) async fn refuse(&self, problem: &Problem) -> Response {
        let page = Page::new(Place::None, problem.title.clone(), layout::problem_page(self, problem));
        let mut response = self.show(page.status(problem.status)).await;
        if let Some(wait) = problem.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        response
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        // The guard puts it there; without the guard nothing is shown.
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::UNAUTHORIZED)
    }
}

impl IntoResponse for Problem {
    /// The guard draws the page: only it knows who asks.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// An answer that no cache keeps.
pub(crate) fn html_response(status: StatusCode, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, text).into_response()
}

/// Sends the browser to another page of the console, with GET.
pub(crate) fn see_other(path: &str) -> Response {
    let place = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/console"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))])
        .into_response()
}

/// The path, if it is one of the console's pages: nobody is sent elsewhere.
pub(crate) fn own_path(path: &str) -> Option<&str> {
    let inside = path == "/console" || path.starts_with("/console/") || path.starts_with("/console?");
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (inside && plain && path.len() <= 2_048 && !path.contains("//")).then_some(path)
}

/// The theme that a browser asks for.
impl Theme {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match cookies::get(headers, cookies::THEME) {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::Auto,
        }
    }
}

/// The page that is shown: of a form it is the one that it stands on.
fn here(request: &Request) -> &str {
    if request.method() == Method::GET {
        return request.uri().path_and_query().map_or("/console", |path| path.as_str());
    }
    let of_form = || {
        let (_, rest) = request.headers().get(header::REFERER)?.to_str().ok()?.split_once("://")?;
        own_path(rest.get(rest.find('/')?..)?)
    };
    of_form().unwrap_or("/console")
}

fn base_url(console: &Console, request: &Request) -> String {
    if let Some(url) = &console.settings.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let scheme = if console.settings.tls { "https" } else { "http" };
    format!("{scheme}://{}", authority(request).unwrap_or("127.0.0.1:8080"))
}

/// The host and port that the browser asked.
pub(crate) fn authority(request: &Request) -> Option<&str> {
    let of_uri = request.uri().authority().map(http::uri::Authority::as_str);
    let host = of_uri.or_else(|| request.headers().get(header::HOST)?.to_str().ok())?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'_');
    host.bytes().all(plain).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_place() {
        for own in ["/console", "/console/events?q=a%20b", "/console?x"] {
            assert_eq!(own_path(own), Some(own));
        }
        for other in [
            "",
            "/",
            "//evil.example",
            "/console//evil.example",
            "/consoles",
            "https://evil.example",
            "/console/\\evil",
            "/console/ü",
        ] {
            assert_eq!(own_path(other), None, "{other}");
        }
    }
}
