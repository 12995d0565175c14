//! Connections: is it set up right?

mod draft;

pub(crate) use draft::programs;

use axum::extract::Path;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::configured::{self, Draft, Kind, filled, post_button};
use crate::api::{Problem, with_query};
use crate::form::Form;
use crate::look::parts::{self, Tone, counted};
use crate::look::rail::Place;
use crate::look::time;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit, see_other};

const KIND: Kind = Kind { place: Place::Connections, word: "connection", plural: "connections" };

/// Sources and destinations by their ids.
struct Names {
    sources: Vec<Value>,
    destinations: Vec<Value>,
}

impl Names {
    async fn load(visit: &Visit) -> Result<Self, Problem> {
        let (sources, destinations) = tokio::join!(
            visit.api.get("/api/v1/sources?limit=200&fields=id,name,enabled"),
            visit.api.get("/api/v1/destinations?limit=200&fields=id,name,state"),
        );
        Ok(Self { sources: sources?.list("/data").to_vec(), destinations: destinations?.list("/data").to_vec() })
    }

    fn source<'n>(&'n self, connection: &'n Value) -> &'n str {
        name_of(&self.sources, connection.text("/source"))
    }

    fn destination<'n>(&'n self, connection: &'n Value) -> &'n str {
        name_of(&self.destinations, connection.text("/destination"))
    }
}

fn name_of<'n>(all: &'n [Value], id: &'n str) -> &'n str {
    all.iter().find(|one| one.text("/id") == id).map_or(id, |one| one.text("/name"))
}

/// What a connection does with events on their way, in a few words.
fn does(connection: &Value) -> Vec<&'static str> {
    let parts = [("/filter", "filter"), ("/transform", "transform"), ("/order_by", "in order")];
    parts.into_iter().filter(|(pointer, _)| connection.some_text(pointer).is_some()).map(|(_, word)| word).collect()
}

pub(crate) async fn list(visit: Visit) -> Outcome {
    let (page, names) = tokio::join!(KIND.page(&visit), Names::load(&visit));
    let (page, names) = (page?, names?);
    let rows = page.list("/data");
    let off = rows.iter().filter(|one| !one.is_set("/enabled")).count();
    let all = counted(rows.len() as u64, "connection", "connections");
    let (tone, answer) = match (rows.len(), off) {
        (0, _) => (None, "No connection yet".to_owned()),
        (_, 0) => (Some(Tone::Good), format!("{all}, all on")),
        (_, off) => (Some(Tone::Wait), format!("{all}; {off} disabled")),
    };
    let new = html! {
        a.button.quiet href="/console/dry-run" { "Try a filter" }
        @if visit.may_write() { a.button href="/console/connections/new" { "New connection" } }
    };
    let content = html! {
        (parts::head(tone, &answer, &html! { "Which source goes to which destination, and what happens on the way." }, &new))
        @if rows.is_empty() { (nothing(&visit)) } @else {
            table.rows {
                thead { tr { th { "From" } th { "State" } th { "To" } th { "On the way" } th { "Made" } th { span.sr { "Actions" } } } }
                tbody { @for one in rows { (row(&visit, one, &names)) } }
            }
            (KIND.pager(&visit, &page))
        }
    };
    Ok(visit.show(Page::new(KIND.place, "Connections", content)).await)
}

fn row(visit: &Visit, one: &Value, names: &Names) -> Markup {
    let (from, to, id) = (names.source(one), names.destination(one), one.text("/id"));
    let does = does(one);
    html! {
        tr data-row {
            td.main { a href=(KIND.path(id)) aria-label={ "The connection from " (from) " to " (to) } { (from) } }
            td.status { @if one.is_set("/enabled") { (parts::state(Tone::Good, "on")) } @else { (parts::state(Tone::Off, "disabled")) } }
            td { span.phone-only.muted aria-hidden="true" { "→ " } a href={ "/console/destinations/" (crate::api::segment(to)) } { (to) } }
            td { @if does.is_empty() { span.muted { "every event, as it came" } } @else { (does.join(", ")) } }
            td.wide { (time::ago_or_none(one.instant("/created_at"), visit.now)) }
            td.end { @if visit.may_write() {
                a.button.quiet href=(with_query("/console/test", [("source", from)])) aria-label={ "Send a test from " (from) " to " (to) } { "Send a test" }
            } }
        }
    }
}

fn nothing(visit: &Visit) -> Markup {
    let line = "spillway connections create github billing";
    let say =
        "A connection sends the events of a source to a destination: all of them, or those that a filter lets through.";
    parts::empty(
        "Join a source and a destination",
        say,
        Some(line),
        &html! { @if visit.may_write() { a.button href="/console/connections/new" { "New connection" } } },
    )
}

pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Outcome {
    let path = KIND.api(&id);
    let (connection, names) = tokio::join!(visit.api.get(&path), Names::load(&visit));
    let (connection, names) = (connection?, names?);
    let (from, to) = (names.source(&connection), names.destination(&connection));
    let (tone, answer) = if connection.is_set("/enabled") {
        (Tone::Good, format!("{from} goes to {to}"))
    } else {
        (Tone::Off, format!("{from} does not go to {to}: the connection is disabled"))
    };
    let about = html! {
        "Source " a href={ "/console/sources/" (crate::api::segment(from)) } { (from) }
        ", destination " a href={ "/console/destinations/" (crate::api::segment(to)) } { (to) }
    };
    let content = html! {
        (parts::crumb("/console/connections", "Connections"))
        (parts::head(Some(tone), &answer, &about, &actions(&visit, &connection, from)))
        dl.facts {
            (parts::fact("Made", &time::ago_or_none(connection.instant("/created_at"), visit.now)))
            (parts::fact("Id", &parts::id(&id)))
        }
        (program("Filter", "Every event is delivered.", connection.some_text("/filter")))
        (program("Transform", "The body is delivered byte by byte as it came.", connection.some_text("/transform")))
        (program("In order by", "Deliveries are not ordered.", connection.some_text("/order_by")))
    };
    Ok(visit.show(Page::new(KIND.place, format!("{from} → {to}"), content)).await)
}

