//! SLOs and error budgets: may we ship?

use maud::{Markup, html};
use serde_json::Value;
use spillway_report::text;

use crate::look::parts::{self, Tone, counted};
use crate::look::rail::Place;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit};

pub(crate) async fn show(visit: Visit) -> Outcome {
    let Some(slos) = visit.api.get_optional("/api/v1/performance/slos").await? else {
        let content = html! { (parts::head(None, "SLOs", &html! {}, &html! {})) (parts::unavailable("error budgets")) };
        return Ok(visit.show(Page::new(Place::Slos, "SLOs", content)).await);
    };
    let all = slos.list("/data");
    let (tone, answer) = answer(all);
    let days = slos.number("/window_s").map_or(30.0, |seconds| seconds / 86_400.0);
    let about = html! { "Over " (text::plain_number(days)) " days, as node " code { (slos.text("/node")) } " saw it. Failures of receivers do not count." };
    let content = html! {
        (parts::head(Some(tone), &answer, &about, &html! {}))
        @if all.is_empty() { (parts::empty("No objective yet", "The gateway's own objectives stand here as soon as it has seen some traffic.", None, &html! {})) }
        ul.cards { @for slo in all { (card(slo)) } }
        p.muted.small.lead { "A burn of 1 spends the budget in exactly " (text::plain_number(days)) " days; 10 spends it ten times as fast. At 90 % spent a release should wait for a reason, at 100 % it is frozen." }
    };
    Ok(visit.show(Page::new(Place::Slos, "SLOs and error budgets", content)).await)
}

fn answer(all: &[Value]) -> (Tone, String) {
    let state = |wanted: &[&str]| all.iter().filter(|slo| wanted.contains(&slo.text("/budget/state"))).count();
    let (spent, warned, unknown) = (state(&["frozen", "emergency"]), state(&["warning"]), state(&["unknown", ""]));
    let least = all.iter().filter_map(|slo| slo.number("/budget/left")).reduce(f64::min);
    match (spent, warned) {
        (0, 0) if unknown == all.len() => (Tone::Off, "Not enough traffic yet to say whether we may ship".to_owned()),
        (0, 0) => (
            Tone::Good,
            format!("Ship: at least {} of every budget is left", text::percent(least.unwrap_or(1.0).max(0.0))),
        ),
        (0, n) => {
            (Tone::Wait, format!("Ship with care: {} nearly spent", counted(n as u64, "budget is", "budgets are")))
        }
        (n, _) => (Tone::Bad, format!("Do not ship: {} spent", counted(n as u64, "budget is", "budgets are"))),
    }
}

fn card(slo: &Value) -> Markup {
    let state = slo.text("/budget/state");
    let (tone, word) = match state {
        "healthy" => (Tone::Good, "healthy"),
        "warning" => (Tone::Wait, "nearly spent"),
        "frozen" => (Tone::Bad, "frozen"),
        "emergency" => (Tone::Bad, "emergency"),
        _ => (Tone::Off, "not known yet"),
    };
    let left = slo.number("/budget/left");
    html! {
        li.card {
            div.card-head { h2 { (slo.text("/objective")) } (parts::state(tone, word)) }
            @match left {
                Some(left) => {
                    (parts::bar(left, tone, &format!("{} of the budget is left", text::percent(left.max(0.0)))))
                    div.pair { span { strong { (text::percent(left.max(0.0))) } " of the budget left" @if left < 0.0 { ", overspent by " (text::percent(-left)) } } span { (kept(slo)) } }
                }
                None => p.muted { "Too few events until now." }
            }
            (burns(slo))
            @if matches!(state, "frozen" | "emergency") { p.evidence { "Frozen because more failed than the objective allows. It thaws as old failures leave the window; a rollout can be let go on with an override and a reason." } }
        }
    }
}

fn kept(slo: &Value) -> String {
    let n = |pointer: &str| slo.count(pointer).unwrap_or_default();
    let compliance = slo.number("/compliance").map_or_else(|| text::NONE.to_owned(), exactly);
    format!(
        "{compliance} kept, {} promised · {} of {}",
        exactly(slo.number("/target").unwrap_or_default()),
        text::count(n("/good")),
        text::count(n("/total"))
    )
}

/// A share with the nines that tell objectives apart. It is cut off, so that what is missed never reads as kept.
fn exactly(share: f64) -> String {
    format!("{} %", text::plain_number((share * 100_000.0).floor() / 1_000.0))
}

fn burns(slo: &Value) -> Markup {
    let spans = [("1h", "last hour"), ("1d", "last day"), ("7d", "last week")];
    let burn = |name: &str| slo.number(&format!("/burn/{name}"));
    html! {
        @if spans.iter().any(|(name, _)| burn(name).is_some()) {
            p.burns { "Burn"
                @for (name, label) in spans { span { (label) " " strong class=[burn(name).filter(|burn| *burn > 1.0).map(|_| "bad")] { @match burn(name) { Some(burn) => { (text::digits(burn)) "×" }, None => (text::NONE) } } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_worst_budget_decides_whether_we_may_ship() {
        let slo = |state: &str, left: f64| json!({"budget": {"state": state, "left": left}});
        for (all, tone, says) in [
            (
                vec![slo("healthy", 0.99), slo("healthy", 0.42)],
                Tone::Good,
                "Ship: at least 42 % of every budget is left",
            ),
            (vec![slo("healthy", 0.99), slo("warning", 0.05)], Tone::Wait, "Ship with care: 1 budget is nearly spent"),
            (vec![slo("frozen", -0.1), slo("warning", 0.05)], Tone::Bad, "Do not ship: 1 budget is spent"),
            (
                vec![json!({"budget": {"state": "unknown", "left": null}})],
                Tone::Off,
                "Not enough traffic yet to say whether we may ship",
            ),
        ] {
            assert_eq!(answer(&all), (tone, says.to_owned()));
        }
    }

    #[test]
    fn what_is_missed_never_reads_as_kept() {
        assert_eq!(
            [exactly(0.9999), exactly(0.999_999_1), exactly(1.0), exactly(0.95)],
            ["99.99 %", "99.999 %", "100 %", "95 %"]
        );
    }
}
