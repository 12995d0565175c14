//! The rollout controller's driver for workers, on real processes.

use std::sync::Arc;
use std::time::Duration;

use spillway_model::{Secret, SecretResolver, SystemClock};
use spillway_rollout::decision::{Desired, DesiredSlot};
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::plan::{Plan, PlanAnalysis};
use spillway_rollout::ports::{PortError, Target};
use spillway_rollout::slot::{Slot, Slots};
use spillway_rollout::state::State;
use spillway_rollout::{judge, spec};
use spillway_rollout_drivers::http::HttpClient;
use spillway_rollout_drivers::workers::WorkersDriver;
use spillway_testkit::wait_until;

use crate::shares::{Installation, kill};
use crate::support::{SOON, assert_each_arrived_once, program};

fn plan(it: &Installation) -> Plan {
    let target = serde_json::json!({"workers": {
        "gateway": it.api.url,
        "apiKey": "the key",
        "slots": {"blue": {"addresses": [it.blue.address()]}, "green": {"addresses": [it.green.address()]}},
        "candidate": {"revision": "v2"},
    }});
    Plan {
        name: "workers".to_owned(),
        namespace: None,
        is_fix: false,
        strategy: spec::Strategy::Canary,
        target: serde_json::from_value(target).expect("a target"),
        steps: Vec::new(),
        guards: Vec::new(),
        optional_guards: Default::default(),
        analysis: PlanAnalysis {
            source: spec::AnalysisSource::Slots,
            prometheus: None,
            interval: Duration::from_secs(15),
            warmup: Duration::ZERO,
            requests: spec::Series::default(),
            errors: spec::Series::default(),
            latency: spec::Latency::default(),
        },
        judge: judge::JudgeSettings { metrics: Vec::new(), ..judge::JudgeSettings::default() },
        on_failure: spec::OnFailure::Rollback,
        on_inconclusive: spec::OnInconclusive::Hold,
        observation: Duration::ZERO,
        progress_deadline: Duration::ZERO,
        paused: false,
        notifications: Vec::new(),
        console: None,
    }
}

fn desired(blue: u8, green: u8) -> Desired {
    let router = RouterObserved { weights: Slots { blue, green }, mirror: Slots::default() };
    Desired { router, slots: Slots::make(|_| DesiredSlot::AsIs), capacity: Slots { blue, green }, gates: Vec::new() }
}

/// Kills what the driver started from this folder and has not stopped, when the test ends in any way.
struct Leftovers(String);

impl Drop for Leftovers {
    fn drop(&mut self) {
        let entries = std::fs::read_dir("/proc").into_iter().flatten();
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        for pid in pids.filter(|pid| *pid != std::process::id()) {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            if String::from_utf8_lossy(&environment).contains(&format!("STARTED_FROM={}", self.0)) {
                let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
        }
    }
}

fn driver(it: &Installation, key: &str) -> WorkersDriver {
    let (key, folder) = (Secret::new(key), it.folder.path("controller"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let secrets: SecretResolver = Arc::new(move |_| Ok(key.clone()));
    WorkersDriver::open(&folder, Arc::new(SystemClock), HttpClient::new(), secrets).expect("a driver")
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_of_a_rollout_are_the_shares_of_the_workers() {
    let it = Installation::start(true, "").await;
    let mut driver = driver(&it, &it.admin_key);
    let (plan, state) = (plan(&it), State { live_revision: Some("v1".to_owned()), ..State::default() });

    let seen = driver.observe(&plan, &state).await.expect("an observation");
    assert_eq!((seen.router, seen.troubles), (Some(RouterObserved::all_to(Slot::Blue)), Vec::new()));
    assert!(seen.slots.blue.is_ready());

    for (blue, green) in [(100, 0), (75, 25), (0, 100)] {
        let mut wanted = desired(blue, green);
        wanted.slots.green = DesiredSlot::Running { revision: "v2".to_owned() };
        driver.apply(&plan, &wanted).await.expect("the weights");
        let seen = driver.observe(&plan, &state).await.expect("an observation");
        assert_eq!(seen.router.map(|router| router.weights), Some(Slots { blue, green }));
        assert!(seen.slots.green.is_ready() && seen.slots.green.revision.as_deref() == Some("v2"));
        let ratio = f64::from(green) / 100.0;
        let in_force = async || it.sender.share(&it.green.url).await == Some(ratio);
        wait_until("the share of green", SOON, in_force).await;
    }
    let ids = it.send_batch().await;
    it.sink.wait_for_count(ids.len(), SOON).await;
    assert_eq!(it.sender.counter(&it.blue.url, "spillway_attempts_total").await, 0.0);

    let refused = self::driver(&it, "spk_nobody").apply(&plan, &desired(100, 0)).await.expect_err("a refusal");
    assert!(matches!(&refused, PortError::Permanent(text) if text.contains("key_unknown")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_started_before_its_share_and_stopped_after_it() {
    let mut it = Installation::start(false, "").await;
    kill(it.green.pid()).await.expect("it is killed");
    it.green.wait().expect("it ends");
    let mut driver = driver(&it, &it.admin_key);
    let (mut plan, state) = (plan(&it), State { live_revision: Some("v1".to_owned()), ..State::default() });
    let address = format!("127.0.0.1:{}", spillway_testkit::free_port());
    let workers = plan.target.workers.as_mut().expect("workers");
    workers.slots.green.addresses = vec![address.clone()];
    let (program, config) = (program().display().to_string(), it.folder.path("spillway.toml").display().to_string());
    let command = ["serve", "--config", &config, "--role", "worker", "--slot", "{slot}", "--listen", "{address}"];
    let command: Vec<String> = std::iter::once(program.as_str()).chain(command).map(str::to_owned).collect();
    workers.candidate.start = Some(
        serde_json::from_value(serde_json::json!({"command": command, "environment": {"STARTED_FROM": config}}))
            .expect("a command"),
    );
    let _leftovers = Leftovers(config.clone());

    let mut wanted = desired(100, 0);
    wanted.slots.green = DesiredSlot::Running { revision: "v2".to_owned() };
    let is_ready = async |driver: &mut WorkersDriver, wanted: &Desired| {
        driver.apply(&plan, wanted).await.expect("slots as they shall be");
        driver.observe(&plan, &state).await.expect("an observation").slots.green.is_ready()
    };
    // Sets the shares first, so that the candidate takes nothing when it comes.
    wait_until("the candidate", SOON, async || is_ready(&mut driver, &wanted).await).await;
    wanted.router = desired(0, 100).router;
    assert!(is_ready(&mut driver, &wanted).await);
    let url = format!("http://{address}");
    wait_until("its share", SOON, async || it.sender.share(&url).await == Some(1.0)).await;
    let ids = it.send_batch().await;
    it.sink.wait_for_count(ids.len(), SOON).await;
    assert_eq!(it.sender.counter(&it.blue.url, "spillway_attempts_total").await, 0.0);

    // Rolled back.
    wanted.router = desired(100, 0).router;
    wanted.slots.green = DesiredSlot::Stopped;
    wait_until("the candidate to stop", SOON, async || !is_ready(&mut driver, &wanted).await).await;
    let ids = [ids, it.send_batch().await].concat();
    it.sink.wait_for_count(ids.len(), SOON).await;
    assert_each_arrived_once(&it.sink, &ids);
    // Until the process is gone, so that it does not outlive the test.
    let is_empty = async || {
        driver.apply(&plan, &wanted).await.expect("slots as they shall be");
        tokio::net::TcpStream::connect(&address).await.is_err()
    };
    wait_until("an empty slot", SOON, is_empty).await;
}
