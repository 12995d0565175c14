//! Parts of pages: states, ids, rows, notices, what stands where nothing is.

use maud::{Markup, html};
use spillway_report::text;

/// How good something is. Never shown by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    Good,
    Off,
    Wait,
    Bad,
}

impl Tone {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Off => "off",
            Self::Wait => "wait",
            Self::Bad => "bad",
        }
    }

    /// The shape that goes with the colour.
    const fn shape(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Off => "–",
            Self::Wait => "…",
            Self::Bad => "✗",
        }
    }
}

/// A state: shape and word.
pub(crate) fn state(tone: Tone, word: &str) -> Markup {
    html! { span class={ "state " (tone.class()) } { span.shape aria-hidden="true" { (tone.shape()) } (word) } }
}

/// The state of a delivery.
pub(crate) fn delivery_state(state_of: &str) -> Markup {
    let tone = match state_of {
        "delivered" => Tone::Good,
        "pending" | "queued" => Tone::Wait,
        "dead" => Tone::Bad,
        _ => Tone::Off,
    };
    state(tone, state_of)
}

/// The answer that a page opens on, and what one can do about it.
pub(crate) fn head(tone: Option<Tone>, answer: &str, about: &Markup, actions: &Markup) -> Markup {
    html! {
        header.head {
            div.answer {
                h1 class=[tone.map(Tone::class)] {
                    @if let Some(tone) = tone { span.shape aria-hidden="true" { (tone.shape()) } }
                    (answer)
                }
                p.muted { (about) }
            }
            div.actions { (actions) }
        }
    }
}

/// The way back to the list.
pub(crate) fn crumb(path: &str, name: &str) -> Markup {
    html! { p.crumb { a href=(path) { span aria-hidden="true" { "‹ " } (name) } } }
}

/// An id, shortened in the middle; a click copies it.
pub(crate) fn id(id: &str) -> Markup {
    html! { button.id type="button" data-copy=(id) title={ (id) " – click to copy" } aria-label={ (short(id)) ", copy " (id) } { (short(id)) } }
}

/// An id with its kind and the part that tells it from others made about the same time; an id of a delivery or an attempt ends with its
/// numbers.
pub(crate) fn short(id: &str) -> String {
    let Some((kind, text)) = id.split_once('_').filter(|(_, text)| text.len() == 26 && text.is_ascii()) else {
        return id.to_owned();
    };
    let end = match &text[20..] {
        "000000" => String::new(),
        end => format!("…{}", &end[2..]),
    };
    format!("{kind}_…{}{end}", &text[5..15])
}

/// A link to an event by its id.
pub(crate) fn event_link(id: &str) -> Markup {
    html! { a.id-link href={ "/console/events/" (crate::api::segment(id)) } title=(id) { (short(id)) } }
}

/// Text of a terminal that can be copied.
pub(crate) fn command(text: &str) -> Markup {
    html! {
        div.command {
            pre tabindex="0" { code { (text) } }
            button.quiet type="button" data-copy=(text) { "Copy" }
        }
    }
}

/// What stands where nothing is yet: what it will be, and the command that fills it.
pub(crate) fn empty(title: &str, text: &str, command_line: Option<&str>, action: &Markup) -> Markup {
    html! {
        section.empty {
            h2 { (title) }
            p { (text) }
            @if let Some(line) = command_line { (command(line)) }
            (action)
        }
    }
}

/// What this gateway cannot show, and why.
pub(crate) fn unavailable(what: &str) -> Markup {
    html! {
        section.empty {
            h2 { "Not available here" }
            p { "This gateway has no " (what) ". A newer version has: update this node, then load the page again." }
        }
    }
}

/// Something to know about the page.
pub(crate) fn notice(tone: Tone, content: &Markup) -> Markup {
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    html! { div class={ "notice " (tone.class()) } role=(role) { span.shape aria-hidden="true" { (tone.shape()) } div { (content) } } }
}

/// The way to the next page of a list.
pub(crate) fn pager(next: Option<&str>, path: impl Fn(&str) -> String, is_first: bool, first: &str) -> Markup {
    html! {
        @if next.is_some() || !is_first {
            nav.pager aria-label="Pages of the list" {
                @if !is_first { a.button.quiet href=(first) { "Back to the newest" } }
                @if let Some(next) = next { a.button.quiet href=(path(next)) rel="next" { "Older" span aria-hidden="true" { " ›" } } }
            }
        }
    }
}

/// A fact and its name.
pub(crate) fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// A share as a bar from nothing to all.
pub(crate) fn bar(share: f64, tone: Tone, says: &str) -> Markup {
    let width = format!("{:.2}", share.clamp(0.0, 1.0) * 100.0);
    html! {
        svg class={ "bar " (tone.class()) } viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=(says) {
            rect.track width="100" height="8" rx="0" {}
            rect.fill width=(width) height="8" rx="0" {}
        }
    }
}

/// A number of things.
pub(crate) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", text::count(n), if n == 1 { one } else { many })
}

/// A length of time in milliseconds, as people say it.
pub(crate) fn span_of(ms: f64) -> String {
    text::span(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shortened_to_what_tells_them_apart() {
        assert_eq!(short("evt_01m8b44zrce00a6f88n8000000"), "evt_…44zrce00a6");
        assert_eq!(short("dlv_01m8b44zrce00a6f88n8000100"), "dlv_…44zrce00a6…0100");
        assert_eq!(short("evt_short"), "evt_short");
        assert_eq!(short("ääääääääääääääääääää"), "ääääääääääääääääääää");
    }

    #[test]
    fn text_of_others_is_text() {
        let drawn = id("\"><script>alert(1)</script>").into_string();
        assert!(!drawn.contains("<script>"), "{drawn}");
    }
}
