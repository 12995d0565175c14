//! Live events over real connections.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{EventStream, SocketClient, ids};
use crate::support::{Options, TestApp};

async fn shop(app: &TestApp) {
    app.post("/api/v1/sources", json!({"name": "shop", "provider": "none"})).await.expect(StatusCode::CREATED);
}

async fn send(app: &TestApp, body: &str) -> String {
    let request = app.request(Method::POST, "/in/shop").header("x-kind", "test").body(body.to_owned());
    request.send().await.expect(StatusCode::ACCEPTED).text("id")
}

#[tokio::test]
async fn server_sent_events_are_rows_that_nothing_keeps_back() {
    let app = TestApp::start().await;
    shop(&app).await;
    let key = app.key("read").await;
    let mut stream = EventStream::open(&app, "/api/v1/events/stream", &key, &[("accept-encoding", "gzip")]).await;
    let header = |name: &str| stream.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    for (name, value) in [
        ("content-type", Some("text/event-stream")),
        ("cache-control", Some("no-store")),
        ("x-accel-buffering", Some("no")),
        ("content-encoding", None),
    ] {
        assert_eq!(header(name).as_deref(), value, "{name}");
    }
    let sent = send(&app, "{}").await;
    let frame = stream.next().await.expect("an event");
    assert_eq!((frame.name.as_str(), frame.id.as_ref()), ("events", Some(&sent)));
    assert_eq!((&frame.data["skipped"], &frame.data["events"][0]["source_name"]), (&json!(0), &json!("shop")));
    assert_eq!(ids(&frame.data), [sent]);
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_it_missed_once() {
    let app = TestApp::start().await;
    shop(&app).await;
    let mut missed = Vec::new();
    let known = send(&app, "{}").await;
    for _ in 0..3 {
        missed.push(send(&app, "{}").await);
    }
    let path = "/api/v1/events/stream";
    let mut stream = EventStream::open(&app, path, app.admin_key(), &[("last-event-id", &known)]).await;
    assert_eq!(ids(&stream.next().await.expect("what was missed").data), missed);
    let new = send(&app, "{}").await;
    assert_eq!(ids(&stream.next().await.expect("what is new").data), [new]);

    let mut socket = SocketClient::open(&app, &format!("?after={known}")).await;
    assert_eq!(ids(&socket.next().await.expect("a message")).len(), 4);
}

#[tokio::test]
async fn of_many_missed_events_the_latest_hundred_are_shown() {
    let app = TestApp::start().await;
    shop(&app).await;
    let known = send(&app, "{}").await;
    for _ in 0..130 {
        send(&app, "{}").await;
    }
    let last = send(&app, "{}").await;
    let path = format!("/api/v1/events/stream?after={known}");
    let mut stream = EventStream::open(&app, &path, app.admin_key(), &[]).await;
    let batch = stream.next().await.expect("what was missed").data;
    assert_eq!((ids(&batch).len(), &batch["skipped"]), (100, &json!(31)));
    assert_eq!(ids(&batch).last(), Some(&last));
    assert_eq!(batch.get("incomplete"), None);
}

#[tokio::test]
async fn a_tail_over_a_websocket_follows_its_filter() {
    let app = TestApp::start().await;
    shop(&app).await;
    app.github_source().await;
    let mut all = SocketClient::open(&app, "").await;
    let mut pushes = SocketClient::open(&app, "?mode=tail&source=github&type=pu*&status=accepted").await;
    let mut quarantined = SocketClient::open(&app, "?status=quarantined").await;
    let from_shop = send(&app, "{}").await;
    let push = app.webhook("d-1", b"{}").header("x-github-event", "push").send().await.text("id");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(ids(&all.next().await.expect("a batch")));
    }
    assert_eq!(seen, [from_shop, push.clone()]);
    assert_eq!(ids(&pushes.next().await.expect("a batch")), [push]);
    assert!(quarantined.is_silent().await);
}

