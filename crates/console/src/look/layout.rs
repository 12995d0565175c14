//! The frame of every page.

use maud::{DOCTYPE, Markup, html};
use spillway_model::Scope;

use crate::api::Problem;
use crate::assets::{MARK, SCRIPT, STYLE};
use crate::look::icons;
use crate::look::parts::{self, Tone};
use crate::look::rail::{Place, Rail};
use crate::visit::{Page, Visit};

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// What the system has.
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }
}

/// A document with the console's style and script.
pub(crate) fn document(title: &str, theme: Theme, live: Option<&str>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[(theme != Theme::Auto).then(|| theme.name())] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
                meta name="color-scheme" content=(match theme { Theme::Auto => "light dark", Theme::Light => "light", Theme::Dark => "dark" });
                meta name="robots" content="noindex";
                title { (title) " · Spillway" }
                link rel="icon" type="image/svg+xml" href=(MARK.path);
                link rel="stylesheet" href=(STYLE.path);
                script src=(SCRIPT.path) defer {}
            }
            body data-live=[live] { (body) }
        }
    }
}

/// A page in its frame.
pub(crate) fn page(visit: &Visit, page: &Page, rail: &Rail) -> Markup {
    let body = html! {
        a.skip href="#main" { "Skip to the content" }
        div.frame {
            aside.rail aria-label="Spillway" {
                a.brand href="/console" { (icons::mark()) span { "Spillway" } }
                (rail.draw(page.place))
                (foot(visit))
            }
            main #main tabindex="-1" {
                (said(visit))
                (page.content)
            }
        }
        (keys())
        p.sr #said role="status" aria-live="polite" {}
    };
    document(&page.title, visit.theme, page.live.as_deref(), &body)
}

/// What the last request did, once.
fn said(visit: &Visit) -> Markup {
    let text = match visit.form.get("done") {
        "created" => "Created.",
        "saved" => "Saved.",
        "deleted" => "Deleted.",
        "paused" => "Paused. Its deliveries wait; none is lost.",
        "resumed" => "Served again.",
        "enabled" => "Enabled.",
        "disabled" => "Disabled.",
        "secret-added" => {
            "The secret was added and is the first one. Change it at the sender, then remove the old one."
        }
        "secret-removed" => "The secret was removed.",
        "retried" => "The delivery is due now.",
        "replayed" => "The event is on its way again.",
        "released" => "The event left quarantine and is on its way.",
        "cancelled" => "The replay was cancelled. What was made due until now stays so.",
        "commanded" => "The command waits for the rollout controller, which takes it within some seconds.",
        "sent" => "The test event is stored and on its way.",
        _ => return html! {},
    };
    parts::notice(Tone::Good, &html! { p { (text) } })
}

fn foot(visit: &Visit) -> Markup {
    let scope = match visit.session.scope {
        Scope::Read => "read only",
        Scope::Write => "read and write",
        Scope::Admin => "administrator",
    };
    html! {
        div.foot {
            (theme_choice(visit))
            p.muted { "Signed in, " (scope) }
            div.foot-row {
                form method="post" action="/console/logout" { (visit.token()) button.link type="submit" { "Sign out" } }
                a href="/console/keyboard" data-help { "Keyboard" kbd { "?" } }
            }
        }
    }
}

/// The three themes; the one in force is pressed.
pub(crate) fn theme_choice(visit: &Visit) -> Markup {
    html! {
        form.themes method="post" action="/console/theme" {
            (visit.token())
            input type="hidden" name="next" value=(visit.here);
            fieldset {
                legend.sr { "Theme" }
                @for theme in Theme::ALL {
                    button type="submit" name="theme" value=(theme.name()) aria-pressed=(if theme == visit.theme { "true" } else { "false" }) { (theme.label()) }
                }
            }
        }
    }
}

/// The list of keys, as a dialog that the script opens.
fn keys() -> Markup {
    html! { dialog #keys aria-labelledby="keys-title-dialog" { (key_list("dialog")) form method="dialog" { button.quiet { "Close" } } } }
}

/// What can be done with the keyboard.
pub(crate) fn key_list(place: &str) -> Markup {
    let fixed = [
        ("/", "Search events"),
        ("j k", "Next and previous row"),
        ("Enter", "Open the row"),
        ("r", "Replay: the event, or the group that has the focus"),
        ("?", "This list"),
        ("Esc", "Leave the search, close this list"),
    ];
    html! {
        h2 id={ "keys-title-" (place) } { "Keyboard" }
        dl.keys {
            @for (key, what) in fixed { div { dt { @for key in key.split(' ') { kbd { (key) } } } dd { (what) } } }
            @for place in Place::all() { div { dt { kbd { "g" } kbd { (place.key()) } } dd { (place.name()) } } }
        }
    }
}

/// What happened, what was kept, what to do.
pub(crate) fn problem_page(visit: &Visit, problem: &Problem) -> Markup {
    let answer = if problem.title.is_empty() { "That did not work" } else { &problem.title };
    let about = html! { "Status " (problem.status.as_u16()) @if !problem.code.is_empty() { ", code " code { (problem.code) } } };
    html! {
        (parts::head(Some(Tone::Bad), answer, &about, &html! {}))
        p.lead { (problem.detail) }
        @if let Some(wait) = problem.retry_after { p { "Try again in " (wait.as_secs().max(1)) " s." } }
        p { a.button href=(visit.here) { "Load again" } " " a.button.quiet href="/console" { "Overview" } }
    }
}
