//! `[store]` and `[redis]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::section::Section;
use crate::{Origin, RedisUrl, SettingsError, StoreUrl};

const DATABASE_FILE: &str = "spillway.db";
const STORE_URL: &str =
    "\"sqlite://PATH\" or \"postgres://user@host/database\", or \"env:NAME\" or \"file:PATH\" that holds one";
const REPLICA_URL: &str = "\"postgres://user@host/database\", or \"env:NAME\" or \"file:PATH\" that holds one";
const REDIS_URL: &str =
    "\"redis://host:6379\" or \"rediss://host:6379\", or \"env:NAME\" or \"file:PATH\" that holds one";

/// `[store]`: where events are kept, and the pool of connections to it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreSettings {
    /// The database. Default: `spillway.db` in `data_dir`. A `data_dir` of a later layer than a SQLite URL replaces it.
    /// Alias `DATABASE_URL`.
    pub url: StoreUrl,
    /// The directory of the embedded database. Default `spillway-data`, or where the SQLite URL points.
    pub data_dir: PathBuf,
    /// Connections that are kept open; on SQLite those that read, beside the one that writes. Default 10, at most 1000. Alias
    /// `DB_POOL_SIZE`.
    pub pool_size: u32,
    /// Connections beyond `pool_size` under load; PostgreSQL only. Default 20, at most 1000. Alias `DB_MAX_OVERFLOW`.
    pub max_overflow: u32,
    /// Longest wait for a connection. Default 5 s. Alias `DB_POOL_TIMEOUT`, in seconds.
    pub pool_timeout: Duration,
    /// Longest life of a connection, after which it is replaced; PostgreSQL only. Zero never replaces it. Default 30 min. Alias
    /// `DB_POOL_RECYCLE`, in seconds, or -1 for never.
    pub pool_recycle: Duration,
    /// A connection beyond `pool_size` that was not used for so long is closed; PostgreSQL only. Zero never closes it. Default
    /// 10 min.
    pub idle_timeout: Duration,
    /// A streaming replica of the database for lists and single reads of the API and the console; PostgreSQL only. Default none.
    pub replica_url: Option<StoreUrl>,
    /// How far the replica may be behind; beyond it everything is read from the database itself. Default 10 s, from 100 ms to 10 min.
    pub replica_max_lag: Duration,
    /// Share of the pool in use that is a warning, 0 to 1. Default 0.8.
    pub pool_warn_ratio: f64,
    /// Share of the pool in use that is critical, 0 to 1, above `pool_warn_ratio`. Default 0.9.
    pub pool_critical_ratio: f64,
}

impl StoreSettings {
    /// Most connections that may be open at once: `pool_size` and `max_overflow`.
    #[must_use]
    pub const fn max_connections(&self) -> u32 {
        self.pool_size.saturating_add(self.max_overflow)
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        let data_dir = PathBuf::from("spillway-data");
        Self {
            url: StoreUrl::Sqlite(data_dir.join(DATABASE_FILE)),
            data_dir,
            pool_size: 10,
            max_overflow: 20,
            pool_timeout: Duration::from_secs(5),
            pool_recycle: Duration::from_secs(30 * 60),
            idle_timeout: Duration::from_secs(10 * 60),
            replica_url: None,
            replica_max_lag: Duration::from_secs(10),
            pool_warn_ratio: 0.8,
            pool_critical_ratio: 0.9,
        }
    }
}

