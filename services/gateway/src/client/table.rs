//! Tables: one line for each entry, at most as wide as the terminal, and never cut in a pipe.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Table, TableStyle, Width,
};
use serde_json::Value;
use spillway_model::UnixMillis;

use super::time;

/// Between two columns.
const GAP: u16 = 2;
/// What stands for a value that is not there.
const NOTHING: &str = "–";

/// One column of a table, and one line of what is shown about a single entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    field: &'static str,
    kind: Kind,
}

/// How a field is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Never cut: it is what the next command needs.
    Id,
    Text,
    /// One of a few words, with the colour of what it means.
    State,
    /// A flag, as `enabled` or `disabled`.
    Enabled,
    Number,
    /// A number of milliseconds.
    Milliseconds,
    /// How many entries a list has.
    Count,
    Time,
}

impl Column {
    pub(crate) const fn id(title: &'static str, field: &'static str) -> Self {
        Self { title, field, kind: Kind::Id }
    }

    pub(crate) const fn text(title: &'static str, field: &'static str) -> Self {
        Self { title, field, kind: Kind::Text }
    }

    pub(crate) const fn state(title: &'static str, field: &'static str) -> Self {
        Self { title, field, kind: Kind::State }
    }

    pub(crate) const fn enabled(title: &'static str, field: &'static str) -> Self {
        Self { title, field, kind: Kind::Enabled }
    }

    pub(crate) const fn number(title: &'static str, field: &'static str) -> Self {
        Self { title, field, kind: Kind::Number }
    }

    pub(crate) const fn milliseconds(title: &'static str, field: &'static str) -> Self {
        Self { title, field, kind: Kind::Milliseconds }
    }

    pub(crate) const fn count(title: &'static str, field: &'static str) -> Self {
        Self { title, field, kind: Kind::Count }
    }

    pub(crate) const fn time(title: &'static str, field: &'static str) -> Self {
        Self { title, field, kind: Kind::Time }
    }

    fn is_right_aligned(self) -> bool {
        matches!(self.kind, Kind::Number | Kind::Milliseconds | Kind::Count)
    }

    /// The field of `entry` as text of one line, without control characters.
    fn text_of(self, entry: &Value, now: UnixMillis) -> String {
        let value = &entry[self.field];
        let text = match (self.kind, value) {
            (Kind::Time, Value::String(text)) => {
                time::parse(text).map_or_else(|| text.clone(), |at| time::relative(at, now))
            }
            (Kind::Enabled, Value::Bool(is_enabled)) => if *is_enabled { "enabled" } else { "disabled" }.to_owned(),
            (Kind::Milliseconds, Value::Number(number)) => format!("{number} ms"),
            (Kind::Count, Value::Array(entries)) => entries.len().to_string(),
            (Kind::Count, Value::Object(entries)) => entries.len().to_string(),
            (_, other) => plain(other),
        };
        printable(&text)
    }

    fn cell(self, entry: &Value, now: UnixMillis) -> Cell {
        let text = self.text_of(entry, now);
        let colour = if matches!(self.kind, Kind::State | Kind::Enabled) { colour_of(&text) } else { None };
        let cell = Cell::new(text);
        match colour {
            Some(colour) => cell.fg(colour),
            None => cell,
        }
    }
}

/// A value as text of one line, without the punctuation of JSON.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(entries) => entries.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) if fields.contains_key("reference") => secret(value),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    if text.is_empty() { NOTHING.to_owned() } else { text }
}

/// A secret as the API shows it: where it stands, or nothing of it, and until when it signs.
fn secret(value: &Value) -> String {
    let text = value["reference"].as_str().unwrap_or("hidden");
    match value["expires_at"].as_str() {
        Some(end) => format!("{text} until {end}"),
        None => text.to_owned(),
    }
}

/// The text without characters that would steer a terminal: what senders and destinations write ends up here.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// The colour of a word: good, waiting, bad, off.
fn colour_of(word: &str) -> Option<Color> {
    match word {
        "active" | "delivered" | "success" | "enabled" | "done" | "asked" | "passed" => Some(Color::Green),
        "pending" | "paused" | "queued" | "running" | "would ask" => Some(Color::Yellow),
        "disabled" | "cancelled" => Some(Color::DarkGrey),
        "dead" | "failed" | "redirect" | "client_error" | "server_error" | "timeout" | "connect" | "tls"
        | "protocol" | "blocked" | "platform" | "transform" | "refused" => Some(Color::Red),
        _ => None,
    }
}

/// How tables look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) colour: bool,
    /// The terminal's width; `None` where nothing is cut.
    pub(crate) width: Option<u16>,
    pub(crate) now: UnixMillis,
}

