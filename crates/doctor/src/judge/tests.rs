//! Tables of numbers and what they come to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use spillway_coordination::examination::{ExaminationError, ServerCounters, ServerFacts, ServerPart};
use spillway_model::UnixMillis;
use spillway_performance::alerts::AlertId;
use spillway_store::examination::{
    BloatFacts, ConnectionFacts, DeadLetterFacts, DeadRows, Facts, FileFacts, IndexFacts, IntegrityFacts, LockFacts,
    Loose, ReplicaFacts, ReplicationFacts, ScannedTable, ServerFacts as DatabaseServer, Session, Statement,
    StatementFacts, StorageFacts, TransactionFacts, UnusedIndex, Wait,
};
use spillway_store::{Backlog, Document};

use super::{Context, Limits};
use crate::Verdict::{self, Critical, Ok as Good, Unknown, Warning};
use crate::certificates::{Certificate, CertificateFile};
use crate::host::{Machine, Volume};
use crate::scrape::Scrape;
use crate::{Check, Finding};

const NOW: UnixMillis = 1_795_649_680_000;
const LIMITS: Limits = Limits {
    pool_warning_ratio: 0.8,
    pool_critical_ratio: 0.9,
    node_connections: 30,
    intake_queue: 1_000,
    ready_queue: 1_000,
    node_clients: 10_000,
    replica_max_lag: Duration::from_secs(10),
};

fn judged(facts: Facts) -> Vec<Finding> {
    let context = Context { shown: "postgres://db/spillway".to_owned(), now: NOW, limits: LIMITS };
    super::database(&facts, &context)
}

/// The finding of this check.
fn of(findings: Vec<Finding>, check: Check) -> Finding {
    let found = findings.into_iter().find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("there is no finding for {check:?}"))
}

fn verdict(facts: Facts, check: Check) -> Verdict {
    of(judged(facts), check).verdict
}

fn seconds(n: f64) -> Duration {
    Duration::from_secs_f64(n)
}

#[test]
fn what_waits() {
    for (pending, late_s, expected) in
        [(0, None, Good), (9, Some(-5), Good), (9, Some(59), Good), (9, Some(60), Warning), (9, Some(300), Critical)]
    {
        let backlog = Backlog { pending, oldest_due: late_s.map(|late_s: i64| NOW - late_s * 1_000) };
        assert_eq!(verdict(Facts::Queue(backlog), Check::Queue), expected, "{late_s:?}");
    }
    let finding = of(judged(Facts::Queue(Backlog { pending: 3_402, oldest_due: Some(NOW - 723_000) })), Check::Queue);
    assert_eq!(finding.summary, "3,402 deliveries open, the oldest has been due for 12m3s");
    assert_eq!(finding.numbers["oldest_due_s"], 723.0);
    let dead = DeadLetterFacts { total: 12, last_day: 2, destinations: vec![("shop".to_owned(), 12)] };
    let finding = of(judged(Facts::DeadLetters(dead)), Check::DeadLetters);
    assert_eq!((finding.verdict, finding.summary.as_str()), (Warning, "12, 2 of them within a day"));
    assert!(
        finding
            .actions
            .iter()
            .any(|action| action.command.as_deref().is_some_and(|c| c.contains("--destination shop")))
    );
}

#[test]
fn the_server() {
    let good = DatabaseServer { supported: true, schema: Some(4), known_schema: 4, ..DatabaseServer::default() };
    for (server, check, expected) in [
        (good.clone(), Check::Database, Good),
        (DatabaseServer { supported: false, ..good.clone() }, Check::Database, Critical),
        (DatabaseServer { is_standby: true, ..good.clone() }, Check::Database, Critical),
        (DatabaseServer { schema: None, ..good.clone() }, Check::Database, Critical),
        (DatabaseServer { schema: Some(3), ..good.clone() }, Check::Database, Warning),
        (DatabaseServer { schema: Some(9), ..good.clone() }, Check::Database, Good),
        (DatabaseServer { round_trip: Some(seconds(0.0049)), ..good.clone() }, Check::DatabaseLatency, Good),
        (DatabaseServer { round_trip: Some(seconds(0.006)), ..good.clone() }, Check::DatabaseLatency, Warning),
        (DatabaseServer { round_trip: Some(seconds(0.06)), ..good.clone() }, Check::DatabaseLatency, Critical),
        (DatabaseServer { clock_offset_ms: Some(-999), ..good.clone() }, Check::DatabaseClock, Good),
        (DatabaseServer { clock_offset_ms: Some(-1_000), ..good.clone() }, Check::DatabaseClock, Warning),
        (DatabaseServer { clock_offset_ms: Some(60_000), ..good.clone() }, Check::DatabaseClock, Critical),
        (DatabaseServer { transaction_age: Some(200_000_000), ..good.clone() }, Check::TransactionIds, Good),
        (DatabaseServer { transaction_age: Some(500_000_000), ..good.clone() }, Check::TransactionIds, Warning),
        (DatabaseServer { transaction_age: Some(1_500_000_000), ..good.clone() }, Check::TransactionIds, Critical),
    ] {
        assert_eq!(verdict(Facts::Server(server.clone()), check), expected, "{check:?} {server:?}");
    }
}

