//! Reading one table: each key that is asked for becomes known, and what is left over is an error.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use config::{Map, Value, ValueKind};
use spillway_model::Secret;

use crate::describe::Effective;
use crate::load::KnownKey;
use crate::value::{Setting, found, kind_of};
use crate::{Environment, Origin, SettingsError, SettingsWarning, is_secret_reference, resolve_secret, suggest, urls};

/// What reading has brought to light so far.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) environment: Environment,
    /// The origins that values refer to by position.
    pub(crate) origins: Vec<Origin>,
    pub(crate) problems: Vec<SettingsError>,
    pub(crate) warnings: Vec<SettingsWarning>,
    pub(crate) effective: Vec<Effective>,
    pub(crate) known: Vec<KnownKey>,
    /// Whether the aim is the list of known keys: each list of tables is then read once, as an empty table.
    pub(crate) lists_keys: bool,
}

/// A table that is being read.
pub(crate) struct Section<'a> {
    entries: Option<&'a Map<String, Value>>,
    path: String,
    asked: Vec<&'static str>,
    pub(crate) journal: &'a mut Journal,
}

impl<'a> Section<'a> {
    /// The table of all sections.
    pub(crate) fn root(entries: &'a Map<String, Value>, journal: &'a mut Journal) -> Self {
        Self { entries: Some(entries), path: String::new(), asked: Vec::new(), journal }
    }

