//! The health check that containers run.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::support::Gateway;

#[test]
fn a_node_that_can_take_traffic_is_healthy_and_no_key_is_needed() {
    let gateway = Gateway::start();
    let text = gateway.ok(&["health", "--api-key", ""]);
    assert!(text.starts_with("ok\n") && text.contains("commit_queue  ok  0 events wait"), "{text}");
    assert_eq!(gateway.ok(&["health", "--alive"]), "ok\n");
    let report = gateway.json(&["health"]);
    assert_eq!(report["status"], "ok");
    assert_eq!(report["checks"][0]["name"], "store");
}

#[test]
fn a_node_that_is_not_there_is_unhealthy() {
    let gateway = Gateway::start();
    let outcome = gateway.run(&["health", "--url", "http://127.0.0.1:1"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("nothing listens at http://127.0.0.1:1"), "{}", outcome.stderr);
}

#[test]
fn a_node_without_its_database_is_unhealthy_and_says_so() {
    let gateway = Gateway::start();
    let report = r#"{"status":"unavailable","checks":[
        {"name":"store","status":"unavailable","detail":"store_unavailable","milliseconds":0.2},
        {"name":"commit_queue","status":"ok","detail":"0 events wait, 8192 at most"}]}"#;
    let url = answer_once("503 Service Unavailable", report);
    let outcome = gateway.run(&["health", "--url", &url]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.contains("store         unavailable  store_unavailable"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains(&format!("{url} cannot take traffic: store")), "{}", outcome.stderr);
    let url = answer_once("404 Not Found", "<html>");
    let outcome = gateway.run(&["health", "--url", &url]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("not as a Spillway gateway does"), "{}", outcome.stderr);
}

/// The URL of a server that answers one request.
fn answer_once(status: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("a connection");
        let mut request = [0; 4096];
        let n_read = connection.read(&mut request).expect("a request");
        assert!(request[..n_read].starts_with(b"GET /readyz "));
        connection.write_all(answer.as_bytes()).expect("an answer");
    });
    format!("http://{address}")
}
