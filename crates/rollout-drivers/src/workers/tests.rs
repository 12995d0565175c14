use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use spillway_model::SystemClock;
use spillway_rollout::decision::{Desired, DesiredSlot};

use super::*;

#[path = "../../tests/support/plans.rs"]
mod plans;

use plans::plan_of;

/// A gateway's shares, and how often they were set.
#[derive(Default)]
struct Shares {
    document: Value,
    n_set: usize,
    /// What it answers instead.
    refuses: Option<(StatusCode, &'static str)>,
}

type Gateway = Arc<Mutex<Shares>>;

fn answer(shares: &Shares) -> Response {
    if let Some((status, code)) = shares.refuses {
        return (status, Json(json!({"code": code, "detail": "It is refused."}))).into_response();
    }
    let tag = format!("\"{}\"", shares.n_set);
    ([("etag", tag)], Json(json!({"shares": shares.document}))).into_response()
}

async fn put(Shared(gateway): Shared<Gateway>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let mut shares = gateway.lock().expect("a lock");
    let is_authorized = headers.get("authorization").is_some_and(|value| value == "Bearer spk_test");
    let is_current = headers.get("if-match").is_some_and(|tag| *tag == format!("\"{}\"", shares.n_set));
    if !is_authorized || !is_current {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    shares.document = body["shares"].clone();
    shares.n_set += 1;
    answer(&shares)
}

/// A gateway, and its address.
async fn gateway() -> (Gateway, String) {
    let shares = Gateway::default();
    let router = axum::Router::new()
        .route(
            "/api/v1/workers/shares",
            get(async |Shared(gateway): Shared<Gateway>| answer(&gateway.lock().expect("a lock"))).put(put),
        )
        .route("/readyz", get(async || StatusCode::OK))
        .with_state(shares.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (shares, address)
}

fn plan(gateway: &str, addresses: [&str; 2]) -> Plan {
    let target = json!({"workers": {
        "gateway": format!("http://{gateway}/"),
        "apiKey": "env:KEY",
        "slots": {"blue": {"addresses": ["127.0.0.1:1"]}, "green": {"addresses": ["127.0.0.1:2"]}},
        "candidate": {"revision": "v2"},
    }});
    let mut plan = plan_of("workers", &json!({ "target": target }));
    if let Some(workers) = &mut plan.target.workers {
        // In some tests both slots are the double itself, which no user's are.
        for (slot, address) in Slot::BOTH.into_iter().zip(addresses) {
            workers.slots.get_mut(slot).addresses = vec![address.to_owned()];
        }
    }
    plan
}

/// A driver with its directory.
struct Driver {
    driver: WorkersDriver,
    _folder: tempfile::TempDir,
}

impl Driver {
    async fn observe(&mut self, plan: &Plan, state: &State) -> TargetObserved {
        self.driver.observe(plan, state).await.expect("an observation")
    }

    async fn apply(&mut self, plan: &Plan, desired: &Desired) -> Result<(), PortError> {
        self.driver.apply(plan, desired).await
    }
}

/// A driver that remembers nothing yet.
fn driver() -> Driver {
    let folder = tempfile::tempdir().expect("a folder");
    let secrets: SecretResolver = Arc::new(|secret| match secret.expose() {
        "env:KEY" => Ok(spillway_model::Secret::new("spk_test")),
        other => Err(format!("{other} is not set")),
    });
    let driver = WorkersDriver::open(folder.path(), Arc::new(SystemClock), HttpClient::new(), secrets);
    Driver { driver: driver.expect("a driver"), _folder: folder }
}

fn desired(blue: u8, green: u8) -> Desired {
    let slots = Slots::make(|_| DesiredSlot::AsIs);
    let capacity = Slots { blue: 100, green: 100 };
    Desired { router: router_of(Slots { blue, green }), slots, capacity, gates: Vec::new() }
}

/// An address that nothing listens at.
fn nowhere() -> String {
    format!("127.0.0.1:{}", spillway_testkit::free_port())
}

#[tokio::test]
async fn shares_are_set_once_and_read_back() {
    let (shares, address) = gateway().await;
    let plan = plan(&address, [&address, &nowhere()]);
    let (mut driver, state) = (driver(), State::default());
    let before = driver.observe(&plan, &state).await;
    assert_eq!(before.router, Some(RouterObserved::all_to(Slot::Blue)), "the live slot works, whoever helps it");
    assert_eq!(before.wanted_revision.as_deref(), Some("v2"));
    for _ in 0..2 {
        driver.apply(&plan, &desired(90, 10)).await.expect("shares that are set");
    }
    assert_eq!(shares.lock().expect("a lock").n_set, 1, "what is so already is not set again");
    let after = driver.observe(&plan, &state).await;
    assert_eq!(after.router, Some(router_of(Slots { blue: 90, green: 10 })));
    assert_eq!(after.troubles, Vec::<String>::new());
}

#[tokio::test]
async fn slots_are_as_ready_as_their_processes() {
    let (_shares, address) = gateway().await;
    let plan = plan(&address, [&address, &nowhere()]);
    let (mut driver, mut state) = (driver(), State::default());
    let first = driver.observe(&plan, &state).await.slots;
    assert_eq!((first.blue.revision.as_deref(), first.blue.is_ready()), (Some(UNKNOWN_REVISION), true));
    assert_eq!(first.green, SlotObserved::default(), "nothing is known of it");
    state.live_revision = Some("v1".to_owned());
    let mut rollout = desired(100, 0);
    rollout.slots.green = DesiredSlot::Running { revision: "v2".to_owned() };
    driver.apply(&plan, &rollout).await.expect("a candidate that is expected to run");
    let slots = driver.observe(&plan, &state).await.slots;
    assert_eq!(slots.blue.revision.as_deref(), Some("v1"));
    assert_eq!((slots.green.revision.as_deref(), slots.green.is_ready()), (Some("v2"), false));
}

#[tokio::test]
async fn before_anything_is_remembered_the_slot_with_the_larger_share_is_live() {
    let (shares, address) = gateway().await;
    shares.lock().expect("a lock").document = json!({"blue": 0, "green": 100});
    let observed = driver().observe(&plan(&address, [&address, &address]), &State::default()).await;
    assert_eq!(observed.router, Some(RouterObserved::all_to(Slot::Green)));
    assert_eq!(observed.slots.green.revision.as_deref(), Some(UNKNOWN_REVISION));
    assert_eq!(observed.slots.blue.revision, None);
}

#[tokio::test]
async fn a_gateway_that_is_away_is_trouble_and_nothing_is_known_of_the_shares() {
    let (_shares, address) = gateway().await;
    let away = nowhere();
    let plan = plan(&away, [&address, &address]);
    let observed = driver().observe(&plan, &State::default()).await;
    assert_eq!((observed.router, observed.troubles.len()), (None, 1));
    assert!(observed.troubles[0].contains(&away), "{:?}", observed.troubles);
    assert!(matches!(driver().apply(&plan, &desired(90, 10)).await, Err(PortError::Temporary(_))));
}

#[tokio::test]
async fn refusals_say_what_to_do_and_whether_to_try_again() {
    let (shares, address) = gateway().await;
    let mut plan = plan(&address, [&address, &address]);
    for (status, is_temporary, says) in [
        (StatusCode::UNAUTHORIZED, false, "scope admin"),
        (StatusCode::FORBIDDEN, false, "scope admin"),
        (StatusCode::NOT_FOUND, false, "serves the API"),
        (StatusCode::PRECONDITION_FAILED, true, "It is refused."),
        (StatusCode::SERVICE_UNAVAILABLE, true, "It is refused."),
        (StatusCode::UNPROCESSABLE_ENTITY, false, "It is refused."),
    ] {
        shares.lock().expect("a lock").refuses = Some((status, "some_code"));
        let error = driver().apply(&plan, &desired(90, 10)).await.expect_err("a refusal");
        assert_eq!(matches!(error, PortError::Temporary(_)), is_temporary, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    plan.target.workers.as_mut().expect("workers").api_key = "env:NONE".to_owned();
    let error = driver().apply(&plan, &desired(90, 10)).await.expect_err("no key");
    assert!(error.to_string().contains("target.workers.apiKey"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_brought_about_changes_nothing() {
    let (shares, address) = gateway().await;
    let mut plan = plan(&address, [&address, &address]);
    let mut mirrored = desired(100, 0);
    mirrored.router.mirror.green = 10;
    let mut stopped = desired(90, 10);
    stopped.slots.green = DesiredSlot::Stopped;
    for (desired, says) in [(mirrored, "mirror"), (stopped, "cannot be stopped"), (desired(90, 20), "not 100 together")]
    {
        let error = driver().apply(&plan, &desired).await.expect_err("a refusal");
        assert!(matches!(&error, PortError::Permanent(text) if text.contains(says)), "{error}");
    }
    // A candidate that cannot be started gets no share.
    let candidate = &mut plan.target.workers.as_mut().expect("workers").candidate;
    candidate.start = Some(serde_json::from_value(json!({"command": ["/no/such/program"]})).expect("a command"));
    plan.target.workers.as_mut().expect("workers").slots.green.addresses = vec![nowhere()];
    let mut started = desired(90, 10);
    started.slots.green = DesiredSlot::Running { revision: "v2".to_owned() };
    shares.lock().expect("a lock").document = json!({"blue": 100, "green": 0});
    let error = driver().apply(&plan, &started).await.expect_err("a refusal");
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    assert_eq!(shares.lock().expect("a lock").n_set, 0);
}
