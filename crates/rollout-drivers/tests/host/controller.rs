//! The loop, on a real host: real nginx, a real process, real decisions; measurements and gates are made up.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use spillway_model::{SystemClock, UnixMillis};
use spillway_rollout::Plan;
use spillway_rollout::decision::{Desired, GateRequest, Note, NoteKind};
use spillway_rollout::observed::{Command, CommandAction, GateState};
use spillway_rollout::ports::{
    Capabilities, Gatekeeper, Measured, Memory, Meter, Notifier, PortError, Target, TargetObserved,
};
use spillway_rollout::simulate::{Recording, replay};
use spillway_rollout::spec::{Guard, Threshold, ThresholdMetric};
use spillway_rollout::state::{Phase, State};
use spillway_rollout_drivers::controller::{Controller, Ended, Options, Parts, Recorder};
use spillway_rollout_drivers::host::HostTarget;
use spillway_rollout_drivers::memory::StateDirectory;
use spillway_testkit::wait_until;
use tokio_util::sync::CancellationToken;

use crate::support::client::Client;
use crate::support::host::Host;
use crate::support::program::running;
use crate::support::{DEADLINE, open, rollout, temporary};

/// Measures nothing, passes every gate, keeps what is told.
#[derive(Clone, Default)]
struct Bystander(Arc<Mutex<Vec<Note>>>);

#[async_trait]
impl Meter for Bystander {
    async fn sample(&mut self, _: &Plan, _: &State, _: UnixMillis) -> Measured {
        Measured::default()
    }
}

#[async_trait]
impl Gatekeeper for Bystander {
    async fn tend(&mut self, _: &Plan, requests: &[GateRequest]) -> BTreeMap<String, GateState> {
        let passed = GateState::Passed { summary: "fine".to_owned(), report: None };
        requests.iter().map(|request| (request.id.clone(), passed.clone())).collect()
    }
}

#[async_trait]
impl Notifier for Bystander {
    async fn tell(&self, _: &Plan, _: &State, notes: &[Note]) {
        self.0.lock().unwrap().extend_from_slice(notes);
    }
}

impl Bystander {
    fn kinds(&self) -> Vec<NoteKind> {
        self.0.lock().unwrap().iter().map(|note| note.kind).collect()
    }
}

fn parts(target: impl Target + 'static, memory: impl Memory + 'static, bystander: &Bystander) -> Parts {
    Parts {
        target: Box::new(target),
        meter: Box::new(bystander.clone()),
        gatekeeper: Box::new(bystander.clone()),
        memory: Box::new(memory),
        notifier: Arc::new(bystander.clone()),
        clock: Arc::new(SystemClock),
    }
}

impl Host {
    /// A controller as a fresh process has it.
    fn controller(&self, stay: bool, bystander: &Bystander) -> Controller {
        let memory = StateDirectory::open(self.path()).unwrap();
        let options = Options { stay, status_file: Some(memory.status_file()), ..Options::default() };
        let wake = || Arc::clone(&options.wake);
        tokio::spawn(StateDirectory::wake_on_commands(self.path(), wake(), CancellationToken::new()));
        let parts = parts(open(self.path()).waking(wake()), memory, bystander);
        Controller::new(self.plan.clone(), parts, options).unwrap()
    }

    fn phase(&self) -> Phase {
        StateDirectory::read_state(self.path()).unwrap().map_or(Phase::Idle, |state| state.phase)
    }

    fn weight(&self) -> u8 {
        let state = StateDirectory::read_state(self.path()).unwrap();
        state.and_then(|state| state.rollout).map_or(0, |progress| progress.weight)
    }

    fn give(&self, id: &str, action: CommandAction) {
        let command = Command { id: id.to_owned(), at: 1, by: "me".to_owned(), action, reason: None };
        StateDirectory::give(self.path(), &command).unwrap();
    }
}

async fn within_deadline(run: impl Future<Output = Ended>) -> Ended {
    tokio::time::timeout(3 * DEADLINE, run).await.expect("the rollout ends")
}

