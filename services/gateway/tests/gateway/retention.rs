//! Retention in the running program, and what it refuses.

use std::sync::Arc;

use bytes::Bytes;
use spillway_model::{Clock, Event, EventId, HeaderBlock, IdGenerator, ManualClock, NewEvent, SourceId, SystemClock};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{EventFilter, Store, Unobserved};
use spillway_testkit::{Sink, wait_until};

use crate::support::{Folder, SOON, Sender, orders_to, serve, stop};

const HOUR: i64 = 3_600_000;

async fn open(folder: &Folder) -> SqliteStore {
    let settings = SqliteSettings::new(folder.path("data").join("spillway.db"));
    SqliteStore::open(settings, Arc::new(Unobserved)).await.expect("the database of the gateway")
}

/// Events without deliveries that were received so many hours ago.
async fn received(store: &dyn Store, source: SourceId, hours: &[i64]) -> Vec<EventId> {
    let mut received = Vec::new();
    for ago in hours {
        let ids = IdGenerator::new(Arc::new(ManualClock::at(SystemClock.now() - ago * HOUR)), 7);
        let event = Event {
            id: ids.event(),
            source,
            event_type: None,
            headers: HeaderBlock::encode([("x-a", &b"1"[..])]),
            body: Bytes::from_static(b"{}"),
            trace: None,
            quarantine: None,
        };
        received.push(event.id);
        let new = NewEvent { event: Arc::new(event), idempotency: None, deliveries: Vec::new() };
        store.append(vec![new]).await.expect("an event");
    }
    received
}

async fn stored(folder: &Folder) -> Vec<EventId> {
    let store = open(folder).await;
    let filter = EventFilter { source: None, before: None, from: None, quarantined: false, limit: 100 };
    let events = store.events(filter).await.expect("a list").rows.iter().map(|event| event.id).rev().collect();
    store.close().await;
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_events_go_by_the_settings_and_payloads_by_the_rule_of_their_source() {
    let folder = Folder::new();
    let sink = Sink::start().await;
    let store = format!("data_dir = \"{}\"\n[retention]\nevents = \"10h\"", folder.path("data").display());
    let settings = orders_to(&sink.url("/"), &store, "");
    let rule = "provider = \"none\"\nretention = { payloads = \"5h\" }";
    folder.settings(&settings.replacen("provider = \"none\"", rule, 1));
    stop(folder.start(&[]).await).await;

    let store = open(&folder).await;
    let source = store.configuration().await.expect("a configuration").sources.remove(0);
    let ids = received(&store, source.id, &[30, 11, 9, 0]).await;
    store.close().await;
    drop(store);

    let gateway = folder.start(&[]).await;
    let sender = Sender::new();
    let removed = async || sender.counter(&gateway.url, "spillway_retention_removed_total").await >= 3.0;
    wait_until("two events and a payload to go", SOON, removed).await;
    let told = async || folder.log().contains("retention removed what was old enough");
    wait_until("the log to say so", SOON, told).await;
    stop(gateway).await;
    assert_eq!(stored(&folder).await, ids[2..]);
    let store = open(&folder).await;
    let is_removed = async |id| store.event(id).await.expect("a read").expect("an event").payload_is_removed();
    assert_eq!((is_removed(ids[2]).await, is_removed(ids[3]).await), (true, false));
    store.close().await;
}

#[tokio::test]
async fn a_replica_of_an_embedded_store_is_refused() {
    let folder = Folder::new();
    let store = format!(
        "data_dir = \"{}\"\nreplica_url = \"postgres://postgres@127.0.0.1:1/postgres\"",
        folder.path("data").display()
    );
    let settings = folder.settings(&orders_to("http://127.0.0.1:1/", &store, ""));
    let ended = serve(&["--config", settings.to_str().expect("a path")]).await;
    ended.with(64, &["store.replica_url", "SQLite, which has no replicas", "store.url"]);
}
