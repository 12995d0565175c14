//! Ordered delivery through the whole program, while the destination fails for one key.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use spillway_testkit::{Answer, Sink, shared_database, wait_until};

use crate::support::{Folder, SOON, Sender, orders_to, stop};

const KEYS: [&str; 3] = ["ann", "bob", "eve"];
const EACH: usize = 12;
/// How often the destination refuses the first delivery of the first key.
const REFUSALS: usize = 3;

/// What the destination took of a key, in its order.
fn taken(sink: &Sink, key: &str) -> Vec<usize> {
    let bodies = sink.requests().into_iter().map(|request| request.body);
    let bodies = bodies.filter_map(|body| serde_json::from_slice::<serde_json::Value>(&body).ok());
    let of_key = bodies.filter(|body| body["key"] == key);
    of_key.filter_map(|body| body["n"].as_u64()).map(|n| usize::try_from(n).expect("a small number")).collect()
}

async fn keys_stay_in_order(folder: &Folder, store: &str) {
    let sink = Sink::start().await;
    let refused: Mutex<HashMap<String, usize>> = Mutex::default();
    sink.respond_with(move |request| {
        if &request.body[..] != br#"{"key":"ann","n":0}"# {
            return Answer::status(200);
        }
        let mut refused = refused.lock().expect("no panic before");
        let n = refused.entry("ann".to_owned()).or_default();
        *n += 1;
        Answer::status(if *n > REFUSALS { 200 } else { 500 })
    });
    let delivery = "retry_schedule = [\"0s\", \"1s\", \"1s\", \"1s\", \"1s\"]";
    let settings = orders_to(&sink.url("/"), store, delivery);
    folder.settings(&settings.replace("destination = \"shop\"\n", "destination = \"shop\"\norder_by = \".key\"\n"));
    let gateway = folder.start(&[]).await;
    let sender = Sender::new();
    for n in 0..EACH {
        for key in KEYS {
            let body = format!(r#"{{"key":"{key}","n":{n}}}"#);
            sender.send(&gateway.url, body).await.expect("an acknowledgement");
        }
    }
    // The others are done while the first one waits for its retries.
    for key in &KEYS[1..] {
        wait_until("the other keys", SOON, async || taken(&sink, key).len() == EACH).await;
        assert_eq!(taken(&sink, key), (0..EACH).collect::<Vec<_>>());
    }
    wait_until("the refused key", SOON, async || taken(&sink, "ann").len() == EACH + REFUSALS).await;
    let expected: Vec<usize> = std::iter::repeat_n(0, REFUSALS).chain(0..EACH).collect();
    assert_eq!(taken(&sink, "ann"), expected, "nothing overtook the delivery that was refused");
    assert!(stop(gateway).await < Duration::from_secs(25));
}

#[tokio::test]
async fn keys_stay_in_order_on_sqlite() {
    let folder = Folder::new();
    let store = format!("data_dir = \"{}\"", folder.path("data").display());
    keys_stay_in_order(&folder, &store).await;
}

#[tokio::test]
async fn keys_stay_in_order_on_postgres() {
    let (folder, database) = (Folder::new(), shared_database().await);
    keys_stay_in_order(&folder, &format!("url = \"{}\"", database.url())).await;
}
