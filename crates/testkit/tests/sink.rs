//! The sink records what it is sent and misbehaves as it is told.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use spillway_testkit::{Answer, Sink, SinkOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(10);

type TestClient = Client<HttpConnector, Full<Bytes>>;

fn http1() -> TestClient {
    Client::builder(TokioExecutor::new()).build_http()
}

fn http2() -> TestClient {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

async fn post(client: &TestClient, url: &str, body: &str) -> Response<Incoming> {
    let request = Request::post(url).header("x-test", "yes").body(Full::from(body.to_owned())).expect("a request");
    client.request(request).await.expect("an answer")
}

#[tokio::test]
async fn records_method_path_headers_body_and_arrival() {
    let sink = Sink::start().await;
    let before = Instant::now();
    let response = post(&http1(), &sink.url("/hook?a=1"), "hello").await;
    assert_eq!(response.status(), 200);

    let requests = sink.wait_for(1, DEADLINE).await;
    let request = &requests[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str(), request.query.as_deref()),
        ("POST", "/hook", Some("a=1"))
    );
    assert_eq!((request.version, request.header("x-test")), (Version::HTTP_11, Some("yes")));
    assert_eq!((&request.body[..], request.body_len), (&b"hello"[..], 5));
    assert!(request.arrived_at >= before && request.arrived_at <= Instant::now());
    assert_eq!(sink.requests_to("/hook").len(), 1);
    assert!(sink.requests_to("/other").is_empty());
}

#[tokio::test]
async fn speaks_http2_without_tls_on_one_connection() {
    let sink = Sink::start().await;
    let (client, url) = (http2(), sink.url("/"));
    for _ in 0..3 {
        assert_eq!(post(&client, &url, "x").await.status(), 200);
    }
    assert!(sink.requests().iter().all(|request| request.version == Version::HTTP_2));
    assert_eq!(sink.connection_count(), 1);
}

#[tokio::test]
async fn script_is_answered_in_turn_and_its_last_answer_stays() {
    let sink = Sink::start().await;
    sink.script(
        "/hook",
        [Answer::retry_after(503, "7"), Answer::redirect("http://169.254.169.254/"), Answer::status(204)],
    );
    let client = http1();
    let first = post(&client, &sink.url("/hook"), "").await;
    assert_eq!((first.status().as_u16(), &first.headers()["retry-after"]), (503, &"7".parse().expect("a value")));
    let second = post(&client, &sink.url("/hook"), "").await;
    assert_eq!(
        (second.status().as_u16(), second.headers()["location"].as_bytes()),
        (302, &b"http://169.254.169.254/"[..])
    );
    for _ in 0..2 {
        assert_eq!(post(&client, &sink.url("/hook"), "").await.status(), 204);
    }
    assert_eq!(post(&client, &sink.url("/other"), "").await.status(), 200, "a path without a script");
}

#[tokio::test]
async fn closure_answers_by_what_it_sees() {
    let sink = Sink::start().await;
    sink.respond_with(
        |request| if request.body.is_empty() { Answer::status(400) } else { Answer::status(201).body("made") },
    );
    let client = http1();
    assert_eq!(post(&client, &sink.url("/"), "").await.status(), 400);
    let made = post(&client, &sink.url("/"), "x").await;
    assert_eq!(made.status(), 201);
    assert_eq!(made.into_body().collect().await.expect("a body").to_bytes(), "made");
}

#[tokio::test]
async fn hang_keeps_the_connection_open_without_an_answer() {
    let sink = Sink::start().await;
    sink.on("/hook", Answer::hang());
    let mut stream = TcpStream::connect(sink.address()).await.expect("connect");
    stream.write_all(b"GET /hook HTTP/1.1\r\nhost: sink\r\n\r\n").await.expect("write");
    sink.wait_for_count(1, DEADLINE).await;
    let read = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(read.is_err(), "nothing to read and no end: {read:?}");
}

#[tokio::test]
async fn reset_breaks_the_connection() {
    let sink = Sink::start().await;
    sink.on("/hook", Answer::reset());
    let mut stream = TcpStream::connect(sink.address()).await.expect("connect");
    stream.write_all(b"GET /hook HTTP/1.1\r\nhost: sink\r\n\r\n").await.expect("write");
    let error = stream.read_u8().await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn endless_body_goes_on_as_long_as_it_is_read() {
    let sink = Sink::start().await;
    sink.on("/hook", Answer::endless_body());
    let mut body = post(&http1(), &sink.url("/hook"), "").await.into_body();
    let mut n_bytes = 0;
    while n_bytes < 8 * 1024 * 1024 {
        let frame = body.frame().await.expect("no end").expect("no error");
        n_bytes += frame.data_ref().map_or(0, Bytes::len);
    }
}

#[tokio::test]
async fn slow_body_and_delay_take_their_time() {
    let sink = Sink::start().await;
    sink.on("/slow", Answer::slow_body(4, Duration::from_millis(20)));
    sink.on("/late", Answer::status(200).after(Duration::from_millis(40)));
    let client = http1();

    let started = Instant::now();
    let slow = post(&client, &sink.url("/slow"), "").await.into_body().collect().await.expect("a body");
    assert_eq!(slow.to_bytes(), "xxxx");
    assert!(started.elapsed() >= Duration::from_millis(60));

    let started = Instant::now();
    post(&client, &sink.url("/late"), "").await;
    assert!(started.elapsed() >= Duration::from_millis(40));
}

#[tokio::test]
async fn truncated_body_ends_before_its_announced_length() {
    let sink = Sink::start().await;
    sink.on("/hook", Answer::truncated_body("half", 4));
    let body = post(&http1(), &sink.url("/hook"), "").await.into_body();
    assert!(body.collect().await.is_err());
}

#[tokio::test]
async fn counting_sink_keeps_nothing() {
    let sink = Sink::counting().await;
    let client = http1();
    for _ in 0..3 {
        post(&client, &sink.url("/"), "body").await;
    }
    sink.wait_for_count(3, DEADLINE).await;
    assert_eq!(sink.count(), 3);
}

#[tokio::test]
#[should_panic(expected = "the sink kept 1 of 2 requests")]
async fn requests_beyond_the_limit_are_not_passed_over_in_silence() {
    let sink = Sink::start_with(SinkOptions { keep_requests: 1, keep_body_bytes: 2 }).await;
    let client = http1();
    post(&client, &sink.url("/"), "body").await;
    assert_eq!((&sink.requests()[0].body[..], sink.requests()[0].body_len), (&b"bo"[..], 4));
    post(&client, &sink.url("/"), "body").await;
    sink.requests();
}

#[tokio::test]
#[should_panic(expected = "for 1 requests, the sink has 0")]
async fn wait_for_says_how_many_came() {
    Sink::start().await.wait_for(1, Duration::from_millis(20)).await;
}

#[tokio::test]
async fn dropped_sink_refuses_connections_and_can_come_back() {
    let sink = Sink::start().await;
    let address = sink.address();
    let mut open = TcpStream::connect(address).await.expect("connect");
    drop(sink);
    assert_eq!(open.read(&mut [0; 8]).await.unwrap_or(0), 0, "open connections are closed");
    let sink = Sink::start_on(address, SinkOptions::default()).await;
    assert_eq!(post(&http1(), &sink.url("/"), "").await.status(), 200);
}
