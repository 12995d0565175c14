//! Overview: is anything wrong right now?

mod summary;

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use spillway_report::text;

use crate::api::Api;
use crate::look::charts::{self, DELIVERED, RECEIVED};
use crate::look::parts::{self, Tone, counted};
use crate::look::rail::Place;
use crate::look::time;
use crate::read::Read as _;
use crate::visit::{Page, Visit};
use spillway_report::plot::{P99, RGBColor};
use summary::Summary;

/// Destinations and dead letters that are shown here; the rest is a click away.
const MAX_ROWS: usize = 8;

/// What the page is made of. What could not be asked is missing.
pub(super) struct Overview {
    metrics: Option<Value>,
    alerts: Vec<Value>,
    trends: [Option<Value>; 4],
    sources: Vec<Value>,
    destinations: Vec<Value>,
    retrying: Vec<Value>,
    dead: Vec<Value>,
    budgets: Vec<Value>,
}

/// A part of the page that is kept up to date, and its id.
pub(crate) type Part = (&'static str, Markup);

pub(crate) async fn show(visit: Visit) -> Response {
    let overview = Overview::load(&visit.api).await;
    let parts = overview.parts(&visit);
    let is_empty = overview.sources.is_empty() && overview.destinations.is_empty();
    let content = html! {
        @for (id, part) in &parts { div id=(id) { (part) } }
        @if is_empty { (first_steps(&visit)) }
        p.bar-row { span.live-state data-live-state { "Load the page again to see what is new" } }
    };
    visit.show(Page::new(Place::Overview, "Overview", content).live("page=overview")).await
}

/// The parts of the page as they are now.
pub(crate) async fn parts(visit: &Visit) -> Vec<Part> {
    Overview::load(&visit.api).await.parts(visit)
}

impl Overview {
    async fn load(api: &Api) -> Self {
        let trend = |name: &'static str| async move {
            api.get(&format!("/api/v1/performance/trends/{name}?window=1h&points=60")).await.ok()
        };
        let (
            metrics,
            alerts,
            received,
            acknowledged,
            delivered,
            oldest,
            sources,
            destinations,
            retrying,
            dead,
            budgets,
        ) = tokio::join!(
            api.get("/api/v1/performance/metrics"),
            api.get("/api/v1/performance/alerts"),
            trend("intake_received"),
            trend("acknowledgement"),
            trend("deliveries_delivered"),
            trend("oldest_due_seconds"),
            api.get("/api/v1/sources?limit=200&fields=name,enabled"),
            api.get("/api/v1/destinations?limit=200"),
            api.get("/api/v1/deliveries?state=pending&limit=200&fields=attempts,destination,destination_name,due_at"),
            api.get("/api/v1/deliveries?state=dead&limit=5"),
            api.get("/api/v1/budgets?limit=200"),
        );
        let list = |answer: Result<Value, _>| answer.map(|value| value.list("/data").to_vec()).unwrap_or_default();
        let mut retrying = list(retrying);
        retrying.retain(|delivery| delivery.count("/attempts").unwrap_or_default() > 0);
        Self {
            metrics: metrics.ok(),
            alerts: alerts.map(|value| value.list("/active").to_vec()).unwrap_or_default(),
            trends: [received, acknowledged, delivered, oldest],
            sources: list(sources),
            destinations: list(destinations),
            retrying,
            dead: list(dead),
            budgets: list(budgets),
        }
    }

    fn parts(&self, visit: &Visit) -> Vec<Part> {
        let summary = Summary::of(self, visit.now);
        let head = parts::head(Some(summary.tone), &summary.answer, &html! { (summary.about) }, &html! {});
        vec![
            ("overview-head", head),
            ("overview-numbers", self.numbers()),
            ("overview-alerts", self.alerts(visit)),
            ("overview-destinations", self.needy()),
            ("overview-budgets", super::destinations::budget::fullest(&self.budgets, visit.now)),
            ("overview-dead", self.dead(visit)),
        ]
    }

    fn minute(&self, pointer: &str) -> Option<f64> {
        self.metrics.as_ref()?.number(&format!("/windows/1m{pointer}"))
    }

    fn now(&self, name: &str) -> Option<f64> {
        self.metrics.as_ref()?.number(&format!("/now/{name}"))
    }

    fn numbers(&self) -> Markup {
        let waits = self.now("pending_deliveries").map(|n| counted(n as u64, "delivery pending", "deliveries pending"));
        let oldest = self
            .now("oldest_due_s")
            .map(|seconds| if seconds > 0.0 { text::span(seconds * 1e3) } else { "none".to_owned() });
        let refused = self.minute("/intake/platform_errors_per_second").filter(|rate| *rate > 0.0);
        let failing = self.minute("/attempts/destination_error_ratio").filter(|ratio| *ratio > 0.0);
        html! {
            dl.numbers {
                (self.number(0, "Received", self.minute("/intake/per_second").map(text::rate), "/value", RECEIVED,
                    refused.map(|rate| format!("{} refused by us", text::rate(rate)))))
                (self.number(1, "Acknowledged, p99", self.minute("/acknowledgement/p99_ms").map(text::time), "/p99_ms", P99,
                    self.minute("/acknowledgement/p50_ms").map(|p50| format!("p50 {}", text::time(p50)))))
                (self.number(2, "Delivered", self.minute("/deliveries/delivered_per_second").map(text::rate), "/value", DELIVERED,
                    failing.map(|ratio| format!("{} of attempts fail", text::percent(ratio)))))
                (self.number(3, "Oldest waiting", oldest, "/value", P99, waits))
            }
            @if self.metrics.is_none() { p.muted.small { "Rates come from the performance API, which this gateway does not have." } }
        }
    }

    fn number(
        &self,
        at: usize,
        name: &str,
        value: Option<String>,
        field: &str,
        colour: RGBColor,
        more: Option<String>,
    ) -> Markup {
        let value = value.unwrap_or_else(|| text::NONE.to_owned());
        html! {
            div.number {
                dt.name { (name) }
                dd.value { (value) }
                dd.more { (more.unwrap_or_default()) }
                dd { (charts::small(self.trends[at].as_ref(), field, colour, &format!("{name} over the last hour"))) }
            }
        }
    }

    fn alerts(&self, visit: &Visit) -> Markup {
        html! {
            @if !self.alerts.is_empty() {
                h2 { "Alerts" }
                ul.cards { @for alert in &self.alerts { (alert_card(alert, visit.now)) } }
            }
        }
    }

    /// Destinations that are held, fail, or have a budget that is nearly used.
    fn needy(&self) -> Markup {
        let mut rows: Vec<(&Value, usize)> =
            self.destinations.iter().map(|one| (one, self.retrying_for(one))).collect();
        rows.retain(|(one, retrying)| one.text("/state") != "active" || *retrying > 0);
        rows.sort_by_key(|(one, retrying)| (one.text("/state") == "active", std::cmp::Reverse(*retrying)));
        html! {
            @if !rows.is_empty() {
                h2 { "Destinations to look at" }
                table.rows {
                    thead { tr { th { "Destination" } th { "State" } th.num { "Retrying" } th { "URL" } } }
                    tbody { @for (one, retrying) in rows.iter().take(MAX_ROWS) {
                        tr data-row {
                            td.main { a href={ "/console/destinations/" (one.text("/id")) } { (one.text("/name")) } }
                            td.status { (super::destinations::state(one, *retrying > 0)) }
                            td.num data-l="retrying" { (retrying) @if self.retrying.len() >= 200 { "+" } }
                            td.long.wide.muted { (text::plain(one.text("/url"), 80)) }
                        }
                    } }
                }
            }
        }
    }

    fn retrying_for(&self, destination: &Value) -> usize {
        self.retrying.iter().filter(|delivery| delivery.text("/destination") == destination.text("/id")).count()
    }

    fn dead(&self, visit: &Visit) -> Markup {
        html! {
            @if !self.dead.is_empty() {
                div.bar-row { h2 { "Latest dead letters" } a href="/console/dead-letters" { "All dead letters" } }
                table.rows {
                    thead { tr { th { "Event" } th { "Destination" } th.num { "Attempts" } th { "Ended" } } }
                    tbody { @for delivery in &self.dead {
                        tr data-row {
                            td.main { (parts::event_link(delivery.text("/event"))) }
                            td { (delivery.some_text("/destination_name").unwrap_or("deleted")) }
                            td.num data-l="attempts" { (delivery.count("/attempts").unwrap_or_default()) }
                            td.status { (time::ago_or_none(delivery.instant("/ended_at"), visit.now)) }
                        }
                    } }
                }
            }
        }
    }
}

