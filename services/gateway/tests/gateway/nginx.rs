//! The shipped nginx configuration in front of two api nodes.

use std::path::Path;
use std::time::Duration;

use spillway_devtools::gateway::Gateway;
use spillway_testkit::{Nginx, Sink, TestDatabase, free_port, shared_database, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Folder, SOON, Sender, assert_each_arrived_once, orders_to, stop};

const API: [&str; 2] = ["--role", "api"];

/// `infra/nginx/gateway.conf` with the addresses of a test.
fn shipped(nginx: &Nginx, nodes: [&Gateway; 2], mirror: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/nginx/gateway.conf");
    let text = std::fs::read_to_string(file).expect("the shipped configuration");
    std::fs::write(nginx.directory().join("mirror.conf"), mirror).expect("a file");
    let replaced = [
        ("listen 80 default_server;", format!("listen {};", nginx.address())),
        ("listen 8081;", format!("listen 127.0.0.1:{};", free_port())),
        ("api-1:8080", nodes[0].address().to_owned()),
        ("api-2:8080", nodes[1].address().to_owned()),
        ("/dev/stdout", nginx.directory().join("access.log").display().to_string()),
        ("/etc/nginx/spillway/mirror*.conf", nginx.directory().join("mirror.conf").display().to_string()),
    ];
    replaced.iter().fold(text, |text, (name, value)| {
        assert!(text.contains(name), "{name} is in the shipped configuration");
        text.replace(name, value)
    })
}

struct Front {
    _folder: Folder,
    _database: TestDatabase,
    sink: Sink,
    nodes: [Gateway; 2],
    worker: Gateway,
    nginx: Nginx,
    sender: Sender,
}

impl Front {
    async fn start(mirror: &str) -> Self {
        let (folder, sink) = (Folder::new(), Sink::start().await);
        let database = shared_database().await;
        folder.settings(&orders_to(&sink.url("/"), &format!("url = \"{}\"", database.url()), ""));
        let nodes = [folder.try_start(&API, "api-1.log").await, folder.try_start(&API, "api-2.log").await];
        let nodes = nodes.map(|started| started.expect("a node that starts"));
        let worker = folder.try_start(&["--role", "worker"], "worker.log").await.expect("a worker that starts");
        let mut nginx = Nginx::prepare();
        nginx.configure(&shipped(&nginx, [&nodes[0], &nodes[1]], mirror));
        nginx.start().await;
        Self { _folder: folder, _database: database, sink, nodes, worker, nginx, sender: Sender::new() }
    }

