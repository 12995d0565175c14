use std::time::Duration;

use serde_json::json;
use spillway_model::{Retention, Validation};
use spillway_settings::SettingsWarning;

use crate::support::file;

/// The example of the issue that asked for settings, word for word.
const ISSUE_EXAMPLE: &str = r#"
[server]
listen = "127.0.0.1:8080"
[store]
url = "sqlite://spillway-data/spillway.db"      # or postgres://user@host/db
[redis]
url = "redis://127.0.0.1:6379"                  # leave out: in-process
[delivery]
concurrency = 256
allow_networks = ["127.0.0.0/8"]
[[sources]]
name = "github"
provider = "github"
secrets = ["env:GITHUB_WEBHOOK_SECRET"]
[[destinations]]
name = "billing"
url = "http://127.0.0.1:3000/hooks"
[[connections]]
source = "github"
destination = "billing"
[[sources]]
name = "custom"
provider = "hmac"                               # any scheme of this family
secrets = ["a literal works too, and warns"]
[sources.hmac]
header = "x-signature"
algorithm = "sha256"
encoding = "hex"
"#;

#[test]
fn the_example_of_the_issue_loads() {
    let loaded = file(ISSUE_EXAMPLE).loaded();
    let settings = loaded.settings;
    let names: Vec<_> = settings.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["github", "custom"]);
    assert_eq!(settings.sources[0].secrets[0].expose(), "env:GITHUB_WEBHOOK_SECRET");
    assert!(settings.sources[0].enabled && settings.sources[0].scheme.is_empty());
    assert_eq!(
        serde_json::Value::Object(settings.sources[1].scheme.clone()),
        json!({"hmac": {"header": "x-signature", "algorithm": "sha256", "encoding": "hex"}})
    );
    assert_eq!(settings.destinations[0].url.as_str(), "http://127.0.0.1:3000/hooks");
    assert_eq!(settings.connections[0].source, settings.sources[0].name);
    assert_eq!(settings.connections[0].destination, settings.destinations[0].name);
    assert_eq!(loaded.warnings, [SettingsWarning::LiteralSecret { key: "sources[1].secrets".to_owned() }]);
}

#[test]
fn every_key_of_sources_and_destinations_is_read() {
    let settings = file(
        r#"
        [[sources]]
        name = "a"
        provider = "hmac"
        secrets = ["env:A", "file:/b"]
        rate_limit = "10/s"
        max_body = "2MiB"
        enabled = false
        tolerance = "90s"
        public_url = "https://a.example"
        credential_header = "x-key"
        username = "u"
        idempotency = { header = "x-id" }
        validation = "quarantine"
        retention = { events = "90d", payloads = "36h" }
        event_types = [{ name = "paid", schema = { type = "object", minProperties = 1 } }, { name = "open", schema = '{"type":"array"}' }, { name = "any" }]
        [[destinations]]
        name = "d"
        url = "https://d.example"
        timeout = "10s"
        max_concurrent = 3
        rate_limit = "5/min"
        headers = { X-Team = "t", authorization = "env:T" }
        signing_secrets = ["env:S"]
        retry_schedule = ["0s", "1s"]
        breaker = { consecutive_failures = 0, interval = "1m", base_ejection = "500ms" }
        "#,
    )
    .settings();
    let source = &settings.sources[0];
    assert_eq!((source.secrets.len(), source.enabled), (2, false));
    assert_eq!(source.max_body.map(|size| size.bytes()), Some(2 << 20));
    assert_eq!(source.rate_limit.map(|rate| rate.to_string()).as_deref(), Some("10/s"));
    assert_eq!(
        serde_json::Value::Object(source.scheme.clone()),
        json!({"tolerance": "90s", "public_url": "https://a.example", "credential_header": "x-key", "username": "u",
               "idempotency": {"header": "x-id"}})
    );
    assert_eq!(source.validation, Validation::Quarantine);
    let hours = |hours: u64| Some(hours * 3_600_000);
    assert_eq!(
        source.retention,
        Some(Retention { events_ms: hours(90 * 24), payloads_ms: hours(36), attempts_ms: None })
    );
    let schemas: Vec<_> = source.event_types.iter().map(|kind| (kind.name.as_str(), kind.schema.clone())).collect();
    let object = Some(json!({"type": "object", "minProperties": 1}));
    assert_eq!(schemas, [("paid", object), ("open", Some(json!({"type": "array"}))), ("any", None)]);
    let destination = &settings.destinations[0];
    assert_eq!(destination.timeout, Some(Duration::from_secs(10)));
    assert_eq!(destination.max_concurrent, Some(3));
    assert_eq!(destination.headers.keys().collect::<Vec<_>>(), ["authorization", "x-team"]);
    assert_eq!(destination.retry_schedule.as_ref().map(|schedule| schedule.attempts()), Some(2));
    assert_eq!(destination.breaker.consecutive_failures, 0);
    assert_eq!((destination.breaker.interval_ms, destination.breaker.base_ejection_ms), (60_000, 500));
}

