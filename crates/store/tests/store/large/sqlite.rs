//! `EXPLAIN QUERY PLAN` of every text that the embedded engine executes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use spillway_model::{DeliveryState, Selection};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{Store, Unobserved};
use spillway_testkit::large_tests_wanted;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use super::{OPERATIONS, TABLES, append_some, assert_fast, deliver_some, expire, fill, of_share, recorder, run};
use crate::support::{Engine, TestStore, WINDOW};

/// What the texts scan beside tables: values, subqueries, pages, the destinations that there are. `known_ids` grows with the configuration.
const SMALL: [&str; 15] = [
    "e",
    "v",
    "present",
    "lane",
    "best",
    "bound",
    "wanted",
    "page",
    "json_each",
    "known_ids",
    "n",
    "looked",
    "of_source",
    "dead",
    "head",
];

/// How an operation reads the tables that grow, in alphabetic order. In the texts `d` and `x` are deliveries and `i` is idempotency.
fn expected(operation: &str) -> &'static [&'static str] {
    const NEXT_DESTINATION: [&str; 2] = [
        "SEARCH d USING COVERING INDEX deliveries_by_destination (destination>?)",
        "SEARCH deliveries USING COVERING INDEX deliveries_by_destination",
    ];
    const ONE_DELIVERY: &str = "SEARCH deliveries USING PRIMARY KEY (seq=? AND ordinal=?)";
    const ONE_EVENT: &str = "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)";
    const EVENTS_OF_A_TIME: &str = "SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
    const ONE_OF_EVENT: &str = "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)";
    const ONE_HEAD: &str = "SEARCH h USING INTEGER PRIMARY KEY (rowid=?)";
    const ONE_KEY: &str = "SEARCH i USING PRIMARY KEY (part=? AND high=? AND low=?)";
    match operation {
        "append" | "append what was stored before" => &[ONE_KEY],
        "append in order" => &[ONE_HEAD],
        // A claim comes first.
        "settle in order" => &[
            "SEARCH d USING COVERING INDEX deliveries_by_destination (destination=? AND state=? AND at<?)",
            "SEARCH d USING COVERING INDEX deliveries_by_destination (destination=? AND state=?)",
            NEXT_DESTINATION[0],
            "SEARCH d USING PRIMARY KEY (seq=? AND ordinal=?)",
            NEXT_DESTINATION[1],
            ONE_DELIVERY,
            ONE_EVENT,
            ONE_HEAD,
            "SEARCH order_heads USING INTEGER PRIMARY KEY (rowid=?)",
            "SEARCH q USING PRIMARY KEY (key=?)",
            "USE TEMP B-TREE FOR ORDER BY",
        ],
        "claim" => &[
            "SEARCH d USING COVERING INDEX deliveries_by_destination (destination=? AND state=? AND at<?)",
            "SEARCH d USING COVERING INDEX deliveries_by_destination (destination=? AND state=?)",
            NEXT_DESTINATION[0],
            NEXT_DESTINATION[1],
            ONE_DELIVERY,
            ONE_EVENT,
            "USE TEMP B-TREE FOR ORDER BY",
        ],
        "claim of a share" => &[
            "SEARCH d EXISTS USING COVERING INDEX deliveries_by_destination (destination=? AND state=? AND at<?)",
            "SEARCH d USING COVERING INDEX deliveries_by_destination (destination=? AND state=? AND at<?)",
            NEXT_DESTINATION[0],
            NEXT_DESTINATION[1],
            ONE_DELIVERY,
            ONE_EVENT,
        ],
        "renew" | "settle" | "settle again" => &[ONE_DELIVERY],
        "retry" => &[ONE_DELIVERY, ONE_EVENT],
        "event" => &[ONE_EVENT],
        "events" | "events of a time" => &[EVENTS_OF_A_TIME],
        "events of a source" => &["SEARCH events USING INDEX events_by_source (source=? AND rowid>? AND rowid<?)"],
        // From the end of the primary key, with `LIMIT 1`.
        "latest event" => &["SCAN events"],
        "delivery" => &["SEARCH d USING PRIMARY KEY (seq=? AND ordinal=?)"],
        "deliveries" => &["SEARCH d USING PRIMARY KEY ((seq,ordinal)<(?,?))"],
        "of an event" => &["SEARCH d USING PRIMARY KEY (seq=? AND ordinal>?)"],
        // What is sorted is a page of each destination and state.
        "to a destination" | "to a destination in a state" => &[
            "SEARCH d USING PRIMARY KEY (seq=? AND ordinal=?)",
            "SEARCH x USING COVERING INDEX deliveries_by_destination (destination=? AND state=? AND (at,seq,ordinal)>(?,?,?) AND at<?)",
            "SEARCH x USING COVERING INDEX deliveries_by_destination (destination=? AND state=? AND at<?)",
            "USE TEMP B-TREE FOR ORDER BY",
        ],
        "in a state" => &[
            "SEARCH d USING PRIMARY KEY (seq=? AND ordinal=?)",
            NEXT_DESTINATION[1],
            "SEARCH x USING COVERING INDEX deliveries_by_destination (destination=? AND state=? AND (at,seq,ordinal)>(?,?,?) AND at<?)",
            "SEARCH x USING COVERING INDEX deliveries_by_destination (destination=? AND state=? AND at<?)",
            "SEARCH x USING COVERING INDEX deliveries_by_destination (destination>?)",
            "USE TEMP B-TREE FOR ORDER BY",
        ],
        "attempts" => &["SEARCH attempts USING PRIMARY KEY (seq=? AND ordinal=?)"],
        "events in quarantine" => &["SEARCH events USING INDEX events_in_quarantine (seq>? AND seq<?)"],
        // What is sorted is one part, of at most 10,000.
        "selection" => &[
            ONE_OF_EVENT,
            "SEARCH x USING PRIMARY KEY ((seq,ordinal)>(?,?) AND (seq,ordinal)<(?,?))",
            "USE TEMP B-TREE FOR ORDER BY",
        ],
        "selection of dead ones" => &[
            ONE_OF_EVENT,
            "SEARCH x USING INDEX deliveries_dead ((seq,ordinal)>(?,?) AND (seq,ordinal)<(?,?))",
            "USE TEMP B-TREE FOR ORDER BY",
        ],
        "selection of a source" => &[
            "SEARCH event USING INDEX events_by_source (source=? AND rowid>? AND rowid<?)",
            ONE_OF_EVENT,
            "SEARCH x USING PRIMARY KEY (seq=?)",
            "USE TEMP B-TREE FOR ORDER BY",
        ],
        // The newest 10,000 of that index, with the last attempt of each.
        "dead letters" => &[
            "SCAN x USING INDEX deliveries_dead",
            "SEARCH a USING PRIMARY KEY (seq=? AND ordinal=? AND number=?) LEFT-JOIN",
            "SEARCH l USING PRIMARY KEY (seq=? AND ordinal=?)",
            "USE TEMP B-TREE FOR GROUP BY",
            "USE TEMP B-TREE FOR ORDER BY",
        ],
        "deliver" => &["SEARCH deliveries USING PRIMARY KEY (seq=?)", ONE_EVENT, ONE_HEAD],
        "hold a replay" => &[],
        "step of a replay" => &[
            ONE_DELIVERY,
            ONE_OF_EVENT,
            ONE_EVENT,
            "SEARCH x USING PRIMARY KEY ((seq,ordinal)>(?,?) AND (seq,ordinal)<(?,?))",
            "USE TEMP B-TREE FOR ORDER BY",
        ],
        // The pending rows are counted: exact, at the price of reading their part of the index.
        "backlog" => &[
            "SEARCH d USING COVERING INDEX deliveries_by_destination (destination=? AND state=?)",
            NEXT_DESTINATION[0],
            NEXT_DESTINATION[1],
        ],
        "housekeeping" => &[
            "SEARCH d USING PRIMARY KEY (seq=? AND ordinal=?) LEFT-JOIN",
            "SEARCH idempotency USING PRIMARY KEY (part<?)",
            "SEARCH idempotency USING PRIMARY KEY (part=? AND high=? AND low=?)",
            "SEARCH order_heads USING INTEGER PRIMARY KEY (rowid>?)",
        ],
        "expire payloads" => &["SEARCH d USING PRIMARY KEY (seq=?)", ONE_EVENT, EVENTS_OF_A_TIME],
        "expire events of a source" => &[
            "SEARCH attempts USING PRIMARY KEY (seq=?)",
            "SEARCH d USING PRIMARY KEY (seq=?)",
            "SEARCH deliveries USING PRIMARY KEY (seq=?)",
            "SEARCH events USING INDEX events_by_source (source=? AND rowid>? AND rowid<?)",
            ONE_EVENT,
        ],
        other => panic!("no plan is known of {other}"),
    }
}

