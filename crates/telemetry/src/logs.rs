//! Logs: one line for each event, to standard error, as JSON for machines or as text for people.

mod line;

use tracing_subscriber::{EnvFilter, Layer, Registry, fmt::writer::BoxMakeWriter};

use crate::{TelemetryError, trace::SPAN_TARGET};

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The form of a line.
    pub format: LogFormat,
    /// Which events are logged: a level (`info`), or levels by module (`info,spillway_worker=debug`), in the syntax of
    /// `tracing-subscriber`'s `EnvFilter`. `off` logs nothing.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".to_owned() }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// An object with `timestamp`, `level`, `target`, `message`, `fields`, and in work on a trace that is recorded, or that a sender
    /// began, `trace_id` and `span_id`.
    Json,
    /// Text, in colour on a terminal.
    #[default]
    Pretty,
}

pub(crate) fn layer(
    settings: &LogSettings,
    writer: BoxMakeWriter,
    colour: bool,
) -> Result<Box<dyn Layer<Registry> + Send + Sync>, TelemetryError> {
    let filter = EnvFilter::builder()
        .parse(&settings.filter)
        .map_err(|source| TelemetryError::Filter { filter: settings.filter.clone(), source })?;
    // Whatever is logged, it must see our spans to print their ids. They print nothing themselves.
    let spans = format!("{SPAN_TARGET}=info")
        .parse()
        .map_err(|source| TelemetryError::Filter { filter: SPAN_TARGET.to_owned(), source })?;
    let filter = filter.add_directive(spans);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colour && settings.format == LogFormat::Pretty)
        .event_format(line::LineFormat(settings.format));
    Ok(lines.with_filter(filter).boxed())
}

#[cfg(test)]
mod tests;
