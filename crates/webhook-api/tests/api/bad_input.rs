use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use spillway_signature::Provider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::support::{Answer, Options, TestApp};

/// Sends bytes as they are and reads until the server closes the connection.
async fn raw(app: &TestApp, request: &[u8], then_close: bool) -> String {
    let mut stream = TcpStream::connect(app.address).await.expect("a connection");
    stream.write_all(request).await.expect("room");
    if then_close {
        stream.shutdown().await.expect("half closed");
    }
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("the server closes").expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_unknown_source_and_a_wrong_method_say_what_to_use() {
    let app = TestApp::start().await;
    app.github_source().await;
    let unknown = app.request(Method::POST, "/in/gitub").send().await;
    unknown.refused(404, "source_unknown", &["\"gitub\"", "create the source"]);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = app.request(method.clone(), "/in/github").send().await;
        answer.refused(405, "method_not_allowed", &["POST", method.as_str()]);
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    app.request(Method::POST, "/in/%ff").send().await.refused(404, "not_found", &["/openapi.json"]);
}

#[tokio::test]
async fn a_disabled_source_is_unknown_to_senders() {
    let app = TestApp::start().await;
    app.github_source().await;
    app.patch("/api/v1/sources/github", json!({"enabled": false})).await.expect(StatusCode::OK);
    app.webhook("d-1", b"{}").send().await.refused(404, "source_unknown", &["enabled source"]);
}

#[tokio::test]
async fn a_missing_wrong_or_old_signature_is_401_and_says_what_to_check() {
    let app = TestApp::start().await;
    app.github_source().await;
    let unsigned = app.request(Method::POST, "/in/github").body("{}").send().await;
    unsigned.refused(401, "signature_header_missing", &["x-hub-signature-256", "same secret"]);
    let changed = app.webhook("d-1", b"{}").body("{ }").send().await;
    changed.refused(401, "signature_mismatch", &["same secret", "proxy"]);

    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = json!({"name": "own", "provider": "standard-webhooks", "secrets": [secret]});
    app.post("/api/v1/sources", body).await.expect(StatusCode::CREATED);
    let old = app.signed("/in/own", Provider::StandardWebhooks, secret, "msg_1", b"{}");
    app.clock.advance(301_000);
    old.send().await.refused(401, "signature_timestamp_out_of_tolerance", &["-301 s", "check both clocks"]);
    assert_eq!(app.store.latest_event().await.expect("a store"), None, "nothing is half stored");
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_sized_and_chunked() {
    let mut options = Options::default();
    options.limits.max_body_bytes = 1_000;
    let app = TestApp::start_with(options).await;
    app.github_source().await;
    let large = vec![b' '; 1_001];
    app.webhook("d-1", &large).send().await.refused(413, "body_too_large", &["1000 bytes", "raise max_body"]);
    app.webhook("d-2", &large[..1_000]).send().await.expect(StatusCode::ACCEPTED);
    let announced = "POST /in/github HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 99999999999\r\n\r\n";
    let answer = raw(&app, announced.as_bytes(), false).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "refused before it is read: {answer}");
    let mut chunked =
        b"POST /in/github HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..11 {
        chunked.extend_from_slice(b"64\r\n");
        chunked.extend_from_slice(&[b'a'; 100]);
        chunked.extend_from_slice(b"\r\n");
    }
    let answer = raw(&app, &chunked, false).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
}

#[tokio::test]
async fn a_source_may_have_a_limit_of_its_own() {
    let app = TestApp::start().await;
    app.github_source().await;
    app.patch("/api/v1/sources/github", json!({"max_body_bytes": 10})).await.expect(StatusCode::OK);
    app.webhook("d-1", b"12345678901").send().await.refused(413, "body_too_large", &["10 bytes"]);
}

