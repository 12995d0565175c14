use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Version};
use http_body_util::{Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::{Answer, Options, TestApp};

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let app = TestApp::start().await;
    app.github_source().await;
    let paths = ["/health", "/api/v1/sources", "/openapi.json", "/in/none", "/nowhere", "/metrics"];
    let mut answers = vec![("a webhook", app.webhook("d-1", b"{}").send().await)];
    for path in paths {
        answers.push((path, app.get(path).await));
    }
    for (path, answer) in answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert!(answer.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
        assert!(answer.header("permissions-policy").is_some());
        assert_eq!(answer.header("strict-transport-security"), None, "not without TLS");
    }
}

#[tokio::test]
async fn without_a_setting_no_origin_is_allowed() {
    let app = TestApp::start().await;
    let answer = app.api(Method::GET, "/api/v1/sources").header("origin", "https://app.example").send().await;
    assert_eq!(answer.expect(StatusCode::OK).header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn allowed_origins_may_call_the_api_and_others_may_not() {
    let mut options = Options::default();
    options.api.cors_allow_origins = vec![HeaderValue::from_static("https://app.example")];
    let app = TestApp::start_with(options).await;
    let preflight = |origin: &str| {
        let request = app.request(Method::OPTIONS, "/api/v1/sources/github").header("origin", origin);
        request
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization")
            .send()
    };
    let allowed = preflight("https://app.example").await.expect(StatusCode::OK);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(allowed.header("access-control-allow-methods").is_some_and(|methods| methods.contains("PATCH")));
    assert!(allowed.header("access-control-allow-headers").is_some_and(|names| names.contains("authorization")));
    assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), None);
    let get = |path: &str| app.request(Method::GET, path).header("origin", "https://app.example").send();
    let refused = get("/api/v1/sources").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://app.example"),
        "so that a page can read why"
    );
    assert_eq!(get("/in/none").await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn any_origin_is_allowed_by_a_star() {
    let mut options = Options::default();
    options.api.cors_allow_origins = vec![HeaderValue::from_static("*")];
    let app = TestApp::start_with(options).await;
    let answer = app.request(Method::GET, "/openapi.json").header("origin", "https://any.example").send().await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn answers_are_compressed_from_one_kib_on_and_never_for_intake() {
    let app = TestApp::start().await;
    let zipped = |path: &str| app.api(Method::GET, path).header("accept-encoding", "gzip").send();
    let small = zipped("/api/v1/sources").await.expect(StatusCode::OK);
    assert_eq!(small.header("content-encoding"), None);
    for n in 0..10 {
        app.post("/api/v1/sources", json!({"name": format!("s{n}"), "provider": "none"}))
            .await
            .expect(StatusCode::CREATED);
    }
    for path in ["/api/v1/sources", "/openapi.json", "/metrics"] {
        let plain = app.get(path).await.expect(StatusCode::OK);
        assert_eq!(plain.header("content-encoding"), None, "not unless it is asked for");
        let small = zipped(path).await.expect(StatusCode::OK);
        assert_eq!(small.header("content-encoding"), Some("gzip"), "{path}");
        assert!(small.body.starts_with(&[0x1f, 0x8b]) && small.body.len() < plain.body.len() / 2, "{path}");
        assert!(small.header("vary").is_some_and(|vary| vary.to_lowercase().contains("accept-encoding")));
    }
    let intake = app.request(Method::POST, "/in/s1").header("accept-encoding", "gzip").send().await;
    assert_eq!(intake.expect(StatusCode::ACCEPTED).header("vary"), None);
}

#[tokio::test]
async fn an_answer_that_is_known_is_not_sent_again() {
    let app = TestApp::start().await;
    app.github_source().await;
    for path in ["/api/v1/sources", "/api/v1/sources/github", "/openapi.json"] {
        let first = app.get(path).await.expect(StatusCode::OK);
        assert_eq!(first.header("cache-control"), Some("private, no-cache"));
        let tag = first.header("etag").expect("a tag").to_owned();
        assert!(tag.ends_with('"'));
        let again = || app.api(Method::GET, path).header("if-none-match", &format!("\"x\", {tag}")).send();
        let known = again().await;
        assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(known.header("etag"), Some(tag.as_str()));
    }
    let old = app.get("/api/v1/sources").await.header("etag").expect("a tag").to_owned();
    app.destination("billing").await;
    app.api(Method::GET, "/api/v1/sources").header("if-none-match", &old).send().await.expect(StatusCode::OK);
    let unauthorised = app.request(Method::GET, "/api/v1/sources").header("if-none-match", "*").send().await;
    assert_eq!(unauthorised.status, StatusCode::UNAUTHORIZED, "a tag does not stand for a key");
    let events = app.get("/api/v1/events").await;
    assert_eq!((events.header("etag"), events.header("cache-control")), (None, Some("private, no-cache")));
}

#[tokio::test]
async fn http_2_is_spoken_without_tls() {
    let app = TestApp::start().await;
    let stream = TcpStream::connect(app.address).await.expect("a connection");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    let uri = format!("http://{}/api/v1/sources", app.address);
    let key = format!("Bearer {}", app.admin_key());
    let request = Request::get(uri).header("authorization", key).body(Empty::<Bytes>::new()).expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    assert_eq!((response.version(), response.status()), (Version::HTTP_2, StatusCode::OK));
}

#[tokio::test]
async fn over_tls_both_versions_are_offered_and_browsers_are_told_to_stay() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a server");
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut options = Options { tls: Some(Arc::new(server)), ..Options::default() };
    options.api.tls = true;
    let app = TestApp::start_with(options).await;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    for (protocol, version) in [("h2", Version::HTTP_2), ("http/1.1", Version::HTTP_11)] {
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        client.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(app.address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, stream).await.expect("TLS");
        let request = Request::get("https://localhost/health").body(Full::<Bytes>::default()).expect("a request");
        let response = if version == Version::HTTP_2 {
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
            let (mut sender, connection) = handshake.await.expect("HTTP/2");
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        let response = response.expect("an answer");
        assert_eq!(response.version(), version);
        let answer = Answer::read(response).await.expect(StatusCode::OK);
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
    }
}

#[tokio::test]
async fn each_request_is_counted_for_its_route_and_method_and_unknown_names_make_no_series() {
    let app = TestApp::start().await;
    app.github_source().await;
    for n in 0..3 {
        app.webhook(&format!("d-{n}"), b"{}").send().await.expect(StatusCode::ACCEPTED);
        app.get("/api/v1/sources/github").await.expect(StatusCode::OK);
        app.request(Method::POST, &format!("/in/nobody-{n}")).send().await.expect(StatusCode::NOT_FOUND);
        app.request(Method::GET, &format!("/nowhere-{n}")).send().await.expect(StatusCode::NOT_FOUND);
    }
    let brew: Method = "BREW".parse().expect("a method");
    app.request(brew, "/health").send().await.expect(StatusCode::METHOD_NOT_ALLOWED);
    let text = app.get("/metrics").await;
    let text = String::from_utf8_lossy(&text.body);
    let count = |method: &str, route: &str, status: u16| {
        let labels = format!(
            "{{http_request_method=\"{method}\",http_route=\"{route}\",http_response_status_code=\"{status}\"}} "
        );
        let line = text.lines().find_map(|line| {
            line.strip_prefix("http_server_request_duration_seconds_count")?.strip_prefix(labels.as_str())
        });
        line.unwrap_or_else(|| panic!("no {labels} in {text}")).to_owned()
    };
    assert_eq!(count("POST", "/in/{source}", 202), "3");
    assert_eq!(count("POST", "/in/{source}", 404), "3");
    assert_eq!(count("GET", "/api/v1/sources/{source}", 200), "3");
    assert_eq!(count("GET", "", 404), "3");
    assert_eq!(count("_OTHER", "/health", 405), "1");
    assert!(text.contains("spillway_intake_requests_total{source=\"_unknown\",outcome=\"unknown_source\"} 3"));
    assert!(!text.contains("nobody-") && !text.contains("nowhere-"), "{text}");
}
