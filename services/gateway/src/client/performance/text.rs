//! What the API answers about performance, as lines for people. The first one is the verdict.

use serde_json::Value;

use crate::client::table::printable;
use crate::client::time;

const WINDOWS: [&str; 3] = ["1m", "5m", "1h"];
const NOTHING: &str = "–";
const BAR_WIDTH: usize = 20;

/// A number with three digits, without the zeros that say nothing.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        magnitude if magnitude >= 99.95 => 0,
        magnitude if magnitude >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The three percentiles of a latency.
pub(super) fn percentile(latency: &Value) -> String {
    let [p50, p95, p99] = ["p50_ms", "p95_ms", "p99_ms"].map(|name| some(&latency[name]));
    if latency["p50_ms"].is_null() { NOTHING.to_owned() } else { format!("{p50} / {p95} / {p99} ms") }
}

fn some(value: &Value) -> String {
    value.as_f64().map_or_else(|| NOTHING.to_owned(), number)
}

fn text(value: &Value) -> String {
    printable(value.as_str().unwrap_or(NOTHING))
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| NOTHING.to_owned(), |share| format!("{} %", number(share * 100.0)))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn when(value: &Value, now: i64) -> String {
    let at = value.as_str().and_then(time::parse);
    at.map_or_else(|| NOTHING.to_owned(), |at| time::relative(at, now))
}

pub(super) fn metrics(answer: &Value, _: i64) -> String {
    let mut lines = vec![
        format!(
            "{}: {} received/s in the last minute",
            text(&answer["node"]),
            some(&answer["windows"]["1m"]["intake"]["per_second"])
        ),
        format!("\n{:<26}{:>17}{:>17}{:>17}", "", "1 min", "5 min", "1 h"),
    ];
    let mut row = |title: &str, cell: &dyn Fn(&Value) -> String| {
        let [minute, five, hour] = WINDOWS.map(|window| cell(&answer["windows"][window]));
        lines.push(format!("{title:<26}{minute:>17}{five:>17}{hour:>17}"));
    };
    row("received/s", &|window| some(&window["intake"]["per_second"]));
    row("  refused, sender's fault", &|window| some(&window["intake"]["sender_errors_per_second"]));
    row("  failed, our fault", &|window| percent(&window["intake"]["platform_error_ratio"]));
    row("delivered/s", &|window| some(&window["deliveries"]["delivered_per_second"]));
    row("  given up/s", &|window| some(&window["deliveries"]["dead_per_second"]));
    row("attempts/s", &|window| some(&window["attempts"]["per_second"]));
    row("  destination's fault", &|window| percent(&window["attempts"]["destination_error_ratio"]));
    row("  our fault", &|window| percent(&window["attempts"]["platform_error_ratio"]));
    row("API requests/s", &|window| some(&window["api"]["per_second"]));
    row("  failed, our fault", &|window| percent(&window["api"]["platform_error_ratio"]));
    lines.push(format!("\n{:<26}{:>26}{:>26}", "p50 / p95 / p99", "1 min", "1 h"));
    for (title, name) in [
        ("acknowledgement", "acknowledgement"),
        ("commit", "commit"),
        ("delivery", "delivery"),
        ("  at the first attempt", "delivery_first_attempt"),
        ("request to destination", "attempt"),
        ("API request", "api_latency"),
    ] {
        let [minute, hour] = ["1m", "1h"].map(|window| percentile(&answer["windows"][window][name]));
        lines.push(format!("{title:<26}{minute:>26}{hour:>26}"));
    }
    let now = &answer["now"];
    lines.push(format!(
        "\n{} waiting for a commit, {} pending, oldest due {} s, {} of {} connections, CPU {}, memory {}",
        some(&now["intake_queue_depth"]),
        some(&now["pending_deliveries"]),
        some(&now["oldest_due_s"]),
        some(&now["pool_used"]),
        some(&now["pool_max"]),
        percent(&now["cpu_ratio"]),
        bytes(&now["memory_bytes"]),
    ));
    lines.join("\n")
}