#[tokio::test]
async fn whole_events_come_in_their_order_from_any_of_them_on() {
    let app = TestApp::start().await;
    shop(&app).await;
    let first = send(&app, r#"{"n":1}"#).await;
    let second = send(&app, "\u{0}not text? yes").await;
    let mut socket = SocketClient::open(&app, &format!("?mode=deliver&source=shop&from={second}")).await;
    let event = socket.next().await.expect("an event")["event"].clone();
    assert_eq!((&event["id"], &event["source_name"]), (&json!(second), &json!("shop")));
    assert_eq!(event["body_base64"], data_encoding::BASE64.encode("\u{0}not text? yes".as_bytes()));
    let headers = event["headers"].as_array().expect("headers");
    assert!(headers.contains(&json!({"name": "x-kind", "value": "test"})), "{headers:?}");
    socket.acknowledge(&second).await;
    let third = send(&app, "3").await;
    assert_eq!(socket.next().await.expect("an event")["event"]["id"], third);

    let mut from_start = SocketClient::open(&app, &format!("?mode=deliver&source=shop&from={first}")).await;
    for expected in [first, second, third] {
        assert_eq!(from_start.next().await.expect("an event")["event"]["id"], expected);
    }
    assert!(from_start.is_silent().await);
}

#[tokio::test]
async fn no_more_events_are_under_way_than_the_window_and_none_is_left_out() {
    let app = TestApp::start().await;
    shop(&app).await;
    let mut socket = SocketClient::open(&app, "?mode=deliver&source=shop&window=2").await;
    let mut sent = Vec::new();
    for _ in 0..300 {
        sent.push(send(&app, "{}").await);
    }
    let mut under_way: Vec<String> = Vec::new();
    for _ in 0..2 {
        under_way.push(socket.next().await.expect("an event")["event"]["id"].as_str().expect("an id").to_owned());
    }
    assert!(socket.is_silent().await, "two are under way");
    let mut seen = under_way.clone();
    while seen.len() < sent.len() {
        socket.acknowledge(&under_way.remove(0)).await;
        let id = socket.next().await.expect("an event")["event"]["id"].as_str().expect("an id").to_owned();
        under_way.push(id.clone());
        seen.push(id);
    }
    assert_eq!(seen, sent);
}

#[tokio::test]
async fn whole_events_of_another_node_come_too() {
    let app = TestApp::start().await;
    shop(&app).await;
    let other = app.another_node().await;
    let mut socket = SocketClient::open(&other, "?mode=deliver&source=shop").await;
    let mut sent = Vec::new();
    for node in [&app, &other, &app] {
        app.clock.advance(1);
        sent.push(send(node, "{}").await);
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let id = socket.next().await.expect("an event")["event"]["id"].as_str().expect("an id").to_owned();
        socket.acknowledge(&id).await;
        seen.push(id);
    }
    assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>(), sent.iter().collect());
    assert!(socket.is_silent().await);
}

#[tokio::test]
async fn streams_end_when_their_key_is_deleted() {
    let app = TestApp::start().await;
    shop(&app).await;
    let made = app.post("/api/v1/keys", json!({"name": "short", "scope": "read"})).await.expect(StatusCode::CREATED);
    let key = made.text("key");
    let mut stream = EventStream::open(&app, "/api/v1/events/stream", &key, &[]).await;
    let mut tail = SocketClient::try_open(&app, "", &key).await.unwrap_or_else(|error| panic!("{error:?}"));
    let deliver = SocketClient::try_open(&app, "?mode=deliver&source=shop", &key).await;
    let mut deliver = deliver.unwrap_or_else(|error| panic!("{error:?}"));
    for socket in [&mut tail, &mut deliver] {
        assert_eq!(socket.next().await.expect("a greeting")["type"], "ready");
    }
    app.delete(&format!("/api/v1/keys/{}", made.text("id"))).await.expect(StatusCode::NO_CONTENT);
    let end = stream.next().await.expect("a goodbye");
    assert_eq!((end.name.as_str(), &end.data["reason"]), ("end", &json!("key_deleted")));
    assert_eq!(stream.next().await, None);
    for mut socket in [tail, deliver] {
        assert_eq!(socket.next().await, Err((1_008, "the key was deleted".to_owned())));
    }
    assert_eq!(SocketClient::try_open(&app, "", &key).await.err().map(|(status, _)| status), Some(401));
}

