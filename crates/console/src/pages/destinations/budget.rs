//! What a destination may cost, and what it cost this hour.

use maud::{Markup, html};
use serde_json::Value;
use spillway_report::text;

use crate::look::parts::{self, Tone};
use crate::look::time;
use crate::read::Read as _;

/// From this share on a budget is nearly used.
const NEARLY: f64 = 0.8;

/// The budget of a destination, as `/api/v1/destinations/{destination}/budget` tells it.
pub(super) fn draw(destination: &Value, used: Option<&Value>, now: i64) -> Markup {
    let Some(budget) = destination.pointer("/budget").filter(|budget| !budget.is_null()) else { return html! {} };
    let spent = |pointer: &str| used.and_then(|used| used.number(pointer));
    html! {
        h2 { "Budget of this hour" }
        div.cards {
            @if let Some(limit) = budget.number("/requests_per_hour") { (line("Requests", spent("/requests"), limit, |n| text::count(n as u64))) }
            @if let Some(limit) = budget.number("/cost_per_hour") { (line("Cost", spent("/cost"), limit, text::plain_number)) }
            @if let Some(limit) = budget.number("/max_concurrent") { (line("At once, over all nodes", None, limit, |n| text::count(n as u64))) }
        }
        @if let Some(text) = used.and_then(|used| used_up(used, now)) { p.muted { (text) } }
    }
}

fn used_up(budget: &Value, now: i64) -> Option<Markup> {
    let until = budget.instant("/waiting_until")?;
    Some(html! { "Used up: its deliveries go out again " (time::ago(until, now)) ". None is lost." })
}

/// Budgets that are nearly used, the fullest first, as `/api/v1/budgets` tells them.
pub(crate) fn fullest(budgets: &[Value], now: i64) -> Markup {
    let mut all: Vec<(&Value, f64)> =
        budgets.iter().filter_map(|budget| Some((budget, budget.number("/used_ratio")?))).collect();
    all.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    html! {
        @if !all.is_empty() {
            h2 { "Budgets of this hour" }
            ul.cards { @for (budget, share) in all.iter().take(6) { li.card {
                div.card-head {
                    h3 { a href={ "/console/destinations/" (crate::api::segment(budget.text("/name"))) } { (budget.text("/name")) } }
                    span { (text::percent(*share)) " used" }
                }
                (parts::bar(*share, tone(*share), &format!("{} used", text::percent(*share))))
                @if let Some(text) = used_up(budget, now) { p.evidence { (text) } }
            } } }
        }
    }
}

fn tone(share: f64) -> Tone {
    match share {
        share if share >= 1.0 => Tone::Bad,
        share if share >= NEARLY => Tone::Wait,
        _ => Tone::Good,
    }
}

fn line(name: &str, used: Option<f64>, limit: f64, write: impl Fn(f64) -> String) -> Markup {
    let share = used.map(|used| if limit > 0.0 { used / limit } else { 1.0 });
    html! {
        div.card {
            div.card-head {
                h3 { (name) }
                span { @if let Some(used) = used { (write(used)) " of " } @else { "at most " } (write(limit)) }
            }
            @if let Some(share) = share { (parts::bar(share, tone(share), &format!("{} used", text::percent(share)))) }
        }
    }
}
