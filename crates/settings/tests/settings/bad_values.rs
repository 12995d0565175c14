use std::path::PathBuf;

use spillway_settings::{LoadArgs, Settings};

use crate::support::file;

const KEPT: &str = "a duration such as \"90d\", from 1h to 36500d, or \"forever\"";

#[test]
fn an_unknown_key_names_its_path_place_and_the_nearest_known_key() {
    for (text, problem) in [
        ("[server]\n\nlissten = 1", "server.lissten (spillway.toml line 3); did you mean server.listen?"),
        ("[sevrer]\nlisten = 1", "sevrer (spillway.toml line 2); did you mean server?"),
        ("listen = 1", "listen (spillway.toml line 1); did you mean server.listen?"),
        ("[server.tsl]\nkey = 'a'", "server.tsl (spillway.toml line 2); did you mean server.tls?"),
        ("[store]\nmax_body = 1", "store.max_body (spillway.toml line 2); did you mean server.max_body?"),
        ("[log]\nqqqqqqqq = 1", "log.qqqqqqqq (spillway.toml line 2); known here are filter, format"),
        (
            "[[sources]]\nname = 'a'\nprovider = 'github'\nsecrets = ['env:A']\nsecretz = ['x']",
            "sources[0].secretz (spillway.toml line 5); did you mean sources.secrets?",
        ),
        (
            "[[destinations]]\nname = 'a'\nurl = 'https://a'\n[destinations.breaker]\nintervall = '1s'",
            "destinations[0].breaker.intervall (spillway.toml line 5); did you mean destinations.breaker.interval?",
        ),
        (
            "[zzzzzzzzzzzz]",
            "zzzzzzzzzzzz (spillway.toml); known here are connections, delivery, destinations, intake, \
                            log, redis, retention, server, sources, store, telemetry, worker",
        ),
    ] {
        assert_eq!(file(text).problem(), format!("settings_unknown_key: unknown key {problem}"));
    }
}

#[test]
fn an_unknown_variable_names_the_nearest_known_variable() {
    let problem = file("").environment(&[("SPILLWAY__SERVER__LISSTEN", "x")]).problem();
    assert_eq!(
        problem,
        "settings_unknown_key: unknown key server.lissten (environment variable SPILLWAY__SERVER__LISSTEN); did you mean \
         SPILLWAY__SERVER__LISTEN?"
    );
}

