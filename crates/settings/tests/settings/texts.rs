use spillway_settings::{Settings, SettingsWarning};

use crate::support::file;

/// The example with the `#` taken off its keys. Prose has a space after the `#`.
fn uncommented_example() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    Settings::example_toml().lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

/// An embedded database has no replicas: with every key in it the example needs the other one.
fn on_postgres(example: &str) -> String {
    example.replace("\"sqlite://spillway-data/spillway.db\"", "\"postgres://spillway@db.example.com/spillway\"")
}

#[test]
fn the_example_file_as_shipped_is_the_defaults() {
    let loaded = file(Settings::example_toml()).loaded();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.warnings, Vec::<SettingsWarning>::new());
}

#[test]
fn the_example_file_names_every_key_with_its_default() {
    let example = uncommented_example();
    let loaded = file(&on_postgres(&example)).loaded();
    assert_eq!(loaded.warnings, []);
    assert_eq!((loaded.settings.sources.len(), loaded.settings.destinations.len()), (4, 1));
    let table: toml::Table = example.parse().expect("TOML");
    for key in Settings::known_keys() {
        let values = find(&toml::Value::Table(table.clone()), &key.path);
        assert!(!values.is_empty(), "{} is missing", key.path);
        if let (Some(default), Some(_)) = (&key.default, key.environment_variable()) {
            let shown = values[0].to_string().replace("\"60s\"", "\"1m\"");
            assert_eq!(&shown, default, "{}", key.path);
        }
    }
}

/// The values at a path in which `[]` stands for every table of a list.
fn find(value: &toml::Value, path: &str) -> Vec<toml::Value> {
    let Some((key, rest)) = path.split_once('.') else { return value.get(path).cloned().into_iter().collect() };
    match (key.strip_suffix("[]"), value) {
        (Some(list), _) => {
            let items = value.get(list).and_then(toml::Value::as_array).cloned().unwrap_or_default();
            items.iter().flat_map(|item| find(item, rest)).collect()
        }
        (None, _) => value.get(key).map(|inner| find(inner, rest)).unwrap_or_default(),
    }
}

#[test]
fn known_keys_name_their_variables() {
    let keys = Settings::known_keys();
    let variable = |path: &str| keys.iter().find(|key| key.path == path).and_then(|key| key.environment_variable());
    assert_eq!(variable("server.tls.key").as_deref(), Some("SPILLWAY__SERVER__TLS__KEY"));
    assert_eq!(variable("sources[].name"), None);
    assert!(keys.iter().any(|key| key.path == "destinations[].breaker.interval"));
}

#[test]
fn the_description_names_the_origin_of_each_value() {
    let loaded = file("[server]\nlisten = '127.0.0.1:9'\n").environment(&[("SPILLWAY__INTAKE__QUEUE", "5")]).loaded();
    let described = loaded.describe();
    let path = loaded.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    for line in [
        format!("listen = \"127.0.0.1:9\"  # {path} line 2"),
        "queue = 5  # environment variable SPILLWAY__INTAKE__QUEUE".to_owned(),
        "idempotency_window = \"24h\"  # default".to_owned(),
        "# public_url is not set".to_owned(),
        "url = \"sqlite://spillway-data/spillway.db\"  # default".to_owned(),
    ] {
        assert!(described.lines().any(|described| described == line), "{line} is not in:\n{described}");
    }
}

#[test]
fn the_description_reads_back_as_the_same_settings() {
    for text in [String::new(), on_postgres(&uncommented_example())] {
        let loaded = file(&text).loaded();
        assert_eq!(file(&loaded.describe()).settings(), loaded.settings);
    }
}
