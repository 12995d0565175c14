//! Rollouts: is the new version better or worse?

mod judged;
mod verdict;

use axum::extract::Path;
use maud::{Markup, html};
use serde_json::{Value, json};
use spillway_report::text;

use crate::api::{Problem, segment};
use crate::look::charts::{self, Mark};
use crate::look::parts::{self, Tone, counted};
use crate::look::rail::Place;
use crate::look::time;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit, see_other};
use verdict::Verdict;

/// Decisions that are shown.
const MAX_HISTORY: usize = 20;

/// What a person may say, with its button and what it does.
const COMMANDS: [(&str, &str, &str); 6] = [
    ("promote", "Promote", "ends the step that is under way and goes on"),
    ("approve", "Approve", "lets the step that waits go on"),
    ("pause", "Pause", "holds traffic where it is"),
    ("resume", "Resume", "goes on where it was held"),
    ("abort", "Abort", "gives all traffic back to the live version"),
    ("retry", "Retry", "starts again from the first step"),
];

pub(crate) async fn list(visit: Visit) -> Outcome {
    let Some(page) = visit.api.get_optional("/api/v1/rollouts").await? else {
        let content = html! { (parts::head(None, "Rollouts", &html! {}, &html! {})) (parts::unavailable("rollouts")) };
        return Ok(visit.show(Page::new(Place::Rollouts, "Rollouts", content)).await);
    };
    let rows = page.list("/data");
    let verdicts: Vec<Verdict> =
        rows.iter().map(|one| Verdict::of(one.pointer("/status").unwrap_or(&Value::Null))).collect();
    let waiting = verdicts.iter().filter(|one| one.tone == Tone::Wait).count();
    let moving = verdicts.iter().filter(|one| one.is_under_way).count();
    let (tone, answer) = match (rows.len(), waiting, moving) {
        (0, ..) => (Tone::Off, "No rollout yet".to_owned()),
        (_, 0, 0) => (Tone::Good, "No traffic is moving".to_owned()),
        (_, 0, n) => (Tone::Good, format!("{} moving traffic", counted(n as u64, "rollout is", "rollouts are"))),
        (_, n, _) => (Tone::Wait, format!("{} for somebody", counted(n as u64, "rollout waits", "rollouts wait"))),
    };
    let line = format!("SPILLWAY_API_KEY=spk_… spillway-rollout run plan.toml --console-url {}", visit.base_url);
    let content = html! {
        (parts::head(Some(tone), &answer, &html! { "New versions, let out as fast as the evidence allows." }, &html! {}))
        @if rows.is_empty() { (parts::empty("Nothing is rolled out", "The rollout controller shows here what it does, and takes commands from here, when it knows this gateway:", Some(&line), &html! {})) }
        @else {
            table.rows {
                thead { tr { th { "Rollout" } th { "State" } th.num { "Weight" } th { "How it stands" } th.num { "Seen" } } }
                tbody { @for (one, verdict) in rows.iter().zip(&verdicts) { tr data-row {
                    td.main { a href={ "/console/rollouts/" (segment(one.text("/name"))) } { (one.text("/name")) } }
                    td.status { (parts::state(verdict.tone, verdict.word)) }
                    td.num data-l="weight" { @match verdict.weight { Some(weight) => { (weight) " %" }, None => (text::NONE) } }
                    td.long { (verdict.sentence) }
                    td.num.wide { (time::ago_or_none(one.instant("/at"), visit.now)) }
                } } }
            }
        }
    };
    Ok(visit.show(Page::new(Place::Rollouts, "Rollouts", content)).await)
}

pub(crate) async fn show(visit: Visit, Path(name): Path<String>) -> Outcome {
    draw(&visit, &name, None).await
}

async fn draw(visit: &Visit, name: &str, problem: Option<&Problem>) -> Outcome {
    let rollout = visit.api.get(&format!("/api/v1/rollouts/{}", segment(name))).await?;
    let empty = Value::Null;
    let status = rollout.pointer("/status").unwrap_or(&empty);
    let verdict = Verdict::of(status);
    let about = html! {
        (name) " · " (verdict.strategy)
        @if let Some(left) = verdict.left_ms { " · the step ends in " (parts::span_of(left)) }
        @if let Some(eta) = verdict.eta_ms { " · live in about " (parts::span_of(eta)) " if all goes well" }
        " · seen " (time::ago_or_none(rollout.instant("/at"), visit.now))
    };
    let content = html! {
        (parts::crumb("/console/rollouts", "Rollouts"))
        (parts::head(Some(verdict.tone), &verdict.sentence, &about, &html! {}))
        @if let Some(problem) = problem { (crate::look::fields::problem_notice(problem)) }
        (waiting(&rollout, visit.now))
        @if visit.may_write() { (commands(visit, name, &verdict)) }
        (weights(status))
        div.split {
            section { h2 { "Evidence" } (judged::evidence(status)) h2 { "Guards" } (judged::guards(status)) }
            section { h2 { "Steps" } (steps(status, &verdict)) h2 { "Decisions" } (history(status)) }
        }
    };
    let status = problem.map_or(http::StatusCode::OK, |problem| problem.status);
    Ok(visit.show(Page::new(Place::Rollouts, name, content).status(status)).await)
}

