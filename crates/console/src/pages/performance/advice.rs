//! Recommendations and forecasts as sentences, with the numbers behind them.

use maud::{Markup, html};
use serde_json::Value;
use spillway_report::text;

use crate::look::charts;
use crate::look::parts::{self, Tone};
use crate::read::Read as _;

/// Recommendations that are shown.
const MAX_SHOWN: usize = 20;

pub(super) fn draw(answer: &Value) -> Markup {
    let all = answer.list("/data");
    let waiting = answer.list("/waiting");
    html! {
        @if !all.is_empty() || !waiting.is_empty() { h2 { "Recommendations" } }
        @if !all.is_empty() { ul.cards { @for one in all.iter().take(MAX_SHOWN) { (card(one)) } } }
        @if !waiting.is_empty() {
            details.plain {
                summary { (parts::counted(waiting.len() as u64, "more needs", "more need")) " longer observation" }
                ul { @for one in waiting.iter().take(MAX_SHOWN) { li.muted.small { (one.text("/id").replace('_', " ")) ": " (one.text("/reason")) } } }
            }
        }
    }
}

fn card(one: &Value) -> Markup {
    let is_soon = one.text("/urgency") == "soon";
    let (current, recommended) = (value(one.pointer("/current")), value(one.pointer("/recommended")));
    html! {
        li.card {
            div.card-head {
                (parts::state(if is_soon { Tone::Wait } else { Tone::Off }, if is_soon { "soon" } else { "advice" }))
                @if let Some(setting) = one.some_text("/setting") { code { (setting) " = " (recommended) } }
            }
            p { (one.text("/text")) }
            p.evidence {
                @if one.some_text("/setting").is_some() && one.pointer("/current").is_some_and(|value| !value.is_null()) { "Now " (current) ". " }
                (evidence(one))
            }
        }
    }
}

fn value(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => text::plain_number(number.as_f64().unwrap_or_default()),
        _ => text::NONE.to_owned(),
    }
}

/// The numbers that led to it.
fn evidence(one: &Value) -> String {
    let numbers = one.pointer("/evidence").and_then(Value::as_object);
    let part = |(name, number): (&String, &Value)| format!("{} {}", name.replace('_', " "), value(Some(number)));
    numbers.into_iter().flatten().map(part).collect::<Vec<_>>().join(" · ")
}

/// What is reached when, and how sure that is.
pub(super) fn forecast(answer: &Value) -> Markup {
    let all: Vec<&Value> = answer.list("/data").iter().collect();
    html! {
        @if !all.is_empty() {
            h2 { "Forecast" }
            ul.cards { @for one in all { (expected(one)) } }
        }
    }
}

fn expected(one: &Value) -> Markup {
    let (tone, word) = match one.text("/status") {
        "reached" => (Tone::Bad, "reached"),
        "expected" => (Tone::Wait, "expected"),
        "not_expected" => (Tone::Good, "not expected"),
        "never" => (Tone::Good, "does not grow"),
        "no_limit" => (Tone::Off, "no limit"),
        _ => (Tone::Off, "not known yet"),
    };
    let write = |value: f64| match one.text("/unit") {
        "bytes" => text::bytes(value),
        "ratio" => text::percent(value),
        "events/s" => text::rate(value),
        _ => text::plain_number(value),
    };
    html! {
        li.card {
            div.card-head { h3 { (one.text("/id").replace('_', " ")) } (parts::state(tone, word)) }
            p { (one.text("/text")) }
            @if let Some(probability) = one.number("/probability") { p.evidence { "Reached within the time looked at with a probability of " (text::percent(probability)) @if let Some(model) = one.some_text("/model") { ", model " (model) } "." } }
            @if one.list("/points").len() > 1 { (charts::forecast(&format!("Forecast of {}", one.text("/id")), one, write)) }
        }
    }
}