    /// A request written by hand; the answer as text.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.nginx.address()).await.expect("nginx listens");
        stream.write_all(request.as_bytes()).await.expect("nginx reads");
        let mut answer = Vec::new();
        // A server that refuses a large body may close before all of it was read.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(&self, path: &str) -> String {
        self.raw(&format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_fails_no_webhook() {
    let Front { _folder, _database, sink, nodes: [first, second], worker, nginx, sender } = Front::start("").await;
    let url = nginx.url();
    let ids = tokio::task::JoinSet::from_iter((0..8).map(|lane| {
        let (sender, url) = (sender.clone(), url.clone());
        async move {
            let mut ids = Vec::new();
            for n in 0..60 {
                let body = format!("{{\"lane\":{lane},\"n\":{n}}}");
                ids.push(sender.send(&url, body).await.expect("an acknowledgement"));
            }
            ids
        }
    }));
    // In the middle of them.
    sink.wait_for_count(60, SOON).await;
    first.kill();
    let ids: Vec<String> = ids.join_all().await.into_iter().flatten().collect();
    assert_eq!(ids.len(), 480);
    sink.wait_for_count(480, SOON).await;
    for id in &ids {
        let arrived = sink.requests().iter().filter(|request| request.header("webhook-id") == Some(id)).count();
        assert_eq!(arrived, 1, "{id} was acknowledged");
    }
    stop(second).await;
    stop(worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_the_nodes_are_kept_and_both_are_used() {
    let front = Front::start("").await;
    let mut ids = Vec::new();
    for n in 0..40 {
        ids.push(front.sender.send(&front.nginx.url(), format!("{{\"n\":{n}}}")).await.expect("an acknowledgement"));
    }
    for node in &front.nodes {
        let taken = front.sender.counter(&node.url, "spillway_intake_requests_total").await;
        assert!(taken >= 10.0, "{} took {taken} of 40", node.url);
        assert!(connections_of(node) <= 4, "{} connections for 20 requests one after the other", connections_of(node));
    }
    front.sink.wait_for_count(40, SOON).await;
    assert_each_arrived_once(&front.sink, &ids);
}

/// Established connections that clients have to the node.
fn connections_of(node: &Gateway) -> usize {
    let port: u16 = node.address().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of connections");
    let local = format!(":{port:04X}");
    let established = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1).is_some_and(|address| address.ends_with(&local)) && fields.get(3) == Some(&"01")
    };
    table.lines().filter(established).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_in_front_is_refused_clearly() {
    let front = Front::start("").await;
    let head = |length: usize| {
        format!("POST /in/orders HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
    };
    let large = front.raw(&format!("{}{}", head(2 << 20), "x".repeat(2 << 20))).await;
    assert!(large.starts_with("HTTP/1.1 413"), "{}", &large[..large.len().min(200)]);
    assert!(front.get("/metrics").await.starts_with("HTTP/1.1 404"), "metrics are not for everybody");
    assert!(front.get("/nginx-health").await.ends_with("ok\n"));
    let ready = front.get("/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 200"),
        "a node's own health passes through: {ready} {}",
        front.nginx.error_log()
    );
    let unknown = front.get("/nothing").await;
    assert!(unknown.contains("\"code\":\"not_found\""), "{unknown}");
    assert!(!unknown.contains("nginx/"), "the version is nobody's business: {unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_floods_is_told_to_slow_down() {
    let front = Front::start("").await;
    let mut refused = false;
    // Above 1,000/s with a burst of 2,000. Requests to an unknown source are cheap for the nodes.
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let address = front.nginx.address();
        lanes.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("nginx listens");
            let request = "POST /in/nobody HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n".repeat(500);
            stream.write_all(request.as_bytes()).await.expect("nginx reads");
            let (mut seen, mut buffer) = (String::new(), vec![0; 64 << 10]);
            let deadline = tokio::time::Instant::now() + SOON;
            while !seen.contains("HTTP/1.1 429") && seen.matches("HTTP/1.1 ").count() < 500 {
                match tokio::time::timeout_at(deadline, stream.read(&mut buffer)).await {
                    Ok(Ok(n @ 1..)) => seen.push_str(&String::from_utf8_lossy(&buffer[..n])),
                    _ => break,
                }
            }
            seen.contains("HTTP/1.1 429")
        });
    }
    for was_refused in lanes.join_all().await {
        refused |= was_refused;
    }
    assert!(refused, "8,000 requests at once from one address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_gets_a_copy_and_cannot_hurt() {
    let copy = Sink::start().await;
    let mirror = "mirror /_mirror;\n";
    let mut front = Front::start(mirror).await;
    // The location of the copies, in the same server.
    let config = std::fs::read_to_string(front.nginx.config()).expect("the configuration");
    let location = format!(
        "location = /_mirror {{ internal; proxy_pass {}$request_uri; proxy_read_timeout 1s; }}\n    location = /nginx-health {{",
        copy.url("").trim_end_matches('/')
    );
    let config = config.replacen("location = /nginx-health {", &location, 1);
    front.nginx.kill();
    std::fs::write(front.nginx.config(), config).expect("a file");
    front.nginx.start().await;
    let id = front.sender.send(&front.nginx.url(), "{\"n\":1}".to_owned()).await.expect("an acknowledgement");
    copy.wait_for_count(1, SOON).await;
    assert_eq!(copy.requests()[0].body, "{\"n\":1}".as_bytes());
    drop(copy);
    let other = front.sender.send(&front.nginx.url(), "{\"n\":2}".to_owned()).await.expect("an acknowledgement");
    wait_until("both to be delivered", Duration::from_secs(30), async || front.sink.count() >= 2).await;
    assert_each_arrived_once(&front.sink, &[id, other]);
}
