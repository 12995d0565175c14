//! Users on slow links.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use spillway_loadgen::http::{Client, ClientSettings, Network, Origin, Request, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

fn request(origin: &Arc<Origin>) -> Request {
    Request {
        origin: origin.clone(),
        method: Method::POST,
        path: "/".parse().expect("a path"),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"hello"),
        timeout: Duration::from_secs(10),
        keep_body: false,
    }
}

/// A server may close a connection that was idle for long. On a slow link too, a user that comes back has known that for long.
#[tokio::test]
async fn an_idle_connection_that_the_server_has_closed_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (closed, mut closings) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"hello") {
                tcp.read_buf(&mut head).await.expect("a request");
            }
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("an answer");
            tcp.shutdown().await.expect("an end");
            drop(tcp);
            let _ = closed.send(()).await;
        }
    });
    let origin = Arc::new(Origin::of(&format!("http://{address}").parse().expect("a URL")).expect("an origin"));
    let network = Some(Network { latency: Duration::from_millis(50), ..Network::default() });
    let mut client = Client::new(Transport::new(false), ClientSettings { network, ..ClientSettings::default() });
    for n in 0..3 {
        let exchange = client.send(request(&origin)).await;
        assert!(exchange.outcome.is_ok(), "request {n}: {:?}", exchange.outcome);
        closings.recv().await.expect("the server closes it");
    }
}
