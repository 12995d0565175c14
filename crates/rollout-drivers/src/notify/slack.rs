//! The body of a Slack incoming webhook.

use serde_json::{Value, json};

use super::message::{Message, cut};

/// Slack refuses sections of more than 3,000 characters; escapes make some longer.
const MOST_TEXT: usize = 1_500;

pub(super) fn body(message: &Message) -> Value {
    let title = format!("{}: {}", message.title(), message.full_name());
    let text = cut(&message.text, MOST_TEXT);
    let mut facts = Vec::new();
    if let Some(revision) = &message.revision {
        facts.push(format!("revision {revision}"));
    }
    if let Some(step) = message.step {
        facts.push(format!("step {} of {}", step + 1, message.n_steps));
        facts.push(format!("{} % of the traffic", message.weight));
    }
    facts.push(message.time());
    json!({
        "text": escaped(&format!("{title}: {text}")),
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": format!("*{}*\n{}", escaped(&title), escaped(&text)) } },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": escaped(&cut(&facts.join(" · "), MOST_TEXT)) }] },
        ],
    })
}

/// The three characters that Slack reads as control characters.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
