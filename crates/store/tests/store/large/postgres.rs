//! What PostgreSQL's `auto_explain` tells of every statement that a node executes, and what the server counts meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use spillway_store::postgres::PostgresStore;
use spillway_store::{Store, Unobserved};
use spillway_testkit::{TestDatabase, large_tests_wanted, shared_database, wait_until};

use super::{OPERATIONS, TABLES, append_some, assert_fast, deliver_some, expire, fill, of_share, recorder, run};
use crate::support::{Engine, TestStore, postgres_settings};

/// Parameters of a connection whose client is told the plan of each statement once it was executed.
const EXPLAINED: &str = "options[session_preload_libraries]=auto_explain&options[auto_explain.log_min_duration]=0\
    &options[auto_explain.log_format]=json&options[auto_explain.log_level]=warning";
/// Index entries that one operation may read. The largest are two for each of 5,000 keys, and 10,000 pending deliveries counted.
const FEW: u64 = 15_000;

/// How an operation reads the tables that grow, in alphabetic order.
fn expected(operation: &str) -> &'static [&'static str] {
    match operation {
        "append" => &[],
        "append in order" => &[],
        // A claim comes first.
        "settle in order" => &[
            "deliveries by Tid Scan",
            "deliveries by deliveries_by_destination",
            "deliveries by deliveries_pkey, filtered",
            "events by events_pkey",
            "order_heads by order_heads_pkey",
            "order_heads by order_heads_pkey, filtered",
            "order_queue by order_queue_pkey",
        ],
        "append what was stored before" => &["idempotency by idempotency_pkey"],
        "claim" => &["deliveries by Tid Scan", "deliveries by deliveries_by_destination", "events by events_pkey"],
        // Of what is due, the buckets of others are passed over.
        "claim of a share" => &[
            "deliveries by Tid Scan",
            "deliveries by deliveries_by_destination",
            "deliveries by deliveries_by_destination, filtered",
            "events by events_pkey",
        ],
        // Of the one row with this id, generation and state are looked at.
        "renew" | "settle" | "settle again" => &["deliveries by deliveries_pkey, filtered"],
        // Of the one delivery the state is looked at, of the one event whether it has its payload.
        "retry" => &[
            "deliveries by deliveries_pkey",
            "deliveries by deliveries_pkey, filtered",
            "events by events_pkey, filtered",
        ],
        "event" | "events" | "events of a time" | "latest event" => &["events by events_pkey"],
        "events of a source" => &["events by events_source_id_id_idx"],
        "delivery" | "deliveries" => &["deliveries by deliveries_pkey"],
        "of an event" => &["deliveries by deliveries_pkey, filtered"],
        "to a destination" | "to a destination in a state" => &["deliveries by deliveries_by_destination"],
        // The rows of one page are put in order once more.
        "in a state" => &["deliveries by deliveries_by_destination", "deliveries by deliveries_pkey, sorted"],
        "attempts" => &["attempts by attempts_pkey"],
        // Of what is in quarantine, other sources' are passed over.
        "events in quarantine" => &["events by events_id_idx, filtered"],
        // The events are looked at only when a source is wanted, too.
        "selection" => &["deliveries by deliveries_pkey", "events by events_source_id_id_idx"],
        "selection of dead ones" => &["deliveries by deliveries_dead", "events by events_source_id_id_idx"],
        "selection of a source" => &["deliveries by deliveries_pkey", "events by events_source_id_id_idx"],
        "dead letters" => &["attempts by attempts_pkey", "deliveries by deliveries_dead"],
        "deliver" => &["deliveries by deliveries_pkey", "events by events_pkey, filtered"],
        "hold a replay" => &["replays by replays_pkey", "replays by replays_running, filtered"],
        "step of a replay" => &[
            "deliveries by deliveries_pkey",
            "deliveries by deliveries_pkey, filtered",
            "events by events_pkey, filtered",
            "events by events_source_id_id_idx",
            "replays by replays_pkey",
            "replays by replays_running, filtered",
        ],
        // The sample has 256 pages.
        "backlog" => &["deliveries by Sample Scan, filtered", "deliveries by deliveries_by_destination"],
        // There are as many places as destinations and workers, and as few replays as people asked for.
        "housekeeping" => &[
            "attempts by attempts_pkey",
            "budget_use by budget_use_pkey",
            "deliveries by deliveries_pkey",
            "events by events_pkey",
            "held_places by Seq Scan, filtered",
            "idempotency by idempotency_by_event",
            "idempotency by idempotency_pkey",
            "order_heads by order_heads_pkey",
            "replays by Seq Scan, filtered",
        ],
        "expire payloads" => &[
            "deliveries by deliveries_pkey",
            "events by events_pkey",
            "events by events_pkey, filtered",
            "retention_progress by retention_progress_pkey",
        ],
        "expire events of a source" => &[
            "attempts by attempts_pkey",
            "deliveries by deliveries_pkey",
            "events by events_pkey",
            "events by events_source_id_id_idx",
            "retention_progress by retention_progress_pkey",
        ],
        other => panic!("no plan is known of {other}"),
    }
}

