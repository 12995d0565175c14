//! Reloads under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::Rig;
use crate::support::client::Client;

const N_CLIENTS: usize = 8;
const N_RELOADS: u8 = 20;
/// Requests of all clients between two reloads.
const N_BETWEEN: u64 = 400;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_over_twenty_reloads() {
    let mut rig = Rig::start().await;
    let (stop, n_answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = Vec::new();
    for number in 0..N_CLIENTS {
        let (stop, n_answered) = (Arc::clone(&stop), Arc::clone(&n_answered));
        let mut client = Client::new(rig.nginx.address());
        clients.push(tokio::spawn(async move {
            let mut failures = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let answer = if number % 2 == 0 { client.get("/").await } else { client.post("/", "body").await };
                match answer {
                    Ok(answer) if answer.status == 200 => {}
                    other => failures.push(format!("{other:?}")),
                }
                n_answered.fetch_add(1, Ordering::SeqCst);
            }
            (failures, client.n_sent_again)
        }));
    }
    for reload in 1..=N_RELOADS {
        let before = n_answered.load(Ordering::SeqCst);
        rig.weigh(reload * 5).await.unwrap();
        while n_answered.load(Ordering::SeqCst) < before + N_BETWEEN {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut n_sent_again = 0;
    for client in clients {
        let (failures, again) = client.await.unwrap();
        assert_eq!(failures, Vec::<String>::new());
        n_sent_again += again;
    }
    let n_answered = n_answered.load(Ordering::SeqCst);
    println!("{n_answered} requests, {N_RELOADS} reloads, {n_sent_again} sent again on a new connection");
    // Each reload closes each connection at most once, so this is what a client can meet in the worst case.
    assert!(n_sent_again <= u64::from(N_RELOADS) * N_CLIENTS as u64);
}
