//! Budgets through the whole program: what is over them waits, and the API says so.

use std::time::Duration;

use serde_json::json;
use spillway_model::{Clock, SystemClock};
use spillway_testkit::{Sink, shared_database, wait_until};

use crate::support::{Folder, SOON, Sender, orders_to, stop};

const HOUR_MS: i64 = 3_600_000;

async fn what_is_over_budget_waits(folder: &Folder, store: &str) {
    // The hour must not end under the test.
    let minute_left = || HOUR_MS - SystemClock.now().rem_euclid(HOUR_MS) > 60_000;
    wait_until("an hour with a minute left", Duration::from_secs(90), async || minute_left()).await;
    let sink = Sink::start().await;
    let budget = "[destinations.budget]\nrequests_per_hour = 5\n[[connections]]";
    folder.settings(&orders_to(&sink.url("/"), store, "").replace("[[connections]]", budget));
    let gateway = folder.start(&[]).await;
    let key = gateway.admin_key.clone().expect("the first start prints a key");
    let sender = Sender::new();
    for n in 0..8 {
        sender.send(&gateway.url, format!(r#"{{"n":{n}}}"#)).await.expect("an acknowledgement");
    }
    sink.wait_for_count(5, SOON).await;
    let show = async || sender.get_as(&gateway.url, "/api/v1/destinations/shop/budget", &key).await;
    wait_until("the budget to be used up", SOON, async || !show().await["waiting_until"].is_null()).await;
    let budget = show().await;
    assert_eq!((&budget["requests"], &budget["used_ratio"]), (&json!(5), &json!(1.0)));

    let waiting = async || {
        let page = sender.get_as(&gateway.url, "/api/v1/deliveries?state=pending", &key).await;
        let deliveries = page["data"].as_array().cloned().unwrap_or_default();
        deliveries.into_iter().filter(|one| one["due_at"] == budget["waiting_until"]).count()
    };
    wait_until("the others to wait for the next hour", SOON, async || waiting().await == 3).await;
    assert_eq!(sink.count(), 5);
    assert_eq!(sender.gauge(&gateway.url, "spillway_budget_waiting").await, Some(1.0));
    stop(gateway).await;
}

#[tokio::test]
async fn what_is_over_budget_waits_on_sqlite() {
    let folder = Folder::new();
    let store = format!("data_dir = \"{}\"", folder.path("data").display());
    what_is_over_budget_waits(&folder, &store).await;
}

#[tokio::test]
async fn what_is_over_budget_waits_on_postgres() {
    let (folder, database) = (Folder::new(), shared_database().await);
    what_is_over_budget_waits(&folder, &format!("url = \"{}\"", database.url())).await;
}