/// Commands that the controller has not taken yet.
fn waiting(rollout: &Value, now: i64) -> Markup {
    let commands = rollout.list("/commands");
    html! {
        @if !commands.is_empty() {
            (parts::notice(Tone::Wait, &html! {
                p { "Waiting for the controller: "
                    @for (place, one) in commands.iter().enumerate() {
                        @if place > 0 { ", " }
                        strong { (one.text("/verb")) } " by " (one.some_text("/by").unwrap_or("somebody")) " " (time::ago_or_none(one.instant("/at"), now))
                    }
                }
            }))
        }
    }
}

/// The buttons that make sense now.
fn commands(visit: &Visit, name: &str, verdict: &Verdict) -> Markup {
    let offered: Vec<_> = COMMANDS.iter().filter(|(verb, ..)| verdict.allows(verb)).collect();
    html! {
        @if !offered.is_empty() {
            form.commands method="post" action={ "/console/rollouts/" (segment(name)) "/commands" } {
                (visit.token())
                div.field {
                    label for="reason" { "Reason" span.muted { " optional, kept with the decision" } }
                    input id="reason" name="reason" type="text" maxlength="500" autocomplete="off";
                }
                div.actions {
                    @for (verb, label, what) in offered {
                        button.button[*verb == "promote" || *verb == "approve"].quiet[*verb != "promote" && *verb != "approve"].danger[*verb == "abort"]
                            type="submit" name="verb" value=(verb) title=(what) { (label) }
                    }
                }
            }
        }
    }
}

pub(crate) async fn command(visit: Visit, Path(name): Path<String>) -> Outcome {
    let mut body = json!({"verb": visit.form.get("verb")});
    if let (Some(reason), Some(body)) = (visit.form.some("reason"), body.as_object_mut()) {
        body.insert("reason".to_owned(), json!(reason));
    }
    match visit.api.post(&format!("/api/v1/rollouts/{}/commands", segment(&name)), &body).await {
        Ok(_) => Ok(see_other(&format!("/console/rollouts/{}?done=commanded", segment(&name)))),
        Err(problem) if problem.is_of_form() => draw(&visit, &name, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

/// The weight of the new version over time.
fn weights(status: &Value) -> Markup {
    let started = status.instant("/state/rollout/startedAt");
    let line: Vec<(f64, f64)> = status
        .list("/state/history")
        .iter()
        .filter(|one| started.is_none_or(|started| one.instant("/at").is_some_and(|at| at >= started)))
        .filter_map(|one| Some((one.instant("/at")? as f64, one.number("/weight")?)))
        .collect();
    let Some(end) = status.instant("/at") else { return html! {} };
    let over = status.instant("/state/rollout/endedAt");
    let marks: Vec<Mark> = over.map(|at| Mark { at, text: "ended".to_owned() }).into_iter().collect();
    html! { @if line.len() > 1 { h2 { "Weight over time" } (charts::steps("Share of the traffic that the new version has, over time", &line, end as f64, &marks)) } }
}

fn steps(status: &Value, verdict: &Verdict) -> Markup {
    let steps = status.list("/steps");
    html! {
        @if steps.is_empty() { p.muted { "None is known." } } @else {
            ol.timeline { @for (place, step) in steps.iter().enumerate() {
                @let tone = verdict.step_tone(place);
                li class=(tone.class()) {
                    div.lane {
                        strong { (step.count("/weight").unwrap_or_default()) " %" }
                        @if step.count("/mirror").unwrap_or_default() > 0 { span { (step.count("/mirror").unwrap_or_default()) " % copied" } }
                        (parts::state(tone, verdict.step_word(place)))
                        span.muted.small { "watched " (parts::span_of(step.number("/bakeMs").unwrap_or_default()))
                            @for gate in step.list("/gates") { ", " (gate.as_str().unwrap_or_default()) } }
                    }
                }
            } }
        }
    }
}

fn history(status: &Value) -> Markup {
    let all = status.list("/state/history");
    html! {
        @if all.is_empty() { p.muted { "None yet." } } @else {
            ul.log { @for one in all.iter().rev().take(MAX_HISTORY) { li {
                span.muted.small { @if let Some(at) = one.instant("/at") { (time::date(at)) } " · " (one.count("/weight").unwrap_or_default()) " %" }
                p { (text::plain(one.text("/text"), 600)) }
            } } }
        }
    }
}
