//! What the fault-injecting proxy does to clients and to metrics.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use spillway_testkit::{Answer, Fault, FaultProxy, Sink};

const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn post(proxy: &FaultProxy, path: &str) -> (StatusCode, String) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("http://{}{path}", proxy.address());
    let request = Request::post(url).body(Full::from("payload"));
    let request = request.expect("a request");
    let answer = client.request(request).await.expect("an answer");
    let status = answer.status();
    let body = answer.into_body().collect().await.expect("its body").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn a_proxy_without_faults_passes_requests_on() {
    let sink = Sink::start().await;
    let proxy = FaultProxy::start(FREE, sink.address(), Fault::default()).await.unwrap();
    assert_eq!(post(&proxy, "/in/github").await.0, StatusCode::OK);
    assert_eq!(sink.requests()[0].body, "payload");
}

#[tokio::test]
async fn errors_never_reach_the_server_and_probes_pass() {
    let sink = Sink::start().await;
    let fault = Fault { error_ratio: 1.0, ..Fault::default() };
    let proxy = FaultProxy::start(FREE, sink.address(), fault).await.unwrap();
    assert_eq!(post(&proxy, "/in/github").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(sink.requests().is_empty());
    assert_eq!(post(&proxy, "/readyz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_delay_is_felt_and_a_change_takes_effect() {
    let sink = Sink::start().await;
    let proxy = FaultProxy::start(FREE, sink.address(), Fault::default()).await.unwrap();
    proxy.set(Fault { delay: Duration::from_millis(80), ..Fault::default() });
    let begun = Instant::now();
    assert_eq!(post(&proxy, "/in/github").await.0, StatusCode::OK);
    assert!(begun.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn metrics_tell_what_clients_saw() {
    let theirs = "process_resident_memory_bytes 1000\nhttp_server_request_duration_seconds_count{http_response_status_code=\"202\"} 77\nother_total 5\n";
    let sink = Sink::start().await;
    sink.on("/metrics", Answer::status(200).body(theirs));
    let fault = Fault { error_ratio: 1.0, leak_bytes: 500, ..Fault::default() };
    let proxy = FaultProxy::start(FREE, sink.address(), fault).await.unwrap();
    post(&proxy, "/in/github").await;
    post(&proxy, "/in/github").await;
    let (_, text) = post(&proxy, "/metrics").await;
    assert!(text.contains("other_total 5\n"), "{text}");
    assert!(text.contains("process_resident_memory_bytes 2000\n"), "{text}");
    assert!(!text.contains(" 77\n"), "{text}");
    let counted = "http_server_request_duration_seconds_count{http_request_method=\"POST\",http_route=\"/in/{source}\",http_response_status_code=\"500\"} 2\n";
    assert!(text.contains(counted), "{text}");
}
