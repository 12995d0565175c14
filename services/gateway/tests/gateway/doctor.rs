//! `spillway doctor`, run as an operator runs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;
use spillway_testkit::{Answer, Postgres, PostgresOptions, Redis, Sink, free_port, wait_until};

use crate::support::{Folder, SOON, Sender, orders_to, program, stop};

/// What the doctor said.
struct Said {
    code: i32,
    text: String,
    errors: String,
}

impl Said {
    /// The findings by check; the last one of those with several.
    fn findings(&self) -> BTreeMap<String, Value> {
        let findings = self.json()["findings"].as_array().expect("findings").clone();
        findings.into_iter().map(|it| (it["check"].as_str().expect("a check").to_owned(), it)).collect()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}{}", self.text, self.errors))
    }

    /// Asserts the verdict of a check, and returns what was found.
    fn has(&self, check: &str, verdict: &str) -> Value {
        let findings = self.findings();
        let finding = findings.get(check).unwrap_or_else(|| panic!("no {check} in {}", self.text));
        assert_eq!(finding["verdict"], verdict, "{finding:#}");
        finding.clone()
    }
}

async fn doctor(folder: &Folder, more: &[&str]) -> Said {
    let mut command = tokio::process::Command::new(program());
    command.arg("doctor").arg("--config").arg(folder.path("spillway.toml")).args(more);
    command.env_clear().kill_on_drop(true).stdin(Stdio::null());
    let output = tokio::time::timeout(SOON, command.output()).await.expect("it ends").expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code().expect("a code"), text: text(&output.stdout), errors: text(&output.stderr) }
}

async fn json(folder: &Folder, more: &[&str]) -> Said {
    let said = doctor(folder, &[&["--output", "json"], more].concat()).await;
    let report = said.json();
    assert_eq!(report["exit_code"], said.code, "{}", said.text);
    for finding in report["findings"].as_array().expect("findings") {
        let page =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(finding["runbook"].as_str().expect("a page"));
        assert!(page.is_file(), "{} is not there", page.display());
        let is_bad = finding["verdict"] == "critical" || finding["verdict"] == "warning";
        assert!(!is_bad || !finding["actions"].as_array().expect("actions").is_empty(), "nothing to do: {finding:#}");
    }
    said
}

/// All files but the index of SQLite's log, where readers note how far they read.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_none_or(|extension| extension != "db-shm"));
    let mut files: Vec<_> = files.map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect();
    files.sort();
    files
}

#[tokio::test]
async fn an_embedded_gateway_that_works_is_well() {
    let (folder, sink) = (Folder::new(), Sink::start().await);
    folder.embedded(&sink.url("/"));
    let gateway = folder.start(&[]).await;
    Sender::new().send(&gateway.url, "{}".to_owned()).await.expect("an acknowledgement");
    sink.wait_for_count(1, SOON).await;
    let said = json(&folder, &["--url", &gateway.url]).await;
    for check in [
        "gateway",
        "alert",
        "acknowledgement",
        "commit",
        "pool",
        "intake_queue",
        "breakers",
        "coordination",
        "gateway_files",
        "database",
        "queue",
        "dead_letters",
        "rollouts",
        "missing_indexes",
        "unused_indexes",
        "database_log",
        "integrity",
    ] {
        said.has(check, "ok");
    }
    let table = doctor(&folder, &["--url", &gateway.url]).await;
    assert!(table.text.lines().any(|line| line.starts_with("ok       integrity")), "{}", table.text);
    assert!(!table.text.contains('\u{1b}'), "colour in a pipe");
    let too_wide: Vec<_> =
        table.text.lines().filter(|line| line.chars().count() > 80 && !line.starts_with("             ")).collect();
    assert!(too_wide.is_empty(), "{too_wide:#?}");
    let markdown = doctor(&folder, &["--url", &gateway.url, "--output", "markdown"]).await;
    assert!(
        markdown.text.starts_with("## spillway doctor, ") && markdown.text.contains("| ok | integrity | "),
        "{}",
        markdown.text
    );

    stop(gateway).await;
    let data = folder.path("data");
    let before = contents(&data);
    let url = format!("http://127.0.0.1:{}", free_port());
    let said = json(&folder, &["--url", &url]).await;
    let gone = said.has("gateway", "critical");
    assert!(gone["summary"].as_str().expect("a text").contains("nothing listens there"), "{gone:#}");
    assert_eq!(said.code, 2);
    said.has("integrity", "ok");
    assert!(before == contents(&data), "the doctor changed something");
}