impl StoreSettings {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let (url, data_dir) = read_place(section, &default);
        let day = Duration::from_secs(86_400);
        let settings = Self {
            url,
            data_dir,
            pool_size: section.read_within("pool_size", default.pool_size, 1..=1_000),
            max_overflow: section.read_within("max_overflow", default.max_overflow, 0..=1_000),
            pool_timeout: section.read_within(
                "pool_timeout",
                default.pool_timeout,
                Duration::from_millis(10)..=Duration::from_secs(300),
            ),
            pool_recycle: section.read_within("pool_recycle", default.pool_recycle, Duration::ZERO..=7 * day),
            idle_timeout: section.read_within("idle_timeout", default.idle_timeout, Duration::ZERO..=day),
            replica_url: read_replica(section),
            replica_max_lag: section.read_within(
                "replica_max_lag",
                default.replica_max_lag,
                Duration::from_millis(100)..=Duration::from_secs(600),
            ),
            pool_warn_ratio: section.read_within("pool_warn_ratio", default.pool_warn_ratio, 0.0..=1.0),
            pool_critical_ratio: section.read_within("pool_critical_ratio", default.pool_critical_ratio, 0.0..=1.0),
        };
        if settings.pool_warn_ratio > settings.pool_critical_ratio {
            let keys = "store.pool_warn_ratio and store.pool_critical_ratio";
            let reason = format!(
                "the warning at {} must not come after the critical state at {}",
                settings.pool_warn_ratio, settings.pool_critical_ratio
            );
            section.journal.problems.push(SettingsError::Conflict { keys, reason });
        }
        settings
    }
}

fn read_replica(section: &mut Section<'_>) -> Option<StoreUrl> {
    let (url, origin) = section.secret_url::<StoreUrl>("replica_url", REPLICA_URL, None).unzip();
    if let (Some(StoreUrl::Sqlite(_)), Some(origin)) = (&url, &origin) {
        section.invalid(
            "replica_url",
            REPLICA_URL,
            "a SQLite database, which has no replicas".to_owned(),
            origin.clone(),
        );
        return None;
    }
    let shown = url.as_ref().map(|url| toml::Value::String(url.to_string()));
    section.record("replica_url", shown, origin.unwrap_or(Origin::Default));
    url
}

/// The database and the data directory: whichever of the two a later layer sets decides where SQLite keeps its file.
fn read_place(section: &mut Section<'_>, default: &StoreSettings) -> (StoreUrl, PathBuf) {
    let named = section.secret_url::<StoreUrl>("url", STORE_URL, Some(format!("\"{}\"", default.url)));
    let (dir, dir_origin) =
        section.unrecorded("data_dir", &default.data_dir).unwrap_or((default.data_dir.clone(), Origin::Default));
    let in_dir = StoreUrl::Sqlite(dir.join(DATABASE_FILE));
    let (url, url_origin, dir, dir_origin) = match named {
        None => (in_dir, dir_origin.clone(), dir, dir_origin),
        Some((StoreUrl::Sqlite(_), origin)) if dir_origin.rank() > origin.rank() => {
            (in_dir, dir_origin.clone(), dir, dir_origin)
        }
        Some((StoreUrl::Sqlite(file), origin)) => {
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new(".")).to_owned();
            (StoreUrl::Sqlite(file), origin.clone(), parent, origin)
        }
        Some((url, origin)) => (url, origin, dir, dir_origin),
    };
    section.record("url", Some(toml::Value::String(url.to_string())), url_origin);
    section.record("data_dir", Some(toml::Value::String(dir.display().to_string())), dir_origin);
    (url, dir)
}

/// `[redis]`: what several processes share for speed. Losing it costs latency, never an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// The server. Default none: queue, limits and cache are of this process. Alias `REDIS_URL`.
    pub url: Option<RedisUrl>,
    /// Begins every key, so that several installations can share a server. Default `spillway:`.
    pub key_prefix: String,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self { url: None, key_prefix: "spillway:".to_owned() }
    }
}

impl RedisSettings {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let url = section.secret_url::<RedisUrl>("url", REDIS_URL, None);
        let (url, origin) = url.unzip();
        let shown = url.as_ref().map(|url| toml::Value::String(url.to_string()));
        section.record("url", shown, origin.unwrap_or(Origin::Default));
        Self { url, key_prefix: section.read("key_prefix", Self::default().key_prefix) }
    }
}