#[tokio::test]
async fn a_truncated_body_is_refused_and_not_stored() {
    let app = TestApp::start().await;
    app.github_source().await;
    let request = b"POST /in/github HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{\"half\":";
    raw(&app, request, true).await;
    let broken =
        b"POST /in/github HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    raw(&app, broken, false).await;
    // The connection is gone with such a body, so what the sender would be told shows without one only.
    let half = [Ok(Bytes::from_static(b"{\"half\":")), Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof))];
    let body = Body::from_stream(futures_util::stream::iter(half));
    let request = http::Request::post("/in/github").body(body).expect("a request");
    let answer = app.router.clone().oneshot(request).await.expect("an answer");
    Answer::read(answer).await.refused(400, "body_truncated", &["Nothing was stored", "send the request again"]);
    assert_eq!(app.store.latest_event().await.expect("a store"), None);
}

#[tokio::test]
async fn slow_headers_lose_the_connection_and_a_slow_body_gets_408() {
    let mut options = Options { header_timeout: Duration::from_millis(200), ..Options::default() };
    options.limits.body_timeout = Duration::from_millis(200);
    let app = TestApp::start_with(options).await;
    app.github_source().await;
    let answer = raw(&app, b"POST /in/github HTTP/1.1\r\nhost: x\r\nx-slow: ", false).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    let answer = raw(&app, b"POST /in/github HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{", false).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    assert!(answer.contains("within server.body_timeout. Nothing was stored; send the request again."), "{answer}");
}

/// Sends the beginning, then a byte now and then, until the server has enough. Returns what it answered.
async fn drip(app: &TestApp, beginning: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.address).await.expect("a connection");
    stream.write_all(beginning).await.expect("room");
    let (mut from, mut to) = stream.split();
    let mut answer = Vec::new();
    let mut every = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            read = from.read_buf(&mut answer) => if !matches!(read, Ok(1..)) { break },
            // A refused byte shows as the end of what can be read.
            _ = every.tick() => drop(to.write_all(b"x").await),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn senders_that_drip_bytes_are_cut_off_and_others_are_served_meanwhile() {
    let mut options = Options { header_timeout: Duration::from_millis(600), ..Options::default() };
    options.limits.body_timeout = Duration::from_millis(600);
    let app = TestApp::start_with(options).await;
    app.github_source().await;
    let heads = (0..20).map(|_| drip(&app, b"POST /in/github HTTP/1.1\r\nhost: x\r\nx-slow: "));
    let body = b"POST /in/github HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{";
    let bodies = (0..20).map(|_| drip(&app, body));
    let mut dripping = std::pin::pin!(futures_util::future::join(
        futures_util::future::join_all(heads),
        futures_util::future::join_all(bodies),
    ));
    let mut served = 0;
    let (heads, bodies) = loop {
        let id = format!("d-{served}");
        tokio::select! {
            cut_off = &mut dripping => break cut_off,
            answer = app.webhook(&id, b"{}").send() => {
                answer.expect(StatusCode::ACCEPTED);
                served += 1;
            }
        }
    };
    assert!(served >= 10, "only {served} others were served");
    assert!(heads.iter().all(|answer| answer.is_empty() || answer.starts_with("HTTP/1.1 408")), "{heads:?}");
    assert!(bodies.iter().all(|answer| answer.contains("body_timeout")), "{bodies:?}");
}

/// hyper answers these before any code of ours: a problem document is not possible (`Http1Transaction::on_error`).
#[tokio::test]
async fn bytes_that_are_no_request_are_refused_without_a_body_and_harm_nobody_else() {
    let app = TestApp::start().await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000));
    for (request, status) in [("GET / HTTX/1.1\r\n\r\n", 400), ("G@T / HTTP/1.1\r\n\r\n", 400), (&long, 431)] {
        let answer = raw(&app, request.as_bytes(), false).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    app.request(Method::GET, "/health").send().await.expect(StatusCode::OK);
}

