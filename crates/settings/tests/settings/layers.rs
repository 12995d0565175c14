use std::path::Path;
use std::time::Duration;

use spillway_model::{Secret, Slot};
use spillway_settings::{ByteSize, LogFormat, Overrides, RedisUrl, Role, SettingsWarning, StoreUrl};

use crate::support::file;

#[test]
fn the_environment_overrides_the_file_for_each_kind_of_value() {
    let layers = file(
        r#"
        [server]
        listen = "127.0.0.1:1"
        role = "api"
        max_body = 1024
        api_rate_limit = "1/s"
        public_url = "https://file.example"
        [server.cors]
        allow_origins = ["https://file.example"]
        [intake]
        queue = 1
        [delivery]
        timeout = "1s"
        allow_networks = ["10.0.0.0/8"]
        retry_schedule = ["0s"]
        [telemetry]
        sample_ratio = 1
        otlp_headers = { x-team = "file", x-other = "file" }
        [log]
        format = "json"
        filter = "warn"
        "#,
    );
    let settings = layers.settings();
    assert_eq!(settings.server.listen.port(), 1);
    assert_eq!(settings.server.role, Role::Api);
    assert_eq!(settings.server.max_body, ByteSize::new(1024));
    assert_eq!(settings.telemetry.sample_ratio, 1.0);
    assert_eq!(settings.log.format, LogFormat::Json);

    let settings = layers
        .environment(&[
            ("SPILLWAY__SERVER__LISTEN", "[::1]:2"),
            ("SPILLWAY__SERVER__ROLE", "worker"),
            ("SPILLWAY__SERVER__MAX_BODY", "2MiB"),
            ("SPILLWAY__SERVER__API_RATE_LIMIT", "2/min"),
            ("SPILLWAY__SERVER__UNAUTHENTICATED_RATE_LIMIT", "3/h"),
            ("SPILLWAY__DELIVERY__CA_FILE", "/etc/own.pem"),
            ("SPILLWAY__SERVER__PUBLIC_URL", "https://environment.example/"),
            ("SPILLWAY__SERVER__CORS__ALLOW_ORIGINS", "https://a.example, https://b.example"),
            ("SPILLWAY__INTAKE__QUEUE", "2"),
            ("SPILLWAY__DELIVERY__TIMEOUT", "2s"),
            ("SPILLWAY__DELIVERY__ALLOW_NETWORKS", "127.0.0.0/8,fd00::/8"),
            ("SPILLWAY__DELIVERY__RETRY_SCHEDULE", "0s,2s"),
            ("SPILLWAY__TELEMETRY__SAMPLE_RATIO", "0.25"),
            ("SPILLWAY__TELEMETRY__OTLP_HEADERS__X_TEAM", "environment"),
            ("SPILLWAY__LOG__FORMAT", "pretty"),
            ("SPILLWAY__LOG__FILTER", "debug"),
        ])
        .settings();
    assert_eq!(settings.server.listen.to_string(), "[::1]:2");
    assert_eq!(settings.server.role, Role::Worker);
    assert_eq!(settings.server.max_body, ByteSize::new(2 << 20));
    assert_eq!(settings.server.api_rate_limit.to_string(), "2/min");
    assert_eq!(settings.server.unauthenticated_rate_limit.to_string(), "3/h");
    assert_eq!(settings.delivery.ca_file.as_deref(), Some(Path::new("/etc/own.pem")));
    assert_eq!(settings.server.public_url.map(|url| url.to_string()).as_deref(), Some("https://environment.example"));
    assert_eq!(settings.server.cors_allow_origins.len(), 2);
    assert_eq!(settings.intake.queue, 2);
    assert_eq!(settings.delivery.timeout, Duration::from_secs(2));
    assert_eq!(settings.delivery.allow_networks.len(), 2);
    assert_eq!(settings.delivery.retry_schedule.attempts(), 2);
    assert_eq!(settings.telemetry.sample_ratio, 0.25);
    assert_eq!(settings.telemetry.otlp_headers.len(), 3, "a table is merged, not replaced");
    assert_eq!(settings.log.format, LogFormat::Pretty);
    assert_eq!(settings.log.filter, "debug");
}

