//! Performance: where does the time go, what should I change?

mod advice;

use maud::{Markup, html};
use serde_json::Value;
use spillway_report::plot::{ACCENT, RGBColor};
use spillway_report::text;

use super::overview::alert_card;
use crate::look::charts::{self, DELIVERED, FAILED, Line, Mark, RECEIVED};
use crate::look::parts::{self, Tone, counted};
use crate::look::rail::Place;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit};

/// Times that charts show.
const WINDOWS: [(&str, &str); 3] = [("1h", "1 hour"), ("24h", "24 hours"), ("30d", "30 days")];
/// Lines of the charts, in the order in which they are asked for.
const TRENDS: [&str; 10] = [
    "intake_received",
    "deliveries_delivered",
    "attempts_destination_errors",
    "acknowledgement",
    "delivery",
    "api",
    "pending_deliveries",
    "cpu_ratio",
    "memory_bytes",
    "pool_used",
];

/// Everything that the page is made of.
struct Measured {
    metrics: Value,
    trends: Vec<Value>,
    marks: Vec<Mark>,
}

pub(crate) async fn show(visit: Visit) -> Outcome {
    let window = WINDOWS.iter().find(|(name, _)| *name == visit.form.get("window")).unwrap_or(&WINDOWS[0]).0;
    let trend = |name: &str| {
        let (api, path) = (visit.api.clone(), format!("/api/v1/performance/trends/{name}?window={window}&points=120"));
        async move { api.get(&path).await.unwrap_or_default() }
    };
    let (metrics, alerts, recommendations, forecast, trends, marks) = tokio::join!(
        visit.api.get_optional("/api/v1/performance/metrics"),
        visit.api.get("/api/v1/performance/alerts"),
        visit.api.get("/api/v1/performance/recommendations"),
        visit.api.get("/api/v1/performance/forecast"),
        futures_util::future::join_all(TRENDS.iter().map(|name| trend(name))),
        marks(&visit),
    );
    let Some(metrics) = metrics? else {
        let content =
            html! { (parts::head(None, "Performance", &html! {}, &html! {})) (parts::unavailable("performance API")) };
        return Ok(visit.show(Page::new(Place::Performance, "Performance", content)).await);
    };
    let (recommendations, alerts) = (recommendations.unwrap_or_default(), alerts.unwrap_or_default());
    let measured = Measured { metrics, trends, marks };
    let content = html! {
        (head(&measured, recommendations.list("/data"), alerts.list("/active")))
        @if !alerts.list("/active").is_empty() { ul.cards { @for alert in alerts.list("/active") { (alert_card(alert, visit.now)) } } }
        (advice::draw(&recommendations))
        (percentiles(&measured.metrics))
        div.bar-row { h2 { "Over time" } (tabs(window)) }
        (measured.charts())
        (advice::forecast(&forecast.unwrap_or_default()))
    };
    Ok(visit.show(Page::new(Place::Performance, "Performance", content)).await)
}

/// Rollouts, as thin lines in every chart: when traffic began to move, and when it ended.
async fn marks(visit: &Visit) -> Vec<Mark> {
    let Ok(page) = visit.api.get("/api/v1/rollouts").await else { return Vec::new() };
    let marks = page.list("/data").iter().flat_map(|one| {
        let name = text::plain(one.text("/name"), 24);
        let of =
            move |pointer: &str, word: &str| one.instant(pointer).map(|at| Mark { at, text: format!("{name} {word}") });
        [of("/status/state/rollout/startedAt", "begins"), of("/status/state/rollout/endedAt", "ends")]
    });
    marks.flatten().collect()
}

fn head(measured: &Measured, recommendations: &[Value], alerts: &[Value]) -> Markup {
    let soon = recommendations.iter().filter(|one| one.text("/urgency") == "soon").count();
    let (tone, answer) = match (alerts.len(), soon, recommendations.len()) {
        (0, 0, 0) => (Tone::Good, "Nothing to change".to_owned()),
        (0, 0, n) => {
            (Tone::Off, format!("{}, none of them urgent", counted(n as u64, "recommendation", "recommendations")))
        }
        (0, soon, _) => (
            Tone::Wait,
            format!("{} should be followed soon", counted(soon as u64, "recommendation", "recommendations")),
        ),
        (n, ..) => (Tone::Bad, counted(n as u64, "active alert", "active alerts")),
    };
    let node = measured.metrics.text("/node");
    let observed = measured.metrics.number("/observed_s").map(|s| parts::span_of(s * 1e3));
    let about = html! { "Node " code { (node) } @if let Some(observed) = observed { ", observed for " (observed) } };
    parts::head(Some(tone), &answer, &about, &html! {})
}

