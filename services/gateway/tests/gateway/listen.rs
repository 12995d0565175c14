//! `spillway listen`, run as a user runs it, against a real gateway.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use spillway_devtools::gateway::Gateway;
use spillway_signature::StandardSigner;
use spillway_testkit::{Answer, Sink, free_port, shared_database, wait_until};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::support::{Folder, SOON, Sender, orders_to, program, stop};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A running `spillway listen` with lines of JSON. Killed when dropped.
struct Listener {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    input: ChildStdin,
}

impl Listener {
    /// Starts one that forwards the source `orders`, and waits until it is connected.
    async fn start(url: &str, key: &str, more: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(["listen", "--source", "orders", "--output", "json"]).args(more);
        command.env_clear().env("SPILLWAY_URL", url).env("SPILLWAY_API_KEY", key).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let input = child.stdin.take().expect("its input");
        Self { child, lines, input }
    }

    /// What it says of the next event.
    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(SOON, self.lines.next_line()).await.expect("a line in time");
        let line = line.expect("its output can be read").expect("it goes on");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// How it ends, and what it says about that.
    async fn ended(mut self) -> (Option<i32>, String) {
        let mut errors = String::new();
        let mut stderr = self.child.stderr.take().expect("its errors");
        let reading = stderr.read_to_string(&mut errors);
        tokio::time::timeout(SOON, reading).await.expect("it ends in time").expect("its errors can be read");
        (self.child.wait().await.expect("it ends").code(), errors)
    }
}

/// Waits until a gateway has this many streams that deliver.
async fn connected(gateway: &Gateway, n: u32) {
    let sender = Sender::new();
    wait_until("a listener to be connected", SOON, async || {
        sender.gauge(&gateway.url, "spillway_stream_clients{kind=\"deliver\"} ").await == Some(f64::from(n))
    })
    .await;
}

/// A gateway on a port that it can have again.
async fn start_on(folder: &Folder, port: u16) -> Gateway {
    let store = format!("data_dir = \"{}\"", folder.path("data").display());
    let settings = orders_to("http://127.0.0.1:9/", &store, "").replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    folder.settings(&settings);
    folder.start(&[]).await
}

