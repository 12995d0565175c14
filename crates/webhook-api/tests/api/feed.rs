//! The feed itself: what its subscribers get.

use std::time::Duration;

use spillway_webhook_api::{FeedFilter, FeedStatus, FeedSubscription};

use crate::support::TestApp;

const SOON: Duration = Duration::from_secs(20);

/// Ids of the next `n` events that match, shown or not.
async fn next(subscription: &mut FeedSubscription, n: u64) -> (Vec<String>, u64) {
    let (mut ids, mut skipped) = (Vec::new(), 0);
    while ids.len() as u64 + skipped < n {
        let batch = tokio::time::timeout(SOON, subscription.next()).await.expect("in time").expect("a batch");
        ids.extend(batch.events.iter().map(|event| event.summary().id.to_string()));
        skipped += batch.skipped;
    }
    (ids, skipped)
}

async fn send(app: &TestApp, source: &str, n: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..n {
        let answer = app.request(http::Method::POST, &format!("/in/{source}")).body("{}").send().await;
        ids.push(answer.expect(http::StatusCode::ACCEPTED).text("id"));
    }
    ids
}

async fn open_source(app: &TestApp, name: &str) -> spillway_model::SourceId {
    let made = app.post("/api/v1/sources", serde_json::json!({"name": name, "provider": "none"})).await;
    made.expect(http::StatusCode::CREATED).text("id").parse().expect("an id")
}

#[tokio::test]
async fn each_subscriber_gets_what_its_filter_lets_through_from_its_beginning_on() {
    let app = TestApp::start().await;
    let (shop, mail) = (open_source(&app, "shop").await, open_source(&app, "mail").await);
    send(&app, "shop", 2).await;
    let feed = app.gateway.streams.feed();
    let mut all = feed.subscribe(FeedFilter::default());
    let mut shops = feed.subscribe(FeedFilter { source: Some(shop), ..FeedFilter::default() });
    let mut mails = feed.subscribe(FeedFilter { source: Some(mail), ..FeedFilter::default() });
    let status = Some(FeedStatus::Quarantined);
    let mut none = feed.subscribe(FeedFilter { source: Some(shop), status, ..FeedFilter::default() });
    let from_shop = send(&app, "shop", 3).await;
    let from_mail = send(&app, "mail", 1).await;
    assert_eq!(next(&mut all, 4).await, ([from_shop.clone(), from_mail.clone()].concat(), 0));
    assert_eq!(next(&mut shops, 3).await, (from_shop, 0));
    assert_eq!(next(&mut mails, 1).await, (from_mail, 0));
    assert!(tokio::time::timeout(Duration::from_millis(600), none.next()).await.is_err());
}

#[tokio::test]
async fn rows_are_what_the_list_shows() {
    let app = TestApp::start().await;
    open_source(&app, "shop").await;
    let mut subscription = app.gateway.streams.feed().subscribe(FeedFilter::default());
    send(&app, "shop", 1).await;
    let batch = subscription.next().await.expect("a batch");
    let listed = app.get("/api/v1/events").await.json()["data"][0].clone();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(batch.events[0].json()).expect("JSON"), listed);
}

#[tokio::test]
async fn a_slow_subscriber_is_told_how_many_it_missed_and_holds_nobody_up() {
    let app = TestApp::start().await;
    open_source(&app, "shop").await;
    let feed = app.gateway.streams.feed();
    let mut slow = feed.subscribe(FeedFilter::default());
    let mut quick = feed.subscribe(FeedFilter::default());
    let mut n = 0;
    // One batch for each, so that the slow one is late by more batches than are kept for it.
    for _ in 0..12 {
        send(&app, "shop", 1).await;
        n += 1;
        assert_eq!(next(&mut quick, 1).await.0.len(), 1);
    }
    let (ids, skipped) = next(&mut slow, n).await;
    assert_eq!((ids.len() as u64 + skipped, skipped > 0), (n, true), "{ids:?}");
}

#[tokio::test]
async fn a_flood_is_a_hundred_rows_and_a_number() {
    let app = TestApp::start().await;
    open_source(&app, "shop").await;
    let mut subscription = app.gateway.streams.feed().subscribe(FeedFilter::default());
    let sent = send(&app, "shop", 400).await;
    let (ids, skipped) = next(&mut subscription, 400).await;
    assert_eq!(ids.len() as u64 + skipped, 400);
    assert!(skipped > 0 && ids.iter().all(|id| sent.contains(id)));
    assert_eq!(ids.last(), sent.last(), "the latest are shown");
}

#[tokio::test]
async fn nobody_looks_and_nothing_is_kept() {
    let app = TestApp::start().await;
    open_source(&app, "shop").await;
    let feed = app.gateway.streams.feed();
    drop(feed.subscribe(FeedFilter::default()));
    send(&app, "shop", 5).await;
    let mut later = feed.subscribe(FeedFilter::default());
    let sent = send(&app, "shop", 1).await;
    assert_eq!(next(&mut later, 1).await, (sent, 0));
}

#[tokio::test]
async fn events_of_another_node_come_too_and_each_once() {
    let app = TestApp::start().await;
    open_source(&app, "shop").await;
    let other = app.another_node().await;
    let mut subscription = other.gateway.streams.feed().subscribe(FeedFilter::default());
    // The embedded store, which two nodes never share but here, takes one event for each tick of the clock.
    let mut sent = Vec::new();
    for node in [&app, &other, &app] {
        app.clock.advance(1);
        sent.extend(send(node, "shop", 3).await);
    }
    let (mut ids, skipped) = next(&mut subscription, 9).await;
    ids.sort();
    sent.sort();
    assert_eq!((ids, skipped), (sent, 0));
    assert!(
        tokio::time::timeout(Duration::from_secs(1), subscription.next()).await.is_err(),
        "none of them comes twice"
    );
}