#[test]
fn missing_keys_and_bad_urls_are_named_with_their_table() {
    assert_eq!(
        file("[[sources]]\nname = 'a'\nsecrets = ['env:A']").problem(),
        "settings_missing_key: sources[0].provider is missing (spillway.toml line 2): set it to a text that is not empty"
    );
    let problem = file("[[destinations]]\nname = 'a'\nurl = 'https://user:hidden@a'").problem();
    assert!(problem.starts_with("settings_invalid_value: destinations[0].url must be"), "{problem}");
    assert!(!problem.contains("hidden"), "{problem}");
    let problems = file("[[connections]]").problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn names_and_connections_are_unique() {
    let a = "[[sources]]\nname = 'a'\nprovider = 'github'\nsecrets = ['env:A']\n";
    assert_eq!(
        file(&format!("{a}{a}")).problem(),
        "settings_duplicate: sources[1].name is a duplicate (spillway.toml line 6): a is already declared"
    );
    let c = "[[connections]]\nsource = 'a'\ndestination = 'b'\n";
    assert_eq!(
        file(&format!("{c}{c}")).problem(),
        "settings_duplicate: connections[1].source is a duplicate (spillway.toml line 5): a connection from a to b is \
         already declared"
    );
}

#[test]
fn a_connection_names_what_is_declared_unless_nothing_is() {
    let source = "[[sources]]\nname = 'github'\nprovider = 'github'\nsecrets = ['env:A']\n";
    let connection = |source: &str| format!("[[connections]]\nsource = '{source}'\ndestination = 'made-by-the-api'\n");
    assert_eq!(file(&connection("github")).settings().connections.len(), 1);
    assert_eq!(file(&format!("{source}{}", connection("github"))).settings().connections.len(), 1);
    assert_eq!(
        file(&format!("{source}{}", connection("gihtub"))).problem(),
        "settings_unknown_name: connections[0].source names \"gihtub\" (spillway.toml line 6), which is not declared; did \
         you mean github?"
    );
    let problem = file(&format!("{source}{}", connection("mail"))).problem();
    assert!(problem.ends_with("which is not declared; declared are github"), "{problem}");
}

#[test]
fn sources_that_accept_or_refuse_everything_are_warned_of() {
    let warnings =
        file("[[sources]]\nname = 'open'\nprovider = 'none'\n[[sources]]\nname = 'shut'\nprovider = 'github'\n")
            .loaded()
            .warnings;
    assert_eq!(
        warnings,
        [
            SettingsWarning::UnverifiedSource { name: "open".to_owned() },
            SettingsWarning::SourceWithoutSecret { name: "shut".to_owned() },
        ]
    );
}

const LIMITED: &str = "[[destinations]]\nname = 'ai'\nurl = 'https://ai.example'\n[destinations.budget]\n";

#[test]
fn a_destination_can_have_a_budget() {
    let settings = file(&format!(
        "{LIMITED}requests_per_hour = 1000\ncost_per_hour = 50\ncost_per_request = 0.03\nmax_concurrent = 10\n"
    ))
    .settings();
    let budget = settings.destinations[0].budget.as_ref().expect("a budget");
    assert_eq!((budget.requests_per_hour, budget.cost_per_hour), (Some(1_000), Some(50.0)));
    assert_eq!((budget.cost_per_request, budget.max_concurrent), (Some(0.03), Some(10)));
    let without = file("[[destinations]]\nname = 'ai'\nurl = 'https://ai.example'\n").settings();
    assert_eq!(without.destinations[0].budget, None);
}

#[test]
fn a_budget_that_lets_nothing_through_is_refused_with_what_to_do_instead() {
    let problem = file(&format!("{LIMITED}requests_per_hour = 0\n")).problem();
    assert!(problem.starts_with("settings_invalid_value: destinations[0].budget.requests_per_hour"), "{problem}");
    assert!(problem.contains("pause it") && problem.contains("found 0"), "{problem}");
    let problem = file(&format!("{LIMITED}cost_header = 'x-cost'\n")).problem();
    assert!(problem.contains("budget.cost_header") && problem.contains("cost_per_hour"), "{problem}");
    let problem = file(&format!("{LIMITED}requests_per_houre = 5\n")).problem();
    assert!(problem.contains("requests_per_hour"), "{problem}");
}