#[tokio::test]
async fn streams_end_with_a_goodbye_when_the_gateway_stops() {
    let app = TestApp::start().await;
    shop(&app).await;
    let mut stream = EventStream::open(&app, "/api/v1/events/stream", app.admin_key(), &[]).await;
    let mut socket = SocketClient::open(&app, "?mode=deliver&source=shop").await;
    app.gateway.streams.close();
    assert_eq!(stream.next().await.expect("a goodbye").data["reason"], "stopping");
    assert_eq!(stream.next().await, None);
    assert_eq!(socket.next().await.expect_err("the end").0, 1_001);
}

#[tokio::test]
async fn there_is_room_for_so_many_streams_and_it_comes_back() {
    let app = TestApp::start_with(Options { max_streams: 2, ..Options::default() }).await;
    shop(&app).await;
    let stream = EventStream::open(&app, "/api/v1/events/stream", app.admin_key(), &[]).await;
    let _socket = SocketClient::open(&app, "").await;
    app.get("/api/v1/events/stream").await.refused(503, "streams_full", &["2 clients", "server.max_streams"]);
    let (status, problem) = SocketClient::try_open(&app, "", app.admin_key()).await.err().expect("no room");
    assert_eq!((status, &problem["code"]), (503, &json!("streams_full")));
    let metrics = app.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("spillway_stream_clients{kind=\"sse\"} 1"), "{metrics}");
    assert!(metrics.contains("spillway_stream_clients{kind=\"tail\"} 1"), "{metrics}");
    drop(stream);
    let opened = async {
        while let Err((status, _)) = SocketClient::try_open(&app, "", app.admin_key()).await {
            assert_eq!(status, 503);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), opened).await.expect("room again");
}

#[tokio::test]
async fn what_cannot_be_streamed_is_refused_before_it_begins() {
    let app = TestApp::start().await;
    shop(&app).await;
    let plain = app.get("/api/v1/stream").await;
    plain.refused(426, "upgrade_required", &["/api/v1/events/stream"]);
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    let get = |query: &str| app.api(Method::GET, &format!("/api/v1/events/stream?{query}")).send();
    get("source=nobody").await.refused(404, "source_unknown", &[]);
    get("status=dead").await.refused(400, "query_invalid", &["accepted or quarantined"]);
    get("after=evt_1").await.refused(400, "query_invalid", &["after is no id"]);
    get("types=x").await.refused(400, "query_invalid", &["did you mean `type`"]);
    let header = app.api(Method::GET, "/api/v1/events/stream").header("last-event-id", "x").send().await;
    header.refused(400, "query_invalid", &["Last-Event-ID"]);
    for (query, status, code, hint) in [
        ("?mode=both", 400, "query_invalid", "tail or deliver"),
        ("?mode=deliver", 400, "query_invalid", "needs the source"),
        ("?mode=deliver&source=nobody", 404, "source_unknown", "nobody"),
        ("?mode=deliver&source=shop&window=0", 400, "query_invalid", "1 to 256"),
        ("?mode=deliver&source=shop&from=now", 400, "query_invalid", "from is no id"),
        ("?mode=deliver&source=shop&type=x", 400, "query_invalid", "for mode=tail"),
        ("?window=3", 400, "query_invalid", "for mode=deliver"),
    ] {
        let (answered, problem) = SocketClient::try_open(&app, query, app.admin_key()).await.err().expect("a refusal");
        assert_eq!((answered, &problem["code"]), (status, &json!(code)), "{query}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(hint)), "{query}: {problem}");
    }
}

#[tokio::test]
async fn a_client_that_says_something_else_is_told_so() {
    let app = TestApp::start().await;
    shop(&app).await;
    for said in ["hello", r#"{"type":"ack"}"#, r#"{"type":"ack","id":"evt_1"}"#] {
        let mut socket = SocketClient::open(&app, "?mode=deliver&source=shop").await;
        socket.say(said).await;
        let (code, reason) = socket.next().await.expect_err("the end");
        assert!(code == 1_008 && reason.contains("ack"), "{said}: {code} {reason}");
    }
    let mut huge = SocketClient::open(&app, "?mode=deliver&source=shop").await;
    huge.say(&"x".repeat(100_000)).await;
    assert!(huge.next().await.is_err());
    let mut tail = SocketClient::open(&app, "").await;
    tail.say("hello").await;
    let sent = send(&app, "{}").await;
    assert_eq!(ids(&tail.next().await.unwrap_or(Value::Null)), [sent], "a tail listens to nobody");
}
