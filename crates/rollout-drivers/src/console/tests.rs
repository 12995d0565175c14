//! A small double of the gateway, with the routes that a rollout uses.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, put};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};
use spillway_model::{Secret, SystemClock};
use spillway_rollout::observed::CommandAction;
use spillway_testkit::wait_until;

use super::*;
use crate::people::{Series, sample};

const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Seen {
    shown: BTreeMap<String, Value>,
    n_shown: usize,
    commands: Vec<Value>,
    keys: Vec<String>,
    /// Answers 503.
    is_down: bool,
}

#[derive(Clone, Default)]
struct Double(Arc<Mutex<Seen>>);

impl Double {
    async fn start(&self) -> String {
        async fn show(
            State(double): State<Double>,
            Path(name): Path<String>,
            headers: HeaderMap,
            Json(body): Json<Value>,
        ) -> StatusCode {
            let mut seen = double.0.lock();
            if seen.is_down {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            seen.keys.push(headers["authorization"].to_str().unwrap_or_default().to_owned());
            seen.shown.insert(name, body);
            seen.n_shown += 1;
            StatusCode::NO_CONTENT
        }
        async fn list(State(double): State<Double>, Path(name): Path<String>) -> Result<Json<Value>, StatusCode> {
            let seen = double.0.lock();
            let is_known = seen.shown.contains_key(&name);
            let list = || Json(json!({ "data": seen.commands, "next": null }));
            is_known.then(list).ok_or(StatusCode::NOT_FOUND)
        }
        async fn acknowledge(State(double): State<Double>, Path((_, id)): Path<(String, String)>) -> StatusCode {
            let commands = &mut double.0.lock().commands;
            let before = commands.len();
            commands.retain(|command| command["id"] != *id);
            if commands.len() < before { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
        }
        let router = Router::new()
            .route("/api/v1/rollouts/{name}", put(show))
            .route("/api/v1/rollouts/{name}/commands", get(list))
            .route("/api/v1/rollouts/{name}/commands/{id}", delete(acknowledge))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }
}

/// Takes every command, or says that it cannot yet.
#[derive(Default)]
struct Letters {
    taken: Mutex<Vec<Command>>,
    is_full: Mutex<bool>,
}

#[async_trait]
impl Inbox for Letters {
    async fn give(&self, command: &Command) -> Result<(), PortError> {
        if *self.is_full.lock() {
            return Err(PortError::Temporary("it is full".to_owned()));
        }
        self.taken.lock().push(command.clone());
        Ok(())
    }
}

struct Key;

#[async_trait]
impl Secrets for Key {
    async fn resolve(&self, reference: &str) -> Result<Secret, String> {
        assert_eq!(reference, "env:KEY");
        Ok(Secret::new("sk_1"))
    }
}

fn publisher(url: &str, inbox: &Arc<Letters>) -> Publisher {
    let console = Console { url: url.to_owned(), key: "env:KEY".to_owned() };
    let quick = Duration::from_millis(10);
    let pace = Pace { look: quick, longest_pause: 4 * quick, ..Pace::default() };
    let inbox: Arc<dyn Inbox> = inbox.clone();
    let parts = ConsoleParts { http: HttpClient::new(), secrets: Arc::new(Key), inbox, clock: Arc::new(SystemClock) };
    Publisher::start(&console, "checkout", parts, pace)
}

fn shown() -> Shown {
    Shown::new(sample::good(), &Series::default())
}

#[tokio::test]
async fn the_status_is_shown_when_it_changes_and_at_the_end() {
    let (double, inbox) = (Double::default(), Arc::new(Letters::default()));
    let publisher = publisher(&double.start().await, &inbox);
    publisher.show(shown());
    wait_until("the status", DEADLINE, async || double.0.lock().n_shown == 1).await;
    {
        let seen = double.0.lock();
        let status = &seen.shown["checkout"];
        assert_eq!(status["state"]["rollout"]["weight"], 25);
        assert!(status["evidence"].as_array().is_some_and(|evidence| !evidence.is_empty()), "{status}");
        assert!(status["series"]["points"].is_array());
        assert_eq!(seen.keys, ["Bearer sk_1"]);
    }
    let mut later = shown();
    later.view.at += 1;
    publisher.show(later.clone());
    publisher.finish(DEADLINE).await;
    assert_eq!(double.0.lock().shown["checkout"]["at"], later.view.at);
}

#[tokio::test]
async fn commands_are_taken_over_once_and_acknowledged() {
    let (double, inbox) = (Double::default(), Arc::new(Letters::default()));
    double.0.lock().commands = vec![
        json!({ "id": "c1", "verb": "pause", "by": "ann", "at": "2026-01-01T00:00:00Z" }),
        json!({ "id": "c2", "verb": "dance", "by": "bob", "at": "2026-01-01T00:00:01Z" }),
        json!({ "id": "c3", "verb": "promote", "full": true, "by": "ann", "at": "2026-01-01T00:00:02Z" }),
    ];
    *inbox.is_full.lock() = true;
    let publisher = publisher(&double.start().await, &inbox);
    publisher.show(shown());
    wait_until("the status", DEADLINE, async || double.0.lock().n_shown > 0).await;
    assert_eq!(double.0.lock().commands.len(), 3, "what the rollout could not take stays at the gateway");
    *inbox.is_full.lock() = false;
    wait_until("an empty list", DEADLINE, async || double.0.lock().commands.is_empty()).await;
    publisher.finish(DEADLINE).await;
    let taken = inbox.taken.lock();
    let actions: Vec<_> = taken.iter().map(|command| (command.by.as_str(), command.action)).collect();
    assert_eq!(actions, [("ann", CommandAction::Pause), ("ann", CommandAction::Promote { full: true })]);
}

#[tokio::test]
async fn a_gateway_that_is_away_holds_nothing_up_and_is_told_when_it_is_back() {
    let (double, inbox) = (Double::default(), Arc::new(Letters::default()));
    double.0.lock().is_down = true;
    let publisher = publisher(&double.start().await, &inbox);
    for _ in 0..100 {
        publisher.show(shown());
    }
    double.0.lock().is_down = false;
    wait_until("the status", DEADLINE, async || double.0.lock().n_shown > 0).await;
    drop(publisher);

    let nowhere = format!("http://127.0.0.1:{}", spillway_testkit::free_port());
    let publisher = self::publisher(&nowhere, &inbox);
    publisher.show(shown());
    publisher.finish(DEADLINE).await;
}