async fn open(file: &Path) -> SqliteStore {
    let settings = SqliteSettings { idempotency_window: WINDOW, ..SqliteSettings::new(file) };
    SqliteStore::open(settings, Arc::new(Unobserved)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_sqlite_store_reads_by_its_indexes() {
    if !large_tests_wanted() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spillway.db");
    let test = TestStore::open(Engine::Sqlite).await;
    let store = open(&file).await;
    let contents = fill(&store, &test).await;
    store.close().await;
    drop(store);

    recorder::listen();
    let mut wrong = Vec::new();
    for operation in OPERATIONS {
        let store = open(&file).await;
        run(operation, &store, &test, &contents).await;
        store.close().await;
        drop(store);
        let seen = accesses(&file, &recorder::heard(recorder::STATEMENTS)).await;
        if !seen.iter().map(String::as_str).eq(expected(operation).iter().copied()) {
            wrong.push((operation, seen));
        }
    }
    assert!(wrong.is_empty(), "these read otherwise than expected: {wrong:#?}");

    let store = open(&file).await;
    assert_fast(&store, &test, &contents).await;
    store.close().await;
}

/// The plan does not depend on how much there is, so a small store shows it in every run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_a_share_reads_by_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spillway.db");
    let test = TestStore::open(Engine::Sqlite).await;
    let store = open(&file).await;
    append_some(&store, &test).await;
    recorder::listen();
    assert!(!store.claim(of_share(&test, 48)).await.unwrap().is_empty());
    store.close().await;
    drop(store);
    let texts = recorder::heard(recorder::STATEMENTS);
    let texts: Vec<String> = texts.into_iter().filter(|text| text.contains("json_group_array")).collect();
    assert!(texts.len() == 1, "{texts:?}");
    let seen = accesses(&file, &texts).await;
    let of_claims = expected("claim of a share");
    assert!(seen.iter().all(|access| of_claims.contains(&access.as_str())), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_of_dead_deliveries_reads_their_index_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spillway.db");
    let store = open(&file).await;
    recorder::listen();
    let selection = Selection { state: Some(DeliveryState::Dead), ..Selection::default() };
    assert_eq!(store.count(selection, 10).await.unwrap().deliveries, 0);
    store.close().await;
    drop(store);
    let seen = accesses(&file, &recorder::heard(recorder::STATEMENTS)).await;
    assert!(seen.iter().any(|access| access.starts_with("SEARCH x USING COVERING INDEX deliveries_dead")), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_of_retention_reads_by_the_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spillway.db");
    let test = TestStore::open(Engine::Sqlite).await;
    let store = open(&file).await;
    deliver_some(&store, &test).await;
    append_some(&store, &test).await;
    store.close().await;
    drop(store);
    recorder::listen();
    for operation in ["expire payloads", "expire events of a source"] {
        let store = open(&file).await;
        recorder::heard(recorder::STATEMENTS);
        expire(operation, &store, &test).await;
        store.close().await;
        drop(store);
        let seen = accesses(&file, &recorder::heard(recorder::STATEMENTS)).await;
        assert!(seen.iter().map(String::as_str).eq(expected(operation).iter().copied()), "{operation}: {seen:?}");
    }
}

/// How `texts` read the tables that grow, in alphabetic order.
async fn accesses(file: &Path, texts: &[String]) -> BTreeSet<String> {
    let options = SqliteConnectOptions::new().filename(file).disable_statement_logging();
    let mut connection = options.connect().await.unwrap();
    let mut accesses = BTreeSet::new();
    let statements: BTreeSet<&str> = texts.iter().flat_map(|text| text.split(';')).collect();
    for statement in statements.into_iter().filter(|statement| TABLES.iter().any(|table| statement.contains(table))) {
        let sql = format!("EXPLAIN QUERY PLAN {statement}");
        for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap() {
            let step: String = row.get("detail");
            if reads_a_table(&step) {
                accesses.insert(step);
            }
        }
    }
    accesses
}

/// Whether a step of a plan reads, or sorts, something that may be large.
fn reads_a_table(step: &str) -> bool {
    let mut words = step.split(' ');
    match (words.next(), words.next()) {
        (Some("SCAN" | "SEARCH"), Some(name)) => {
            let is_written_there = step.contains("VALUES CLAUSE") || step.contains("CONSTANT ROW");
            !SMALL.contains(&name) && !name.starts_with("(subquery") && !is_written_there
        }
        (Some("USE"), _) => true,
        _ => false,
    }
}
