//! Filters, transforms and order on the way from a sender to a destination.

use serde_json::{Value, json};
use spillway_testkit::{Answer, Sink, wait_until};

use crate::support::{Folder, SOON, Sender, orders_to, program};

/// A connection from `orders` to `shop` with all three programs.
const PROGRAMS: &str = r#"
filter = '.amount > 10'
transform = '{id, customer, cents: (.amount * 100), from: $source}'
order_by = '.customer'
"#;

fn settings(folder: &Folder, url: &str) {
    let store = format!("data_dir = \"{}\"", folder.path("data").display());
    let declared = orders_to(url, &store, "retry_schedule = [\"0s\", \"200ms\", \"200ms\", \"200ms\"]");
    folder.settings(&format!("{declared}{PROGRAMS}"));
}

fn ids_of(sink: &Sink, customer: &str) -> Vec<i64> {
    let requests = sink.requests();
    let bodies = requests.iter().filter_map(|request| serde_json::from_slice::<Value>(&request.body).ok());
    bodies.filter(|body| body["customer"] == customer).filter_map(|body| body["id"].as_i64()).collect()
}

#[tokio::test]
async fn what_a_filter_lets_through_arrives_transformed_and_in_order() {
    let folder = Folder::new();
    let sink = Sink::start().await;
    // The first order of customer a fails twice: those behind it wait, and customer b does not.
    let attempts = std::sync::atomic::AtomicUsize::new(0);
    sink.respond_with(move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let is_first = body["customer"] == "a" && body["id"] == 1;
        let fails = is_first && attempts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2;
        Answer::status(if fails { 503 } else { 200 })
    });
    settings(&folder, &sink.url("/"));
    let gateway = folder.start(&[]).await;
    let sender = Sender::new();
    for (id, customer, amount) in [(1, "a", 12), (2, "a", 13), (3, "b", 20), (4, "a", 5), (5, "a", 14), (6, "b", 21)] {
        let order = json!({"id": id, "customer": customer, "amount": amount, "secret": "not for shops"});
        sender.send(&gateway.url, order.to_string()).await.expect("an acknowledgement");
    }
    let requests = sink.wait_for(7, SOON).await;
    assert_eq!(ids_of(&sink, "a"), [1, 1, 1, 2, 5], "strictly one after the other, without what the filter held back");
    assert_eq!(ids_of(&sink, "b"), [3, 6]);
    let last_of_b = requests.iter().position(|request| request.body.ends_with(b"\"cents\":2100,\"from\":\"orders\"}"));
    let second_of_a = requests.iter().position(|request| request.body.starts_with(b"{\"id\":2,"));
    assert!(last_of_b < second_of_a, "a key that is stuck holds up nobody else");
    assert_eq!(&requests[0].body[..], br#"{"id":1,"customer":"a","cents":1200,"from":"orders"}"#);
}

#[tokio::test]
async fn a_transform_that_fails_for_an_event_is_seen_with_its_reason_and_stops_nothing_else() {
    let folder = Folder::new();
    let sink = Sink::start().await;
    settings(&folder, &sink.url("/"));
    let gateway = folder.start(&[]).await;
    let sender = Sender::new();
    let text = sender.send(&gateway.url, "not JSON".to_owned()).await.expect("an acknowledgement");
    sender.send(&gateway.url, json!({"id": 2, "customer": "a", "amount": 11}).to_string()).await.expect("one more");
    sink.wait_for_count(1, SOON).await;
    let key = gateway.admin_key.clone().expect("the first start has a key");
    let ask = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(program());
        command.args(arguments).args(["--output", "json"]).env_clear();
        let command = command.env("SPILLWAY_URL", &gateway.url).env("SPILLWAY_API_KEY", &key);
        let output = command.output().await.expect("the program runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut seen = String::new();
    wait_until("an attempt that says why", SOON, async || {
        let deliveries = ask(&["deliveries", "list", "--event", &text]).await;
        let Some(start) = deliveries.find("dlv_") else { return false };
        seen = ask(&["deliveries", "attempts", &deliveries[start..start + 30]]).await;
        seen.contains("transform")
    })
    .await;
    assert!(seen.contains("the body is not JSON"), "{seen}");
    assert_eq!(sink.count(), 1);
}
