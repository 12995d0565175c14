//! A run over three processes: one lossless result, or a failure that names the shard.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use spillway_testkit::{Sink, free_port};

use crate::support::{Ended, Folder, SOON, signal, wait};

const FLOW: &str = "[[flows.default.requests]]\nname = \"home\"\npath = \"/home\"\n\
    [[flows.setup.requests]]\npath = \"/setup\"\n[[flows.teardown.requests]]\npath = \"/teardown\"\n";

struct Run {
    folder: Folder,
    coordinator: Child,
    shards: Vec<Child>,
}

fn start(sink: &Sink, options: &str) -> Run {
    let folder = Folder::with(&[("load.toml", &format!("{options}\n{FLOW}"))]);
    let address = format!("127.0.0.1:{}", free_port());
    let coordinator = folder.start(&[
        "coordinate",
        "load.toml",
        "--shards",
        "3",
        "--listen",
        &address,
        "--target",
        &sink.url(""),
        "--out",
        "json=merged.json",
    ]);
    let url = format!("http://{address}");
    let shards = (0..3).map(|_| folder.start(&["shard", "--coordinator", &url])).collect();
    Run { folder, coordinator, shards }
}

async fn all(shards: Vec<Child>) -> Vec<Ended> {
    let mut ended = Vec::new();
    for shard in shards {
        ended.push(wait(shard).await);
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn three_shards_are_one_run() {
    let sink = Sink::start().await;
    let run = start(&sink, "vus = 6\niterations = 100\n[thresholds]\nhttp_reqs = \"count==100\"");
    let ended = wait(run.coordinator).await;
    let shards = all(run.shards).await;
    assert_eq!(ended.code, Some(0), "{ended:#?} {shards:#?}");
    assert!(shards.iter().all(|shard| shard.code == Some(0)), "{shards:#?}");
    assert_eq!(sink.requests_to("/home").len(), 100);
    assert_eq!((sink.requests_to("/setup").len(), sink.requests_to("/teardown").len()), (1, 1), "once for all");
    let clients =
        sink.requests_to("/home").iter().map(|request| request.peer).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(clients.len(), 6, "users on connections of their own");
    let merged = run.folder.read("merged.json");
    assert!(merged.contains("http_req_duration"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_dies_fails_the_run_by_name() {
    let sink = Sink::counting().await;
    let mut run = start(&sink, "vus = 6\nduration = \"120s\"");
    sink.wait_for_count(20, SOON).await;
    signal(&run.shards[1], Signal::KILL);
    let begun = Instant::now();
    let ended = wait(run.coordinator).await;
    assert_eq!(ended.code, Some(107), "{ended:#?}");
    assert!(ended.stderr.contains("shard"), "{ended:#?}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let killed = run.shards.remove(1);
    wait(killed).await;
    for shard in all(run.shards).await {
        assert_ne!(shard.code, Some(0), "the others do not pretend: {shard:#?}");
    }
}
