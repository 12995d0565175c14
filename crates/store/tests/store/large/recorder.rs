//! Hears what sqlx tells through `tracing`.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Statements that an engine executes.
pub(super) const STATEMENTS: &str = "sqlx::query";
/// Messages of a PostgreSQL server.
pub(super) const NOTICES: &str = "sqlx::postgres::notice";

static HEARD: Mutex<Vec<(&str, String)>> = Mutex::new(Vec::new());

/// Listens from now on, for the whole process.
pub(super) fn listen() {
    // The test of another engine may listen already.
    let _ = tracing::subscriber::set_global_default(Recorder);
}

/// What was heard of `target` since the last time.
pub(super) fn heard(target: &str) -> Vec<String> {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    heard.extract_if(.., |(of, _)| *of == target).map(|(_, text)| text).collect()
}

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        [STATEMENTS, NOTICES].contains(&metadata.target())
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let text = if text.long.is_empty() { text.short } else { text.long };
        HEARD.lock().unwrap_or_else(PoisonError::into_inner).push((event.metadata().target(), text));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A statement of a few words is its own summary.
#[derive(Default)]
struct Text {
    short: String,
    long: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.short),
            "db.statement" | "message" => value.clone_into(&mut self.long),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
