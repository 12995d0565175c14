//! Event: what happened to it, and how do I run it again?

mod timeline;

use axum::extract::Path;
use axum::response::Response;
use futures_util::future::join_all;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;
use spillway_report::text;

use crate::api::{Problem, segment};
use crate::look::fields::problem_notice;
use crate::look::parts::{self, Tone, counted};
use crate::look::rail::Place;
use crate::look::{pretty, time};
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit, see_other};
use timeline::Lane;

/// Deliveries whose attempts are read for one page.
const MAX_LANES: usize = 20;

pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Outcome {
    let path = format!("/api/v1/events/{}", segment(&id));
    let path_of_deliveries = format!("{path}/deliveries?limit=200");
    let (event, deliveries) = tokio::join!(visit.api.get(&path), visit.api.get(&path_of_deliveries));
    let event = event?;
    let deliveries = deliveries?;
    let lanes = lanes(&visit, deliveries.list("/data")).await;
    let content = html! {
        (parts::crumb("/console/events", "Events"))
        (head(&visit, &event, deliveries.list("/data")))
        div.split {
            section {
                h2 { "Time line" }
                (timeline::draw(&visit, &event, &lanes))
                @let left_out = deliveries.list("/data").len().saturating_sub(MAX_LANES);
                @if left_out > 0 { p.muted { "And " (counted(left_out as u64, "more delivery", "more deliveries")) ", which the API lists." } }
            }
            section {
                h2 { "Body" }
                (body(&event))
                h2 { "Headers" }
                (headers(&event))
            }
        }
    };
    Ok(visit.show(Page::new(Place::Events, parts::short(&id), content)).await)
}

async fn lanes(visit: &Visit, deliveries: &[Value]) -> Vec<Lane> {
    let lane = |delivery: &Value| {
        let (api, delivery) = (visit.api.clone(), delivery.clone());
        async move {
            let path = format!("/api/v1/deliveries/{}/attempts?limit=200", segment(delivery.text("/id")));
            let attempts = api.get(&path).await.map(|page| page.list("/data").to_vec()).unwrap_or_default();
            Lane { delivery, attempts }
        }
    };
    join_all(deliveries.iter().take(MAX_LANES).map(lane)).await
}

/// The state of the event as a whole.
fn answer(event: &Value, deliveries: &[Value]) -> (Tone, String) {
    if event.some_text("/quarantine").is_some() {
        return (Tone::Wait, "In quarantine: it was delivered nowhere".to_owned());
    }
    let n = |state: &str| deliveries.iter().filter(|delivery| delivery.text("/state") == state).count();
    let (delivered, dead, open) = (n("delivered"), n("dead"), n("pending") + n("queued"));
    let all = deliveries.len();
    match (all, delivered, dead, open) {
        (0, ..) => (Tone::Off, "Received, and no connection took it".to_owned()),
        (1, 1, ..) => (Tone::Good, "Delivered".to_owned()),
        (all, delivered, ..) if all == delivered => (Tone::Good, format!("Delivered to all {all} destinations")),
        (1, _, 1, _) => (Tone::Bad, "A dead letter: no attempt is left".to_owned()),
        (_, _, 0, 0) => (Tone::Off, format!("Delivered to {delivered} of {all}, the rest was cancelled")),
        (_, _, 0, _) => (Tone::Wait, format!("Delivered to {delivered} of {all}; {open} on the way")),
        _ => (Tone::Bad, format!("{dead} of {all} deliveries are dead letters")),
    }
}

fn head(visit: &Visit, event: &Value, deliveries: &[Value]) -> Markup {
    let (tone, answer) = answer(event, deliveries);
    let id = event.text("/id");
    let about = html! {
        (parts::id(id)) " · "
        @match event.some_text("/source_name") {
            Some(name) => { "from " a href={ "/console/sources/" (segment(name)) } { (name) } }
            None => "from a source that was deleted",
        }
        @if let Some(kind) = event.some_text("/type") { " · " (text::plain(kind, 128)) }
        " · " (text::bytes(event.number("/body_bytes").unwrap_or_default()))
        " · received " (time::ago_or_none(event.instant("/received_at"), visit.now))
    };
    let actions = html! {
        @if visit.may_write() {
            @if event.some_text("/quarantine").is_some() {
                form method="post" action={ "/console/events/" (segment(id)) "/release" } { (visit.token()) button.button type="submit" { "Release" } }
            } @else {
                a.button href={ "/console/events/" (segment(id)) "/replay" } data-replay { "Replay" }
            }
        }
    };
    html! {
        (parts::head(Some(tone), &answer, &about, &actions))
        @if let Some(reason) = event.some_text("/quarantine") {
            (parts::notice(Tone::Wait, &html! { p { "Why: " (text::plain(reason, 2_000)) } p { "Release sends it to the connections of its source, as if it had come now." } }))
        }
    }
}

fn body(event: &Value) -> Markup {
    html! {
        @match (event.pointer("/body").and_then(Value::as_str), event.some_text("/body_base64")) {
            (Some(""), _) => p.muted { "The body is empty." },
            (Some(body), _) => (pretty::body(body)),
            (None, Some(bytes)) => { p.muted { "The body is not text; here it is in base64." } (pretty::body(bytes)) }
            (None, None) => p.muted { "Retention has removed the body." },
        }
    }
}

