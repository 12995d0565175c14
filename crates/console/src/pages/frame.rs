//! Pages about the console itself.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use maud::html;

use crate::api::Problem;
use crate::cookies;
use crate::look::layout::{self, Theme};
use crate::look::parts;
use crate::look::rail::{Place, Rail};
use crate::visit::{Outcome, Page, Visit, own_path, see_other};

/// A theme is kept for a year.
const THEME_SECONDS: u64 = 365 * 86_400;

/// Every page, for screens without room for the rail.
pub(crate) async fn more(visit: Visit) -> Response {
    let rail = Rail::load(&visit.api).await;
    let content = html! {
        (parts::head(None, "All pages", &html! {}, &html! {}))
        (rail.draw_all())
        h2 { "Theme" }
        (layout::theme_choice(&visit))
        h2 { "Session" }
        form method="post" action="/console/logout" { (visit.token()) button.quiet type="submit" { "Sign out" } }
    };
    visit.show(Page::new(Place::More, "All pages", content)).await
}

/// What can be done with the keyboard.
pub(crate) async fn keyboard(visit: Visit) -> Response {
    let content = html! {
        (parts::head(None, "Keyboard", &html! { "With script; every page works without it too." }, &html! {}))
        section.keys-page { (layout::key_list("page")) }
    };
    visit.show(Page::new(Place::None, "Keyboard", content)).await
}

/// Keeps the theme in a cookie.
pub(crate) async fn theme(visit: Visit) -> Response {
    let chosen = Theme::ALL.into_iter().find(|theme| theme.name() == visit.form.get("theme")).unwrap_or(Theme::Auto);
    let cookie = cookies::set(cookies::THEME, chosen.name(), THEME_SECONDS, visit.console.settings.tls);
    let back = see_other(own_path(visit.form.get("next")).unwrap_or("/console"));
    ([(header::SET_COOKIE, cookie)], back).into_response()
}

pub(crate) async fn home() -> Response {
    see_other("/console")
}

pub(crate) async fn not_found(visit: Visit) -> Outcome {
    let path: String = visit.here.chars().take(200).collect();
    let detail = format!("There is nothing at {path}. Take a page from the list, or search for an id under Events.");
    Err(Problem::new(StatusCode::NOT_FOUND, "page_unknown", "No such page", detail))
}