/// The table of one page. Columns are at least as wide as `widths` says, which learns from this page, so that the pages of a
/// list stand below each other.
pub(crate) fn lines(
    columns: &[Column],
    entries: &[Value],
    look: Look,
    has_header: bool,
    widths: &mut Vec<u16>,
) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).force_no_tty().style_text_only();
    if look.colour {
        table.enforce_styling();
    }
    if let Some(width) = look.width {
        // The gap after the last column is not printed.
        table.set_width(width.saturating_add(GAP)).set_content_arrangement(ContentArrangement::Dynamic);
    }
    if has_header {
        let titles = columns.iter().map(|column| Cell::new(column.title).add_attribute(Attribute::Bold));
        table.set_header(single_line(titles));
    }
    table.add_rows(entries.iter().map(|entry| single_line(columns.iter().map(|column| column.cell(entry, look.now)))));
    widths.resize(columns.len(), 0);
    let natural = table.column_max_content_widths();
    for (position, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP));
        let kind = columns.get(position);
        if kind.is_some_and(|column| column.is_right_aligned()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        widths[position] = widths[position].max(natural[position]);
        match look.width {
            Some(_) if kind.is_some_and(|column| column.kind == Kind::Id) => {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
            Some(_) => {}
            None => {
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(widths[position] + GAP)));
            }
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn single_line(cells: impl Iterator<Item = Cell>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

/// One entry, a line for each field: its title, and its value without a cut. Times are shown in both ways.
pub(crate) fn details(columns: &[Column], entry: &Value, look: Look) -> Vec<String> {
    let width = columns.iter().map(|column| column.title.len()).max().unwrap_or_default();
    let line = |column: &Column| {
        let mut value = column.text_of(entry, look.now);
        if let (Kind::Time, Some(exact)) = (column.kind, entry[column.field].as_str()) {
            value = format!("{value} ({})", printable(exact));
        }
        let title = format!("{:width$}", column.title);
        if look.colour { format!("\u{1b}[1m{title}\u{1b}[0m  {value}") } else { format!("{title}  {value}") }
    };
    columns.iter().filter(|column| entry.get(column.field).is_some()).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: [Column; 5] = [
        Column::id("ID", "id"),
        Column::text("NAME", "name"),
        Column::state("STATE", "state"),
        Column::number("N", "n"),
        Column::time("MADE", "made"),
    ];

    fn entry(name: &str) -> Value {
        json!({"id": "dst_01k9zv5w3hf6p8r2t4x6y8a0b2", "name": name, "state": "active", "n": 7, "made": "1970-01-01T00:00:00Z"})
    }

    fn look(width: Option<u16>) -> Look {
        Look { colour: false, width, now: 61_000 }
    }

    #[test]
    fn a_terminal_of_80_columns_holds_a_table_and_its_ids() {
        let entries = [entry(&"a-very-long-name ".repeat(10)), entry("b")];
        let lines = lines(&COLUMNS, &entries, look(Some(80)), true, &mut Vec::new());
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        assert!(lines[1].starts_with("dst_01k9zv5w3hf6p8r2t4x6y8a0b2  a-very"), "{lines:#?}");
        assert!(lines[1].ends_with("active  7  1 min ago"), "{lines:#?}");
    }

    #[test]
    fn a_pipe_gets_everything_and_later_pages_keep_the_widths() {
        let mut widths = Vec::new();
        let first = lines(&COLUMNS, &[entry(&"x".repeat(100))], look(None), true, &mut widths);
        let second = lines(&COLUMNS, &[entry("b")], look(None), false, &mut widths);
        assert!(first[1].contains(&"x".repeat(100)));
        assert_eq!(second.len(), 1);
        assert_eq!(first[1].find("active"), second[0].find("active"), "{first:#?} {second:#?}");
        assert!(!first.concat().contains('\u{1b}'));
    }

    #[test]
    fn states_have_colours_where_they_are_wanted() {
        let coloured = Look { colour: true, ..look(Some(80)) };
        let lines = lines(&COLUMNS, &[entry("b")], coloured, true, &mut Vec::new());
        assert!(lines[1].contains("\u{1b}[38;5;10mactive"), "{lines:#?}");
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        let mut hostile = entry("a\u{1b}[2J\nb");
        hostile["state"] = Value::Null;
        let lines = lines(&COLUMNS, &[hostile], look(Some(80)), false, &mut Vec::new());
        assert_eq!(lines.len(), 1);
        assert!(!lines[0].contains('\u{1b}'));
        assert!(lines[0].contains(NOTHING));
    }

    #[test]
    fn secrets_lists_and_objects_read_as_text() {
        for (value, expected) in [
            (json!([]), NOTHING),
            (json!({}), NOTHING),
            (json!([0, 5_000]), "0, 5000"),
            (json!({"interval_ms": 30, "rest_ms": 9}), "interval_ms 30, rest_ms 9"),
            (json!([{"reference": "env:A"}, {"reference": null, "expires_at": "2030"}]), "env:A, hidden until 2030"),
            (json!({"authorization": {"reference": null}}), "authorization hidden"),
        ] {
            assert_eq!(plain(&value), expected);
        }
    }

    #[test]
    fn details_have_times_in_both_ways_and_leave_out_what_is_absent() {
        let columns = [Column::text("Name", "name"), Column::time("Made", "made"), Column::text("Key", "key")];
        let lines = details(&columns, &entry("b"), look(None));
        assert_eq!(lines, ["Name  b", "Made  1 min ago (1970-01-01T00:00:00Z)"]);
    }
}