#[tokio::test]
async fn events_reach_a_local_server_as_they_came_and_a_server_that_is_down_is_no_end() {
    let (folder, local) = (Folder::new(), Sink::start().await);
    local.script("/hooks", [Answer::status(200), Answer::status(500)]);
    folder.embedded("http://127.0.0.1:9/");
    let gateway = folder.start(&[]).await;
    let key = gateway.admin_key.clone().expect("the admin key");
    let forward = local.url("/hooks");
    let mut listener = Listener::start(&gateway.url, &key, &["--forward", &forward, "--secret", SECRET]).await;
    connected(&gateway, 1).await;
    let sender = Sender::new();
    let headers = [("x-kind", "a"), ("content-type", "application/json")];
    let id = sender.send_with(&gateway.url, r#"{"n":1}"#.to_owned(), &headers).await.expect("an id");

    let line = listener.next().await;
    assert_eq!((&line["id"], &line["status"], &line["error"]), (&id.clone().into(), &200.into(), &Value::Null));
    assert_eq!((&line["body_bytes"], &line["replay"]), (&7.into(), &false.into()));
    let request = local.wait_for(1, SOON).await.remove(0);
    assert_eq!((request.body.as_ref(), request.header("x-kind")), (&br#"{"n":1}"#[..], Some("a")));
    assert_eq!(request.header("webhook-id"), Some(id.as_str()));
    let seconds: i64 = request.header("webhook-timestamp").expect("a time").parse().expect("a number");
    let signer = StandardSigner::new(&[SECRET]).expect("a secret");
    let signature = signer.sign(&id, seconds, &request.body);
    assert_eq!(request.header("webhook-signature"), Some(signature.as_str()));

    sender.send(&gateway.url, "2".to_owned()).await.expect("an id");
    assert_eq!(listener.next().await["status"], 500);
    let address = local.address();
    drop(local);
    sender.send(&gateway.url, "3".to_owned()).await.expect("an id");
    let down = listener.next().await;
    assert_eq!((&down["status"], &down["error"]), (&Value::Null, &"nothing listens there".into()));

    let local = Sink::start_on(address, spillway_testkit::SinkOptions::default()).await;
    listener.input.write_all(b"r").await.expect("it reads keys");
    let again = listener.next().await;
    assert_eq!((&again["id"], &again["status"], &again["replay"]), (&down["id"], &200.into(), &true.into()));
    assert_eq!(local.wait_for(1, SOON).await[0].body.as_ref(), b"3");
    stop(gateway).await;
}

#[tokio::test]
async fn nothing_is_left_out_when_the_gateway_is_started_again() {
    let (folder, local) = (Folder::new(), Sink::start().await);
    let port = free_port();
    let gateway = start_on(&folder, port).await;
    let key = gateway.admin_key.clone().expect("the admin key");
    let mut listener = Listener::start(&gateway.url, &key, &["--forward", &local.url("/")]).await;
    connected(&gateway, 1).await;
    let sender = Sender::new();
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(sender.send(&gateway.url, n.to_string()).await.expect("an id"));
    }
    assert_eq!(listener.next().await["id"], sent[0].as_str());
    assert!(stop(gateway).await < Duration::from_secs(5), "a listener holds nothing up");
    let gateway = start_on(&folder, port).await;
    // Before the listener is back, mostly.
    for n in 5..20 {
        sent.push(sender.send(&gateway.url, n.to_string()).await.expect("an id"));
    }
    for id in &sent[1..] {
        assert_eq!(listener.next().await["id"], id.as_str());
    }
    stop(gateway).await;
    assert_eq!(local.count(), sent.len(), "none of them came twice");
}

#[tokio::test]
async fn events_of_all_nodes_come_from_any_of_them_on() {
    let (folder, local) = (Folder::new(), Sink::start().await);
    let database = shared_database().await;
    folder.settings(&orders_to("http://127.0.0.1:9/", &format!("url = \"{}\"", database.url()), ""));
    let (one, other) = tokio::join!(
        folder.try_start(&["--role", "api"], "one.log"),
        folder.try_start(&["--role", "api"], "other.log")
    );
    let (one, other) = (one.expect("a node"), other.expect("a node"));
    let key = one.admin_key.clone().or_else(|| other.admin_key.clone()).expect("the admin key");
    let sender = Sender::new();
    let first = sender.send(&one.url, "0".to_owned()).await.expect("an id");
    let more = ["--forward", &local.url("/"), "--from", &first];
    let mut listener = Listener::start(&other.url, &key, &more).await;
    assert_eq!(listener.next().await["id"], first.as_str());
    let mut sent = Vec::new();
    for n in 0..40 {
        sent.push(sender.send([&one.url, &other.url][n % 2], n.to_string()).await.expect("an id"));
    }
    let mut seen = Vec::new();
    while seen.len() < sent.len() {
        seen.push(listener.next().await["id"].as_str().expect("an id").to_owned());
    }
    seen.sort();
    sent.sort();
    assert_eq!(seen, sent);
    // Rows for people come from all nodes, too.
    let (status, page) = sender.get_with(&other.url, "/api/v1/events?q=/none", &key).await;
    assert_eq!((status, &page["scanned"]), (200, &41.into()));
    stop(one).await;
    stop(other).await;
    assert_eq!(local.count(), 41, "none of them came twice");
}

#[tokio::test]
async fn what_cannot_be_listened_to_says_why() {
    let folder = Folder::new();
    folder.embedded("http://127.0.0.1:9/");
    let gateway = folder.start(&[]).await;
    let key = gateway.admin_key.clone().expect("the admin key");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for (url, key, more, code, hint) in [
        (&gateway.url, key.as_str(), vec!["--forward", "localhost:3000"], 64, "write http://HOST"),
        (&gateway.url, key.as_str(), vec!["--forward", "http://127.0.0.1:9/", "--secret", "short"], 64, "--secret"),
        (&gateway.url, "spk_wrong", vec!["--forward", "http://127.0.0.1:9/"], 1, "key_unknown"),
        (&nobody, key.as_str(), vec!["--forward", "http://127.0.0.1:9/"], 1, "nothing listens at"),
    ] {
        let (ended, errors) = Listener::start(url, key, &more).await.ended().await;
        assert_eq!(ended, Some(code), "{more:?}: {errors}");
        assert!(errors.contains(hint), "{more:?}: {errors}");
    }
    let listener = Listener::start(&gateway.url, &key, &["--forward", "http://127.0.0.1:9/"]).await;
    connected(&gateway, 1).await;
    let sender = Sender::new();
    let (_, keys) = sender.get_with(&gateway.url, "/api/v1/keys", &key).await;
    let admin = keys["data"][0]["id"].as_str().expect("an id").to_owned();
    let made = sender.post_with(&gateway.url, "/api/v1/keys", r#"{"name":"other","scope":"admin"}"#, &key).await;
    let other = made["key"].as_str().expect("a key").to_owned();
    sender.delete_with(&gateway.url, &format!("/api/v1/keys/{admin}"), &other).await;
    let (code, errors) = listener.ended().await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("the key was deleted"), "{errors}");
    stop(gateway).await;
}
