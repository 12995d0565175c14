//! Dry run: what would a filter and a transform make of an event?

use http::StatusCode;
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use spillway_report::text;

use super::connections::programs;
use crate::api::{Problem, segment};
use crate::form::Form;
use crate::look::fields::{Fields, Kind, problem_notice};
use crate::look::parts::{self, Tone};
use crate::look::pretty;
use crate::look::rail::Place;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit};

const EXAMPLE: &str = "{\n  \"action\": \"opened\",\n  \"data\": {\"id\": 42, \"amount\": 1900}\n}";

pub(crate) async fn show(visit: Visit) -> Outcome {
    let mut form = (*visit.form).clone();
    if let Some(id) = visit.form.some("connection") {
        let connection = visit.api.get(&format!("/api/v1/connections/{}", segment(id))).await?;
        for name in ["filter", "transform", "order_by", "source"] {
            form.set(name, connection.text(&format!("/{name}")));
        }
    }
    if form.some("event").is_none() && form.some("body").is_none() {
        form.set("event", newest(&visit, form.get("source")).await.unwrap_or_default());
        form.set("body", EXAMPLE);
    }
    draw(&visit, &form, None, None).await
}

/// The newest event, to try things on.
async fn newest(visit: &Visit, source: &str) -> Option<String> {
    let path = crate::api::with_query("/api/v1/events", [("source", source), ("limit", "1")]);
    Some(visit.api.get(&path).await.ok()?.list("/data").first()?.text("/id").to_owned())
}

pub(crate) async fn run(visit: Visit) -> Outcome {
    let mut form = (*visit.form).clone();
    if form.some("event").is_none() && form.some("body").is_none() {
        form.set("event", newest(&visit, form.get("source")).await.unwrap_or_default());
        form.set("body", EXAMPLE);
    }
    match visit.api.post("/api/v1/connections/test", &input(&form)).await {
        Ok(result) => draw(&visit, &form, Some(&result), None).await,
        Err(problem) if problem.is_no_route() => {
            let detail =
                "This gateway cannot try filters. Update this node, then try again; what you typed is still here.";
            let problem = Problem { title: "Not available here".to_owned(), detail: detail.to_owned(), ..problem };
            draw(&visit, &form, None, Some(&problem)).await
        }
        Err(problem) if problem.is_of_form() || problem.status == StatusCode::NOT_FOUND => {
            draw(&visit, &form, None, Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

/// What the API is asked.
fn input(form: &Form) -> Value {
    let mut input = Map::new();
    for name in ["filter", "transform", "order_by"] {
        if let Some(text) = form.some(name) {
            input.insert(name.to_owned(), json!(text));
        }
    }
    match form.some("event") {
        Some(event) => {
            input.insert("event".to_owned(), json!(event));
        }
        None => {
            // As text, so that not a digit of it changes.
            input.insert("body_text".to_owned(), json!(form.get("body")));
        }
    }
    Value::Object(input)
}

async fn draw(visit: &Visit, form: &Form, result: Option<&Value>, problem: Option<&Problem>) -> Outcome {
    let fields = Fields { form, problem };
    let content = html! {
        (parts::crumb("/console/connections", "Connections"))
        (parts::head(None, "Try a filter, a transform and an order", &html! { "On a stored event, or on a body of your own. Nothing is delivered and nothing is saved." }, &html! {}))
        @if let Some(problem) = problem { (problem_notice(problem)) }
        div.split {
            form.form method="post" action="/console/dry-run" {
                (visit.token())
                @for name in ["source", "destination", "enabled"] { @if let Some(value) = form.some(name) { input type="hidden" name=(name) value=(value); } }
                (programs(&fields))
                (fields.line("event", "Event", Kind { code: true, placeholder: "evt_…", hint: "A stored event. Left empty, the body below is taken.", ..Kind::default() }))
                (fields.lines("body", "Body", 6, Kind { code: true, hint: "Taken as it stands here.", ..Kind::default() }))
                div.submit {
                    button.button type="submit" { "Run" }
                    @if visit.may_write() && form.some("destination").is_some() {
                        button.quiet type="submit" formaction="/console/connections" { "Create the connection" }
                    }
                }
            }
            section aria-live="polite" { h2 { "Result" } (outcome(result)) }
        }
    };
    let status = problem.map_or(StatusCode::OK, |problem| problem.status);
    Ok(visit.show(Page::new(Place::Connections, "Dry run", content).status(status)).await)
}

fn outcome(result: Option<&Value>) -> Markup {
    let Some(result) = result else {
        return html! { p.muted { "Run it, and what would be delivered stands here." } };
    };
    html! {
        @match result.pointer("/matches").and_then(Value::as_bool) {
            Some(true) => p { (parts::state(Tone::Good, "delivered")) " – the filter lets it through." },
            Some(false) => p { (parts::state(Tone::Off, "not delivered")) " – the filter stops it." },
            None => {}
        }
        @for one in result.list("/errors") { (fault(one)) }
        @if let Some(key) = result.some_text("/order") { p { "Goes out in order with all of key " code { (key) } "." } }
        @if let Some(body) = result.some_text("/body") { h3 { "What would be sent" } (pretty::body(body)) }
        @if let Some(micros) = result.number("/micros") { p.muted.small { "The programs took " (text::time(micros / 1e3)) "." } }
    }
}

/// A program that cannot be used, or that failed for the event.
fn fault(fault: &Value) -> Markup {
    let what = match fault.text("/program") {
        "order_by" => "The order",
        "transform" => "The transform",
        _ => "The filter",
    };
    parts::notice(
        Tone::Bad,
        &html! {
            strong { (what) " failed" }
            p { (fault.text("/message")) }
            @if let Some(line) = fault.count("/line") { p.muted.small { "Line " (line) @if let Some(column) = fault.count("/column") { ", character " (column) } } }
        },
    )
}
