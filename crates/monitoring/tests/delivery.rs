//! Alerts reach people: the shipped rules on a real Prometheus, the shipped routing on a real Alertmanager, a receiver of our own at the end.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_testkit::{Alertmanager, Prometheus, PrometheusOptions, ScrapeTarget, free_port, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn infra(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Answers every request with 200 and keeps what it was told, by path.
async fn receiver() -> (u16, Arc<Mutex<Vec<(String, String)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = told.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 16 << 10];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    request.extend_from_slice(&buffer[..n]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| {
                        line.to_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
                    });
                    if body.len() < length.unwrap_or(0) {
                        continue;
                    }
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    kept.lock().expect("nobody panicked").push((path, body.to_owned()));
                    let _ =
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
                    return;
                }
            });
        }
    });
    (port, told)
}

async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_down_pages_slack_pagerduty_and_the_webhook_and_hides_what_follows_from_it() {
    let (port, told) = receiver().await;
    let secrets = tempfile::tempdir().expect("a folder");
    std::fs::write(secrets.path().join("slack_webhook_url"), format!("http://127.0.0.1:{port}/slack")).expect("a file");
    std::fs::write(secrets.path().join("pagerduty_routing_key"), "key").expect("a file");
    let routing = infra("alertmanager/alertmanager.yml")
        .replace("/run/secrets", &secrets.path().display().to_string())
        .replace("http://127.0.0.1:9099/alerts", &format!("http://127.0.0.1:{port}/webhook"))
        .replace(
            "      - routing_key_file:",
            &format!("      - url: http://127.0.0.1:{port}/pagerduty\n        routing_key_file:"),
        )
        .replace("group_wait: 10s", "group_wait: 1s");
    let alertmanager = Alertmanager::start_with(&routing).await;
    // Nobody listens there: the scrape fails, as that of a node that is gone.
    let target = ScrapeTarget {
        address: format!("127.0.0.1:{}", free_port()),
        labels: [("job".to_owned(), "spillway".to_owned())].into(),
    };
    // Comes some time after the node is known to be down.
    let late = "      - alert: DeliveriesLate\n        expr: count(ALERTS{alertname=\"GatewayDown\",alertstate=\"firing\"}) > 0\n        for: 3s\n        labels: { severity: ticket }\n        annotations: { summary: late }\n";
    let rules = infra("prometheus/rules/alerts.yml").replace("for: 1m", "for: 1s");
    let rules =
        rules.replacen("  - name: resources\n    rules:\n", &format!("  - name: resources\n    rules:\n{late}"), 1);
    let address = alertmanager.url().trim_start_matches("http://").to_owned();
    let options = PrometheusOptions { targets: vec![target], rules, alertmanager: address.clone() };
    let _prometheus = Prometheus::start(&options).await;

    let has = |path: &str, part: &str| {
        told.lock().expect("nobody panicked").iter().any(|(at, body)| at == path && body.contains(part))
    };
    for (path, part) in [
        ("/webhook", "GatewayDown"),
        ("/slack", "runbooks/alerts/gateway_down.md"),
        ("/pagerduty", "does not answer its scrape"),
    ] {
        wait_until(&format!("{path} is told"), Duration::from_secs(60), async || has(path, part)).await;
    }
    let is_held_back = async || {
        let alerts = get(&address, "/api/v2/alerts?filter=alertname%3DDeliveriesLate").await;
        alerts.contains("DeliveriesLate") && alerts.contains("\"state\":\"suppressed\"")
    };
    wait_until("the late delivery is held back", Duration::from_secs(60), is_held_back).await;
    assert!(
        !has("/webhook", "DeliveriesLate"),
        "a late delivery follows from the node that is down, and is not told beside it"
    );
    assert!(!has("/pagerduty", "DeliveriesLate"), "a ticket wakes nobody");
}