/// An alert with the numbers that it rests on.
pub(super) fn alert_card(alert: &Value, now: i64) -> Markup {
    let tone = match alert.text("/severity") {
        "critical" => Tone::Bad,
        "warning" => Tone::Wait,
        _ => Tone::Off,
    };
    html! {
        li.card {
            div.card-head { (parts::state(tone, alert.text("/severity"))) span.small.muted { "since " (time::ago_or_none(alert.instant("/since"), now)) } }
            p { (alert.text("/text")) }
            @if let Some(runbook) = alert.some_text("/runbook") { p.evidence { "What to do: " code { (runbook) } } }
        }
    }
}

/// What to do on an empty gateway, with its own URL.
fn first_steps(visit: &Visit) -> Markup {
    let lines = "spillway sources create github --provider github --secret \"$GITHUB_WEBHOOK_SECRET\"\n\
         spillway destinations create billing --to https://billing.example.com/hooks\n\
         spillway connections create github billing";
    let action = html! {
        @if visit.may_write() {
            div.actions {
                a.button href="/console/sources/new" { "Create a source" }
                a.button.quiet href="/console/destinations/new" { "Create a destination" }
            }
        }
    };
    let say = format!(
        "A source takes webhooks at {}/in/NAME, a destination gets them, a connection joins the two.",
        visit.base_url
    );
    parts::empty("Nothing is set up yet", &say, Some(lines), &action)
}
