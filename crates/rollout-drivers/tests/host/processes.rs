//! Candidates as processes.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use spillway_rollout::ports::{Target as _, TargetObserved};
use spillway_rollout::spec::CommandLine;

use spillway_testkit::free_port;

use crate::support::client::Client;
use crate::support::host::{CANARY, Host, is_green_empty, is_green_ready};
use crate::support::program::{command, running};
use crate::support::server::SlotServer;
use crate::support::{desired, open};

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_comes_takes_over_and_goes() {
    let mut host = Host::start("polite").await;
    let seen = host.observe().await;
    assert_eq!(seen.wanted_revision.as_deref(), Some("v2"));
    assert_eq!(seen.slots.blue.revision.as_deref(), Some("unknown"));
    assert!(seen.slots.blue.is_ready());
    assert!(is_green_empty(&seen) && seen.slots.green.desired_replicas == 0);

    host.look_until("green to be ready", &desired(0, CANARY), is_green_ready).await;
    assert_eq!(host.ask("/").await, "blue v1");
    host.apply(&desired(100, CANARY)).await;
    assert_eq!(host.ask("/").await, "green v2");
    host.look_until("green to be gone", &desired(0, [Some("unknown"), None]), is_green_empty).await;
    assert_eq!(running(host.path()), []);
    assert_eq!(host.ask("/").await, "blue v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_dies_anywhere_starts_nothing_twice() {
    let mut host = Host::start("polite").await;
    let weights = [0, 10, 50, 100, 50, 0];
    for (round, weight) in (0u32..).zip(weights.into_iter().cycle().take(36)) {
        let want = desired(weight, CANARY);
        let work = async {
            host.observe().await;
            host.apply(&want).await;
        };
        // Dropped at another place each time, as a kill would end it.
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(round * round) * 100), work).await;
        host.target = open(host.path());
        assert!(running(host.path()).len() <= 1, "in round {round}");
    }
    host.look_until("green to be ready", &desired(100, CANARY), is_green_ready).await;
    let pid = host.ask_green("/pid").await;
    host.target = open(host.path());
    host.look_until("green to be ready", &desired(100, CANARY), is_green_ready).await;
    assert_eq!(host.observe().await.slots.green.restarts, 0);
    assert_eq!(running(host.path()).len(), 1);
    assert_eq!(host.ask_green("/pid").await, pid, "the same process");

    host.look_until("green to be gone", &desired(0, [Some("unknown"), None]), is_green_empty).await;
    assert_eq!(running(host.path()), [], "the adopted process was stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_started_right_before_the_controller_died_is_found() {
    let mut host = Host::start("polite").await;
    host.look_until("green to be ready", &desired(0, CANARY), is_green_ready).await;
    // Its number was not written down any more.
    let file = host.path().join("slots.json");
    let mut records: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let identity = records.pointer_mut("/content/slots/green/processes/0/identity").unwrap();
    assert!(identity.take().is_object());
    fs::write(&file, records.to_string()).unwrap();

    host.target = open(host.path());
    host.apply(&desired(0, CANARY)).await;
    assert!(is_green_ready(&host.observe().await));
    assert_eq!(running(host.path()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_dies_is_started_again_and_counted() {
    let mut host = Host::start("polite").await;
    let want = desired(0, CANARY);
    host.look_until("green to be ready", &want, is_green_ready).await;
    for n_crashes in 1..=2 {
        assert_eq!(host.ask_green("/crash").await, None);
        let is_noticed = |seen: &TargetObserved| seen.slots.green.restarts == n_crashes;
        host.look_until("the crash to count", &want, is_noticed).await;
        assert!(!host.observe().await.slots.green.is_ready());
        host.look_until("green to be back", &want, is_green_ready).await;
        assert_eq!(host.observe().await.slots.green.restarts, n_crashes);
    }
    assert!(host.path().join("logs/green-0.log").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_does_not_stop_is_killed() {
    let mut host = Host::start("stubborn").await;
    host.look_until("green to be ready", &desired(0, CANARY), is_green_ready).await;
    let stop = desired(0, [Some("unknown"), None]);
    host.apply(&stop).await;
    host.observe().await;
    assert_eq!(running(host.path()).len(), 1, "it was asked, and goes on");
    // The next controller goes on with it.
    host.target = open(host.path());
    host.look_until("green to be gone", &stop, is_green_empty).await;
    assert_eq!(running(host.path()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_stopped() {
    let mut host = Host::start("polite").await;
    host.look_until("green to be ready", &desired(0, CANARY), is_green_ready).await;
    let mut other = std::process::Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    // As if the candidate had ended and its number had been given away.
    let file = host.path().join("slots.json");
    let mut records: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    *records.pointer_mut("/content/slots/green/processes/0/identity/pid").unwrap() = other.id().into();
    fs::write(&file, records.to_string()).unwrap();

    host.target = open(host.path());
    host.look_until("green to be empty", &desired(0, [Some("unknown"), None]), is_green_empty).await;
    let pid = Pid::from_child(&other);
    assert!(test_kill_process(pid).is_ok() && other.try_wait().unwrap().is_none(), "the other process still runs");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_not_taken_for_the_candidate() {
    let mut host = Host::start("polite").await;
    let foreign = SlotServer::start("foreign").await;
    host.plan.target.host.as_mut().unwrap().slots.green.addresses = vec![foreign.address()];
    host.observe().await;
    let error = host.target.apply(&host.plan, &desired(0, CANARY)).await.unwrap_err().to_string();
    assert!(error.contains("is taken by a process that the controller did not start: stop it"), "{error}");
    assert!(is_green_empty(&host.observe().await));
    assert_eq!(running(host.path()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_be_started_is_said_and_moves_no_traffic() {
    let mut host = Host::start("polite").await;
    let start = CommandLine { command: vec!["/no/such/program".to_owned()], ..command("polite") };
    host.plan.target.host.as_mut().unwrap().candidate.start = Some(start);
    host.observe().await;
    let error = host.target.apply(&host.plan, &desired(50, CANARY)).await.unwrap_err().to_string();
    assert!(error.contains("`/no/such/program` cannot be started") && error.contains("candidate.start"), "{error}");
    assert_eq!(host.observe().await.router.unwrap().weights.green, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_with_two_addresses_has_two_processes() {
    let mut host = Host::start("polite").await;
    let addresses = &mut host.plan.target.host.as_mut().unwrap().slots.green.addresses;
    addresses.push(format!("127.0.0.1:{}", free_port()));
    let second = addresses[1].parse().unwrap();
    host.look_until("green to be ready", &desired(0, CANARY), is_green_ready).await;
    let seen = host.observe().await.slots.green;
    assert_eq!((seen.desired_replicas, seen.ready_replicas, running(host.path()).len()), (2, 2, 2));

    let _ = Client::new(second).get("/crash").await;
    let is_half = |seen: &TargetObserved| seen.slots.green.ready_replicas == 1 && seen.slots.green.restarts == 1;
    host.look_until("one to be missing", &desired(0, CANARY), is_half).await;
    host.look_until("both to be back", &desired(0, CANARY), is_green_ready).await;
    host.look_until("green to be gone", &desired(0, [Some("unknown"), None]), is_green_empty).await;
    assert_eq!(running(host.path()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_stopped_after_its_last_request() {
    let mut host = Host::start("polite").await;
    host.look_until("green to be ready", &desired(0, CANARY), is_green_ready).await;
    host.apply(&desired(100, CANARY)).await;
    let mut client = Client::new(host.nginx.address());
    let slow = tokio::spawn(async move { client.get("/slow").await });
    // The request is with green when another one that was sent later was answered.
    for _ in 0..50 {
        assert_eq!(host.ask("/").await, "green v2");
    }
    host.look_until("green to be gone", &desired(0, [Some("unknown"), None]), is_green_empty).await;
    assert_eq!(slow.await.unwrap().unwrap().body, "green v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_was_stopped_is_started_again_as_it_was() {
    let mut host = Host::start("polite").await;
    host.look_until("green to be ready", &desired(0, CANARY), is_green_ready).await;
    host.look_until("green to be gone", &desired(0, [Some("unknown"), None]), is_green_empty).await;
    host.plan.target.host.as_mut().unwrap().candidate.revision = "v3".to_owned();
    host.look_until("v2 to be back", &desired(0, CANARY), is_green_ready).await;
    host.apply(&desired(100, CANARY)).await;
    assert_eq!(host.ask("/").await, "green v2");

    // Another revision waits until the traffic has left.
    host.observe().await;
    let in_place = desired(100, [Some("unknown"), Some("v3")]);
    let error = host.target.apply(&host.plan, &in_place).await.unwrap_err().to_string();
    assert!(error.contains("its traffic has to leave before v3 can run there"), "{error}");
    let is_v3 =
        |seen: &TargetObserved| seen.slots.green.revision.as_deref() == Some("v3") && seen.slots.green.is_ready();
    host.look_until("v3 in green", &desired(0, [Some("unknown"), Some("v3")]), is_v3).await;
    assert_eq!(host.ask_green("/").await.as_deref(), Some("green v3"));
    assert_eq!(running(host.path()).len(), 1);
}
