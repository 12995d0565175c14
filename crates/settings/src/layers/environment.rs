//! The layer of the environment: `SPILLWAY__SECTION__KEY`, and the names that other software uses.

use config::Value;

use super::{Layer, Origins};
use crate::{Environment, Origin, SettingsWarning};

const PREFIX: &str = "SPILLWAY__";

/// A name that is accepted besides `SPILLWAY__…`, which wins where both are set.
struct Alias {
    name: &'static str,
    path: [&'static str; 2],
    convert: fn(&str) -> String,
}

const ALIASES: [Alias; 6] = [
    Alias { name: "DATABASE_URL", path: ["store", "url"], convert: str::to_owned },
    Alias { name: "DB_MAX_OVERFLOW", path: ["store", "max_overflow"], convert: str::to_owned },
    Alias { name: "DB_POOL_RECYCLE", path: ["store", "pool_recycle"], convert: seconds_or_never },
    Alias { name: "DB_POOL_SIZE", path: ["store", "pool_size"], convert: str::to_owned },
    Alias { name: "DB_POOL_TIMEOUT", path: ["store", "pool_timeout"], convert: seconds },
    Alias { name: "REDIS_URL", path: ["redis", "url"], convert: str::to_owned },
];

/// The environment's values, each with its variable.
pub(super) fn layer(environment: &Environment, origins: &mut Origins, warnings: &mut Vec<SettingsWarning>) -> Layer {
    let mut layer = Layer::default();
    for alias in &ALIASES {
        let Some(value) = environment.get(alias.name) else { continue };
        let variable = variable_of(&alias.path);
        if environment.get(&variable).is_some() {
            warnings.push(SettingsWarning::AliasIgnored { alias: alias.name, variable });
        } else {
            let origin = origins.add(Origin::Environment { name: alias.name.to_owned() });
            layer.put(&alias.path, Value::new(Some(&origin), (alias.convert)(value)));
        }
    }
    for (name, value) in environment.iter() {
        if let Some(path) = name.strip_prefix(PREFIX) {
            let path = path.to_ascii_lowercase();
            let origin = origins.add(Origin::Environment { name: name.to_owned() });
            layer.put(&path.split("__").collect::<Vec<_>>(), Value::new(Some(&origin), value));
        } else if name.strip_prefix("SPILLWAY_").is_some_and(|rest| rest.contains("__")) {
            warnings.push(SettingsWarning::VariableIgnored { name: name.to_owned() });
        }
    }
    layer
}

/// The variable that sets the key at this path.
pub(crate) fn variable_of(path: &[&str]) -> String {
    format!("{PREFIX}{}", path.join("__").to_ascii_uppercase())
}

/// A plain number is of seconds; any other text stays as it is.
fn seconds(value: &str) -> String {
    match value.trim().parse::<u64>() {
        Ok(seconds) => format!("{seconds}s"),
        Err(_) => value.to_owned(),
    }
}

/// As [`seconds`]; -1 means never, as in SQLAlchemy, from which the name comes.
fn seconds_or_never(value: &str) -> String {
    if value.trim() == "-1" { "0s".to_owned() } else { seconds(value) }
}
