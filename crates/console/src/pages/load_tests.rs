//! Load tests: did it get slower?

use axum::extract::Path;
use maud::{Markup, html};
use serde_json::Value;
use spillway_report::text;

use crate::api::{segment, with_query};
use crate::look::charts;
use crate::look::parts::{self, Tone};
use crate::look::rail::Place;
use crate::look::time;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit};

pub(crate) async fn list(visit: Visit) -> Outcome {
    let path = with_query("/api/v1/load-tests", [("name", visit.form.get("name"))]);
    let Some(page) = visit.api.get_optional(&path).await? else {
        let content =
            html! { (parts::head(None, "Load tests", &html! {}, &html! {})) (parts::unavailable("load tests")) };
        return Ok(visit.show(Page::new(Place::LoadTests, "Load tests", content)).await);
    };
    let rows = page.list("/data");
    let (tone, answer) = answer(rows.first());
    let line = format!("SPILLWAY_API_KEY=spk_… spillway-loadgen run smoke.toml --out gateway={}", visit.base_url);
    let content = html! {
        (parts::head(Some(tone), &answer, &html! { "Each run beside its baseline: faster, slower, or no evidence of either." }, &html! {}))
        @if rows.is_empty() { (parts::empty("No run yet", "The load generator shows its runs here when it is told to publish them:", Some(&line), &html! {})) }
        @else {
            table.rows {
                thead { tr { th { "Run" } th { "Verdict" } th { "Against the baseline" } th.num { "Rate" } th.num { "p50" } th.num { "p95" } th.num { "p99" } th.num { "Errors" } th.num { "When" } } }
                tbody { @for run in rows { (row(&visit, run)) } }
            }
        }
    };
    Ok(visit.show(Page::new(Place::LoadTests, "Load tests", content)).await)
}

/// What the newest run says.
fn answer(newest: Option<&Value>) -> (Tone, String) {
    let Some(run) = newest else { return (Tone::Off, "No load test yet".to_owned()) };
    let name = text::plain(run.text("/name"), 60);
    if run.text("/verdict") != "passed" {
        let reason =
            run.some_text("/reason").map(|reason| format!(": {}", text::plain(reason, 200))).unwrap_or_default();
        return (Tone::Bad, format!("The last run of {name} {}{reason}", verdict_word(run)));
    }
    match run.text("/change") {
        "slower" => (Tone::Bad, format!("{name} got slower")),
        "faster" => (Tone::Good, format!("{name} got faster")),
        "no_evidence" => (Tone::Good, format!("No evidence that {name} got slower")),
        _ => (Tone::Good, format!("The last run of {name} passed")),
    }
}

fn verdict_word(run: &Value) -> &str {
    match run.text("/verdict") {
        "" => "has no verdict",
        "invalid" => "is invalid",
        "interrupted" => "was interrupted",
        word => word,
    }
}

fn verdict(run: &Value) -> Markup {
    match run.text("/verdict") {
        "passed" => parts::state(Tone::Good, "passed"),
        "failed" => parts::state(Tone::Bad, "failed"),
        other => parts::state(Tone::Wait, if other.is_empty() { "no verdict" } else { other }),
    }
}

fn change(change: &str) -> Markup {
    match change {
        "faster" => parts::state(Tone::Good, "faster"),
        "slower" => parts::state(Tone::Bad, "slower"),
        "no_evidence" => parts::state(Tone::Off, "no evidence"),
        _ => html! { span.muted { "no baseline" } },
    }
}

/// A percentile with how far it is from the run before.
fn percentile(run: &Value, name: &str) -> Markup {
    let before = run.number(&format!("/previous/{name}_percent"));
    html! {
        (text::time_or_none(run.number(&format!("/{name}_ms"))))
        @if let Some(percent) = before.filter(|percent| percent.abs() >= 0.05) { " " span.muted.small title="Against the run before, without a judgement" { (format!("{percent:+.1} %")) } }
    }
}

fn row(visit: &Visit, run: &Value) -> Markup {
    html! {
        tr data-row {
            td.main { a href={ "/console/load-tests/" (segment(run.text("/id"))) } { (text::plain(run.text("/name"), 60)) } @if let Some(place) = run.some_text("/environment") { span.muted { " " (text::plain(place, 40)) } } }
            td.status { (verdict(run)) }
            td { (change(run.text("/change"))) }
            td.num { (text::rate(run.number("/rate").unwrap_or(f64::NAN))) }
            td.num data-l="p50" { (percentile(run, "p50")) }
            td.num.wide { (percentile(run, "p95")) }
            td.num data-l="p99" { (percentile(run, "p99")) }
            td.num.wide { (text::percent(run.number("/error_rate").unwrap_or(f64::NAN))) }
            td.num { (time::ago_or_none(run.instant("/started_at").or_else(|| run.instant("/at")), visit.now)) }
        }
    }
}

pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Outcome {
    let run = visit.api.get(&format!("/api/v1/load-tests/{}", segment(&id))).await?;
    let (tone, answer) = answer(Some(&with_change(&run)));
    let about = html! {
        (text::plain(run.text("/name"), 60)) @if let Some(place) = run.some_text("/environment") { " on " (text::plain(place, 40)) }
        " · " (time::ago_or_none(run.instant("/started_at"), visit.now)) " · " (parts::span_of(run.number("/duration_s").unwrap_or_default() * 1e3))
        " · published by " (run.some_text("/by").unwrap_or("somebody"))
    };
    let actions = html! { a.button.quiet href=(with_query("/console/load-tests", [("name", run.text("/name"))])) { "All runs of it" } };
    let content = html! {
        (parts::crumb("/console/load-tests", "Load tests"))
        (parts::head(Some(tone), &answer, &about, &actions))
        (facts(&run))
        (comparison(&run))
        @if run.list("/timeline").len() > 1 { h2 { "Over the run" } (charts::run("Latency percentiles over the run, the load behind them", run.list("/timeline"))) }
        @if !run.list("/failed_thresholds").is_empty() {
            h2 { "Thresholds that did not hold" }
            ul { @for one in run.list("/failed_thresholds") { li { code { (one.as_str().map_or_else(|| one.to_string(), |text| text::plain(text, 200))) } } } }
        }
    };
    Ok(visit.show(Page::new(Place::LoadTests, run.text("/name"), content)).await)
}

/// A run with the change of its comparison where lists have it.
fn with_change(run: &Value) -> Value {
    let mut run = run.clone();
    let change = run.pointer("/comparison/change").cloned();
    if let (Some(change), Some(object)) = (change, run.as_object_mut()) {
        object.entry("change").or_insert(change);
    }
    run
}

fn facts(run: &Value) -> Markup {
    let number = |pointer: &str, write: fn(f64) -> String| html! { (run.number(pointer).map_or_else(|| text::NONE.to_owned(), write)) };
    html! {
        dl.facts {
            (parts::fact("Verdict", &verdict(run)))
            (parts::fact("Requests", &html! { (text::count(run.count("/requests").unwrap_or_default())) }))
            (parts::fact("Rate", &number("/rate", text::rate)))
            (parts::fact("Errors", &number("/error_rate", text::percent)))
            (parts::fact("p50", &number("/p50_ms", text::time)))
            (parts::fact("p95", &number("/p95_ms", text::time)))
            (parts::fact("p99", &number("/p99_ms", text::time)))
            (parts::fact("Dropped", &html! { (text::count(run.count("/dropped").unwrap_or_default())) }))
        }
    }
}

fn comparison(run: &Value) -> Markup {
    let Some(comparison) = run.pointer("/comparison").filter(|one| !one.is_null()) else {
        return html! { h2 { "Against the baseline" } p.muted { "The run was published without a baseline." } };
    };
    let write = |measure: &str, value: Option<f64>| match value {
        None => text::NONE.to_owned(),
        Some(value) if measure.starts_with('p') => text::time(value),
        Some(value) if measure.contains("error") => text::percent(value),
        Some(value) => text::digits(value),
    };
    html! {
        h2 { "Against the baseline" }
        p.muted.small { "Baseline: " (text::plain(comparison.text("/baseline"), 120)) }
        table.rows {
            thead { tr { th { "Measure" } th { "Change" } th.num { "Baseline" } th.num { "Now" } th.num { "Difference" } th.num { "95 % sure between" } } }
            tbody { @for one in comparison.list("/metrics") { tr {
                td.main { (one.text("/measure")) }
                td.status { (change(one.text("/change"))) }
                td.num data-l="baseline" { (write(one.text("/measure"), one.number("/baseline"))) }
                td.num data-l="now" { (write(one.text("/measure"), one.number("/result"))) }
                td.num data-l="difference" { @match one.number("/difference") { Some(percent) => (format!("{percent:+.1} %")), None => (text::NONE) } }
                td.num.wide { @match (one.number("/low"), one.number("/high")) { (Some(low), Some(high)) => { (format!("{low:+.1} % and {high:+.1} %")) }, _ => (text::NONE) } }
            } } }
        }
        @for note in comparison.list("/notes") { p.muted.small { (note.as_str().unwrap_or_default()) } }
    }
}
