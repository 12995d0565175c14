//! What an examiner sees of a database, and that it changes nothing there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spillway_model::NextState;
use spillway_store::examination::{Facts, IndexFacts, LockFacts, Part, StatementFacts, TransactionFacts};
use spillway_store::postgres::{PostgresExaminer, PostgresStore};
use spillway_store::sqlite::{SqliteExaminer, SqliteSettings, SqliteStore};
use spillway_store::{Document, EXAMINE_TIMEOUT, Examiner, Store, StoreErrorKind, Unobserved};
use spillway_testkit::{Postgres, PostgresOptions, TestDatabase, shared_database, wait_until};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::support::{Engine, TestStore, postgres_settings, settlement};

const SOON: Duration = Duration::from_secs(30);

/// The facts of a part.
macro_rules! facts {
    ($examiner:expr, $part:ident) => {
        match $examiner.examine(Part::$part).await.unwrap() {
            Facts::$part(facts) => facts,
            other => panic!("{other:?}"),
        }
    };
}

/// A database with Spillway's schema.
async fn database() -> TestDatabase {
    let database = shared_database().await;
    let store = PostgresStore::connect(postgres_settings(database.url()), Arc::new(Unobserved)).await.unwrap();
    store.close().await;
    database
}

async fn session(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

/// A pending delivery, a dead one, and a rollout.
async fn fill(test: &TestStore) {
    let events =
        [test.event_to(&[test.ids.destination()], test.now()), test.event_to(&[test.ids.destination()], test.now())];
    test.store.append(events.to_vec()).await.unwrap();
    let claimed = test.store.claim(test.request(1)).await.unwrap();
    test.store.settle(vec![settlement(&claimed[0], NextState::Dead { at: test.now() })]).await.unwrap();
    let rollout = Document { kind: "rollout".into(), key: "gateway".into(), at: test.now(), body: "{}".into() };
    test.store.put_document(rollout).await.unwrap();
}

/// What both engines see of Spillway's own tables.
async fn sees_what_waits(examiner: &mut dyn Examiner) {
    let queue = facts!(examiner, Queue);
    assert_eq!(queue.pending, 1);
    assert!(queue.oldest_due.is_some());
    let dead = facts!(examiner, DeadLetters);
    assert_eq!((dead.total, dead.last_day), (1, 1));
    assert_eq!(dead.destinations, [("a removed destination".to_owned(), 1)]);
    let rollouts = facts!(examiner, Rollouts);
    assert_eq!(rollouts.iter().map(|rollout| rollout.key.as_str()).collect::<Vec<_>>(), ["gateway"]);
    let server = facts!(examiner, Server);
    assert_eq!(server.schema, Some(server.known_schema));
    assert!(server.supported && !server.is_standby);
    let indexes = facts!(examiner, Indexes);
    let nothing =
        IndexFacts { counts_uses: indexes.counts_uses, counted_for: indexes.counted_for, ..IndexFacts::default() };
    assert_eq!(indexes, nothing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_seen_while_a_gateway_has_it_open() {
    let test = TestStore::open(Engine::Sqlite).await;
    fill(&test).await;
    let mut examiner = SqliteExaminer::open(&test.file()).await.unwrap();
    sees_what_waits(&mut examiner).await;
    let files = facts!(examiner, Files);
    assert!(files.pages > 0 && files.wal_bytes > 0, "{files:?}");
    let integrity = facts!(examiner, Integrity);
    assert!(integrity.finished && integrity.problems.is_empty(), "{integrity:?}");
    for part in examiner.parts() {
        examiner.examine(*part).await.unwrap();
    }
    examiner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_at_rest_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spillway.db");
    SqliteStore::open(SqliteSettings::new(&file), Arc::new(Unobserved)).await.unwrap().close().await;
    let contents = || {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
        files.sort();
        files
    };
    let before = contents();
    let mut examiner = SqliteExaminer::open(&file).await.unwrap();
    for part in examiner.parts() {
        examiner.examine(*part).await.unwrap();
    }
    examiner.close().await;
    assert!(before == contents(), "a file was made or changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_that_is_away_foreign_or_damaged_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spillway.db");
    let error = SqliteExaminer::open(&file).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(!file.exists(), "it was made");

    SqliteStore::open(SqliteSettings::new(&file), Arc::new(Unobserved)).await.unwrap().close().await;
    let mut connection = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    let sql = "DROP INDEX deliveries_dead; CREATE INDEX by_hand ON events (type);
        INSERT INTO documents WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
        SELECT 'x', 'key ' || i, 0, zeroblob(900) FROM n";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let mut examiner = SqliteExaminer::open(&file).await.unwrap();
    let indexes = facts!(examiner, Indexes);
    assert_eq!(indexes.missing[0].0, "deliveries_dead");
    assert!(indexes.missing[0].1.starts_with("CREATE INDEX deliveries_dead ON deliveries ("), "{indexes:?}");
    assert_eq!(indexes.unused[0].name, "by_hand");
    examiner.close().await;

    // Behind the schema, in the rows.
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 60_000..end - 20_000].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    let mut examiner = SqliteExaminer::open(&file).await.unwrap();
    match examiner.examine(Part::Integrity).await {
        Ok(Facts::Integrity(facts)) => assert!(!facts.problems.is_empty(), "{facts:?}"),
        Ok(other) => panic!("{other:?}"),
        Err(error) => assert_eq!(error.kind(), StoreErrorKind::Incompatible, "{error}"),
    }
    examiner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_seen_and_left_as_it_was() {
    let test = TestStore::open(Engine::Postgres).await;
    fill(&test).await;
    let counts =
        "SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM documents), pg_current_xact_id_if_assigned(),
        (SELECT string_agg(relname::text || relfilenode::text, ',' ORDER BY oid) FROM pg_class)";
    let before = test.query(counts).await;
    let mut examiner = PostgresExaminer::connect(test.url()).await.unwrap();
    sees_what_waits(&mut examiner).await;
    for part in examiner.parts() {
        let facts = examiner.examine(*part).await;
        assert!(facts.is_ok(), "{part:?}: {facts:?}");
    }
    let server = facts!(examiner, Server);
    assert!(server.round_trip.is_some_and(|trip| trip > Duration::ZERO));
    assert!(server.clock_offset_ms.is_some_and(|offset| offset.abs() < 1_000), "{server:?}");
    let connections = facts!(examiner, Connections);
    assert!(connections.spillway > 0 && connections.total < connections.limit, "{connections:?}");
    assert!(facts!(examiner, Storage).bytes > 0);
    examiner.close().await;
    assert_eq!(before, test.query(counts).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn indexes_that_are_missing_or_useless_are_found() {
    let database = database().await;
    database.query("CREATE INDEX by_hand ON documents (body)").await;
    database.query("DROP INDEX deliveries_dead").await;
    let mut examiner = PostgresExaminer::connect(database.url()).await.unwrap();
    let indexes = facts!(examiner, Indexes);
    let missing =
        "CREATE INDEX deliveries_dead ON deliveries (id) INCLUDE (destination_id, connection_id) WHERE state = 2;";
    assert_eq!(indexes.missing, [("deliveries_dead".to_owned(), missing.to_owned())]);
    let unused: Vec<_> = indexes.unused.iter().map(|index| (index.name.as_str(), index.table.as_str())).collect();
    assert_eq!(unused, [("by_hand", "documents")]);
    assert!(indexes.unused[0].bytes.is_some_and(|bytes| bytes > 0));

    database.query(missing).await;
    database.query("INSERT INTO documents SELECT 'k', i::text, 0, ''::bytea FROM generate_series(1, 20000) i").await;
    database.query("ANALYZE documents").await;
    for _ in 0..60 {
        database.query("SELECT count(*) FROM documents WHERE length(body) = 7").await;
    }
    wait_until("the reads to be counted", SOON, async || {
        let indexes = facts!(examiner, Indexes);
        indexes.missing.is_empty() && indexes.scanned.iter().any(|table| table.table == "documents")
    })
    .await;
    examiner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_kept_its_size_is_found_and_one_that_did_not_is_not() {
    let database = database().await;
    database.query("ALTER TABLE idempotency SET (autovacuum_enabled = off)").await;
    let rows =
        "INSERT INTO idempotency SELECT md5(i::text)::uuid, md5(i::text)::uuid FROM generate_series(1, 500000) i";
    database.query(rows).await;
    database.query("VACUUM ANALYZE idempotency").await;
    let mut examiner = PostgresExaminer::connect(database.url()).await.unwrap();
    let loose = facts!(examiner, Bloat).loose;
    assert_eq!(loose, [], "what is full is not loose");
    database.query("DELETE FROM idempotency WHERE get_byte(uuid_send(hash), 0) > 12").await;
    wait_until("dead rows to be counted", SOON, async || !facts!(examiner, Bloat).dead_rows.is_empty()).await;
    database.query("VACUUM ANALYZE idempotency").await;
    let loose = facts!(examiner, Bloat).loose;
    let names: Vec<_> = loose.iter().map(|it| it.name.as_str()).collect();
    assert!(names.contains(&"idempotency_by_event") && names.contains(&"idempotency_pkey"), "{loose:?}");
    assert!(loose.iter().all(|it| it.bytes > 2 * it.needed), "{loose:?}");
    examiner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_waits_is_found_with_the_one_that_holds_it_up() {
    let database = database().await;
    let (mut holder, mut waiter) = (session(database.url()).await, session(database.url()).await);
    run(&mut holder, "BEGIN; LOCK TABLE documents IN ACCESS EXCLUSIVE MODE").await;
    let waiting =
        tokio::spawn(async move { sqlx::raw_sql("DELETE FROM documents").execute(&mut waiter).await.is_ok() });
    let mut examiner = PostgresExaminer::connect(database.url()).await.unwrap();
    let mut seen = LockFacts::default();
    wait_until("the lock to be waited for", SOON, async || {
        seen = facts!(examiner, Locks);
        seen.blocked == 1
    })
    .await;
    assert_eq!(
        (seen.waits[0].query.as_str(), seen.waits[0].holder.state.as_str()),
        ("DELETE FROM documents", "idle in transaction")
    );
    assert_ne!(seen.waits[0].holder.pid, seen.waits[0].pid);

    // What needs the table gives up soon, and the rest goes on.
    let begun = Instant::now();
    let error = examiner.examine(Part::Rollouts).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Contention, "{error}");
    assert!(begun.elapsed() < EXAMINE_TIMEOUT, "{:?}", begun.elapsed());
    assert_eq!(facts!(examiner, Queue).pending, 0);

    run(&mut holder, "ROLLBACK").await;
    assert!(waiting.await.unwrap());
    assert_eq!(facts!(examiner, Locks), LockFacts::default());
    examiner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_statements_are_found_when_they_are_recorded_and_otherwise_it_says_why() {
    let settings = vec![
        ("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned()),
        ("max_prepared_transactions".to_owned(), "2".to_owned()),
    ];
    let server = Postgres::start_with(PostgresOptions { fsync: false, settings, ..PostgresOptions::default() }).await;
    let statements = async || {
        let mut examiner = PostgresExaminer::connect(&server.url()).await.unwrap();
        let facts = facts!(examiner, Statements);
        examiner.close().await;
        facts
    };
    assert_eq!(statements().await, StatementFacts::NotInstalled { loaded: true });
    server.query("CREATE EXTENSION pg_stat_statements").await;
    server.query("SELECT pg_sleep(0.2)").await;
    let StatementFacts::Recorded { slow, hidden: 0, .. } = statements().await else { panic!("it is not recorded") };
    let slept = slow.iter().find(|statement| statement.text == "SELECT pg_sleep($1)").expect("the statement");
    assert!(slept.calls == 1 && slept.mean_ms >= 200.0, "{slept:?}");

    // A role without rights sees that there is something and not what.
    server.query("CREATE ROLE app LOGIN").await;
    let url = server.url().replace("postgres@", "app@");
    let mut examiner = PostgresExaminer::connect(&url).await.unwrap();
    let StatementFacts::Recorded { slow, hidden, role } = facts!(examiner, Statements) else {
        panic!("it is not recorded")
    };
    assert_eq!((slow.len(), role.as_str()), (0, "app"));
    assert!(hidden >= 1);
    server.query("REVOKE SELECT ON pg_stat_statements FROM PUBLIC").await;
    let forbidden = StatementFacts::Forbidden { role: "app".to_owned(), schema: "public".to_owned() };
    assert_eq!(facts!(examiner, Statements), forbidden);
    // What it says to run helps.
    server.query("GRANT pg_read_all_stats TO app; GRANT USAGE ON SCHEMA public TO app; GRANT SELECT ON public.pg_stat_statements TO app").await;
    let StatementFacts::Recorded { slow, hidden: 0, .. } = facts!(examiner, Statements) else {
        panic!("it is hidden still")
    };
    assert!(slow.iter().any(|statement| statement.text == "SELECT pg_sleep($1)"));

    // Without a schema only what needs it is refused, and a right that lacks is told apart.
    let error = examiner.examine(Part::Queue).await.unwrap_err();
    assert!(!error.is_forbidden(), "{error}");
    PostgresStore::connect(postgres_settings(&server.url()), Arc::new(Unobserved)).await.unwrap().close().await;
    assert!(examiner.examine(Part::Queue).await.unwrap_err().is_forbidden());
    server.query("GRANT SELECT ON ALL TABLES IN SCHEMA public TO app").await;
    assert_eq!(facts!(examiner, Queue).pending, 0);

    server.query("CREATE TABLE t (i int)").await;
    let mut other = session(&server.url()).await;
    run(&mut other, "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'left'").await;
    let TransactionFacts { open, prepared, .. } = facts!(examiner, Transactions);
    assert_eq!((open.len(), prepared.len()), (0, 0), "they are young");
    examiner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_and_slots_are_seen() {
    let primary = Postgres::start_with(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await;
    let replica = primary.start_replica().await;
    let mut examiner = PostgresExaminer::connect_to_replica(&replica.url()).await.unwrap();
    assert_eq!(examiner.parts(), [Part::ReplicaLag]);
    wait_until("the replica to catch up", SOON, async || {
        let facts = facts!(examiner, ReplicaLag);
        facts.is_standby && facts.lag.is_some_and(|lag| lag < Duration::from_secs(5))
    })
    .await;
    examiner.close().await;
    primary.query("SELECT pg_create_physical_replication_slot('left', true)").await;
    let mut examiner = PostgresExaminer::connect(&primary.url()).await.unwrap();
    let facts = facts!(examiner, Replication);
    assert_eq!(facts.standbys.len(), 1, "{facts:?}");
    assert_eq!((facts.slots[0].0.as_str(), facts.slots[0].1), ("left", false));
    examiner.close().await;
    let mut examiner = PostgresExaminer::connect(&replica.url()).await.unwrap();
    assert!(facts!(examiner, Server).is_standby);
    assert!(examiner.examine(Part::Replication).await.is_ok());
    examiner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_or_hangs_is_told_and_asked_again() {
    let mut server = Postgres::start_with(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await;
    let mut examiner = PostgresExaminer::connect(&server.url()).await.unwrap();
    server.kill().await;
    let error = examiner.examine(Part::Storage).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert_eq!(PostgresExaminer::connect(&server.url()).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    server.restart().await;
    assert!(facts!(examiner, Storage).bytes > 0);
    server.pause();
    let begun = Instant::now();
    let error = PostgresExaminer::connect(&server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(10));
    server.resume();
    examiner.close().await;
}