#[tokio::test]
async fn header_values_that_are_not_utf_8_are_kept_and_such_names_are_refused() {
    let app = TestApp::start().await;
    let source = json!({"name": "open", "provider": "none"});
    app.post("/api/v1/sources", source).await.expect(StatusCode::CREATED);
    let odd =
        b"POST /in/open HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-odd: \xff\xfe\r\ncontent-length: 2\r\n\r\n{}";
    let answer = raw(&app, odd, false).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let id = app.store.latest_event().await.expect("a store").expect("an event");
    let shown = app.get(&format!("/api/v1/events/{id}")).await.expect(StatusCode::OK).json();
    let header = json!({"name": "x-odd", "value_base64": "//4="});
    assert!(shown["headers"].as_array().expect("headers").contains(&header), "{shown}");
    let bad_name = b"POST /in/open HTTP/1.1\r\nhost: x\r\nx-\xff: 1\r\ncontent-length: 2\r\n\r\n{}";
    let answer = raw(&app, bad_name, false).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer:?}");
    let bad_key = b"GET /api/v1/sources HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer \xff\r\n\r\n";
    let answer = raw(&app, bad_key, false).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("key_missing"), "{answer}");
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_431() {
    let app = TestApp::start().await;
    app.github_source().await;
    let many = (0..65).fold(app.webhook("d-1", b"{}"), |request, n| request.header(&format!("x-{n}"), "1"));
    many.send().await.refused(431, "headers_too_large", &["server.max_headers"]);
    let large = app.webhook("d-1", b"{}").header("x-large", &"a".repeat(17 * 1_024));
    large.send().await.refused(431, "headers_too_large", &["server.max_header_bytes"]);
}

#[tokio::test]
async fn json_that_cannot_be_used_says_where_and_what_was_meant() {
    let app = TestApp::start().await;
    let send = |body: &'static str| {
        let request = app.api(Method::POST, "/api/v1/sources").header("content-type", "application/json");
        request.body(Bytes::from(body)).send()
    };
    send("{\"name\": \"a\",\n \"provider\" }").await.refused(400, "json_malformed", &["line 2, column 13"]);
    send("").await.refused(400, "json_malformed", &["line 1"]);
    send("{\"name\": \"a\", \"provider\": \"none\"} x").await.refused(400, "json_malformed", &["trailing"]);
    send("{\"name\": \"\\xff\"}").await.refused(400, "json_malformed", &["escape"]);
    send("{\"nmae\": \"a\"}").await.refused(422, "json_invalid", &["`nmae`", "did you mean `name`?"]);
    send("{\"name\": \"a\"}").await.refused(422, "json_invalid", &["missing field `provider`"]);
    send("{\"name\": \"a b\", \"provider\": \"none\"}").await.refused(422, "json_invalid", &["at name", "letters"]);
    send("[]").await.refused(422, "json_invalid", &["/openapi.json"]);
    let deep = app.api(Method::PATCH, "/api/v1/sources/x").header("content-type", "application/json");
    deep.body("[".repeat(1_000)).send().await.refused(400, "json_malformed", &["recursion limit"]);
}

#[tokio::test]
async fn a_management_body_is_json_of_at_most_64_kib() {
    let app = TestApp::start().await;
    let request = || app.api(Method::POST, "/api/v1/sources");
    let text = request().header("content-type", "text/plain").body("{}").send().await;
    text.refused(415, "media_type_unsupported", &["\"text/plain\"", "application/json"]);
    request().body("{}").send().await.refused(415, "media_type_unsupported", &["application/json"]);
    let large = request().header("content-type", "application/json").body(vec![b' '; 64 * 1_024 + 1]).send().await;
    large.refused(413, "body_too_large", &["65536 bytes"]);
}

#[tokio::test]
async fn unknown_paths_methods_and_query_parameters_are_problems_too() {
    let app = TestApp::start().await;
    app.get("/api/v1/sorces").await.refused(404, "not_found", &["/openapi.json"]);
    let answer = app.delete("/api/v1/sources").await;
    answer.refused(405, "method_not_allowed", &["DELETE", "/openapi.json"]);
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("POST") && allow.contains("GET")));
    app.get("/api/v1/sources/%ff").await.refused(400, "path_invalid", &["Encode it"]);
    app.get("/api/v1/sources?limt=1").await.refused(400, "query_invalid", &["did you mean `limit`?"]);
    app.get("/api/v1/sources?limit=x").await.refused(400, "query_invalid", &["limit"]);
    app.get("/api/v1/attempts").await.refused(400, "query_invalid", &["`delivery`"]);
    app.get("/api/v1/deliveries?state=done").await.refused(400, "query_invalid", &["`pending`"]);
    app.get("/api/v1/events?from=yesterday").await.refused(400, "query_invalid", &["from", "Z"]);
}