#[test]
fn sessions() {
    let holder = Session { pid: 77, who: "batch".into(), state: "idle in transaction".into(), ..Session::default() };
    let wait = |s| Wait { pid: 5, waited: seconds(s), query: "UPDATE x".into(), holder: holder.clone() };
    for (waits, expected) in
        [(vec![], Good), (vec![wait(0.5)], Good), (vec![wait(1.0)], Warning), (vec![wait(1.0), wait(30.0)], Critical)]
    {
        let facts = LockFacts { blocked: waits.len() as u64, waits };
        let finding = of(judged(Facts::Locks(facts)), Check::Locks);
        assert_eq!(finding.verdict, expected, "{}", finding.summary);
        let ends = finding.actions.iter().any(|a| a.command.as_deref() == Some("SELECT pg_terminate_backend(77);"));
        assert_eq!(ends, expected != Good, "{finding:?}");
    }
    let open = |s| TransactionFacts {
        open: vec![Session { pid: 9, age: seconds(s), ..Session::default() }],
        ..TransactionFacts::default()
    };
    for (facts, expected) in [
        (TransactionFacts::default(), Good),
        (open(59.0), Good),
        (open(60.0), Warning),
        (open(1_800.0), Critical),
        (TransactionFacts { prepared: vec![("x".into(), seconds(400.0))], ..TransactionFacts::default() }, Warning),
    ] {
        assert_eq!(verdict(Facts::Transactions(facts.clone()), Check::Transactions), expected, "{facts:?}");
    }
    let hidden = TransactionFacts { hidden: 3, role: "App".into(), ..TransactionFacts::default() };
    let finding = of(judged(Facts::Transactions(hidden)), Check::Transactions);
    assert_eq!(finding.actions[0].command.as_deref(), Some("GRANT pg_read_all_stats TO \"App\";"));
    for (total, limit, expected) in [(79, 100, Good), (80, 100, Warning), (95, 100, Critical), (1, 20, Warning)] {
        let facts = ConnectionFacts { total, limit, ..ConnectionFacts::default() };
        assert_eq!(verdict(Facts::Connections(facts), Check::Connections), expected, "{total} of {limit}");
    }
}

#[test]
fn slow_queries() {
    let statement =
        |mean_ms, calls| Statement { text: "SELECT pg_sleep($1)".into(), calls, mean_ms, ..Statement::default() };
    let recorded = |slow, hidden| StatementFacts::Recorded { slow, hidden, role: "app".into() };
    for (facts, expected, says) in [
        (recorded(vec![], 0), Good, None),
        (recorded(vec![statement(101.0, 1)], 0), Warning, None),
        (recorded(vec![statement(1_000.0, 9)], 0), Warning, None),
        (recorded(vec![statement(1_000.0, 10)], 0), Critical, None),
        (recorded(vec![], 2), Unknown, Some("GRANT pg_read_all_stats TO app;")),
        (StatementFacts::NotInstalled { loaded: true }, Unknown, Some("CREATE EXTENSION pg_stat_statements;")),
        (StatementFacts::NotInstalled { loaded: false }, Unknown, Some("shared_preload_libraries")),
        (StatementFacts::NotLoaded, Unknown, Some("shared_preload_libraries")),
        (
            StatementFacts::Forbidden { role: "app".into(), schema: "public".into() },
            Unknown,
            Some("GRANT SELECT ON public.pg_stat_statements TO app;"),
        ),
    ] {
        let finding = of(judged(Facts::Statements(facts.clone())), Check::SlowQueries);
        assert_eq!(finding.verdict, expected, "{facts:?}");
        let commands: Vec<_> = finding.actions.iter().filter_map(|action| action.command.as_deref()).collect();
        assert!(says.is_none_or(|says| commands.iter().any(|command| command.contains(says))), "{commands:?}");
    }
}

