//! `intake.mode = "synchronous"`: a webhook is answered when its deliveries have been attempted, and is stored whatever the answer says.

use std::time::{Duration, Instant};

use spillway_testkit::{Answer, Sink, shared_database, wait_until};

use crate::support::{Folder, SOON, Sender, orders_to, serve, stop};

/// What the destination takes: longer than any commit on an idle machine.
const SLOW: Duration = Duration::from_millis(400);
/// How long a request may wait for its deliveries.
const PATIENCE: Duration = Duration::from_secs(2);

/// Settings of a synchronous gateway over this store.
fn synchronous(sink: &Sink, store: &str) -> String {
    let delivery = "timeout = \"4s\"\nretry_schedule = [\"0s\", \"1s\", \"1s\", \"1s\", \"1s\"]";
    let settings = orders_to(&sink.url("/"), store, delivery);
    let patience = format!("[server]\nrequest_timeout = \"{}s\"\n", PATIENCE.as_secs());
    let settings = settings.replacen("[server]\n", &patience, 1);
    format!("[intake]\nmode = \"synchronous\"\n{settings}")
}

/// Sends to a destination that is slow, one that fails, and one that hangs.
async fn answers_follow_the_deliveries(folder: &Folder, store: &str) {
    let sink = Sink::start().await;
    folder.settings(&synchronous(&sink, store));
    let (gateway, sender) = (folder.start(&[]).await, Sender::new());

    sink.respond_with(|_| Answer::status(200).after(SLOW));
    let begun = Instant::now();
    let (status, answer) = sender.webhook(&gateway.url, "{\"n\":1}").await;
    assert_eq!(status, 202, "{answer}");
    assert!(begun.elapsed() >= SLOW, "answered after {:?}, before the destination was", begun.elapsed());
    assert_eq!(sink.count(), 1);

    sink.respond_with(|_| Answer::status(500));
    let (status, problem) = sender.webhook(&gateway.url, "{\"n\":2}").await;
    assert_eq!((status, problem["code"].as_str()), (502, Some("delivery_failed")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("1 of its 1 deliveries failed")), "{problem}");

    sink.respond_with(|_| Answer::hang());
    let begun = Instant::now();
    let (status, problem) = sender.webhook(&gateway.url, "{\"n\":3}").await;
    assert_eq!((status, problem["code"].as_str()), (504, Some("delivery_late")), "{problem}");
    assert!(begun.elapsed() >= PATIENCE, "answered after {:?}", begun.elapsed());

    // What was refused is stored all the same, and goes on by itself.
    sink.respond_with(|_| Answer::status(200));
    let key = gateway.admin_key.clone().expect("the first start prints a key");
    let delivered = async || {
        let page = sender.get_as(&gateway.url, "/api/v1/deliveries?state=delivered", &key).await;
        page["data"].as_array().map_or(0, Vec::len)
    };
    wait_until("all three to be delivered", SOON, async || delivered().await == 3).await;
    stop(gateway).await;
}

#[tokio::test]
async fn on_sqlite_answers_follow_the_deliveries_and_lose_nothing() {
    let folder = Folder::new();
    let store = format!("data_dir = \"{}\"", folder.path("data").display());
    answers_follow_the_deliveries(&folder, &store).await;
}

#[tokio::test]
async fn on_postgres_answers_follow_the_deliveries_and_lose_nothing() {
    let (folder, database) = (Folder::new(), shared_database().await);
    answers_follow_the_deliveries(&folder, &format!("url = \"{}\"", database.url())).await;
}

#[tokio::test]
async fn an_event_that_goes_nowhere_is_answered_at_once() {
    let (folder, sink) = (Folder::new(), Sink::start().await);
    let store = format!("data_dir = \"{}\"", folder.path("data").display());
    let settings = synchronous(&sink, &store);
    let (alone, _) = settings.split_once("[[connections]]").expect("a connection");
    folder.settings(alone);
    let (gateway, sender) = (folder.start(&[]).await, Sender::new());
    let begun = Instant::now();
    assert_eq!(sender.webhook(&gateway.url, "{}").await.0, 202);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert_eq!(sink.count(), 0);
    stop(gateway).await;
}

#[tokio::test]
async fn a_process_that_does_not_deliver_refuses_the_mode() {
    let (folder, database) = (Folder::new(), shared_database().await);
    let sink = Sink::start().await;
    let config = folder.settings(&synchronous(&sink, &format!("url = \"{}\"", database.url())));
    let config = config.to_str().expect("a path in UTF-8");
    let says = ["settings_conflict", "intake.mode and server.role", "set server.role to \"all\""];
    serve(&["--config", config, "--role", "api"]).await.with(64, &says);
}
