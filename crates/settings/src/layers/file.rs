//! The layer of the settings file.

use std::path::Path;

use config::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Layer, Origins};
use crate::{Origin, SettingsError};

/// The file's values, each with its line.
pub(super) fn layer(path: &Path, text: &str, origins: &mut Origins) -> Result<Layer, SettingsError> {
    let mut reader = Reader { path, lines: text.match_indices('\n').map(|(offset, _)| offset).collect(), origins };
    match DeTable::parse(text) {
        Ok(table) => Ok(Layer(reader.table(table.into_inner()))),
        Err(error) => Err(SettingsError::FileSyntax {
            path: path.to_owned(),
            line: reader.line(error.span().map_or(0, |span| span.start)),
            // Not the whole error: it shows the line, which may hold a secret.
            message: error.message().to_owned(),
        }),
    }
}

struct Reader<'a> {
    path: &'a Path,
    /// Where lines end.
    lines: Vec<usize>,
    origins: &'a mut Origins,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|end| *end < offset) + 1
    }

    fn table(&mut self, table: DeTable<'_>) -> Map<String, Value> {
        table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), self.value(value))).collect()
    }

    fn value(&mut self, value: Spanned<DeValue<'_>>) -> Value {
        let line = Some(self.line(value.span().start));
        let origin = self.origins.add(Origin::File { path: self.path.to_owned(), line });
        let origin = Some(&origin);
        match value.into_inner() {
            DeValue::String(text) => Value::new(origin, text.into_owned()),
            // A number that does not fit stays text, for its reader to refuse.
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::new(origin, number),
                Err(_) => Value::new(origin, number.as_str()),
            },
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) => Value::new(origin, number),
                Err(_) => Value::new(origin, number.as_str()),
            },
            DeValue::Boolean(flag) => Value::new(origin, flag),
            DeValue::Datetime(time) => Value::new(origin, time.to_string()),
            DeValue::Array(items) => {
                Value::new(origin, items.into_iter().map(|item| self.value(item)).collect::<Vec<_>>())
            }
            DeValue::Table(table) => Value::new(origin, self.table(table)),
        }
    }
}
