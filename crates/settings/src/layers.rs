//! The layers, merged so that the later overrides the earlier, each value with its origin.

mod environment;
mod file;

pub(crate) use environment::variable_of;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, Map, Source, Value, ValueKind};
use spillway_model::{Secret, Slot};

use crate::{Environment, Origin, Role, SettingsError, SettingsWarning};

/// What the command line says; `None` leaves the value to the layers below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--role`, for `server.role`.
    pub role: Option<Role>,
    /// `--slot`, for `worker.slot`.
    pub slot: Option<Slot>,
    /// `--listen`, for `server.listen`.
    pub listen: Option<SocketAddr>,
    /// `--data-dir`, for `store.data_dir`.
    pub data_dir: Option<PathBuf>,
    /// `--database-url`, for `store.url`.
    pub database_url: Option<Secret>,
    /// `--redis-url`, for `redis.url`.
    pub redis_url: Option<Secret>,
    /// `--log-filter`, for `log.filter`.
    pub log_filter: Option<String>,
}

/// The layers as one table. Each value's origin is a position in `origins`.
pub(crate) struct Merged {
    pub(crate) table: Map<String, Value>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) warnings: Vec<SettingsWarning>,
}

/// Merges the file (if there is one), the environment and the flags.
pub(crate) fn merge(
    file: Option<(&Path, &str)>,
    environment: &Environment,
    overrides: &Overrides,
) -> Result<Merged, SettingsError> {
    let mut origins = Origins::default();
    let mut warnings = Vec::new();
    let mut builder = Config::builder();
    if let Some((path, text)) = file {
        builder = builder.add_source(file::layer(path, text, &mut origins)?);
    }
    builder = builder.add_source(environment::layer(environment, &mut origins, &mut warnings));
    builder = builder.add_source(flags(overrides, &mut origins)?);
    let config = builder.build().map_err(SettingsError::Layers)?;
    let table = config.collect().map_err(SettingsError::Layers)?;
    Ok(Merged { table, origins: origins.0, warnings })
}

/// One layer, read already.
#[derive(Debug, Clone, Default)]
struct Layer(Map<String, Value>);

impl Layer {
    /// Puts a value at a path, making the tables on the way. A value that is there already keeps its place where a table
    /// would be needed, so that its wrong type is reported.
    fn put(&mut self, path: &[&str], value: Value) {
        let Some((leaf, tables)) = path.split_last() else { return };
        let mut table = &mut self.0;
        for key in tables {
            let inner = table.entry((*key).to_owned()).or_insert_with(|| Value::new(None, Map::<String, Value>::new()));
            let ValueKind::Table(inner) = &mut inner.kind else { return };
            table = inner;
        }
        table.insert((*leaf).to_owned(), value);
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// Origins by the position that values carry through the merge.
#[derive(Default)]
struct Origins(Vec<Origin>);

impl Origins {
    fn add(&mut self, origin: Origin) -> String {
        self.0.push(origin);
        (self.0.len() - 1).to_string()
    }
}

fn flags(overrides: &Overrides, origins: &mut Origins) -> Result<Layer, SettingsError> {
    let data_dir = match &overrides.data_dir {
        None => None,
        Some(path) => Some(path.to_str().map(str::to_owned).ok_or_else(|| SettingsError::InvalidValue {
            key: "store.data_dir".to_owned(),
            expected: "a path in UTF-8".to_owned(),
            found: path.display().to_string(),
            origin: Origin::Flag { name: "--data-dir" },
        })?),
    };
    let exposed = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let mut layer = Layer::default();
    for (name, path, value) in [
        ("--role", ["server", "role"], overrides.role.map(|role| role.to_string())),
        ("--slot", ["worker", "slot"], overrides.slot.map(|slot| slot.to_string())),
        ("--listen", ["server", "listen"], overrides.listen.map(|listen| listen.to_string())),
        ("--data-dir", ["store", "data_dir"], data_dir),
        ("--database-url", ["store", "url"], exposed(&overrides.database_url)),
        ("--redis-url", ["redis", "url"], exposed(&overrides.redis_url)),
        ("--log-filter", ["log", "filter"], overrides.log_filter.clone()),
    ] {
        if let Some(value) = value {
            layer.put(&path, Value::new(Some(&origins.add(Origin::Flag { name })), value));
        }
    }
    Ok(layer)
}