#[test]
fn flags_override_everything() {
    let settings = file("[server]\nlisten = '127.0.0.1:1'\nrole = 'api'\n[log]\nfilter = 'warn'")
        .environment(&[
            ("SPILLWAY__SERVER__LISTEN", "127.0.0.1:2"),
            ("SPILLWAY__SERVER__ROLE", "api"),
            ("SPILLWAY__WORKER__SLOT", "blue"),
            ("SPILLWAY__LOG__FILTER", "info"),
            ("DATABASE_URL", "postgres://environment/db"),
            ("REDIS_URL", "redis://environment"),
        ])
        .flags(Overrides {
            role: Some(Role::Worker),
            slot: Some(Slot::Green),
            listen: Some(([0, 0, 0, 0], 3).into()),
            data_dir: None,
            database_url: Some(Secret::new("postgres://flag/db")),
            redis_url: Some(Secret::new("redis://flag")),
            log_filter: Some("trace".to_owned()),
        })
        .settings();
    assert_eq!(settings.server.role, Role::Worker);
    assert_eq!(settings.worker.slot, Some(Slot::Green));
    assert_eq!(settings.server.listen.to_string(), "0.0.0.0:3");
    assert_eq!(settings.store.url.to_string(), "postgres://flag/db");
    assert_eq!(settings.redis.url.as_ref().map(RedisUrl::expose), Some("redis://flag"));
    assert_eq!(settings.log.filter, "trace");
}

#[test]
fn aliases_set_their_keys_in_their_units() {
    let store = file("[store]\npool_size = 1")
        .environment(&[
            ("DB_POOL_SIZE", "50"),
            ("DB_MAX_OVERFLOW", "150"),
            ("DB_POOL_TIMEOUT", "60"),
            ("DB_POOL_RECYCLE", "300"),
            ("DATABASE_URL", "postgresql://user@host/db"),
        ])
        .settings()
        .store;
    assert_eq!((store.pool_size, store.max_overflow, store.max_connections()), (50, 150, 200));
    assert_eq!((store.pool_timeout, store.pool_recycle), (Duration::from_secs(60), Duration::from_secs(300)));
    assert_eq!(store.url.to_string(), "postgresql://user@host/db");
    let never = file("").environment(&[("DB_POOL_RECYCLE", "-1"), ("DB_POOL_TIMEOUT", "250ms")]).settings().store;
    assert_eq!((never.pool_timeout, never.pool_recycle), (Duration::from_millis(250), Duration::ZERO));
}

#[test]
fn an_alias_yields_to_its_full_name_and_says_so() {
    let loaded = file("").environment(&[("DB_POOL_SIZE", "5"), ("SPILLWAY__STORE__POOL_SIZE", "7")]).loaded();
    assert_eq!(loaded.settings.store.pool_size, 7);
    let variable = "SPILLWAY__STORE__POOL_SIZE".to_owned();
    assert_eq!(loaded.warnings, [SettingsWarning::AliasIgnored { alias: "DB_POOL_SIZE", variable }]);
}

#[test]
fn a_bad_alias_is_named_as_it_was_written() {
    let problem = file("").environment(&[("DB_MAX_OVERFLOW", "-1")]).problem();
    assert_eq!(
        problem,
        "settings_invalid_value: store.max_overflow must be a whole number, from 0 to 1000; found \"-1\" \
         (environment variable DB_MAX_OVERFLOW)"
    );
}

#[test]
fn empty_variables_are_not_set_and_a_short_prefix_is_warned_of() {
    let loaded = file("[intake]\nqueue = 5")
        .environment(&[
            ("SPILLWAY__INTAKE__QUEUE", ""),
            ("DATABASE_URL", ""),
            ("SPILLWAY_INTAKE__QUEUE", "9"),
            ("SPILLWAY_PORT", "x"),
        ])
        .loaded();
    assert_eq!(loaded.settings.intake.queue, 5);
    assert_eq!(loaded.warnings, [SettingsWarning::VariableIgnored { name: "SPILLWAY_INTAKE__QUEUE".to_owned() }]);
}

#[test]
fn the_later_of_data_dir_and_sqlite_url_decides_where_the_database_is() {
    let sqlite = |path: &str| StoreUrl::Sqlite(path.into());
    let in_dir = || Overrides { data_dir: Some("/flag".into()), ..Overrides::default() };

    assert_eq!(file("").settings().store.url, sqlite("spillway-data/spillway.db"));
    let store = file("[store]\ndata_dir = '/data'").settings().store;
    assert_eq!((store.url, store.data_dir.as_path()), (sqlite("/data/spillway.db"), Path::new("/data")));
    let store = file("[store]\nurl = 'sqlite://kept/here.db'").flags(in_dir()).settings().store;
    assert_eq!((store.url, store.data_dir.as_path()), (sqlite("/flag/spillway.db"), Path::new("/flag")));
    let store = file("[store]\ndata_dir = '/data'").environment(&[("DATABASE_URL", "sqlite://x.db")]).settings().store;
    assert_eq!((store.url, store.data_dir.as_path()), (sqlite("x.db"), Path::new(".")));
    let store = file("[store]\nurl = 'postgres://host/db'").flags(in_dir()).settings().store;
    assert_eq!((store.url.to_string().as_str(), store.data_dir.as_path()), ("postgres://host/db", Path::new("/flag")));
}