fn bytes(value: &Value) -> String {
    let Some(mut value) = value.as_f64() else { return NOTHING.to_owned() };
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1_024.0 {
            return format!("{} {unit}", number(value));
        }
        value /= 1_024.0;
    }
    format!("{} TiB", number(value))
}

pub(super) fn health(answer: &Value, _: i64) -> String {
    let mut lines = vec![format!("{}: {}", text(&answer["node"]), text(&answer["status"]))];
    for check in list(&answer["checks"]) {
        let latency = check["latency_ms"].as_f64().map_or_else(String::new, |ms| format!("{} ms", number(ms)));
        let (name, status) = (text(&check["name"]), text(&check["status"]));
        lines.push(format!("{name:<14}{status:<14}{latency:>9}  {}", text(&check["detail"])));
    }
    lines.join("\n")
}

pub(super) fn alerts(answer: &Value, now: i64) -> String {
    let (active, rules) = (list(&answer["active"]), list(&answer["rules"]));
    if active.is_empty() {
        return format!("No alert is on at {}; {} rules are watched.", text(&answer["node"]), rules.len());
    }
    let mut lines = vec![format!("{} on at {}", counted(active.len(), "alert"), text(&answer["node"]))];
    for alert in active {
        lines.push(format!(
            "\n{} {} since {}\n  {}\n  {}",
            text(&alert["severity"]),
            text(&alert["id"]),
            when(&alert["since"], now),
            text(&alert["text"]),
            text(&alert["runbook"])
        ));
    }
    lines.join("\n")
}

pub(super) fn recommendations(answer: &Value, _: i64) -> String {
    let data = list(&answer["data"]);
    let mut lines = match data.len() {
        0 => vec![format!("Nothing to change at {}.", text(&answer["node"]))],
        n => vec![format!("{} for {}", counted(n, "recommendation"), text(&answer["node"]))],
    };
    for told in data {
        lines.push(format!("\n{} ({})\n  {}", text(&told["id"]), text(&told["urgency"]), text(&told["text"])));
        if let Some(setting) = told["setting"].as_str() {
            lines.push(format!("  set {} to {}", printable(setting), some(&told["recommended"])));
        }
    }
    let waiting = list(&answer["waiting"]).iter().map(|it| format!("\n{}: {}", text(&it["id"]), text(&it["reason"])));
    lines.extend(waiting);
    lines.join("\n")
}

pub(super) fn forecast(answer: &Value, now: i64) -> String {
    let data = list(&answer["data"]);
    let expected = data.iter().filter(|it| it["status"] == "expected" || it["status"] == "reached").count();
    let mut lines = match expected {
        0 => vec![format!("No limit is expected to be reached at {}.", text(&answer["node"]))],
        n => vec![format!("{} reached, or expected to be, at {}", counted(n, "limit"), text(&answer["node"]))],
    };
    for told in data {
        lines.push(format!(
            "\n{} ({})\n  {}",
            text(&told["id"]),
            text(&told["status"]).replace('_', " "),
            text(&told["text"])
        ));
        if let (Some(used), Some(limit)) = (told["now"].as_f64(), told["limit"].as_f64()) {
            let share = used / limit;
            lines.push(format!("  {} {} % of the limit", bar(share), number(share * 100.0)));
        }
        if !told["reached_at"].is_null() {
            lines.push(format!("  reached {}", when(&told["reached_at"], now)));
        }
    }
    lines.join("\n")
}

pub(super) fn slos(answer: &Value, _: i64) -> String {
    let data = list(&answer["data"]);
    let missed = data.iter().filter(|slo| slo["met"] == false).count();
    let mut lines = match missed {
        0 => vec![format!("No promise is broken at {} over 30 days.", text(&answer["node"]))],
        n => vec![format!("{} broken at {} over 30 days", counted(n, "promise"), text(&answer["node"]))],
    };
    for slo in data {
        lines.push(format!("\n{}", text(&slo["objective"])));
        let Some(left) = slo["budget"]["left"].as_f64() else {
            lines.push(format!("  too few to say: {}", some(&slo["total"])));
            continue;
        };
        let burn = ["1h", "1d", "7d"].map(|window| some(&slo["burn"][window]));
        lines.push(format!(
            "  {} {} % of the budget left ({}); burn {} in 1 h, {} in 1 d, {} in 7 d",
            bar(left),
            number(left * 100.0),
            text(&slo["budget"]["state"]),
            burn[0],
            burn[1],
            burn[2]
        ));
    }
    lines.join("\n")
}

