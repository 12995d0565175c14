//! Signing in with a key of the API, and out again.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{Extensions, HeaderValue, StatusCode, header};
use maud::{Markup, html};
use spillway_model::{Scope, Secret};

use crate::api::{Api, Problem};
use crate::console::Console;
use crate::cookies;
use crate::form::Form;
use crate::guard;
use crate::look::fields::problem_notice;
use crate::look::icons;
use crate::look::layout::{self, Theme};
use crate::look::parts::{self, Tone};
use crate::read::Read as _;
use crate::session::{LIFETIME_SECONDS, Session};
use crate::visit::{Visit, html_response, own_path, see_other};

/// Largest form with a key.
const MAX_BYTES: usize = 16 << 10;

/// Asks for a key.
pub(crate) async fn show(request: Request) -> Response {
    let form = Form::parse(request.uri().query().unwrap_or_default().as_bytes());
    let said = match form.get("ended") {
        "key" => parts::notice(
            Tone::Wait,
            &html! { p { "The key of your session is not known any more. Sign in with another one." } },
        ),
        "out" => parts::notice(Tone::Good, &html! { p { "You are signed out." } }),
        _ => html! {},
    };
    page(&request, &form, &said, StatusCode::OK)
}

/// Takes a key: the API says whether it is one, and how often somebody may try.
pub(crate) async fn sign_in(State(console): State<Arc<Console>>, request: Request) -> Response {
    let foreign = guard::is_foreign(&console, &request);
    let (parts, body) = request.into_parts();
    let form = to_bytes(body, MAX_BYTES).await.map(|body| Form::parse(&body)).unwrap_or_default();
    let request = Request::from_parts(parts, axum::body::Body::empty());
    if foreign {
        let detail = "The form stands on another site, so the key was not looked at. Sign in on this page.";
        return refuse(
            &request,
            &form,
            &Problem::new(StatusCode::FORBIDDEN, "form_not_ours", "Form not accepted", detail),
        );
    }
    let key = Secret::new(form.get("key"));
    let mut client = Extensions::new();
    (console.settings.forward)(request.extensions(), &mut client);
    match scope_of(&console, client, &key).await {
        Ok(scope) => begin(&console, &form, key, scope),
        Err(problem) => refuse(&request, &form, &problem),
    }
}

/// What the key may do; the API counts whoever tries others.
async fn scope_of(console: &Console, client: Extensions, key: &Secret) -> Result<Scope, Problem> {
    let shown = Api::new(console.api.clone(), key, client).get("/api/v1/key").await.map_err(|problem| {
        if !problem.is_signed_out() {
            return problem;
        }
        let detail = "No key has this text. Check that it is whole: it begins with spk_ and has 47 characters. \
                      `spillway keys create` makes another one.";
        Problem::new(StatusCode::UNAUTHORIZED, "key_unknown", "Key not known", detail)
    })?;
    match shown.text("/scope") {
        "admin" => Ok(Scope::Admin),
        "write" => Ok(Scope::Write),
        _ => Ok(Scope::Read),
    }
}

fn begin(console: &Console, form: &Form, key: Secret, scope: Scope) -> Response {
    let settings = &console.settings;
    let session = Session::begin(key, scope, settings.clock.now());
    let Some(sealed) = settings.keyring.seal(&session) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let cookie = cookies::set(cookies::SESSION, &sealed, LIFETIME_SECONDS, settings.tls);
    let next = own_path(form.get("next")).filter(|path| !path.starts_with("/console/log"));
    ([(header::SET_COOKIE, cookie)], see_other(next.unwrap_or("/console"))).into_response()
}

/// Ends the session in this browser.
pub(crate) async fn sign_out(visit: Visit) -> Response {
    let cookie = cookies::set(cookies::SESSION, "", 0, visit.console.settings.tls);
    ([(header::SET_COOKIE, cookie)], see_other("/console/login?ended=out")).into_response()
}

fn refuse(request: &Request, form: &Form, problem: &Problem) -> Response {
    let mut response = page(request, form, &problem_notice(problem), problem.status);
    if let Some(wait) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

fn page(request: &Request, form: &Form, said: &Markup, status: StatusCode) -> Response {
    let theme = Theme::of(request.headers());
    let body = html! {
        div.signin {
            main {
                p.brand { (icons::mark()) span { "Spillway" } }
                h1 { "Sign in" }
                p.muted { "With a key of the API. A key with scope read sees everything and changes nothing." }
                form method="post" action="/console/login" {
                    (said)
                    input type="hidden" name="next" value=(own_path(form.get("next")).unwrap_or_default());
                    div.field {
                        label for="key" { "API key" }
                        input.code id="key" name="key" type="password" required autofocus autocomplete="current-password"
                            placeholder="spk_…" maxlength="512" spellcheck="false" aria-describedby="key-hint";
                        p.hint id="key-hint" { "The first start of the gateway printed one. It stays in this browser, sealed, for 12 hours." }
                    }
                    button.button type="submit" { "Sign in" }
                }
            }
        }
    };
    html_response(status, layout::document("Sign in", theme, None, &body).into_string())
}