#[test]
fn indexes() {
    let unused = UnusedIndex { name: "by_x".into(), table: "events".into(), bytes: Some(1 << 20) };
    let with = |facts: IndexFacts| judged(Facts::Indexes(facts));
    let never = IndexFacts { unused: vec![unused.clone()], counts_uses: true, ..IndexFacts::default() };
    let finding = of(with(never.clone()), Check::UnusedIndexes);
    assert_eq!(finding.verdict, Warning);
    assert!(
        finding.actions.iter().any(|a| a.command.as_deref() == Some("DROP INDEX CONCURRENTLY by_x;")),
        "{finding:?}"
    );
    let early = IndexFacts { counted_for: Some(seconds(3_600.0)), ..never };
    assert_eq!(of(with(early), Check::UnusedIndexes).verdict, Good);
    let embedded = IndexFacts { unused: vec![UnusedIndex { bytes: None, ..unused }], ..IndexFacts::default() };
    let finding = of(with(embedded), Check::UnusedIndexes);
    assert_eq!((finding.verdict, finding.summary.as_str()), (Warning, "1 that are not of Spillway's schema"));

    let missing =
        IndexFacts { missing: vec![("a".into(), "CREATE INDEX a ON b (c);".into())], ..IndexFacts::default() };
    let finding = of(with(missing), Check::MissingIndexes);
    assert_eq!(finding.verdict, Critical);
    assert_eq!(finding.actions[0].command.as_deref(), Some("CREATE INDEX a ON b (c);"));
    let invalid = IndexFacts { invalid: vec![("a".into(), "b".into())], ..IndexFacts::default() };
    assert_eq!(of(with(invalid), Check::MissingIndexes).verdict, Warning);
    assert_eq!(of(with(IndexFacts::default()), Check::MissingIndexes).verdict, Good);

    let scanned = ScannedTable { table: "events".into(), scans: 60, rows: 6_000_000, index_scans: 1 };
    let facts = IndexFacts { scanned: vec![scanned], counts_uses: true, ..IndexFacts::default() };
    let finding = of(with(facts), Check::TableScans);
    assert_eq!(
        (finding.verdict, finding.evidence[0].as_str()),
        (Warning, "events: 60 times, 100,000 rows each; 1 reads through an index")
    );
}

#[test]
fn space() {
    for (live, dead, expected) in [(100_000, 10_000, Good), (20_000, 10_000, Warning), (2_000, 10_000, Critical)] {
        let dead_rows = vec![DeadRows { table: "deliveries".into(), live, dead, vacuumed: None }];
        assert_eq!(
            verdict(Facts::Bloat(BloatFacts { dead_rows, ..BloatFacts::default() }), Check::Vacuum),
            expected,
            "{live} {dead}"
        );
    }
    for (bytes, needed, expected) in
        [(50_000_000, 10_000_000, Good), (200_000_000, 20_000_000, Warning), (20_000_000_000, 1_000_000, Critical)]
    {
        let loose = vec![Loose { name: "deliveries_by_destination".into(), is_index: true, bytes, needed }];
        let finding = of(judged(Facts::Bloat(BloatFacts { loose, ..BloatFacts::default() })), Check::Bloat);
        assert_eq!(finding.verdict, expected, "{bytes}");
        let rebuilt = finding
            .actions
            .iter()
            .any(|a| a.command.as_deref() == Some("REINDEX INDEX CONCURRENTLY deliveries_by_destination;"));
        assert_eq!(rebuilt, expected != Good);
    }
    for (hits, reads, expected) in
        [(10, 90, Good), (96_000, 4_000, Good), (95_000, 5_000, Warning), (80_000, 20_000, Critical)]
    {
        let facts = StorageFacts { hits, reads, ..StorageFacts::default() };
        assert_eq!(verdict(Facts::Storage(facts), Check::DatabaseMemory), expected, "{hits} {reads}");
    }
    let standby =
        |s| ReplicationFacts { standbys: vec![("r".into(), Some(1), Some(seconds(s)))], ..ReplicationFacts::default() };
    let slot =
        |active, kept| ReplicationFacts { slots: vec![("s".into(), active, kept)], ..ReplicationFacts::default() };
    for (facts, expected) in [
        (ReplicationFacts::default(), Good),
        (standby(1.0), Good),
        (standby(30.0), Warning),
        (standby(300.0), Critical),
        (slot(true, 90_000_000_000), Good),
        (slot(false, 1), Warning),
        (slot(false, 20_000_000_000), Critical),
    ] {
        assert_eq!(verdict(Facts::Replication(facts.clone()), Check::Replication), expected, "{facts:?}");
    }
    for (is_standby, lag, expected) in
        [(true, Some(0.1), Good), (true, Some(11.0), Warning), (true, None, Warning), (false, None, Critical)]
    {
        let facts = ReplicaFacts { is_standby, lag: lag.map(seconds) };
        assert_eq!(verdict(Facts::ReplicaLag(facts), Check::Replica), expected, "{facts:?}");
    }
}