async fn connect(url: &str) -> PostgresStore {
    PostgresStore::connect(postgres_settings(url), Arc::new(Unobserved)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_postgres_store_reads_by_its_indexes() {
    if !large_tests_wanted() {
        return;
    }
    let database = shared_database().await;
    let test = TestStore::open(Engine::Postgres).await;
    let store = connect(database.url()).await;
    let contents = fill(&store, &test).await;
    store.close().await;
    // Otherwise index entries that the claims left dead would be counted as read, or not, as autovacuum goes.
    database.query("VACUUM (ANALYZE)").await;

    recorder::listen();
    let explained = format!("{}?{EXPLAINED}", database.url());
    let mut wrong = Vec::new();
    for operation in OPERATIONS {
        let before = Counts::read(&database).await;
        let store = connect(&explained).await;
        recorder::heard(recorder::NOTICES);
        run(operation, &store, &test, &contents).await;
        // The plan comes behind the rows; the session reads it before its next answer.
        store.ping().await.unwrap();
        store.close().await;
        let after = Counts::read(&database).await;
        let (scans, entries) = (after.scans - before.scans, after.entries - before.entries);

        let seen = plans();
        let as_expected = seen.iter().map(String::as_str).eq(expected(operation).iter().copied());
        if !as_expected || scans > 0 || entries > FEW {
            wrong.push(format!("{operation}: {scans} table scans, {entries} index entries, {seen:?}"));
        }
    }
    assert!(wrong.is_empty(), "these read otherwise than expected: {wrong:#?}");

    let store = connect(database.url()).await;
    assert_fast(&store, &test, &contents).await;
    store.close().await;
}

/// The planner is bound to indexes, whatever there is, so a small store shows it in every run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_a_share_reads_by_the_index() {
    let database = shared_database().await;
    let test = TestStore::open(Engine::Postgres).await;
    append_some(&connect(database.url()).await, &test).await;
    recorder::listen();
    let store = connect(&format!("{}?{EXPLAINED}", database.url())).await;
    recorder::heard(recorder::NOTICES);
    assert!(!store.claim(of_share(&test, 48)).await.unwrap().is_empty());
    store.ping().await.unwrap();
    store.close().await;
    let seen = plans();
    assert!(seen.iter().map(String::as_str).eq(expected("claim of a share").iter().copied()), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_of_retention_reads_by_the_indexes() {
    let database = shared_database().await;
    let test = TestStore::open(Engine::Postgres).await;
    let store = connect(database.url()).await;
    deliver_some(&store, &test).await;
    append_some(&store, &test).await;
    store.close().await;
    recorder::listen();
    for operation in ["expire payloads", "expire events of a source"] {
        let store = connect(&format!("{}?{EXPLAINED}", database.url())).await;
        recorder::heard(recorder::NOTICES);
        expire(operation, &store, &test).await;
        store.ping().await.unwrap();
        store.close().await;
        let seen = plans();
        assert!(seen.iter().map(String::as_str).eq(expected(operation).iter().copied()), "{operation}: {seen:?}");
    }
}

/// How the statements that were heard of since the last time read the tables.
fn plans() -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for notice in recorder::heard(recorder::NOTICES) {
        let (_, plan) = notice.split_once("plan:\n").unwrap_or_else(|| panic!("not a plan: {notice}"));
        let plan: Value = serde_json::from_str(plan).unwrap();
        accesses(&plan["Plan"], Under::default(), &mut seen);
    }
    seen
}

/// What the nodes above one in a plan do with its rows.
#[derive(Clone, Copy, Default)]
struct Under {
    /// They stop when they have enough.
    limit: bool,
    /// They need all of them first.
    sort: bool,
}

/// Adds how the plan under `node` reads tables: by which index or kind of scan, and whether it reads rows that it throws away, walks over a
/// whole index, or sorts all it reads.
fn accesses(node: &Value, under: Under, into: &mut BTreeSet<String>) {
    let text = |key: &str| node[key].as_str().unwrap_or_default();
    let kind = text("Node Type");
    if kind.ends_with("Scan") && !text("Relation Name").is_empty() {
        let index = text("Index Name");
        let by = if index.is_empty() { kind } else { index };
        let mut access = format!("{} by {}", without_day(text("Relation Name")), without_day(by));
        for (is_so, remark) in [
            (!text("Filter").is_empty(), ", filtered"),
            (!index.is_empty() && text("Index Cond").is_empty() && !under.limit, ", all of it"),
            (under.sort, ", sorted"),
        ] {
            access.push_str(if is_so { remark } else { "" });
        }
        into.insert(access);
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        let is_its_own_plan =
            ["InitPlan", "SubPlan"].contains(&child["Parent Relationship"].as_str().unwrap_or_default());
        let under = match kind {
            _ if is_its_own_plan => Under::default(),
            "Limit" => Under { limit: true, sort: false },
            "Sort" | "Incremental Sort" => Under { limit: false, sort: true },
            "Aggregate" => Under { limit: false, ..under },
            _ => under,
        };
        accesses(child, under, into);
    }
}

/// The name of a partition, or of an index of one, as if it were its parent's.
fn without_day(name: &str) -> String {
    let is_day = |part: &&str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_digit());
    name.split('_').filter(|part| *part != "default" && !is_day(part)).collect::<Vec<_>>().join("_")
}

/// Sums over all tables that grow.
struct Counts {
    scans: u64,
    entries: u64,
}

impl Counts {
    /// A session reports its counts at its end at the latest.
    async fn read(database: &TestDatabase) -> Self {
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'spillway'";
        let ended = async || database.query(sessions).await == "0";
        wait_until("the sessions of the store to end", Duration::from_secs(10), ended).await;
        let sum = async |what: &str, view: &str| {
            let tables = TABLES.join("|");
            let sql = format!("SELECT sum({what})::bigint FROM {view} WHERE relname ~ '^({tables})'");
            database.query(&sql).await.parse().unwrap()
        };
        Self {
            scans: sum("seq_scan", "pg_stat_user_tables").await,
            entries: sum("idx_tup_read", "pg_stat_user_indexes").await,
        }
    }
}
