use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::dispatcher;

use super::*;
use crate::{SpanName, TelemetrySettings, TraceContext, build};

/// Collects what is written.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: LogFormat, filter: &str, colour: bool, work: impl FnOnce()) -> String {
    let output = Output::default();
    let writer = output.clone();
    let logs = LogSettings { format, filter: filter.to_owned() };
    let settings = TelemetrySettings { logs, ..TelemetrySettings::default() };
    let (dispatch, _guard) = build(&settings, BoxMakeWriter::new(move || writer.clone()), colour).unwrap();
    dispatcher::with_default(&dispatch, work);
    output.text()
}

#[derive(Debug, thiserror::Error)]
#[error("the request failed")]
struct Failed(#[source] io::Error);

#[test]
fn a_json_line_has_every_part_and_the_chain_of_an_error() {
    let text = logged(LogFormat::Json, "info", true, || {
        let error = Failed(io::Error::other("connection refused"));
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::warn!(destination.id = %"dst_1", attempt = 2, ok = false, error, "attempt \"failed\"\nagain");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["target"], "spillway_telemetry::logs::tests");
    assert_eq!(line["message"], "attempt \"failed\"\nagain");
    let fields = serde_json::json!({
        "destination.id": "dst_1", "attempt": 2, "ok": false, "error": "the request failed: connection refused"
    });
    assert_eq!(line["fields"], fields);
    assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{text}");
    assert!(line.get("trace_id").is_none(), "{text}");
}

#[test]
fn a_text_line_is_one_line_and_has_colour_only_when_asked() {
    let work = || tracing::info!(name = "a\r\n\u{1b}[31m", "received");
    let plain = logged(LogFormat::Pretty, "info", false, work);
    assert!(plain.contains(" INFO spillway_telemetry::logs::tests: received name=a\\r\\n\\u{1b}[31m\n"), "{plain:?}");
    assert_eq!(plain.lines().count(), 1);
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let coloured = logged(LogFormat::Pretty, "info", true, work);
    assert!(coloured.contains('\u{1b}') && !coloured.contains("\u{1b}[31m"), "{coloured:?}");
}

#[test]
fn the_filter_applies_by_level_and_target() {
    let work = || {
        tracing::info!("quiet");
        tracing::info!(target: "spillway_worker", "loud");
    };
    let text = logged(LogFormat::Pretty, "error,spillway_worker=info", false, work);
    assert!(text.contains("loud") && !text.contains("quiet"), "{text}");
    assert_eq!(logged(LogFormat::Pretty, "off", false, work), "");
}

#[test]
fn an_invalid_filter_is_refused_with_advice() {
    let logs = LogSettings { filter: "spillway=loud".to_owned(), ..LogSettings::default() };
    let settings = TelemetrySettings { logs, ..TelemetrySettings::default() };
    let error = build(&settings, BoxMakeWriter::new(io::sink), false).err().unwrap();
    assert!(matches!(error, TelemetryError::Filter { .. }));
    assert!(error.to_string().contains("\"spillway=loud\" is invalid; write it like"), "{error}");
}

#[tokio::test]
async fn lines_about_a_senders_trace_carry_it_although_nothing_is_recorded() {
    let output = Output::default();
    let writer = output.clone();
    let logs = LogSettings { format: LogFormat::Json, filter: "info".to_owned() };
    let settings = TelemetrySettings { logs, ..TelemetrySettings::default() };
    let (dispatch, guard) = build(&settings, BoxMakeWriter::new(move || writer.clone()), false).unwrap();
    let sender = TraceContext { trace_id: 0xabc, span_id: 0xdef, flags: 0 };
    let _default = dispatcher::set_default(&dispatch);
    let known = guard.tracer().start(SpanName::Intake, Some(sender));
    let fresh = guard.tracer().start(SpanName::Intake, None);
    known
        .cover(async {
            tokio::task::yield_now().await;
            tracing::info!("known");
        })
        .await;
    fresh.cover(async { tracing::info!("fresh") }).await;
    tracing::info!("outside");
    let lines: Vec<serde_json::Value> = output.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["trace_id"], format!("{:032x}", sender.trace_id));
    assert_eq!(lines[0]["span_id"], format!("{:016x}", sender.span_id));
    assert!(lines[1..].iter().all(|line| line.get("trace_id").is_none()), "{lines:?}");
}
