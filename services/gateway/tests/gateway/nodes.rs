//! Several processes on one PostgreSQL.

use spillway_devtools::gateway::Gateway;
use spillway_testkit::{Redis, Sink, shared_database, wait_until};

use crate::support::{Folder, SOON, Sender, assert_each_arrived_once, orders_to, stop};

const API: [&str; 2] = ["--role", "api"];
const WORKER: [&str; 2] = ["--role", "worker"];
/// Events sent at once.
const BATCH: usize = 40;

/// Two of each role, started at the same time on an empty database.
async fn start_four(folder: &Folder) -> [Gateway; 4] {
    let (a, b, c, d) = tokio::join!(
        folder.try_start(&API, "api-1.log"),
        folder.try_start(&API, "api-2.log"),
        folder.try_start(&WORKER, "worker-1.log"),
        folder.try_start(&WORKER, "worker-2.log"),
    );
    [a, b, c, d].map(|started| started.expect("a node that starts"))
}

/// Sends to both api nodes until both workers have delivered, and checks that each event arrived once.
async fn share_the_work(folder: &Folder, sink: &Sink) {
    let nodes = start_four(folder).await;
    let keys = nodes.iter().filter(|node| node.admin_key.is_some()).count();
    assert_eq!(keys, 1, "one of the nodes makes the admin key");
    let [api, api_2, worker, worker_2] = &nodes;
    let sender = Sender::new();
    let mut ids = Vec::new();
    wait_until("both workers to deliver", SOON, async || {
        let mut batch = tokio::task::JoinSet::new();
        for n in 0..BATCH {
            let (sender, url) = (sender.clone(), [&api.url, &api_2.url][n % 2].clone());
            batch.spawn(async move { sender.send(&url, format!("{{\"n\":{n}}}")).await.expect("an acknowledgement") });
        }
        ids.extend(batch.join_all().await);
        let attempts = tokio::join!(
            sender.counter(&worker.url, "spillway_attempts_total"),
            sender.counter(&worker_2.url, "spillway_attempts_total"),
        );
        attempts.0 > 0.0 && attempts.1 > 0.0
    })
    .await;
    sink.wait_for_count(ids.len(), SOON).await;
    for node in nodes {
        stop(node).await;
    }
    assert_each_arrived_once(sink, &ids);
}

#[tokio::test]
async fn two_api_nodes_and_two_workers_share_the_work_through_redis() {
    let (folder, sink) = (Folder::new(), Sink::start().await);
    let (database, redis) = (shared_database().await, Redis::start().await);
    let settings = orders_to(&sink.url("/"), &format!("url = \"{}\"", database.url()), "");
    folder.settings(&format!("[redis]\nurl = \"{}\"\n{settings}", redis.url()));
    share_the_work(&folder, &sink).await;
}

#[tokio::test]
async fn two_api_nodes_and_two_workers_share_the_work_without_redis() {
    let (folder, sink) = (Folder::new(), Sink::start().await);
    let database = shared_database().await;
    folder.settings(&orders_to(&sink.url("/"), &format!("url = \"{}\"", database.url()), ""));
    share_the_work(&folder, &sink).await;
}

#[tokio::test]
async fn a_worker_takes_no_webhooks() {
    let (folder, sink) = (Folder::new(), Sink::start().await);
    let database = shared_database().await;
    folder.settings(&orders_to(&sink.url("/"), &format!("url = \"{}\"", database.url()), ""));
    let worker = folder.start(&WORKER).await;
    assert_eq!(Sender::new().send(&worker.url, "{}".to_owned()).await, None);
}
