//! Send a test: does it arrive?

use http::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::configured::invalid;
use crate::api::Problem;
use crate::form::Form;
use crate::look::fields::{Fields, Kind, problem_notice};
use crate::look::parts::{self, Tone};
use crate::look::rail::Place;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit, see_other};

/// What the page needs to know of the configuration.
struct Setup {
    sources: Vec<Value>,
    destinations: Vec<Value>,
    connections: Vec<Value>,
}

impl Setup {
    async fn load(visit: &Visit) -> Result<Self, Problem> {
        let (sources, destinations, connections) = tokio::join!(
            visit.api.get("/api/v1/sources?limit=200&fields=id,name,enabled"),
            visit.api.get("/api/v1/destinations?limit=200&fields=id,name,state"),
            visit.api.get("/api/v1/connections?limit=200"),
        );
        let list = |answer: Result<Value, Problem>| answer.map(|value| value.list("/data").to_vec());
        Ok(Self { sources: list(sources)?, destinations: list(destinations)?, connections: list(connections)? })
    }

    /// Who gets an event of this source.
    fn receivers(&self, source: &str) -> Vec<&str> {
        let id = self.sources.iter().find(|one| one.text("/name") == source).map_or("", |one| one.text("/id"));
        let own = self.connections.iter().filter(|one| one.text("/source") == id && one.is_set("/enabled"));
        own.filter_map(|one| self.destinations.iter().find(|to| to.text("/id") == one.text("/destination")))
            .map(|one| one.text("/name"))
            .collect()
    }

    /// The sources that can be tested; only those of a destination, if one is named.
    fn testable(&self, destination: Option<&str>) -> Vec<&str> {
        let names = self.sources.iter().filter(|one| one.is_set("/enabled")).map(|one| one.text("/name"));
        names.filter(|name| destination.is_none_or(|wanted| self.receivers(name).contains(&wanted))).collect()
    }
}

pub(crate) async fn ask(visit: Visit) -> Outcome {
    let mut form = (*visit.form).clone();
    form.set("type", "spillway.test");
    form.set("data", "{\n  \"hello\": \"world\"\n}");
    draw(&visit, &form, None).await
}

async fn draw(visit: &Visit, form: &Form, problem: Option<&Problem>) -> Outcome {
    let setup = Setup::load(visit).await?;
    let testable = setup.testable(form.some("destination"));
    let fields = Fields { form, problem };
    let about =
        html! { "An event of your own, stored and delivered like any other. Receivers see the type that you give it." };
    let content = html! {
        (parts::head(None, "Send a test", &about, &html! {}))
        @if let Some(problem) = problem { (problem_notice(problem)) }
        @if testable.is_empty() { (nothing(form.some("destination"))) } @else {
            form.form method="post" action="/console/test" {
                (visit.token())
                input type="hidden" name="destination" value=(form.get("destination"));
                (fields.choice("source", "Source", Kind { required: true, ..Kind::default() }, testable.iter().map(|name| (*name, *name))))
                (receivers(&setup, &testable))
                (fields.line("type", "Type", Kind { required: true, code: true, ..Kind::default() }))
                (fields.lines("data", "Data", 6, Kind { required: true, code: true, hint: "JSON.", ..Kind::default() }))
                div.submit {
                    button.button type="submit" { "Send" }
                    a.button.quiet href="/console/events" { "Not now" }
                }
            }
        }
    };
    let status = problem.map_or(StatusCode::OK, |problem| problem.status);
    Ok(visit.show(Page::new(Place::None, "Send a test", content).status(status)).await)
}

/// Who would get it.
fn receivers(setup: &Setup, testable: &[&str]) -> Markup {
    html! {
        ul.hint.after-field { @for name in testable.iter().take(20) { li {
            @let receivers = setup.receivers(name);
            @if receivers.is_empty() { (name) " goes nowhere: the event is only stored" } @else { (name) " goes to " (receivers.join(", ")) }
        } } }
    }
}

fn nothing(destination: Option<&str>) -> Markup {
    let say = match destination {
        Some(name) => format!("No enabled source goes to {name}. Connect one, then send a test."),
        None => "There is no enabled source yet. Make one, then send a test.".to_owned(),
    };
    parts::notice(Tone::Wait, &html! { p { (say) } p { a href="/console/connections/new" { "New connection" } } })
}

pub(crate) async fn send(visit: Visit) -> Outcome {
    let form = &visit.form;
    let sent = match form.json("data") {
        Err(error) => Err(invalid("data", &error)),
        Ok(data) => {
            let event =
                json!({"source": form.get("source"), "type": form.get("type"), "data": data.unwrap_or(Value::Null)});
            visit.api.post("/api/v1/events", &event).await
        }
    };
    match sent {
        Ok(event) => Ok(see_other(&format!("/console/events/{}?done=sent", crate::api::segment(event.text("/id"))))),
        Err(problem) if problem.is_of_form() => draw(&visit, form, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}