#[test]
fn the_embedded_database() {
    for (wal_bytes, expected) in [(4 << 20, Good), (256_000_000, Warning), (2_000_000_000, Critical)] {
        let facts = FileFacts { wal_bytes, ..FileFacts::default() };
        assert_eq!(verdict(Facts::Files(facts), Check::DatabaseLog), expected, "{wal_bytes}");
    }
    for (bytes, free_pages, expected) in [(1 << 20, 90, Good), (200_000_000, 40, Good), (200_000_000, 60, Warning)] {
        let facts = FileFacts { page_bytes: bytes / 100, pages: 100, free_pages, ..FileFacts::default() };
        assert_eq!(verdict(Facts::Files(facts), Check::DatabaseSize), expected, "{bytes} {free_pages}");
    }
    let integrity = |problems: &[&str], finished| IntegrityFacts {
        problems: problems.iter().map(|line| (*line).to_owned()).collect(),
        finished,
        took: Duration::from_secs(1),
    };
    for (facts, expected) in
        [(integrity(&[], true), Good), (integrity(&[], false), Good), (integrity(&["row 1 missing"], true), Critical)]
    {
        assert_eq!(verdict(Facts::Integrity(facts.clone()), Check::Integrity), expected, "{facts:?}");
    }
}

#[test]
fn rollouts() {
    let published = |phase: &str, age_ms| Document {
        kind: "rollout".into(),
        key: "gateway".into(),
        at: NOW - age_ms,
        body: format!("{{\"by\":\"ci\",\"content\":{{\"state\":{{\"phase\":\"{phase}\",\"held\":null}}}}}}").into(),
    };
    for (documents, expected) in [
        (vec![], Good),
        (vec![published("succeeded", 60_000)], Good),
        (vec![published("rolledBack", 60_000)], Warning),
        (vec![published("rolledBack", 90_000_000)], Good),
        (vec![Document { body: "not JSON".into(), ..published("", 0) }], Good),
    ] {
        let finding = of(judged(Facts::Rollouts(documents)), Check::Rollouts);
        assert_eq!(finding.verdict, expected, "{finding:?}");
    }
    let finding = of(judged(Facts::Rollouts(vec![published("rolledBack", 60_000)])), Check::Rollouts);
    assert_eq!(finding.summary, "gateway was rolled back within a day");
}

