//! The text of a log line.

use std::{error::Error, fmt, fmt::Write as _};

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value, json};
use spillway_model::TraceContext;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use super::LogFormat;
use crate::trace;

/// Formats events; spans appear as their ids only.
pub(super) struct LineFormat(pub(super) LogFormat);

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut content = Content::default();
        event.record(&mut content);
        let line = Line {
            timestamp,
            level: *event.metadata().level(),
            target: content.target.take().unwrap_or_else(|| event.metadata().target().to_owned()),
            content,
            trace: context.lookup_current().and_then(|span| trace::of_span(&span)).or_else(trace::unrecorded),
        };
        match self.0 {
            LogFormat::Json => line.write_json(&mut writer),
            LogFormat::Pretty => line.write_text(&mut writer),
        }
    }
}

struct Line {
    timestamp: String,
    level: Level,
    target: String,
    content: Content,
    trace: Option<TraceContext>,
}

impl Line {
    fn write_json(self, writer: &mut Writer<'_>) -> fmt::Result {
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), self.timestamp.into());
        line.insert("level".to_owned(), self.level.as_str().into());
        line.insert("target".to_owned(), self.target.into());
        line.insert("message".to_owned(), self.content.message.into());
        if !self.content.fields.is_empty() {
            line.insert("fields".to_owned(), self.content.fields.into());
        }
        if let Some(trace) = self.trace {
            line.insert("trace_id".to_owned(), format!("{:032x}", trace.trace_id).into());
            line.insert("span_id".to_owned(), format!("{:016x}", trace.span_id).into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }

    fn write_text(self, writer: &mut Writer<'_>) -> fmt::Result {
        let colour = |style: Style| if writer.has_ansi_escapes() { style } else { Style::new() };
        let (level, faint) = (colour(level_style(self.level)), colour(Style::new().dimmed()));
        let Self { timestamp, target, content, .. } = self;
        write!(writer, "{faint}{timestamp}{faint:#} {level}{:>5}{level:#} ", self.level)?;
        write!(writer, "{faint}{target}:{faint:#} {}", escaped(&content.message))?;
        for (name, value) in &content.fields {
            match value {
                Value::String(text) => write!(writer, " {faint}{name}={faint:#}{}", escaped(text))?,
                other => write!(writer, " {faint}{name}={faint:#}{other}")?,
            }
        }
        if let Some(trace) = self.trace {
            write!(writer, " {faint}trace_id={:032x}{faint:#}", trace.trace_id)?;
        }
        writeln!(writer)
    }
}

const fn level_style(level: Level) -> Style {
    match level {
        Level::ERROR => AnsiColor::Red.on_default().bold(),
        Level::WARN => AnsiColor::Yellow.on_default(),
        Level::INFO => AnsiColor::Green.on_default(),
        Level::DEBUG => AnsiColor::Blue.on_default(),
        Level::TRACE => AnsiColor::Magenta.on_default(),
    }
}

/// Control characters escaped, so that what a sender put into a value can neither begin a line nor command a terminal.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character.is_control() {
            true => escaped.extend(character.escape_default()),
            false => escaped.push(character),
        }
        escaped
    })
}

/// What an event says.
#[derive(Default)]
struct Content {
    message: String,
    /// The target of an event that came through the `log` crate.
    target: Option<String>,
    fields: Map<String, Value>,
}

impl Content {
    fn insert(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            ("log.target", Value::String(target)) => self.target = Some(target),
            (name, _) if name.starts_with("log.") => {}
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Content {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, json!(value));
    }

    /// The error and what caused it: here, at the edge, the chain is printed.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut chain = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            // Writing to a String cannot fail.
            let _ = write!(chain, ": {cause}");
            source = cause.source();
        }
        self.insert(field, chain.into());
    }
}
