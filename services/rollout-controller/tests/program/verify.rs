//! `verify` against two servers.

use spillway_testkit::{Answer, Sink};

use crate::support::Folder;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_fails_is_worse_and_one_that_is_alike_is_not() {
    let (candidate, production) = (Sink::start().await, Sink::start().await);
    candidate.respond_with(|request| Answer::status(if request.path == "/broken" { 503 } else { 200 }));
    let folder = Folder::with(&[]);
    let run = async |path: &str| {
        let (canary, live) = (candidate.url("/"), production.url(""));
        let arguments = ["verify", "--canary-url", &canary, "--production-url", &live, "--requests-path", path];
        let more = ["--rate", "300", "--duration", "10s", "--output", "json", "--threshold", "errors=1%"];
        folder.run_beside(&[&arguments[..], &more].concat()).await
    };
    let worse = run("/broken").await.json(1);
    assert_eq!(worse["verdict"], "worse");
    assert_eq!(worse["production"]["errors"], 0);
    let alike = run("/fine").await;
    // Whether latency is proven alike too depends on what else this machine does.
    assert!(matches!(alike.code, Some(0 | 2)), "{alike:#?}");
    let alike = alike.json(alike.code.unwrap_or_default());
    let errors = &alike["evidence"][0];
    assert_eq!(errors["metric"], "errors");
    assert!(errors["pass"].as_f64() >= errors["passLimit"].as_f64(), "errors are proven alike: {alike}");
    folder.has_only(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_is_gone_is_worse_at_once() {
    let production = Sink::start().await;
    let gone = format!("http://127.0.0.1:{}", spillway_testkit::free_port());
    let live = production.url("");
    let ended = Folder::with(&[]).run_beside(&["verify", "--canary-url", &gone, "--production-url", &live]).await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stdout.starts_with("✗ worse: the candidate is not healthy: "), "{ended:#?}");
}