#[test]
fn redis() {
    let counters = ServerCounters {
        is_primary: true,
        memory_bytes: 50,
        memory_limit: Some(100),
        clients: 1,
        clients_limit: 100,
        ..ServerCounters::default()
    };
    for (counters, check, expected) in [
        (counters.clone(), Check::Redis, Good),
        (ServerCounters { is_primary: false, ..counters.clone() }, Check::Redis, Critical),
        (ServerCounters { memory_limit: None, ..counters.clone() }, Check::RedisMemory, Good),
        (ServerCounters { memory_bytes: 79, ..counters.clone() }, Check::RedisMemory, Good),
        (ServerCounters { memory_bytes: 80, ..counters.clone() }, Check::RedisMemory, Warning),
        (ServerCounters { memory_bytes: 95, ..counters.clone() }, Check::RedisMemory, Critical),
        (ServerCounters { evicted: 1, ..counters.clone() }, Check::RedisEvictions, Warning),
        (ServerCounters { hits: 0, misses: 999, ..counters.clone() }, Check::RedisHits, Good),
        (ServerCounters { hits: 400, misses: 600, ..counters.clone() }, Check::RedisHits, Warning),
        (ServerCounters { clients: 80, ..counters.clone() }, Check::RedisClients, Warning),
        (ServerCounters { clients: 95, ..counters.clone() }, Check::RedisClients, Critical),
        (ServerCounters { rejected: 1, ..counters.clone() }, Check::RedisClients, Warning),
    ] {
        let findings = super::redis(&ServerFacts::Counters(counters.clone()), "redis://r", &LIMITS);
        assert_eq!(of(findings, check).verdict, expected, "{check:?} {counters:?}");
    }
    for (length, expected) in [(0, Good), (899, Good), (900, Warning)] {
        let queues = ServerFacts::Queues(vec![("ready".into(), length)]);
        assert_eq!(of(super::redis(&queues, "redis://r", &LIMITS), Check::ReadyQueue).verdict, expected);
    }
    let forbidden = ExaminationError::Forbidden { command: "INFO", reason: "no permissions".into() };
    let finding = super::redis_failed(ServerPart::Counters, &forbidden, "redis://r");
    assert_eq!((finding.verdict, finding.actions[0].command.as_deref()), (Unknown, Some("ACL SETUSER <user> +info")));
    let away = ExaminationError::Unreachable("refused".into());
    assert_eq!(super::redis_failed(ServerPart::RoundTrip, &away, "redis://r").verdict, Critical);
}

#[test]
fn the_node() {
    let judged = |text: &str, check| of(super::gateway(&Scrape::read(text), "http://g", 1e9, &LIMITS), check);
    let pool = |used, exhausted| {
        format!(
            "spillway_store_pool_connections{{state=\"used\"}} {used}\nspillway_store_pool_connections{{state=\"max\"}} 100\n\
             spillway_store_pool_exhausted_total {exhausted}\n"
        )
    };
    let acknowledged = |slow| {
        format!(
            "spillway_intake_ack_seconds_bucket{{le=\"0.01\"}} {}\nspillway_intake_ack_seconds_bucket{{le=\"1.0\"}} 1000\n\
             spillway_intake_ack_seconds_bucket{{le=\"+Inf\"}} 1000\n",
            1_000 - slow
        )
    };
    for (text, check, expected) in [
        (String::new(), Check::Pool, Unknown),
        (pool(79, 0), Check::Pool, Good),
        (pool(80, 0), Check::Pool, Warning),
        (pool(90, 0), Check::Pool, Critical),
        (pool(1, 2), Check::Pool, Warning),
        (acknowledged(5), Check::Acknowledgement, Good),
        (acknowledged(11), Check::Acknowledgement, Warning),
        (acknowledged(100), Check::Acknowledgement, Critical),
        ("spillway_intake_queue_depth 499\n".to_owned(), Check::IntakeQueue, Good),
        ("spillway_intake_queue_depth 500\n".to_owned(), Check::IntakeQueue, Warning),
        ("spillway_intake_queue_depth 900\n".to_owned(), Check::IntakeQueue, Critical),
        ("spillway_breaker_open 0\n".to_owned(), Check::Breakers, Good),
        ("spillway_breaker_open 2\n".to_owned(), Check::Breakers, Warning),
        ("spillway_coordination_degraded 0\n".to_owned(), Check::Coordination, Good),
        ("spillway_coordination_degraded 1\n".to_owned(), Check::Coordination, Critical),
        ("process_open_fds 79\nprocess_max_fds 100\n".to_owned(), Check::GatewayFiles, Good),
        ("process_open_fds 95\nprocess_max_fds 100\n".to_owned(), Check::GatewayFiles, Critical),
    ] {
        assert_eq!(judged(&text, check).verdict, expected, "{check:?}: {text}");
    }
    let alert = judged("spillway_alert_active{alert=\"queue_age\"} 1\n", Check::Alert);
    assert_eq!((alert.verdict, alert.runbook.as_str()), (Warning, "runbooks/alerts/queue_age.md"));
    assert_eq!(super::no_gateway(None, "x").verdict, Unknown);
    assert_eq!(super::no_gateway(Some("http://g"), "refused").verdict, Critical);
    assert_eq!(super::gateway_latency(seconds(0.049), seconds(0.1)).verdict, Good);
    assert_eq!(super::gateway_latency(seconds(0.05), seconds(0.1)).verdict, Warning);
}