#[test]
fn every_kind_of_bad_value_names_its_key_its_place_and_the_form_it_must_have() {
    let network = "a list, each item a network such as \"10.0.0.0/8\" or \"fd00::/8\"";
    for (section, line, expected, found) in [
        ("server", "listen = 8080", "an address with a port such as \"127.0.0.1:8080\"", "8080"),
        ("server", "role = 'both'", "\"all\", \"api\" or \"worker\"", "\"both\""),
        (
            "server",
            "public_url = 'example.com'",
            "an http or https URL without user and password, such as \
          \"https://hooks.example.com\"",
            "\"example.com\"",
        ),
        (
            "server",
            "max_body = '1MB'",
            "a size such as \"64KiB\", \"1MiB\" or a number of bytes, from 1 to 64MiB",
            "\"1MB\"",
        ),
        (
            "server",
            "max_body = '1GiB'",
            "a size such as \"64KiB\", \"1MiB\" or a number of bytes, from 1 to 64MiB",
            "\"1GiB\"",
        ),
        ("server", "max_headers = 0", "a whole number, from 1 to 1000", "0"),
        (
            "server",
            "max_headers = 99999999999999999999999",
            "a whole number, from 1 to 1000",
            "\"99999999999999999999999\"",
        ),
        (
            "server",
            "header_timeout = 10",
            "a duration such as \"250ms\", \"30s\", \"5m\" or \"24h\", from 100ms to 10m",
            "10",
        ),
        (
            "server",
            "header_timeout = ''",
            "a duration such as \"250ms\", \"30s\", \"5m\" or \"24h\", from 100ms to 10m",
            "an empty text",
        ),
        (
            "server",
            "api_rate_limit = '0/s'",
            "a rate such as \"100/s\", \"600/min\", \"1000/h\" or \"5000/d\"",
            "\"0/s\"",
        ),
        (
            "server",
            "unauthenticated_rate_limit = 60",
            "a rate such as \"100/s\", \"600/min\", \"1000/h\" or \"5000/d\"",
            "60",
        ),
        ("server", "tls = true", "a table [server.tls]", "true"),
        ("retention", "events = '59m'", KEPT, "\"59m\""),
        ("retention", "events = '36501d'", KEPT, "\"36501d\""),
        ("retention", "payloads = 'never'", KEPT, "\"never\""),
        ("retention", "attempts = 30", KEPT, "30"),
        (
            "store",
            "replica_url = 'sqlite://replica.db'",
            "\"postgres://user@host/database\", or \"env:NAME\" or \"file:PATH\" that holds one",
            "a SQLite database, which has no replicas",
        ),
        (
            "server.cors",
            "allow_origins = ['https://a/b']",
            "a list, each item an origin such as \
          \"https://app.example.com\", or \"*\"",
            "\"https://a/b\"",
        ),
        ("delivery", "allow_networks = ['10.0.0.0/8', '10.0.0.0/99']", network, "\"10.0.0.0/99\""),
        ("delivery", "allow_networks = 10", network, "a number"),
        ("delivery", "replay_per_second = 0", "a whole number, from 1 to 10000", "0"),
        ("delivery", "ca_file = ''", "a path such as \"/etc/spillway/tls.pem\"", "an empty text"),
        (
            "delivery",
            "retry_schedule = []",
            "a list of 1 to 100 durations of at most \"30d\", such as [\"0s\", \"5s\", \"5m\"]",
            "0 delays",
        ),
        (
            "delivery",
            "user_agent = \"a\\nb\"",
            "1 to 200 printable ASCII characters, such as \"spillway\"",
            "\"a\\nb\"",
        ),
        ("worker", "slot = 'red'", "\"blue\" or \"green\"", "\"red\""),
        (
            "worker",
            "share_grace = '100ms'",
            "a duration such as \"250ms\", \"30s\", \"5m\" or \"24h\", from 1s to 24h",
            "\"100ms\"",
        ),
        ("telemetry", "sample_ratio = 2", "a number such as 0.5, from 0.0 to 1.0", "2"),
        ("telemetry", "sample_ratio = nan", "a number such as 0.5, from 0.0 to 1.0", "NaN"),
        (
            "telemetry",
            "otlp_headers = { 'a b' = 'x' }",
            "a table of headers such as { authorization = \"env:NAME\" }",
            "a name that is no header name",
        ),
        ("log", "format = 1979-05-27", "\"pretty\" or \"json\"", "\"1979-05-27\""),
        ("log", "filter = ['info']", "a text that is not empty", "a list"),
    ] {
        let key = line.split(' ').next().unwrap_or_default();
        let wanted =
            format!("settings_invalid_value: {section}.{key} must be {expected}; found {found} (spillway.toml line 2)");
        assert_eq!(file(&format!("[{section}]\n{line}\n")).problem(), wanted);
    }
}

