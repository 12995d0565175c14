//! A message in Slack, by an incoming webhook.

use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::{Facts, PublishError, Secret, TIMEOUT};
use crate::fetch::{FetchError, Server};

/// Thresholds that a message lists.
const MOST_THRESHOLDS: usize = 15;

/// Characters of one line. Slack takes 3,000 in a section and 150 in a header.
const MOST_CHARACTERS: usize = 120;

/// A webhook.
pub(super) struct Slack {
    server: Server,
    url: Url,
}

impl Slack {
    pub(super) fn new(url: &Secret) -> Result<Self, PublishError> {
        let url = url.url().ok_or(PublishError::Slack)?;
        let server = Server::new(&url, TIMEOUT).map_err(|_| PublishError::Slack)?;
        Ok(Self { server, url })
    }

    pub(super) async fn post(mut self, facts: &Facts<'_>) -> Result<(), FetchError> {
        let message = message(facts).to_string();
        self.server.put(Method::POST, &self.url, "application/json; charset=utf-8", message).await.map(drop)
    }
}

/// `text` is what notifications show, and all that other servers than Slack's may show.
fn message(facts: &Facts<'_>) -> Value {
    let mark = match facts.verdict {
        "passed" => "✓",
        "failed" => "✗",
        _ => "!",
    };
    let place = facts.environment().map(|environment| format!(" in {environment}")).unwrap_or_default();
    let headline = short(&format!("{mark} Load test {}{place}: {}", facts.test, facts.verdict));
    let table = table(facts);
    let summary = table.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ");
    let fields: Vec<Value> =
        table.iter().map(|(name, value)| json!({"type": "mrkdwn", "text": format!("*{name}*\n{value}")})).collect();
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": headline}}),
        json!({"type": "section", "fields": fields}),
    ];
    if !facts.failed_thresholds.is_empty() {
        blocks
            .push(json!({"type": "section", "text": {"type": "mrkdwn", "text": thresholds(&facts.failed_thresholds)}}));
    }
    let environment = facts.environment().map(|environment| format!("environment {}", escaped(&short(environment))));
    let context: Vec<String> = environment.into_iter().chain(facts.report.as_deref().map(report)).collect();
    if !context.is_empty() {
        blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": context.join("  ·  ")}]}));
    }
    json!({"text": format!("{}. {summary}", escaped(&headline)), "blocks": blocks})
}

/// At most ten rows, which is what Slack takes.
fn table(facts: &Facts<'_>) -> Vec<(&'static str, String)> {
    let time = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1} ms"));
    vec![
        ("p50", time(facts.p50_ms)),
        ("p95", time(facts.p95_ms)),
        ("p99", time(facts.p99_ms)),
        ("throughput", format!("{:.1}/s", facts.throughput_rps)),
        ("errors", format!("{:.2} %", facts.error_rate_percent)),
        ("dropped", facts.dropped.to_string()),
        ("duration", format!("{:.0} s", facts.duration_s)),
    ]
}

fn thresholds(failed: &[String]) -> String {
    let lines = failed.iter().take(MOST_THRESHOLDS).map(|threshold| format!("\n• `{}`", escaped(&short(threshold))));
    let more = failed.len().saturating_sub(MOST_THRESHOLDS);
    let rest = if more > 0 { format!("\n… and {more} more") } else { String::new() };
    format!("*Thresholds that failed*{}{rest}", lines.collect::<String>())
}

fn report(place: &str) -> String {
    match Url::parse(place) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.as_str().len() < 2_000 => {
            format!("<{}|report>", escaped(url.as_str()))
        }
        _ => format!("report `{}`", escaped(&short(place))),
    }
}

/// The characters that Slack gives a meaning.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn short(text: &str) -> String {
    let line = text.replace(['\n', '\r', '`'], " ");
    if line.chars().count() <= MOST_CHARACTERS {
        return line;
    }
    format!("{}…", line.chars().take(MOST_CHARACTERS - 1).collect::<String>())
}