    /// The key's value, or `default`.
    pub(crate) fn read<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        self.read_where(key, default, &T::expected(), |_| true)
    }

    /// The key's value within a range, or `default`.
    pub(crate) fn read_within<T: Setting + PartialOrd>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let expected = with_range(&range);
        self.read_where(key, default, &expected, |value| range.contains(value))
    }

    /// The key's value if it fits, or `default`.
    pub(crate) fn read_where<T: Setting>(
        &mut self,
        key: &'static str,
        default: T,
        expected: &str,
        fits: impl Fn(&T) -> bool,
    ) -> T {
        self.make_known(key, expected, Some(default.show().to_string()));
        let (value, origin) = self.parse(key, expected, fits).unwrap_or((default, Origin::Default));
        self.record(key, Some(value.show()), origin);
        value
    }

    /// The key's value, if there is one.
    pub(crate) fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.optional_where(key, &T::expected(), |_| true)
    }

    /// The key's value within a range, if there is one.
    pub(crate) fn optional_within<T: Setting + PartialOrd>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        self.optional_where(key, &with_range(&range), |value| range.contains(value))
    }

    /// The key's value. Its absence is a problem.
    pub(crate) fn required<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        let is_absent = self.raw(key).is_none();
        if is_absent {
            let missing = SettingsError::MissingKey {
                key: self.path_of(key),
                expected: T::expected(),
                origin: self.own_origin(),
            };
            self.journal.problems.push(missing);
        }
        self.optional(key)
    }

    /// Secrets as they are written. Literal ones are warned of.
    pub(crate) fn secrets(&mut self, key: &'static str) -> Vec<Secret> {
        let secrets = self.read::<Vec<Secret>>(key, Vec::new());
        if secrets.iter().any(|secret| !is_secret_reference(secret)) {
            self.warn_of_literal(key);
        }
        secrets
    }

    /// The key's value, if there is one. The caller records what becomes effective.
    pub(crate) fn unrecorded<T: Setting>(&mut self, key: &'static str, default: &T) -> Option<(T, Origin)> {
        let expected = T::expected();
        self.make_known(key, &expected, Some(default.show().to_string()));
        self.parse(key, &expected, |_| true)
    }

    /// A URL that may hold a password, or be `env:NAME` or `file:PATH` as a whole; a literal password in the file is
    /// warned of. The caller records what becomes effective.
    pub(crate) fn secret_url<T: std::str::FromStr>(
        &mut self,
        key: &'static str,
        expected: &str,
        default: Option<String>,
    ) -> Option<(T, Origin)> {
        self.make_known(key, expected, default);
        let (reference, origin) = self.parse::<Secret>(key, expected, |_| true)?;
        let url = match resolve_secret(&reference, &self.journal.environment) {
            Ok(url) => url,
            Err(problem) => {
                self.journal.problems.push(problem);
                return None;
            }
        };
        if matches!(origin, Origin::File { .. }) && urls::has_password(reference.expose()) {
            self.warn_of_literal(key);
        }
        if let Ok(url) = url.expose().parse() {
            return Some((url, origin));
        }
        self.invalid(key, expected, "another text, not shown because it may hold a password".to_owned(), origin);
        None
    }

    /// The key's value as it is, of any kind.
    pub(crate) fn any(&mut self, key: &'static str, expected: &str) -> Option<&'a Value> {
        self.make_known(key, expected, None);
        let value = self.raw(key);
        if let Some(value) = value {
            let origin = self.journal.origin_of(value);
            self.record(key, Some(crate::value::to_toml(value)), origin);
        }
        value
    }

    /// A table within this one. It is read even if it is absent, for its defaults.
    pub(crate) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        self.asked.push(key);
        let path = self.path_of(key);
        let entries = match self.raw(key).map(|value| (value, &value.kind)) {
            None => None,
            Some((_, ValueKind::Table(entries))) => Some(entries),
            Some((value, _)) => {
                let origin = self.journal.origin_of(value);
                self.invalid(key, &format!("a table [{path}]"), found(value), origin);
                None
            }
        };
        self.journal.read_section(entries, path, read)
    }

    /// The tables of a list. A table that `read` gives up on has told the journal why.
    pub(crate) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        self.asked.push(key);
        let path = self.path_of(key);
        if self.journal.lists_keys {
            return self.journal.read_section(None, format!("{path}[]"), read).into_iter().collect();
        }
        let items = match self.raw(key).map(|value| (value, &value.kind)) {
            None => return Vec::new(),
            Some((_, ValueKind::Array(items))) => items,
            Some((value, _)) => {
                let origin = self.journal.origin_of(value);
                let expected = format!("[[{path}]] tables, which only the settings file can declare");
                self.invalid(key, &expected, kind_of(value).to_owned(), origin);
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for (position, item) in items.iter().enumerate() {
            let path = format!("{path}[{position}]");
            if let ValueKind::Table(entries) = &item.kind {
                tables.extend(self.journal.read_section(Some(entries), path, &mut read));
            } else {
                let origin = self.journal.origin_of(item);
                self.invalid(key, &format!("[[{key}]] tables"), found(item), origin);
            }
        }
        tables
    }

    /// The key's full path.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the key's value comes from.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        self.origin_at(&[key])
    }

    /// Where the value at a path below this table comes from.
    pub(crate) fn origin_at(&self, path: &[&str]) -> Origin {
        let mut entries = self.entries;
        let mut value = None;
        for key in path {
            value = entries.and_then(|entries| entries.get(*key));
            entries = match value.map(|value| &value.kind) {
                Some(ValueKind::Table(inner)) => Some(inner),
                _ => None,
            };
        }
        value.map_or(Origin::Default, |value| self.journal.origin_of(value))
    }

    /// Where this table begins.
    pub(crate) fn own_origin(&self) -> Origin {
        let first = self.entries.into_iter().flat_map(Map::values).map(|value| self.journal.origin_of(value));
        first.min_by(|a, b| a.reading_order().cmp(&b.reading_order())).unwrap_or_else(|| self.journal.file())
    }

    /// Notes what is in effect, for the description of the settings. `None` is "not set".
    pub(crate) fn record(&mut self, key: &str, value: Option<toml::Value>, origin: Origin) {
        let table = self.path.clone();
        self.journal.effective.push(Effective { table, key: key.to_owned(), value, origin });
    }

    /// Notes a value that does not do.
    pub(crate) fn invalid(&mut self, key: &str, expected: &str, found: String, origin: Origin) {
        let key = self.path_of(key);
        let expected = expected.to_owned();
        self.journal.problems.push(SettingsError::InvalidValue { key, expected, found, origin });
    }

    /// Warns of a secret that stands in the file.
    pub(crate) fn warn_of_literal(&mut self, key: &str) {
        let key = self.path_of(key);
        self.journal.warnings.push(SettingsWarning::LiteralSecret { key });
    }

    fn optional_where<T: Setting>(
        &mut self,
        key: &'static str,
        expected: &str,
        fits: impl Fn(&T) -> bool,
    ) -> Option<T> {
        self.make_known(key, expected, None);
        let (value, origin) = self.parse(key, expected, fits).unzip();
        self.record(key, value.as_ref().map(Setting::show), origin.unwrap_or(Origin::Default));
        value
    }

    fn parse<T: Setting>(&mut self, key: &str, expected: &str, fits: impl Fn(&T) -> bool) -> Option<(T, Origin)> {
        let value = self.raw(key)?;
        let origin = self.journal.origin_of(value);
        let found = match T::read(value) {
            Ok(parsed) if fits(&parsed) => return Some((parsed, origin)),
            Ok(_) => found(value),
            Err(found) => found,
        };
        self.invalid(key, expected, found, origin);
        None
    }

    fn raw(&self, key: &str) -> Option<&'a Value> {
        self.entries?.get(key)
    }

    fn make_known(&mut self, key: &'static str, expected: &str, default: Option<String>) {
        self.asked.push(key);
        if self.journal.lists_keys {
            let known = KnownKey { path: self.path_of(key), expected: expected.to_owned(), default };
            self.journal.known.push(known);
        }
    }

    fn report_unknown_keys(&mut self) {
        let unknown = self.entries.into_iter().flatten().filter(|(key, _)| !self.asked.contains(&key.as_str()));
        let unknown: BTreeMap<_, _> = unknown.collect();
        for (key, value) in unknown {
            let path = self.path_of(key);
            let origin = self.journal.first_origin_in(value);
            self.journal.problems.push(unknown_key(path, origin));
        }
    }
}