#[tokio::test]
async fn what_is_wrong_with_an_embedded_gateway_comes_first() {
    let (folder, sink) = (Folder::new(), Sink::start().await);
    sink.on("/", Answer::status(500));
    let store = format!("data_dir = \"{}\"", folder.path("data").display());
    folder.settings(&orders_to(&sink.url("/"), &store, "retry_schedule = [\"0s\"]"));
    let gateway = folder.start(&[]).await;
    Sender::new().send(&gateway.url, "{}".to_owned()).await.expect("an acknowledgement");
    let dead =
        async || json(&folder, &["--url", &gateway.url]).await.findings()["dead_letters"]["verdict"] == "warning";
    wait_until("the dead letter to be found", SOON, dead).await;
    let said = json(&folder, &["--url", &gateway.url]).await;
    let finding = said.has("dead_letters", "warning");
    assert_eq!(finding["evidence"][0], "shop: 1");
    let table = doctor(&folder, &["--url", &gateway.url]).await;
    let at = |text: &str| table.text.find(text).unwrap_or_else(|| panic!("{text:?} is missing in {}", table.text));
    assert!(at("look     dead letters") < at("ok       integrity"), "{}", table.text);
    assert!(table.text.contains("spillway replays create --destination shop --state dead --dry-run"), "{}", table.text);
    assert!(table.text.contains("Read runbooks/alerts/dead_letters.md"), "{}", table.text);
    stop(gateway).await;
}

#[tokio::test]
async fn certificates_that_have_expired_are_found() {
    let folder = Folder::new();
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(vec!["hooks.example.com".to_owned()]).expect("a name");
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let certificate = parameters.self_signed(&key).expect("a certificate");
    std::fs::write(folder.path("tls.pem"), certificate.pem()).expect("a file");
    std::fs::write(folder.path("tls.key"), key.serialize_pem()).expect("a file");
    folder.settings(&format!(
        "[store]\ndata_dir = \"{}\"\n[server]\nlisten = \"127.0.0.1:0\"\n[server.tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        folder.path("data").display(),
        folder.path("tls.pem").display(),
        folder.path("tls.key").display()
    ));
    let said = json(&folder, &[]).await;
    let finding = said.has("certificate", "critical");
    assert!(finding["summary"].as_str().expect("a text").contains("expired at 2021-01-01"), "{finding:#}");
    assert_eq!(finding["runbook"], "runbooks/alerts/certificate_expiry.md");
    // Nothing else stops it: there is no database yet, and nobody said where the gateway is.
    said.has("database", "critical");
    said.has("gateway", "unknown");
    assert!(said.findings().contains_key("disk"));
    assert!(!folder.path("data").exists(), "it was made");
}

