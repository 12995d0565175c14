//! One line for each event.

use std::io::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use super::forward::{Forwarded, ReceivedEvent};
use crate::client::error::ClientError;
use crate::client::table::printable;

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// Shows what became of events.
pub(super) struct Screen {
    is_json: bool,
    is_coloured: bool,
    n_forwarded: u64,
    n_failed: u64,
}

#[derive(Serialize)]
struct Line<'l> {
    id: String,
    received_at: &'l str,
    r#type: Option<&'l str>,
    body_bytes: u64,
    status: Option<u16>,
    error: Option<&'l str>,
    duration_ms: f64,
    replay: bool,
}

impl Screen {
    pub(super) fn new(is_json: bool, is_coloured: bool) -> Self {
        Self { is_json, is_coloured, n_forwarded: 0, n_failed: 0 }
    }

    pub(super) fn show(
        &mut self,
        event: &ReceivedEvent,
        forwarded: &Forwarded,
        is_replay: bool,
    ) -> Result<(), ClientError> {
        self.n_forwarded += 1;
        self.n_failed += u64::from(!forwarded.result.as_ref().is_ok_and(|status| (200..300).contains(status)));
        let line =
            if self.is_json { json(event, forwarded, is_replay) } else { self.text(event, forwarded, is_replay) };
        write(&line)
    }

    /// The end of all lines.
    pub(super) fn end(&self) -> Result<(), ClientError> {
        if self.is_json || self.n_forwarded == 0 {
            return Ok(());
        }
        let failed = if self.n_failed > 0 { format!(", {} of them failed", self.n_failed) } else { String::new() };
        write(&format!("{} forwarded{failed}", self.n_forwarded))
    }

    fn text(&self, event: &ReceivedEvent, forwarded: &Forwarded, is_replay: bool) -> String {
        let paint = |colour: &str, text: &str| {
            if self.is_coloured { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
        };
        // The time of day, in UTC as everywhere.
        let time = event.received_at.get(11..23).unwrap_or(&event.received_at);
        let kind = printable(event.r#type.as_deref().unwrap_or("–"));
        let outcome = match &forwarded.result {
            Ok(status) if (200..300).contains(status) => paint(GREEN, &status.to_string()),
            Ok(status) => paint(RED, &status.to_string()),
            Err(reason) => paint(RED, &printable(reason)),
        };
        let again = if is_replay { "  again" } else { "" };
        format!(
            "{}  {kind:24}  {:>9}  {outcome}  {:.0} ms{again}  {}",
            paint(DIM, time),
            size(event.body_bytes),
            milliseconds(forwarded.duration),
            paint(DIM, &event.id.to_string())
        )
    }
}

fn json(event: &ReceivedEvent, forwarded: &Forwarded, is_replay: bool) -> String {
    let line = Line {
        id: event.id.to_string(),
        received_at: &event.received_at,
        r#type: event.r#type.as_deref(),
        body_bytes: event.body_bytes,
        status: forwarded.result.as_ref().ok().copied(),
        error: forwarded.result.as_ref().err().map(String::as_str),
        duration_ms: (milliseconds(forwarded.duration) * 1e3).round() / 1e3,
        replay: is_replay,
    };
    serde_json::to_string(&line).unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

fn write(line: &str) -> Result<(), ClientError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes())?;
    Ok(stdout.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> ReceivedEvent {
        serde_json::from_value(serde_json::json!({
            "id": "evt_01k9zv5w3hf6p8r2t4x6y8a0b2", "type": "pu\u{1b}sh", "received_at": "2026-01-31T12:00:00.123Z",
            "body_bytes": 2_048, "headers": [], "body_base64": "",
        }))
        .expect("an event")
    }

    fn after(result: Result<u16, String>) -> Forwarded {
        Forwarded { result, duration: Duration::from_millis(12) }
    }

    #[test]
    fn a_line_says_when_what_how_large_and_what_came_of_it() {
        let screen = Screen::new(false, false);
        assert_eq!(
            screen.text(&event(), &after(Ok(200)), false),
            "12:00:00.123  pu\u{fffd}sh                       2.0 KiB  200  12 ms  evt_01k9zv5w3hf6p8r2t4x6y8a0b2"
        );
        let down = screen.text(&event(), &after(Err("nothing listens there".to_owned())), true);
        assert!(down.contains("  nothing listens there  12 ms  again  "), "{down}");
        let coloured = Screen::new(false, true);
        assert!(coloured.text(&event(), &after(Ok(500)), false).contains("\u{1b}[31m500\u{1b}[0m"));
    }

    #[test]
    fn a_line_of_json_has_the_same() {
        let line: serde_json::Value = serde_json::from_str(&json(&event(), &after(Ok(204)), false)).expect("JSON");
        assert_eq!(
            (&line["status"], &line["error"], &line["duration_ms"], &line["replay"]),
            (&204.into(), &serde_json::Value::Null, &12.0.into(), &false.into())
        );
    }
}