impl Journal {
    fn read_section<T>(
        &mut self,
        entries: Option<&Map<String, Value>>,
        path: String,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        Section { entries, path, asked: Vec::new(), journal: self }.finish(read)
    }

    /// The settings file without a line, or "default" when there is none.
    fn file(&self) -> Origin {
        let file = self.origins.iter().find_map(|origin| match origin {
            Origin::File { path, .. } => Some(Origin::File { path: path.clone(), line: None }),
            _ => None,
        });
        file.unwrap_or(Origin::Default)
    }

    fn origin_of(&self, value: &Value) -> Origin {
        let position = value.origin().and_then(|text| text.parse::<usize>().ok());
        position.and_then(|position| self.origins.get(position)).cloned().unwrap_or_else(|| self.first_origin_in(value))
    }

    /// The place where the value begins; merged tables have no place of their own.
    fn first_origin_in(&self, value: &Value) -> Origin {
        let inner: Vec<Origin> = match &value.kind {
            ValueKind::Table(table) if !table.is_empty() => table.values().map(|value| self.origin_of(value)).collect(),
            _ => value.origin().map(|_| self.origin_of(value)).into_iter().collect(),
        };
        let first = inner.into_iter().min_by(|a, b| a.reading_order().cmp(&b.reading_order()));
        first.unwrap_or_else(|| self.file())
    }
}

impl Section<'_> {
    /// Reads the table, then reports the keys that nothing asked for.
    pub(crate) fn finish<T>(mut self, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let value = read(&mut self);
        self.report_unknown_keys();
        value
    }
}

fn unknown_key(path: String, origin: Origin) -> SettingsError {
    let normalized = without_positions(&path);
    let known = crate::Settings::known_keys();
    let suggestion = suggest::suggest(&normalized, known.iter().map(|key| key.path.as_str()));
    let nearest = suggestion.nearest.map(|nearest| match &origin {
        Origin::Environment { .. } => KnownKey::variable_name(&nearest),
        _ => nearest,
    });
    let hint = match &nearest {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => format!("known here are {}", suggestion.siblings.join(", ")),
    };
    SettingsError::UnknownKey { key: path, origin, nearest, hint }
}

/// `sources[3].name` as `sources[].name`.
fn without_positions(path: &str) -> String {
    let mut normalized = String::with_capacity(path.len());
    let mut within = false;
    for character in path.chars() {
        within = character == '[' || (within && character != ']');
        if !within || character == '[' {
            normalized.push(character);
        }
    }
    normalized
}

fn with_range<T: Setting>(range: &RangeInclusive<T>) -> String {
    let bound = |value: &T| value.show().to_string().replace('"', "");
    format!("{}, from {} to {}", T::expected(), bound(range.start()), bound(range.end()))
}
