//! Two slots of workers that share the deliveries of one database.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use spillway_devtools::gateway::Gateway;
use spillway_testkit::{Redis, Sink, TestDatabase, shared_database, wait_until};

use crate::support::{Folder, SOON, Sender, arrivals, assert_each_arrived_once, orders_to, program, stop};

/// Events whose share is measured.
const EVENTS: usize = 2_000;
/// Events sent at once.
const BATCH: usize = 50;
/// How soon a change of the shares is in force.
const IN_FORCE: Duration = Duration::from_secs(2);

/// One node that takes events, and a worker in each slot.
pub(crate) struct Installation {
    pub(crate) folder: Folder,
    pub(crate) sink: Sink,
    pub(crate) api: Gateway,
    pub(crate) blue: Gateway,
    pub(crate) green: Gateway,
    pub(crate) sender: Sender,
    pub(crate) admin_key: String,
    _database: TestDatabase,
    _redis: Option<Redis>,
}

impl Installation {
    pub(crate) async fn start(redis: bool, more: &str) -> Self {
        let (folder, sink, database) = (Folder::new(), Sink::start().await, shared_database().await);
        let redis = if redis { Some(Redis::start().await) } else { None };
        let url = redis.as_ref().map_or_else(String::new, |redis| format!("[redis]\nurl = \"{}\"\n", redis.url()));
        let settings = orders_to(&sink.url("/"), &format!("url = \"{}\"", database.url()), more);
        folder.settings(&format!("{url}{settings}"));
        let api = folder.try_start(&["--role", "api"], "api.log").await.expect("a node that starts");
        let worker = async |slot: &str| {
            let log = format!("{slot}.log");
            folder.try_start(&["--role", "worker", "--slot", slot], &log).await.expect("a worker that starts")
        };
        let (blue, green) = tokio::join!(worker("blue"), worker("green"));
        let admin_key = api.admin_key.clone().expect("the first start has a key");
        let sender = Sender::new();
        Self { folder, sink, api, blue, green, sender, admin_key, _database: database, _redis: redis }
    }

    /// Sets the shares with the command line, and waits until both workers have them.
    async fn set(&self, blue: u8, green: u8) {
        self.command(&["workers", "shares", "--set", &format!("blue={blue},green={green}")]).await;
        for (worker, share) in [(&self.blue, blue), (&self.green, green)] {
            let ratio = f64::from(share) / 100.0;
            wait_until("the share of a worker", SOON, async || self.sender.share(&worker.url).await == Some(ratio))
                .await;
        }
    }

    async fn command(&self, arguments: &[&str]) -> String {
        let mut command = tokio::process::Command::new(program());
        command.args(arguments).env_clear();
        command.env("SPILLWAY_URL", &self.api.url).env("SPILLWAY_API_KEY", &self.admin_key);
        let output = command.output().await.expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Sends a batch at once. Returns the ids.
    pub(crate) async fn send_batch(&self) -> Vec<String> {
        let mut batch = tokio::task::JoinSet::new();
        for n in 0..BATCH {
            let (sender, url) = (self.sender.clone(), self.api.url.clone());
            batch.spawn(async move { sender.send(&url, format!("{{\"n\":{n}}}")).await.expect("an acknowledgement") });
        }
        batch.join_all().await
    }

    /// Attempts that each slot has made.
    async fn attempts(&self) -> (f64, f64) {
        tokio::join!(
            self.sender.counter(&self.blue.url, "spillway_attempts_total"),
            self.sender.counter(&self.green.url, "spillway_attempts_total"),
        )
    }
}

/// The share that is set is the share that is measured; a change moves everything within moments; and all of it arrives once.
async fn shares_are_kept_and_change_at_once(redis: bool) {
    let it = Installation::start(redis, "").await;
    it.set(90, 10).await;
    let mut ids = Vec::new();
    while ids.len() < EVENTS {
        ids.extend(it.send_batch().await);
    }
    it.sink.wait_for_count(EVENTS, SOON).await;
    wait_until("the attempts to be counted", SOON, async || {
        let (blue, green) = it.attempts().await;
        blue + green >= EVENTS as f64
    })
    .await;
    let (blue, green) = it.attempts().await;
    let percent = green * 100.0 / (blue + green);
    assert!((7.0..=13.0).contains(&percent), "green made {green} of {} attempts, {percent} %", blue + green);

    // The command line's answer is the moment from which the change counts.
    it.command(&["workers", "shares", "--set", "blue=0,green=100"]).await;
    let set = Instant::now();
    let whole = loop {
        let (begun, before) = (set.elapsed(), it.attempts().await);
        ids.extend(it.send_batch().await);
        it.sink.wait_for_count(ids.len(), SOON).await;
        wait_until("the attempts to be counted", SOON, async || {
            let (blue, green) = it.attempts().await;
            blue + green >= ids.len() as f64
        })
        .await;
        if it.attempts().await.0 == before.0 {
            break begun;
        }
    };
    assert!(whole <= IN_FORCE, "blue still delivered events that were sent {whole:?} after the change");
    assert_each_arrived_once(&it.sink, &ids);
    for node in [it.api, it.blue, it.green] {
        stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_kept_and_change_at_once_through_redis() {
    shares_are_kept_and_change_at_once(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_kept_and_change_at_once_without_redis() {
    shares_are_kept_and_change_at_once(false).await;
}

/// A slot whose only worker is killed costs its lease and the grace, and no event.
async fn a_killed_candidate_loses_nothing(redis: bool) {
    let short = "timeout = \"900ms\"\nlease = \"1s\"\n[worker]\nshare_grace = \"1s\"";
    let it = Installation::start(redis, short).await;
    it.set(50, 50).await;
    let mut ids = it.send_batch().await;
    let Installation { green, blue, sink, sender, .. } = &it;
    wait_until("the candidate to work", SOON, async || {
        sender.counter(&green.url, "spillway_attempts_total").await > 0.0
    })
    .await;
    let under_way = async { it.send_batch().await };
    let (more, killed) = tokio::join!(under_way, kill(green.pid()));
    killed.expect("the candidate is killed");
    ids.extend(more);
    ids.extend(it.send_batch().await);
    let all_arrived = async || {
        let arrived: HashMap<String, usize> = arrivals(sink);
        ids.iter().all(|id| arrived.contains_key(id))
    };
    wait_until("everything to arrive at last", SOON, all_arrived).await;
    assert!(sender.counter(&blue.url, "spillway_attempts_total").await >= 50.0);
}

pub(crate) async fn kill(pid: u32) -> std::io::Result<std::process::ExitStatus> {
    tokio::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_candidate_loses_nothing_through_redis() {
    a_killed_candidate_loses_nothing(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_candidate_loses_nothing_without_redis() {
    a_killed_candidate_loses_nothing(false).await;
}
