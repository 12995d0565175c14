//! SIGHUP.

use spillway_testkit::{Sink, wait_until};

use crate::support::{Folder, SOON, Sender};

#[tokio::test]
async fn sighup_applies_the_declared_destinations_again() {
    let folder = Folder::new();
    let (old, new) = (Sink::start().await, Sink::start().await);
    folder.embedded(&old.url("/"));
    let gateway = folder.start(&[]).await;
    let sender = Sender::new();
    sender.send(&gateway.url, "{}".to_owned()).await.expect("an acknowledgement");
    old.wait_for_count(1, SOON).await;
    folder.embedded(&new.url("/"));
    gateway.reload().expect("a running gateway");
    wait_until("an event at the new destination", SOON, async || {
        sender.send(&gateway.url, "{}".to_owned()).await.expect("an acknowledgement");
        new.count() > 0
    })
    .await;
    assert!(folder.log().contains("sources, destinations and connections are applied"), "{}", folder.log());
}

#[tokio::test]
async fn sighup_with_a_broken_file_changes_nothing_and_says_so() {
    let folder = Folder::new();
    let sink = Sink::start().await;
    folder.embedded(&sink.url("/"));
    let gateway = folder.start(&[]).await;
    folder.settings("[[destinations]]\nname = \"shop\"\nurl = \"not a URL\"\n");
    gateway.reload().expect("a running gateway");
    wait_until("a line about the broken file", SOON, async || {
        folder.log().contains("the settings cannot be read again; the last ones stay in force")
    })
    .await;
    assert!(folder.log().contains("destinations[0].url"), "{}", folder.log());
    Sender::new().send(&gateway.url, "{}".to_owned()).await.expect("an acknowledgement");
    sink.wait_for_count(1, SOON).await;
}
