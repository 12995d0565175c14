//! SIGTERM.

use std::time::Duration;

use spillway_testkit::{Answer, Sink};
use tokio::io::AsyncWriteExt as _;

use crate::support::{Folder, SOON, Sender, arrivals, assert_each_arrived_once, orders_to, stop};

/// Senders that go on until they are refused. Returns the ids of all that was acknowledged.
async fn send_until_refused(url: String) -> Vec<String> {
    let sender = Sender::new();
    let mut senders = tokio::task::JoinSet::new();
    for first in 0..8 {
        let (sender, url) = (sender.clone(), url.clone());
        senders.spawn(async move {
            let mut ids = Vec::new();
            while let Some(id) = sender.send(&url, format!("{{\"sender\":{first},\"n\":{}}}", ids.len())).await {
                ids.push(id);
            }
            ids
        });
    }
    senders.join_all().await.concat()
}

#[tokio::test]
async fn under_load_it_ends_with_0_within_25_s_and_each_event_arrives_once() {
    let folder = Folder::new();
    let sink = Sink::start().await;
    sink.on("/", Answer::status(200).after(Duration::from_millis(30)));
    folder.embedded(&sink.url("/"));
    let gateway = folder.start(&[]).await;
    let sending = tokio::spawn(send_until_refused(gateway.url.clone()));
    sink.wait_for_count(50, SOON).await;
    assert!(stop(gateway).await < Duration::from_secs(25));
    let ids = sending.await.expect("senders end");
    // What waited was given back and is due at once.
    let again = folder.start(&[]).await;
    sink.wait_for_count(ids.len(), SOON).await;
    stop(again).await;
    assert_each_arrived_once(&sink, &ids);
}

#[tokio::test]
async fn a_destination_that_hangs_does_not_hold_it_up_and_loses_nothing() {
    let folder = Folder::new();
    let sink = Sink::start().await;
    sink.on("/", Answer::hang());
    let store = format!("data_dir = \"{}\"", folder.path("data").display());
    // Neither the attempts nor their leases end within the test.
    let settings = orders_to(&sink.url("/"), &store, "timeout = \"5m\"\nlease = \"10m\"");
    folder.settings(&settings.replace("drain_timeout = \"25s\"", "drain_timeout = \"4s\""));
    let gateway = folder.start(&[]).await;
    let sender = Sender::new();
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(sender.send(&gateway.url, format!("{{\"n\":{n}}}")).await.expect("an acknowledgement"));
    }
    sink.wait_for_count(ids.len(), SOON).await;
    let took = stop(gateway).await;
    assert!(took < Duration::from_secs(4), "the drain timeout of 4 s was not kept: {took:?}");
    // The attempts that were cut off gave their deliveries back: they are due at once.
    sink.on("/", Answer::status(200));
    let _again = folder.start(&[]).await;
    sink.wait_for_count(2 * ids.len(), SOON).await;
    let arrivals = arrivals(&sink);
    assert!(ids.iter().all(|id| arrivals.get(id) == Some(&2)), "{arrivals:?}");
}

#[tokio::test]
async fn an_idle_gateway_ends_at_once() {
    let folder = Folder::new();
    folder.embedded("http://127.0.0.1:9/");
    let took = stop(folder.start(&[]).await).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_it_up() {
    let folder = Folder::new();
    let sink = Sink::start().await;
    folder.embedded(&sink.url("/"));
    let gateway = folder.start(&[]).await;
    // A kept connection, and one on which nothing was ever sent.
    let sender = Sender::new();
    sender.send(&gateway.url, "{}".to_owned()).await.expect("an acknowledgement");
    let _silent = tokio::net::TcpStream::connect(gateway.address()).await.expect("a connection");
    let took = stop(gateway).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(sender);
}

#[tokio::test]
async fn a_sender_that_never_ends_its_request_does_not_use_up_the_time() {
    let folder = Folder::new();
    let sink = Sink::start().await;
    let settings = orders_to(&sink.url("/"), &format!("data_dir = \"{}\"", folder.path("data").display()), "");
    folder.settings(&settings.replace("drain_timeout = \"25s\"", "drain_timeout = \"5s\"\nbody_timeout = \"10m\""));
    let gateway = folder.start(&[]).await;
    let mut slow = tokio::net::TcpStream::connect(gateway.address()).await.expect("a connection");
    slow.write_all(b"POST /in/orders HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{")
        .await
        .expect("a start");
    Sender::new().send(&gateway.url, "{}".to_owned()).await.expect("an acknowledgement");
    let took = stop(gateway).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let log = folder.log();
    assert!(log.contains("some requests did not finish in time") && log.contains("stopped"), "{log}");
    assert!(!log.contains("did not end in time and is cut off"), "the committer had to be cut off too:\n{log}");
}