fn tabs(window: &str) -> Markup {
    html! {
        nav.tabs aria-label="Time shown" {
            @for (name, label) in WINDOWS { a href={ "/console/performance?window=" (name) } aria-current=[(name == window).then_some("true")] { (label) } }
        }
    }
}

/// Where the time goes, now: the last minute, five minutes and hour.
fn percentiles(metrics: &Value) -> Markup {
    let rows = [
        ("Acknowledgement", "acknowledgement"),
        ("Commit", "commit"),
        ("Attempt", "attempt"),
        ("Delivery, first attempt", "delivery_first_attempt"),
        ("Delivery", "delivery"),
        ("API", "api_latency"),
    ];
    let cell = |window: &str, name: &str, field: &str| {
        let value = metrics.number(&format!("/windows/{window}/{name}/{field}"));
        html! { (text::time_or_none(value)) }
    };
    html! {
        h2 { "Where the time goes" }
        div.scroll tabindex="0" role="region" aria-label="Rates and percentiles" { table {
            thead {
                tr { th { "What" } th.num { "Rate, 5 m" } @for window in ["1 m", "5 m", "1 h"] { th.num { "p50, " (window) } th.num { "p99, " (window) } } }
            }
            tbody { @for (label, name) in rows { tr {
                td.main { (label) }
                td.num { @match metrics.number(&format!("/windows/5m/{name}/per_second")) { Some(rate) => (text::rate(rate)), None => (text::NONE) } }
                @for window in ["1m", "5m", "1h"] { td.num { (cell(window, name, "p50_ms")) } td.num { (cell(window, name, "p99_ms")) } }
            } } }
        } }
    }
}

impl Measured {
    fn trend(&self, name: &str) -> &Value {
        let place = TRENDS.iter().position(|known| *known == name);
        place.and_then(|place| self.trends.get(place)).unwrap_or(&Value::Null)
    }

    fn charts(&self) -> Markup {
        let line = |name: &'static str, colour: RGBColor| Line { name, field: "/value", colour };
        let rates = [
            (line("received", RECEIVED), self.trend("intake_received")),
            (line("delivered", DELIVERED), self.trend("deliveries_delivered")),
            (line("failed", FAILED), self.trend("attempts_destination_errors")),
        ];
        html! {
            (panel("Events and deliveries", "a second", &charts::rates("Received, delivered and failed a second over time", &rates, &self.marks)))
            (panel("Acknowledgement", "from the request to the answer, logarithmic", &charts::latencies("Percentiles of the time until a sender is acknowledged", self.trend("acknowledgement"), &self.marks)))
            (panel("Delivery", "from receipt until the destination has it, logarithmic", &charts::latencies("Percentiles of the time until a delivery has arrived", self.trend("delivery"), &self.marks)))
            (panel("API", "from the request to the answer, logarithmic", &charts::latencies("Percentiles of the time that API requests take", self.trend("api"), &[])))
            (panel("Pending deliveries", "due, waiting or under way", &self.gauge("pending_deliveries", |n| text::count(n as u64))))
            (panel("Processor", "of all cores", &self.gauge("cpu_ratio", text::percent)))
            (panel("Memory", "of this process", &self.gauge("memory_bytes", text::bytes)))
            (panel("Connections to the store", "in use", &self.gauge("pool_used", |n| text::count(n as u64))))
        }
    }

    fn gauge(&self, name: &'static str, write: impl Fn(f64) -> String) -> Markup {
        let line = Line { name: "", field: "/value", colour: ACCENT };
        charts::gauge(&format!("{} over time", name.replace('_', " ")), line, self.trend(name), write)
    }
}

fn panel(title: &str, unit: &str, chart: &Markup) -> Markup {
    html! { section.panel-chart { h3 { (title) small { (unit) } } (chart) } }
}