#[tokio::test]
async fn several_nodes_on_postgres_and_redis_are_seen() {
    let settings = vec![("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned())];
    let database = Postgres::start_with(PostgresOptions { fsync: false, settings, ..PostgresOptions::default() }).await;
    let (folder, sink, redis) = (Folder::new(), Sink::start().await, Redis::start().await);
    let store = format!("url = \"{}\"", database.url());
    folder.settings(&format!("[redis]\nurl = \"{}\"\n{}", redis.url(), orders_to(&sink.url("/"), &store, "")));
    let gateway = folder.start(&[]).await;
    Sender::new().send(&gateway.url, "{}".to_owned()).await.expect("an acknowledgement");
    sink.wait_for_count(1, SOON).await;
    let url = ["--url", &gateway.url];
    let said = json(&folder, &url).await;
    for check in [
        "database",
        "database_clock",
        "transaction_ids",
        "queue",
        "locks",
        "transactions",
        "connections",
        "missing_indexes",
        "unused_indexes",
        "vacuum",
        "bloat",
        "database_size",
        "replication",
        "redis",
        "redis_clock",
        "redis_memory",
        "redis_evictions",
        "redis_clients",
        "ready_queue",
        "gateway",
        "pool",
    ] {
        said.has(check, "ok");
    }
    let unknown = said.has("slow_queries", "unknown");
    assert_eq!(unknown["actions"][0]["command"], "CREATE EXTENSION pg_stat_statements;");

    // As it says.
    database.query("CREATE EXTENSION pg_stat_statements").await;
    database.query("SELECT pg_sleep(0.15)").await;
    database.query("CREATE INDEX by_hand ON documents (body)").await;
    let said = json(&folder, &url).await;
    let slow = said.has("slow_queries", "warning");
    assert!(slow["evidence"].to_string().contains("SELECT pg_sleep($1)"), "{slow:#}");
    let unused = said.has("unused_indexes", "warning");
    assert!(unused["evidence"][0].as_str().expect("a text").starts_with("by_hand on documents, "), "{unused:#}");
    let drops = unused["actions"].to_string().contains("DROP INDEX CONCURRENTLY by_hand;");
    assert!(drops, "{unused:#}");

    // A role that may do nothing gets what to grant, and the rest is seen.
    database.query("CREATE ROLE guest LOGIN").await;
    let guest = database.url().replace("postgres@", "guest@");
    let said = json(&folder, &["--url", &gateway.url, "--database-url", &guest]).await;
    let hidden = said.has("slow_queries", "unknown");
    assert!(hidden["actions"].to_string().contains("GRANT pg_read_all_stats TO guest;"), "{hidden:#}");
    let forbidden = said.has("queue", "unknown");
    assert!(forbidden["actions"].to_string().contains("IN SCHEMA public TO guest;"), "{forbidden:#}");
    said.has("connections", "ok");
    stop(gateway).await;
}

#[tokio::test]
async fn a_session_that_blocks_others_is_named() {
    let database = Postgres::start_with(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await;
    let (folder, sink) = (Folder::new(), Sink::start().await);
    folder.settings(&orders_to(&sink.url("/"), &format!("url = \"{}\"", database.url()), ""));
    let gateway = folder.start(&[]).await;
    let hold = "BEGIN; LOCK TABLE replays IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(20); COMMIT";
    let wait = "DELETE FROM replays";
    let holder = psql(&database.url(), hold);
    let holds = "SELECT count(*) FROM pg_locks WHERE relation = 'replays'::regclass AND mode = 'AccessExclusiveLock' AND granted";
    wait_until("the lock to be held", SOON, async || database.query(holds).await == "1").await;
    let waiter = psql(&database.url(), wait);
    let mut said = json(&folder, &["--url", &gateway.url]).await;
    let begun = Instant::now();
    while said.findings()["locks"]["verdict"] == "ok" && begun.elapsed() < SOON {
        said = json(&folder, &["--url", &gateway.url]).await;
    }
    let finding = said.has("locks", "warning");
    assert!(finding["evidence"][0].as_str().expect("a text").contains("for pid "), "{finding:#}");
    // What it says to run helps.
    let mut commands =
        finding["actions"].as_array().expect("actions").iter().filter_map(|action| action["command"].as_str());
    let end = commands.next_back().expect("a command");
    assert!(end.starts_with("SELECT pg_terminate_backend("), "{end}");
    database.query(end).await;
    let free = async || json(&folder, &["--url", &gateway.url]).await.findings()["locks"]["verdict"] == "ok";
    wait_until("nobody to wait", SOON, free).await;
    drop((holder, waiter));
    stop(gateway).await;
}

/// A client that ends with this value.
fn psql(url: &str, sql: &str) -> tokio::process::Child {
    let mut command = tokio::process::Command::new("psql");
    command.args(["-X", "-q", "-d", url, "-c", sql]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().expect("psql runs")
}

#[tokio::test]
async fn dead_servers_do_not_stop_the_rest() {
    let (mut database, mut redis) = (Postgres::start().await, Redis::start().await);
    let folder = Folder::new();
    folder.settings(&format!(
        "[store]\nurl = \"{}\"\nreplica_url = \"{0}\"\n[redis]\nurl = \"{}\"\n[server]\nlisten = \"127.0.0.1:{}\"\n",
        database.url(),
        redis.url(),
        free_port()
    ));
    // An empty database: it says what to do, and that the replica is none.
    let said = json(&folder, &[]).await;
    let empty = said.has("database", "critical");
    assert_eq!(empty["actions"][0]["command"], "spillway migrate");
    said.has("replica", "critical");
    said.has("redis", "ok");
    database.kill().await;
    redis.kill().await;
    let begun = Instant::now();
    let said = json(&folder, &["--deadline", "5s"]).await;
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
    assert_eq!(said.code, 2);
    said.has("database", "critical");
    said.has("replica", "warning");
    said.has("redis", "critical");
    said.has("gateway", "critical");
    assert!(said.findings().contains_key("memory"));
    // One that hangs is as good as away, and in time.
    database.restart().await;
    database.pause();
    let begun = Instant::now();
    let said = json(&folder, &["--deadline", "4s"]).await;
    assert!(begun.elapsed().as_secs() < 7, "{:?}", begun.elapsed());
    said.has("database", "critical");
    database.resume();
}

#[tokio::test]
async fn settings_and_arguments_that_cannot_be_used_are_refused() {
    let folder = Folder::new();
    folder.settings("[store]\nurl = \"mysql://x\"\n");
    let said = doctor(&folder, &[]).await;
    assert_eq!(said.code, 64);
    assert!(said.errors.contains("store.url"), "{}", said.errors);
    folder.settings("");
    for (arguments, says) in [
        (["--deadline", "0s"], "from 1s to 10m"),
        (["--url", "ftp://x"], "write http://"),
        (["--output", "xml"], "possible values: table, json, markdown"),
    ] {
        let said = doctor(&folder, &arguments).await;
        assert_eq!(said.code, 64, "{arguments:?}");
        assert!(said.errors.contains(says), "{}", said.errors);
    }
}