pub(super) fn names(answer: &Value, _: i64) -> String {
    let line = |it: &Value| format!("{:<32} {:<8} {}", text(&it["name"]), text(&it["kind"]), text(&it["description"]));
    list(&answer["data"]).iter().map(line).collect::<Vec<_>>().join("\n")
}

fn bar(share: f64) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let filled = (share * BAR_WIDTH as f64).round() as usize;
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR_WIDTH - filled))
}

fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_line_is_the_verdict() {
        let calm = json!({"node": "a:1", "active": [], "rules": [{}, {}]});
        assert_eq!(alerts(&calm, 0), "No alert is on at a:1; 2 rules are watched.");
        let loud = json!({"node": "a:1", "rules": [], "active": [{"id": "cpu", "severity": "warning",
            "text": "Processor: 80 %.", "since": "1970-01-01T00:00:00Z", "runbook": "runbooks/alerts/cpu.md"}]});
        assert_eq!(
            alerts(&loud, 300_000),
            "1 alert on at a:1\n\nwarning cpu since 5 min ago\n  Processor: 80 %.\n  runbooks/alerts/cpu.md"
        );
        assert_eq!(recommendations(&json!({"node": "a:1", "data": [], "waiting": []}), 0), "Nothing to change at a:1.");
        let forecast_of = |status: &str| {
            let told = json!({"id": "disk", "status": status, "text": "It fills.", "now": 50.0, "limit": 100.0, "reached_at": null});
            forecast(&json!({"node": "a:1", "data": [told]}), 0)
        };
        assert_eq!(
            forecast_of("expected"),
            "1 limit reached, or expected to be, at a:1\n\ndisk (expected)\n  It fills.\n  ██████████░░░░░░░░░░ 50 % of the limit"
        );
        assert!(forecast_of("not_expected").starts_with("No limit is expected to be reached at a:1."));
    }

    #[test]
    fn what_is_not_known_is_no_zero() {
        let latency = json!({"count": 0, "p50_ms": null, "p95_ms": null, "p99_ms": null});
        assert_eq!(percentile(&latency), NOTHING);
        assert_eq!(
            (some(&Value::Null), percent(&Value::Null), bytes(&Value::Null)),
            (NOTHING.into(), NOTHING.into(), NOTHING.into())
        );
        assert_eq!((percent(&json!(0.005)), bytes(&json!(25_165_824))), ("0.5 %".into(), "24 MiB".into()));
        let slo = json!({"node": "a:1", "data": [{"objective": "It works", "met": null, "total": 3, "budget": {"left": null}}]});
        assert_eq!(slos(&slo, 0), "No promise is broken at a:1 over 30 days.\n\nIt works\n  too few to say: 3");
    }

    #[test]
    fn rates_stand_in_columns_of_80_characters() {
        let window = json!({"intake": {"per_second": 412.3, "sender_errors_per_second": 0.0, "platform_error_ratio": 0.0},
            "acknowledgement": {"p50_ms": 1.2, "p95_ms": 3.9, "p99_ms": 1_234.5}});
        let shown = metrics(&json!({"node": "a:1", "windows": {"1m": window}, "now": {}}), 0);
        assert!(shown.starts_with("a:1: 412 received/s in the last minute\n"), "{shown}");
        assert!(
            shown.contains("received/s                              412                –                –"),
            "{shown}"
        );
        assert!(
            shown.lines().filter(|line| !line.contains("waiting")).all(|line| line.chars().count() <= 80),
            "{shown}"
        );
    }
}