/// Asks all the time until it is told to stop; returns how many requests failed, of how many.
fn visitors(host: &Host, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<(Vec<String>, u64)> {
    let (mut client, stop) = (Client::new(host.nginx.address()), Arc::clone(stop));
    tokio::spawn(async move {
        let (mut failures, mut n_requests) = (Vec::new(), 0);
        while !stop.load(Ordering::SeqCst) {
            match client.get("/").await {
                Ok(answer) if answer.status == 200 => {}
                other => failures.push(format!("{other:?}")),
            }
            n_requests += 1;
        }
        (failures, n_requests)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_version_takes_over_and_nobody_notices() {
    let host = Host::start("polite").await;
    let (bystander, stop) = (Bystander::default(), Arc::new(AtomicBool::new(false)));
    let visitors = visitors(&host, &stop);
    let controller = host.controller(false, &bystander);
    let status = controller.status();
    assert_eq!(within_deadline(controller.run(CancellationToken::new())).await, Ended::Succeeded);
    stop.store(true, Ordering::SeqCst);
    let (failures, n_requests) = visitors.await.unwrap();
    assert_eq!(failures, Vec::<String>::new(), "of {n_requests} requests");

    assert_eq!(host.ask("/").await, "green v2");
    let kinds = bystander.kinds();
    assert!(kinds.contains(&NoteKind::Promoted) && kinds.contains(&NoteKind::Succeeded), "{kinds:?}");
    let shown = status.borrow().clone().unwrap();
    assert_eq!(shown.state.live_revision.as_deref(), Some("v2"));
    assert_eq!(StateDirectory::read_status(host.path()).unwrap(), *shown);
    // The same plan again has nothing to do.
    let again = host.controller(false, &bystander).run(CancellationToken::new());
    assert_eq!(within_deadline(again).await, Ended::Succeeded);
    assert_eq!(running(host.path()).len(), 1);

    host.give("back", CommandAction::Undo);
    let undo = host.controller(false, &bystander).run(CancellationToken::new());
    assert_eq!(within_deadline(undo).await, Ended::Aborted);
    assert_eq!(host.ask("/").await, "blue v1");
    assert_eq!(running(host.path()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_look_is_recorded_from_where_it_started() {
    let host = Host::start("polite").await;
    let recording = host.path().join("recording.jsonl");
    let rollout = rollout(host.plan.target.host.clone().unwrap());
    let bystander = Bystander::default();
    let lines = |number: &str| {
        let text = fs::read_to_string(format!("{}{number}", recording.display())).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
    };
    for (life, n_looks) in [("first", 2), ("second", 3)] {
        let memory = StateDirectory::open(host.path()).unwrap();
        let recorder = Recorder::new(&recording, rollout.clone(), Recorder::DEFAULT_LIMIT);
        let options = Options { recorder: Some(recorder), ..Options::default() };
        let parts = parts(open(host.path()), memory, &bystander);
        let mut controller = Controller::new(host.plan.clone(), parts, options).unwrap();
        for _ in 0..n_looks {
            controller.look_once().await;
        }
        let lines = lines("");
        assert_eq!(lines.len(), 1 + n_looks, "in the {life} life");
        assert_eq!(lines[0]["rollout"]["metadata"]["name"], "web");
        assert!(lines[1..].iter().all(|line| line["now"].is_i64() && line["observed"]["router"].is_object()));
    }
    let recorded = Recording::parse(&fs::read_to_string(&recording).unwrap()).unwrap();
    let (_, last) = replay(&host.plan, recorded.start, &recorded.looks).last().unwrap();
    assert_eq!(Some(last.state), StateDirectory::read_state(host.path()).unwrap(), "every decision can be repeated");
    assert_eq!(lines(".1")[0]["state"]["liveRevision"], serde_json::Value::Null);
    assert_eq!(lines("")[0]["state"]["liveRevision"], "unknown", "the second life started from what the first saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_killed_again_and_again_still_gets_there() {
    let host = Host::start("polite").await;
    let bystander = Bystander::default();
    let mut n_kills = 0u64;
    let ended = loop {
        // A prime number of milliseconds: each life ends in another place.
        let life = Duration::from_millis(37 + (n_kills * 53) % 400);
        let run = host.controller(false, &bystander).run(CancellationToken::new());
        if let Ok(ended) = tokio::time::timeout(life, run).await {
            break ended;
        }
        n_kills += 1;
        assert!(n_kills < 300, "it does not get there: {:?}", host.phase());
        assert!(running(host.path()).len() <= 1, "started twice");
    };
    assert_eq!(ended, Ended::Succeeded);
    assert!(n_kills > 3, "killed {n_kills} times");
    assert_eq!(host.ask("/").await, "green v2");
    assert_eq!(running(host.path()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_dies_is_rolled_back() {
    let mut host = Host::start("polite").await;
    host.plan.steps[0].bake = DEADLINE;
    let restarts = Threshold { metric: Some(ThresholdMetric::Restarts), max: 0.0, ..Threshold::default() };
    host.plan.guards = vec![Guard { name: "restarts".to_owned(), threshold: Some(restarts), ..Guard::default() }];
    let bystander = Bystander::default();
    let run = tokio::spawn(host.controller(false, &bystander).run(CancellationToken::new()));
    wait_until("traffic for the candidate", DEADLINE, async || host.weight() == 50).await;
    assert_eq!(host.ask_green("/crash").await, None);
    assert_eq!(within_deadline(async { run.await.unwrap() }).await, Ended::RolledBack);
    assert_eq!(running(host.path()), []);
    assert_eq!(host.ask("/").await, "blue v1");
    assert!(bystander.kinds().contains(&NoteKind::RolledBack));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_stops_it() {
    let mut host = Host::start("polite").await;
    host.plan.steps[0].bake = DEADLINE;
    let interval = host.plan.analysis.interval;
    // Without the inbox waking it, the command would wait for an hour.
    host.plan.analysis.interval = Duration::from_secs(3600);
    let bystander = Bystander::default();
    let controller = host.controller(false, &bystander);
    let stop = CancellationToken::new();
    let run = tokio::spawn(controller.run(stop.clone()));
    wait_until("traffic for the candidate", DEADLINE, async || host.weight() == 50).await;
    host.give("stop-it", CommandAction::Abort);
    wait_until("the way back", DEADLINE, async || host.phase() != Phase::Progressing).await;
    stop.cancel();
    assert_eq!(within_deadline(async { run.await.unwrap() }).await, Ended::Interrupted);

    host.plan.analysis.interval = interval;
    let next = host.controller(false, &bystander).run(CancellationToken::new());
    assert_eq!(within_deadline(next).await, Ended::Aborted);
    assert_eq!(host.ask("/").await, "blue v1");
    assert_eq!(running(host.path()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_stays_puts_drift_right_until_it_is_stopped() {
    let host = Host::start("polite").await;
    let (bystander, stop) = (Bystander::default(), CancellationToken::new());
    let run = tokio::spawn(host.controller(true, &bystander).run(stop.clone()));
    wait_until("the end of the rollout", DEADLINE, async || {
        bystander.kinds().contains(&NoteKind::Succeeded) && host.phase() == Phase::Idle
    })
    .await;
    let file = host.nginx.directory().join("web.conf");
    let right = fs::read_to_string(&file).unwrap();
    fs::write(&file, "# somebody's idea").unwrap();
    wait_until("the file to be back", DEADLINE, async || fs::read_to_string(&file).unwrap() == right).await;
    // The live process is kept running.
    assert_eq!(host.ask_green("/crash").await, None);
    wait_until("green to be back", DEADLINE, async || host.ask_green("/").await.is_some()).await;
    stop.cancel();
    assert_eq!(within_deadline(async { run.await.unwrap() }).await, Ended::Interrupted);
    assert_eq!(host.ask("/").await, "green v2", "what runs goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_does_not_wait_for_the_next_look() {
    let mut host = Host::start("polite").await;
    let bystander = Bystander::default();
    let run = host.controller(false, &bystander).run(CancellationToken::new());
    assert_eq!(within_deadline(run).await, Ended::Succeeded);

    host.plan.analysis.interval = Duration::from_secs(3600);
    let (controller, stop) = (host.controller(true, &bystander), CancellationToken::new());
    let mut status = controller.status();
    let run = tokio::spawn(controller.run(stop.clone()));
    status.changed().await.unwrap();
    // An adopted process, and then the controller's own; and then one that has to wait, because two ended early.
    for _ in 0..3 {
        let pid = host.ask_green("/pid").await;
        assert_eq!(host.ask_green("/crash").await, None);
        wait_until("green to be back", DEADLINE, async || {
            let now = host.ask_green("/pid").await;
            now.is_some() && now != pid
        })
        .await;
    }
    stop.cancel();
    assert_eq!(within_deadline(async { run.await.unwrap() }).await, Ended::Interrupted);
}

/// Cannot be observed, or not brought about.
struct Broken {
    observes: Option<HostTarget>,
    n_applied: Arc<AtomicU64>,
}

#[async_trait]
impl Target for Broken {
    fn capabilities(&self) -> Capabilities {
        Capabilities { weights: true, mirror: false }
    }

    async fn observe(&mut self, plan: &Plan, state: &State) -> Result<TargetObserved, PortError> {
        match &mut self.observes {
            Some(target) => target.observe(plan, state).await,
            None => Err(PortError::Temporary("the host is out for lunch".to_owned())),
        }
    }

    async fn apply(&mut self, _: &Plan, _: &Desired) -> Result<(), PortError> {
        self.n_applied.fetch_add(1, Ordering::SeqCst);
        Err(PortError::Temporary("the router says no".to_owned()))
    }
}

#[tokio::test]
async fn what_cannot_be_seen_moves_nothing() {
    let (host, directory) = (Host::start("polite").await, temporary());
    let (bystander, n_applied) = (Bystander::default(), Arc::new(AtomicU64::new(0)));
    let target = Broken { observes: None, n_applied: Arc::clone(&n_applied) };
    let mut memory = StateDirectory::open(directory.path()).unwrap();
    let before = State { live_revision: Some("v1".to_owned()), ..State::default() };
    memory.save(&before).await.unwrap();
    let mut controller =
        Controller::new(host.plan.clone(), parts(target, memory, &bystander), Options::default()).unwrap();
    let status = controller.status();
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(controller.look_once().await.wait.as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!(n_applied.load(Ordering::SeqCst), 0);
    let shown = status.borrow().clone().unwrap();
    assert_eq!(shown.trouble.as_deref(), Some("the host is out for lunch"));
    assert_eq!(shown.state, before);
    assert_eq!(StateDirectory::read_state(directory.path()).unwrap(), Some(before));
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_tried_again() {
    let (host, directory) = (Host::start("polite").await, temporary());
    let (bystander, n_applied) = (Bystander::default(), Arc::new(AtomicU64::new(0)));
    let target = Broken { observes: Some(open(host.path())), n_applied: Arc::clone(&n_applied) };
    let memory = StateDirectory::open(directory.path()).unwrap();
    let mut controller =
        Controller::new(host.plan.clone(), parts(target, memory, &bystander), Options::default()).unwrap();
    let status = controller.status();
    for n_looks in 1..=3 {
        let look = controller.look_once().await;
        assert_eq!(look.ended, None);
        assert_eq!(n_applied.load(Ordering::SeqCst), n_looks);
    }
    let shown = status.borrow().clone().unwrap();
    assert_eq!(shown.trouble.as_deref(), Some("the router says no"));
    assert!(shown.observed.troubles.contains(&"the router says no".to_owned()));
    assert_eq!(shown.state.rollout.as_ref().map_or(0, |progress| progress.weight), 0);
}

#[tokio::test]
async fn a_plan_that_the_router_cannot_carry_out_is_refused() {
    let host = Host::start("polite").await;
    let directory = temporary();
    let mut plan = host.plan.clone();
    plan.steps[0].mirror = 10;
    let target = Broken { observes: None, n_applied: Arc::default() };
    let memory = StateDirectory::open(directory.path()).unwrap();
    let parts = parts(target, memory, &Bystander::default());
    let error = Controller::new(plan, parts, Options::default()).err().unwrap().to_string();
    assert!(error.contains("cannot copy requests") && error.contains("remove `mirror`"), "{error}");
}