fn headers(event: &Value) -> Markup {
    let headers = event.list("/headers");
    html! {
        @if headers.is_empty() { p.muted { "None is stored." } } @else {
            table.headers {
                thead.sr { tr { th { "Name" } th { "Value" } } }
                tbody { @for header in headers {
                    tr {
                        td { code { (header.text("/name")) } }
                        td { code { (header.some_text("/value").or_else(|| header.some_text("/value_base64")).unwrap_or_default()) } }
                    }
                } }
            }
        }
    }
}

/// Asks before something goes out again.
pub(crate) async fn ask_replay(visit: Visit, Path(id): Path<String>) -> Outcome {
    question(&visit, &id, None).await
}

async fn question(visit: &Visit, id: &str, problem: Option<&Problem>) -> Outcome {
    let deliveries = visit.api.get(&format!("/api/v1/events/{}/deliveries?limit=200", segment(id))).await?;
    let rows = deliveries.list("/data");
    let answer = match rows.len() {
        0 => "Send this event to the connections of its source?".to_owned(),
        1 => "Send this event again?".to_owned(),
        n => format!("Send this event again to all {n} destinations?"),
    };
    let about = html! { (parts::id(id)) ". Each receiver gets it with the same webhook-id, so one that keeps track takes it once." };
    let content = html! {
        (parts::crumb(&format!("/console/events/{}", segment(id)), "Event"))
        (parts::head(None, &answer, &about, &html! {}))
        @if let Some(problem) = problem { (problem_notice(problem)) }
        @if !rows.is_empty() {
            table.rows {
                thead { tr { th { "Destination" } th { "State" } th.num { "Attempts" } } }
                tbody { @for delivery in rows {
                    tr {
                        td.main { (delivery.some_text("/destination_name").unwrap_or("deleted")) }
                        td.status { (parts::delivery_state(delivery.text("/state"))) }
                        td.num data-l="attempts" { (delivery.count("/attempts").unwrap_or_default()) }
                    }
                } }
            }
        }
        form.submit method="post" action={ "/console/events/" (segment(id)) "/replay" } {
            (visit.token())
            button.button type="submit" autofocus { "Replay" }
            a.button.quiet href={ "/console/events/" (segment(id)) } { "Not now" }
        }
    };
    let status = problem.map_or(StatusCode::OK, |problem| problem.status);
    Ok(visit.show(Page::new(Place::Events, "Replay", content).status(status)).await)
}

/// Sends an event again.
pub(crate) async fn replay(visit: Visit, Path(id): Path<String>) -> Outcome {
    match visit.api.act(&format!("/api/v1/events/{}/replay", segment(&id))).await {
        Ok(_) => Ok(see_other(&format!("/console/events/{}?done=replayed", segment(&id)))),
        Err(problem) if problem.is_no_route() => {
            let detail = "This gateway cannot replay a whole event. Retry its deliveries one by one on the event's page, or update this node.";
            question(
                &visit,
                &id,
                Some(&Problem { title: "Not available here".to_owned(), detail: detail.to_owned(), ..problem }),
            )
            .await
        }
        Err(problem) if problem.is_of_form() => question(&visit, &id, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

/// Lets an event out of quarantine.
pub(crate) async fn release(visit: Visit, Path(id): Path<String>) -> Outcome {
    visit.api.act(&format!("/api/v1/events/{}/release", segment(&id))).await?;
    Ok(see_other(&format!("/console/events/{}?done=released", segment(&id))))
}

/// Tries one delivery again.
pub(crate) async fn retry(visit: Visit, Path(id): Path<String>) -> Outcome {
    let delivery = visit.api.act(&format!("/api/v1/deliveries/{}/retry", segment(&id))).await?;
    Ok(see_other(&format!("/console/events/{}?done=retried", segment(delivery.text("/event")))))
}

/// Leads from a delivery to its event.
pub(crate) async fn of_delivery(visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    let delivery = visit.api.get(&format!("/api/v1/deliveries/{}", segment(&id))).await?;
    Ok(see_other(&format!("/console/events/{}", segment(delivery.text("/event")))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_delivery_decides_what_is_said() {
        let deliveries =
            |states: &[&str]| states.iter().map(|state| serde_json::json!({"state": state})).collect::<Vec<_>>();
        for (states, tone, says) in [
            (&[][..], Tone::Off, "Received, and no connection took it"),
            (&["delivered"][..], Tone::Good, "Delivered"),
            (&["delivered", "delivered"][..], Tone::Good, "Delivered to all 2 destinations"),
            (&["delivered", "pending"][..], Tone::Wait, "Delivered to 1 of 2; 1 on the way"),
            (&["dead"][..], Tone::Bad, "A dead letter: no attempt is left"),
            (&["dead", "delivered"][..], Tone::Bad, "1 of 2 deliveries are dead letters"),
            (&["cancelled"][..], Tone::Off, "Delivered to 0 of 1, the rest was cancelled"),
        ] {
            assert_eq!(answer(&Value::Null, &deliveries(states)), (tone, says.to_owned()), "{states:?}");
        }
    }
}
