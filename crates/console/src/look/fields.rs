//! Fields of forms: a label, what it is for, and what is wrong with it.

use maud::{Markup, html};

use crate::api::Problem;
use crate::form::Form;
use crate::look::parts::{self, Tone};

/// A form with its values, and what the API said about them.
pub(crate) struct Fields<'f> {
    pub(crate) form: &'f Form,
    pub(crate) problem: Option<&'f Problem>,
}

/// What is particular to a field.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kind {
    pub(crate) hint: &'static str,
    pub(crate) placeholder: &'static str,
    pub(crate) required: bool,
    /// Monospace, no spelling.
    pub(crate) code: bool,
    pub(crate) secret: bool,
    pub(crate) numeric: bool,
    pub(crate) autofocus: bool,
}

impl Fields<'_> {
    fn is_wrong(&self, name: &str) -> bool {
        let named = self.problem.and_then(Problem::field);
        named.is_some_and(|field| {
            field.split([' ', ',']).any(|part| part == name || part.rsplit('.').next() == Some(name))
        })
    }

    fn frame(&self, name: &str, label: &str, kind: Kind, control: &Markup) -> Markup {
        html! {
            div.field.wrong[self.is_wrong(name)] {
                label for=(name) { (label) @if !kind.required { span.muted { " optional" } } }
                (control)
                @if !kind.hint.is_empty() { p.hint id={ (name) "-hint" } { (kind.hint) } }
            }
        }
    }

    /// One line.
    pub(crate) fn line(&self, name: &str, label: &str, kind: Kind) -> Markup {
        let control = html! {
            input id=(name) name=(name) type=(if kind.secret { "password" } else { "text" }) value=(self.form.get(name))
                class=[kind.code.then_some("code")] placeholder=[filled(kind.placeholder)] required[kind.required]
                inputmode=[kind.numeric.then_some("numeric")] autofocus[kind.autofocus] maxlength="4096"
                autocomplete="off" spellcheck="false" aria-describedby=[described(name, kind)] aria-invalid=[self.is_wrong(name).then_some("true")];
        };
        self.frame(name, label, kind, &control)
    }

    /// Several lines.
    pub(crate) fn lines(&self, name: &str, label: &str, rows: u32, kind: Kind) -> Markup {
        let control = html! {
            textarea id=(name) name=(name) rows=(rows) class=[kind.code.then_some("code")] placeholder=[filled(kind.placeholder)] required[kind.required]
                spellcheck="false" autocomplete="off" aria-describedby=[described(name, kind)] aria-invalid=[self.is_wrong(name).then_some("true")] {
                // A browser drops the first line break.
                "\n" (self.form.get(name))
            }
        };
        self.frame(name, label, kind, &control)
    }

    /// One of several: value and text of each.
    pub(crate) fn choice<'c>(
        &self,
        name: &str,
        label: &str,
        kind: Kind,
        choices: impl IntoIterator<Item = (&'c str, &'c str)>,
    ) -> Markup {
        let chosen = self.form.get(name);
        let control = html! {
            select id=(name) name=(name) required[kind.required] aria-describedby=[described(name, kind)] aria-invalid=[self.is_wrong(name).then_some("true")] {
                @for (value, text) in choices { option value=(value) selected[value == chosen] { (text) } }
            }
        };
        self.frame(name, label, kind, &control)
    }

    /// Yes or no.
    pub(crate) fn tick(&self, name: &str, label: &str, hint: &str) -> Markup {
        html! {
            div.field.tick {
                input id=(name) name=(name) type="checkbox" value="true" checked[self.form.is_ticked(name)] aria-describedby=[(!hint.is_empty()).then(|| format!("{name}-hint"))];
                label for=(name) { (label) }
                @if !hint.is_empty() { p.hint id={ (name) "-hint" } { (hint) } }
            }
        }
    }
}

fn described(name: &str, kind: Kind) -> Option<String> {
    (!kind.hint.is_empty()).then(|| format!("{name}-hint"))
}

fn filled(text: &'static str) -> Option<&'static str> {
    Some(text).filter(|text| !text.is_empty())
}

/// A problem in the words of the API. It is read out and has the focus.
pub(crate) fn problem_notice(problem: &Problem) -> Markup {
    parts::notice(
        Tone::Bad,
        &html! {
            strong { (problem.title) }
            p { (problem.detail) }
            @if let Some(wait) = problem.retry_after { p { "Try again in " (wait.as_secs()) " s." } }
        },
    )
}
