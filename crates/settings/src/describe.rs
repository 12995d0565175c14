//! The effective settings as text, for `spillway check-config`.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{Loaded, Origin};

/// One key and what is in effect for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effective {
    /// The table's path with positions, such as `sources[0]`.
    pub(crate) table: String,
    pub(crate) key: String,
    /// The value with secrets redacted; `None` when it is not set.
    pub(crate) value: Option<toml::Value>,
    pub(crate) origin: Origin,
}

impl Loaded {
    /// The effective settings as TOML, each value with its origin in a comment. Secrets are redacted; references to
    /// secrets (`env:NAME`, `file:PATH`) are shown.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        // A table's own keys stand together, before the tables within it: TOML reads what follows those as theirs.
        let (mut places, mut tables) = (BTreeMap::<&str, usize>::new(), Vec::<Vec<&Effective>>::new());
        for effective in &self.effective {
            let place = *places.entry(&effective.table).or_insert(tables.len());
            match tables.get_mut(place) {
                Some(table) => table.push(effective),
                None => tables.push(vec![effective]),
            }
        }
        for table in tables {
            let separator = if text.is_empty() { "" } else { "\n" };
            let header = table.first().map(|first| header(&first.table)).unwrap_or_default();
            write_line(&mut text, format_args!("{separator}{header}"));
            for effective in table {
                let key = &effective.key;
                match &effective.value {
                    Some(value) => write_line(&mut text, format_args!("{key} = {value}  # {}", effective.origin)),
                    None => write_line(&mut text, format_args!("# {key} is not set")),
                }
            }
        }
        text
    }
}

/// `[server]`, `[[sources]]` for `sources[0]`, `[destinations.breaker]` for `destinations[0].breaker`, `[[sources.event_types]]` for
/// `sources[0].event_types[0]`.
fn header(table: &str) -> String {
    let names: Vec<&str> = table.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect();
    let path = names.join(".");
    if table.ends_with(']') { format!("[[{path}]]") } else { format!("[{path}]") }
}

fn write_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}
