//! Where results go: to standard output, as tables or JSON.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use spillway_model::{Clock as _, SystemClock};
use spillway_settings::Environment;

use super::error::ClientError;
use super::json::indented;
use super::options::OutputFormat;
use super::table::{self, Column, Look};

/// Prints results in the format that was asked for. Hints for people go to standard error.
pub(crate) struct Output {
    format: OutputFormat,
    look: Look,
    is_terminal: bool,
}

/// A list while it is printed page by page.
#[derive(Debug, Default)]
pub(crate) struct ListOutput {
    widths: Vec<u16>,
    n_entries: usize,
}

impl ListOutput {
    pub(crate) fn n_entries(&self) -> usize {
        self.n_entries
    }
}

impl Output {
    /// Colour and a limit of the width only on a terminal; no colour with `NO_COLOR`.
    pub(crate) fn of_process(format: OutputFormat) -> Self {
        let environment = Environment::of_process();
        let is_terminal = io::stdout().is_terminal();
        let dumb = environment.get("TERM") == Some("dumb");
        let look = Look {
            colour: is_terminal && !dumb && environment.get("NO_COLOR").is_none(),
            width: if is_terminal { comfy_table::Table::new().width() } else { None },
            now: SystemClock.now(),
        };
        Self { format, look, is_terminal }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Whether output is coloured.
    pub(crate) fn is_coloured(&self) -> bool {
        self.look.colour
    }

    pub(crate) fn now(&self) -> spillway_model::UnixMillis {
        self.look.now
    }

    /// A line for people; nothing in JSON.
    pub(crate) fn line(&self, text: &str) -> Result<(), ClientError> {
        if self.is_json() { Ok(()) } else { write(text) }
    }

    /// A hint, where a person reads the table.
    pub(crate) fn hint(&self, text: &str) {
        if !self.is_json() {
            eprintln!("{text}");
        }
    }

    /// A value as one line of JSON; nothing in a table.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<(), ClientError> {
        if self.is_json() { write(&serde_json::to_string(value).unwrap_or_default()) } else { Ok(()) }
    }

    /// One entry, with these fields or as it was answered.
    pub(crate) fn entry(&self, columns: &[Column], entry: &RawValue) -> Result<(), ClientError> {
        if self.is_json() {
            return write(&indented(entry.get(), 0));
        }
        write(&table::details(columns, &parse(entry), self.look).join("\n"))
    }

    /// One page of a list.
    pub(crate) fn page(
        &self,
        columns: &[Column],
        page: &[Box<RawValue>],
        fill: impl Fn(&mut Value),
        list: &mut ListOutput,
    ) -> Result<(), ClientError> {
        let is_first = list.n_entries == 0;
        list.n_entries += page.len();
        if page.is_empty() {
            return Ok(());
        }
        if self.is_json() {
            let entries: Vec<_> = page.iter().map(|entry| format!("  {}", indented(entry.get(), 1))).collect();
            return print(&format!("{}{}", if is_first { "[\n" } else { ",\n" }, entries.join(",\n")));
        }
        let mut entries: Vec<Value> = page.iter().map(|entry| parse(entry)).collect();
        entries.iter_mut().for_each(fill);
        // On a terminal each page is arranged for itself, so that it has its own header.
        let has_header = is_first || self.is_terminal;
        write(&table::lines(columns, &entries, self.look, has_header, &mut list.widths).join("\n"))
    }

    /// The end of a list. `empty` says how to get a first entry.
    pub(crate) fn end(&self, list: &ListOutput, empty: &str) -> Result<(), ClientError> {
        match (self.is_json(), list.n_entries) {
            (true, 0) => write("[]"),
            (true, _) => write("\n]"),
            (false, 0) => {
                self.hint(empty);
                Ok(())
            }
            (false, _) => Ok(()),
        }
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), ClientError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }
}

/// The entry as a value; null when it is none, which the API does not send.
pub(crate) fn parse(entry: &RawValue) -> Value {
    serde_json::from_str(entry.get()).unwrap_or_default()
}

fn write(text: &str) -> Result<(), ClientError> {
    print(&format!("{text}\n"))
}

fn print(text: &str) -> Result<(), ClientError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