#[test]
fn certificates() {
    let file = CertificateFile { path: PathBuf::from("tls.pem"), setting: "server.tls.certificate" };
    let day = 86_400_000;
    let certificate =
        |from, until| Certificate { subject: "CN=a".into(), valid_from: NOW + from, expires_at: NOW + until };
    let chain = |until| Ok(vec![certificate(-day, 365 * day), certificate(-day, until)]);
    for (read, expected) in [
        (chain(8 * day), Good),
        (chain(7 * day), Warning),
        (chain(day), Critical),
        (chain(-1), Critical),
        (Ok(vec![certificate(day, 365 * day)]), Critical),
        (Ok(vec![]), Critical),
        (Err("it cannot be read".to_owned()), Critical),
    ] {
        assert_eq!(super::certificate(&file, &read, NOW).verdict, expected, "{read:?}");
    }
    let finding = super::certificate(&file, &chain(-1), NOW);
    assert!(finding.summary.contains("CN=a expired at 2026-11-25 23:34:39 UTC"), "{}", finding.summary);
}

#[test]
fn the_machine() {
    let volume = |used| Volume { path: "/data".into(), used, total: 100.0, inodes_used: Some(0.1) };
    let machine = Machine { volume: Some(volume(10.0)), ..Machine::default() };
    let busy = |share, load| Machine { busy: Some(share), load: Some(load), processors: 2, ..Machine::default() };
    for (machine, check, expected) in [
        (Machine::default(), Check::Disk, Unknown),
        (machine.clone(), Check::Disk, Good),
        (Machine { volume: Some(volume(80.0)), ..machine.clone() }, Check::Disk, Warning),
        (Machine { volume: Some(volume(95.0)), ..machine.clone() }, Check::Disk, Critical),
        (
            Machine { volume: Some(Volume { inodes_used: Some(0.96), ..volume(1.0) }), ..machine.clone() },
            Check::Disk,
            Critical,
        ),
        (Machine { memory: Some((79.0, 100.0)), ..machine.clone() }, Check::Memory, Good),
        (Machine { memory: Some((96.0, 100.0)), ..machine.clone() }, Check::Memory, Critical),
        (busy(0.74, 9.0), Check::Processor, Good),
        (busy(0.75, 9.0), Check::Processor, Warning),
        (busy(0.9, 4.0), Check::Processor, Critical),
        (busy(0.9, 3.9), Check::Processor, Warning),
        (busy(1.0, 1.9), Check::Processor, Good),
        (Machine { open_files: Some(1_024.0), ..machine.clone() }, Check::OpenFiles, Warning),
        (Machine { open_files: Some(f64::INFINITY), ..machine.clone() }, Check::OpenFiles, Good),
        (Machine { somaxconn: Some(128.0), ..machine.clone() }, Check::Backlog, Warning),
        (Machine { somaxconn: Some(4_096.0), ..machine.clone() }, Check::Backlog, Good),
        (Machine { ports: Some(10_000.0), ..machine.clone() }, Check::Ports, Warning),
        (Machine { ports: Some(28_232.0), ..machine.clone() }, Check::Ports, Good),
    ] {
        assert_eq!(of(super::host(&machine, &LIMITS), check).verdict, expected, "{check:?} {machine:?}");
    }
}

#[test]
fn every_runbook_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let alerts = AlertId::ALL.iter().map(|alert| format!("runbooks/alerts/{}.md", alert.as_str()));
    let kinds = ["store_unavailable", "store_contention", "store_incompatible"];
    let errors = kinds.iter().map(|code| format!("runbooks/errors/{code}.md"));
    let pages = Check::ALL.iter().map(|check| check.runbook().to_owned()).chain(alerts).chain(errors);
    let missing: Vec<_> = pages.filter(|page| !root.join(page).is_file()).collect();
    assert_eq!(missing, [""; 0], "findings lead to pages that are not there");
}
