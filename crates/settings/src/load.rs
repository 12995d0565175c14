//! From the layers to settings.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use config::Map;

use crate::describe::Effective;
use crate::layers::{self, Merged};
use crate::secret::read_bounded;
use crate::section::{Journal, Section};
use crate::sections::rules;
use crate::{
    ConnectionSettings, DeliverySettings, DestinationSettings, Environment, IntakeSettings, LogSettings, Overrides,
    RedisSettings, RetentionSettings, ServerSettings, SettingsError, SettingsErrors, SettingsWarning, SourceSettings,
    StoreSettings, TelemetrySettings, WorkerSettings,
};

/// The file that is read from the working directory when none is named.
const DEFAULT_FILE: &str = "spillway.toml";
/// Larger files are not settings.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Everything that can be set. `Debug` shows no secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// `[server]`: what the process serves.
    pub server: ServerSettings,
    /// `[store]`: where events are kept.
    pub store: StoreSettings,
    /// `[redis]`: what several processes share for speed.
    pub redis: RedisSettings,
    /// `[intake]`: from request to commit.
    pub intake: IntakeSettings,
    /// `[delivery]`: from commit to destination.
    pub delivery: DeliverySettings,
    /// `[worker]`: which deliveries this process takes.
    pub worker: WorkerSettings,
    /// `[retention]`: how long things are kept.
    pub retention: RetentionSettings,
    /// `[telemetry]`: traces.
    pub telemetry: TelemetrySettings,
    /// `[log]`: log lines.
    pub log: LogSettings,
    /// `[[sources]]`, with unique names. Empty when the file declares none.
    pub sources: Vec<SourceSettings>,
    /// `[[destinations]]`, with unique names. Empty when the file declares none.
    pub destinations: Vec<DestinationSettings>,
    /// `[[connections]]`, each pair once. The names of a kind are declared here, unless the file declares nothing of that
    /// kind: then they are of what the API has made, and have to be looked up when the settings are applied.
    pub connections: Vec<ConnectionSettings>,
}

/// What settings are made of.
#[derive(Debug, Clone, Default)]
pub struct LoadArgs {
    /// The settings file, which must exist. `None` reads `spillway.toml` in the working directory if it is there.
    pub config: Option<PathBuf>,
    /// The variables to look at.
    pub environment: Environment,
    /// What the command line says.
    pub overrides: Overrides,
}

/// Settings and how they came about.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What deserves a look, in the order of reading. The caller logs it.
    pub warnings: Vec<SettingsWarning>,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    pub(crate) effective: Vec<Effective>,
}

/// A key that settings can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// Its path, such as `server.listen`; a list of tables is written `sources[]`.
    pub path: String,
    /// The form with an example and its limits.
    pub expected: String,
    /// The default as TOML; `None` when the key is not set by default.
    pub default: Option<String>,
}

impl KnownKey {
    /// The environment variable of the key; `None` for keys of lists of tables, which only the file can declare.
    #[must_use]
    pub fn environment_variable(&self) -> Option<String> {
        (!self.path.contains("[]")).then(|| Self::variable_name(&self.path))
    }

    pub(crate) fn variable_name(path: &str) -> String {
        layers::variable_of(&path.split('.').collect::<Vec<_>>())
    }
}

impl Settings {
    /// Reads, merges and checks all layers.
    ///
    /// # Errors
    /// Every problem at once, except that a file which cannot be read or is not TOML ends it there.
    pub fn load(args: &LoadArgs) -> Result<Loaded, SettingsErrors> {
        Self::load_in(Path::new(""), args)
    }

    /// A commented settings file that names every key and its default.
    #[must_use]
    pub const fn example_toml() -> &'static str {
        include_str!("../spillway.example.toml")
    }

    /// Every key, in the order of its sections.
    pub fn known_keys() -> &'static [KnownKey] {
        static KNOWN: LazyLock<Vec<KnownKey>> = LazyLock::new(|| {
            let mut journal = Journal { lists_keys: true, ..Journal::default() };
            Section::root(&Map::new(), &mut journal).finish(Settings::read);
            journal.known
        });
        &KNOWN
    }

    /// Loads with `directory` in place of the working directory for the default file.
    fn load_in(directory: &Path, args: &LoadArgs) -> Result<Loaded, SettingsErrors> {
        let file = read_file(directory, args.config.as_deref())?;
        let as_layer = file.as_ref().map(|(path, text)| (path.as_path(), text.as_str()));
        let Merged { table, origins, warnings } = layers::merge(as_layer, &args.environment, &args.overrides)?;
        let environment = args.environment.clone();
        let mut journal = Journal { environment, origins, warnings, ..Journal::default() };
        let settings = Section::root(&table, &mut journal).finish(Self::read);
        let Journal { problems, warnings, effective, .. } = journal;
        let file = file.map(|(path, _)| path);
        SettingsErrors::unless_empty(problems, Loaded { settings, warnings, file, effective })
    }

    fn read(root: &mut Section<'_>) -> Self {
        let settings = Self {
            server: root.table("server", ServerSettings::read),
            store: root.table("store", StoreSettings::read),
            redis: root.table("redis", RedisSettings::read),
            intake: root.table("intake", IntakeSettings::read),
            delivery: root.table("delivery", DeliverySettings::read),
            worker: root.table("worker", WorkerSettings::read),
            retention: root.table("retention", RetentionSettings::read),
            telemetry: root.table("telemetry", TelemetrySettings::read),
            log: root.table("log", LogSettings::read),
            ..Self::default()
        };
        let (mut source_names, mut destination_names, mut pairs) = <(BTreeSet<_>, BTreeSet<_>, BTreeSet<_>)>::default();
        let sources = root.tables("sources", |table| SourceSettings::read(table, &mut source_names));
        let destinations =
            root.tables("destinations", |table| DestinationSettings::read(table, &mut destination_names));
        let connections = root.tables("connections", |table| {
            ConnectionSettings::read(table, &source_names, &destination_names, &mut pairs)
        });
        let settings = Self { sources, destinations, connections, ..settings };
        rules::check_lease(&settings, root);
        rules::check_mode(&settings, root);
        rules::check_replica(&settings, root);
        settings
    }
}

fn read_file(directory: &Path, named: Option<&Path>) -> Result<Option<(PathBuf, String)>, SettingsError> {
    let path = named.map_or_else(|| directory.join(DEFAULT_FILE), Path::to_owned);
    match read_bounded(&path, MAX_FILE_BYTES) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SettingsError::FileUnreadable { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_is_read_where_it_is_and_may_be_absent() {
        let directory = tempfile::tempdir().expect("a directory");
        let load = || Settings::load_in(directory.path(), &LoadArgs::default()).expect("settings");
        assert_eq!(load().file, None);
        std::fs::write(directory.path().join(DEFAULT_FILE), "[delivery]\nconcurrency = 7\n").expect("a file");
        assert_eq!(load().settings.delivery.concurrency, 7);
        assert_eq!(load().file, Some(directory.path().join(DEFAULT_FILE)));
    }

    #[test]
    fn without_layers_settings_are_the_defaults() {
        let directory = tempfile::tempdir().expect("a directory");
        let loaded = Settings::load_in(directory.path(), &LoadArgs::default()).expect("settings");
        assert_eq!(loaded.settings, Settings::default());
        assert_eq!(loaded.warnings, []);
    }
}