#[test]
fn sections_must_be_tables_and_lists_of_tables_are_for_the_file() {
    assert_eq!(
        file("server = 'x'").problem(),
        "settings_invalid_value: server must be a table [server]; found \"x\" (spillway.toml line 1)"
    );
    assert_eq!(
        file("sources = ['x']").problem(),
        "settings_invalid_value: sources must be [[sources]] tables; found \"x\" (spillway.toml line 1)"
    );
    assert_eq!(
        file("").environment(&[("SPILLWAY__SOURCES__0__NAME", "x")]).problem(),
        "settings_invalid_value: sources must be [[sources]] tables, which only the settings file can declare; found a \
         table (environment variable SPILLWAY__SOURCES__0__NAME)"
    );
    assert_eq!(
        file("").environment(&[("SPILLWAY__STORE", "x"), ("SPILLWAY__STORE__POOL_SIZE", "1")]).problem(),
        "settings_invalid_value: store must be a table [store]; found \"x\" (environment variable SPILLWAY__STORE)"
    );
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_reading() {
    let problems = file("[log]\nfilter = 1\n[server]\nrole = 'x'\nlissten = 1\n[[sources]]\nname = 'a b'\n")
        .environment(&[("SPILLWAY__INTAKE__QUEUE", "none"), ("DB_POOL_SIZE", "0")])
        .problems();
    let keys: Vec<_> = problems
        .iter()
        .map(|problem| problem.trim_start_matches("settings_").split(' ').take(4).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        keys,
        [
            "invalid_value: log.filter must be",
            "invalid_value: server.role must be",
            "unknown_key: unknown key server.lissten",
            "invalid_value: sources[0].name must be",
            "missing_key: sources[0].provider is missing",
            "invalid_value: store.pool_size must be",
            "invalid_value: intake.queue must be",
        ],
        "{problems:#?}"
    );
}

#[test]
fn a_file_that_is_missing_too_large_or_no_toml_is_named() {
    let missing = LoadArgs { config: Some(PathBuf::from("no/such/file.toml")), ..LoadArgs::default() };
    let text = Settings::load(&missing).expect_err("no file").to_string();
    assert!(text.starts_with("settings_file_unreadable: cannot read the settings file no/such/file.toml: "), "{text}");

    let problem = file(&"#".repeat((1 << 20) + 1)).problem();
    assert!(problem.ends_with("the file is larger than 1048576 bytes"), "{problem}");

    let problem = file("[server]\nlisten = \"127.0.0.1:1\n").problem();
    assert!(problem.starts_with("settings_file_syntax: spillway.toml line 2 is not valid TOML: "), "{problem}");
    let problem = file("[log]\nfilter = 'a'\nfilter = 'b'\n").problem();
    assert!(problem.starts_with("settings_file_syntax: spillway.toml line 3 is not valid TOML: "), "{problem}");
}

#[test]
fn a_lease_shorter_than_the_longest_timeout_is_refused() {
    assert_eq!(
        file("[delivery]\nlease = '29s'").problem(),
        "settings_lease_too_short: delivery.lease is 29s (spillway.toml line 2), shorter than delivery.timeout, which is \
         30s: a second worker would send a delivery that is still under way; set delivery.lease to at least 30s"
    );
    let slow = "[[destinations]]\nname = 'slow'\nurl = 'https://slow.example'\ntimeout = '2m'\n";
    let problem = file(slow).problem();
    assert!(
        problem.starts_with(
            "settings_lease_too_short: delivery.lease is 1m (default), shorter than the timeout of destination slow, \
             which is 2m:"
        ),
        "{problem}"
    );
    assert_eq!(file(&format!("[delivery]\nlease = '2m'\n{slow}")).settings().destinations.len(), 1);
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let problem = file("[store]\npool_warn_ratio = 0.95").problem();
    assert_eq!(
        problem,
        "settings_conflict: store.pool_warn_ratio and store.pool_critical_ratio contradict each other: the warning at \
         0.95 must not come after the critical state at 0.9"
    );
    assert_eq!(
        file("[retention]\nevents = '7d'\npayloads = '30d'").problem(),
        "settings_conflict: retention.payloads and retention.events contradict each other: 30d is longer than the event \
         itself is kept (7d); write \"forever\""
    );
    assert_eq!(
        file("[server]\nrole = 'api'\n[intake]\nmode = 'synchronous'").problem(),
        "settings_conflict: intake.mode and server.role contradict each other: in the synchronous mode the process that takes \
         webhooks delivers them itself; set server.role to \"all\", or leave intake.mode out"
    );
    assert_eq!(
        file("[store]\nreplica_url = 'postgres://replica/db'").problem(),
        "settings_conflict: store.replica_url and store.url contradict each other: events are kept in SQLite, which has no \
         replicas; leave store.replica_url out, or set store.url to postgres://…"
    );
    assert_eq!(
        file("[server.tls]\ncertificate = 'a.pem'").problem(),
        "settings_missing_key: server.tls.key is missing (spillway.toml line 2): set it to the path of a PEM file, because \
         TLS needs both"
    );
}