fn program(name: &str, without: &str, text: Option<&str>) -> Markup {
    html! {
        h2 { (name) }
        @match text { Some(text) => pre.body tabindex="0" { code { (text) } }, None => p.muted { (without) } }
    }
}

fn actions(visit: &Visit, connection: &Value, from: &str) -> Markup {
    let id = connection.text("/id");
    let path = KIND.path(id);
    html! {
        @if visit.may_write() {
            a.button href=(with_query("/console/test", [("source", from)])) { "Send a test" }
            a.button.quiet href={ (path) "/edit" } { "Edit" }
        }
        a.button.quiet href=(with_query("/console/dry-run", [("connection", id)])) { "Dry run" }
        @if visit.may_write() {
            @if connection.is_set("/enabled") { (post_button(visit, &format!("{path}/disable"), "quiet", "Disable", "")) }
            @else { (post_button(visit, &format!("{path}/enable"), "quiet", "Enable", "")) }
            a.button.quiet.danger href={ (path) "/delete" } { "Delete" }
        }
    }
}

pub(crate) async fn new(visit: Visit) -> Outcome {
    let mut form = Form::default();
    form.set("source", visit.form.get("source"));
    form.set("destination", visit.form.get("destination"));
    form.set("enabled", "true");
    draft_new(&visit, &form, None).await
}

async fn draft_new(visit: &Visit, form: &Form, problem: Option<&Problem>) -> Outcome {
    let names = Names::load(visit).await?;
    let draft = Draft {
        title: "New connection",
        about: "Sends the events of a source to a destination, from now on.",
        action: "/console/connections",
        submit: "Create",
        back: "/console/connections",
        back_name: "Connections",
        tag: None,
        problem,
    };
    let fields = draft::draw(&draft.fields(form), &names.sources, &names.destinations);
    KIND.form(visit, &draft, fields).await
}

pub(crate) async fn create(visit: Visit) -> Outcome {
    match visit.api.post("/api/v1/connections", &filled(&draft::read(&visit.form))).await {
        Ok(connection) => Ok(see_other(&format!("{}?done=created", KIND.path(connection.text("/id"))))),
        Err(problem) if problem.is_of_form() => draft_new(&visit, &visit.form, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn edit(visit: Visit, Path(id): Path<String>) -> Outcome {
    let path = KIND.api(&id);
    let (current, names) = tokio::join!(visit.api.get_tagged(&path), Names::load(&visit));
    let (current, names) = (current?, names?);
    let form = draft::form(&current.value, names.source(&current.value), names.destination(&current.value));
    draft_edit(&visit, &id, &form, current.tag.as_deref(), None).await
}

async fn draft_edit(visit: &Visit, id: &str, form: &Form, tag: Option<&str>, problem: Option<&Problem>) -> Outcome {
    let names = Names::load(visit).await?;
    let path = KIND.path(id);
    let draft = Draft {
        title: "Edit the connection",
        about: "A change holds for what is delivered from now on, retries of earlier events included.",
        action: &path,
        submit: "Save",
        back: &path,
        back_name: "Connection",
        tag,
        problem,
    };
    let fields = draft::draw(&draft.fields(form), &names.sources, &names.destinations);
    KIND.form(visit, &draft, fields).await
}

pub(crate) async fn save(visit: Visit, Path(id): Path<String>) -> Outcome {
    let names = Names::load(&visit).await?;
    let wanted = draft::with_ids(draft::read(&visit.form), &names.sources, &names.destinations);
    match configured::save(&visit.api, &KIND.api(&id), &visit.form, &wanted).await {
        Ok(_) => Ok(see_other(&format!("{}?done=saved", KIND.path(&id)))),
        Err(problem) if problem.is_of_form() => {
            draft_edit(&visit, &id, &visit.form, visit.form.some("tag"), Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn enable(visit: Visit, Path(id): Path<String>) -> Outcome {
    KIND.patch(&visit, &id, &json!({"enabled": true}), "enabled").await
}

pub(crate) async fn disable(visit: Visit, Path(id): Path<String>) -> Outcome {
    KIND.patch(&visit, &id, &json!({"enabled": false}), "disabled").await
}

pub(crate) async fn ask_delete(visit: Visit, Path(id): Path<String>) -> Outcome {
    let path = KIND.api(&id);
    let (current, names) = tokio::join!(visit.api.get_tagged(&path), Names::load(&visit));
    let (current, names) = (current?, names?);
    let name = format!("{} → {}", names.source(&current.value), names.destination(&current.value));
    let consequence =
        "New events of the source no longer go to the destination. Deliveries that were made already go on.";
    KIND.ask_delete(&visit, &id, &name, consequence, current.tag.as_deref()).await
}

pub(crate) async fn delete(visit: Visit, Path(id): Path<String>) -> Outcome {
    KIND.delete(&visit, &id).await
}
