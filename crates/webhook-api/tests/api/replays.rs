//! Sending again: replays, single events, what is in quarantine, dead letters.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use spillway_model::{
    Attempt, AttemptClass, DeliveryState, Event, EventId, Lease, NewEvent, NextState, ReplayId, Settlement,
};
use spillway_store::{ClaimRequest, ReplayStep};

use crate::support::{NOW, TestApp};

/// A source with two destinations, and so many events whose deliveries to the first are dead and to the second delivered.
async fn with_history(events: usize) -> (TestApp, Vec<String>) {
    let app = TestApp::start().await;
    app.github_source().await;
    for name in ["a", "b"] {
        app.destination(name).await;
        app.connect("github", name).await;
        app.clock.advance(1);
    }
    let mut ids = Vec::new();
    for n in 0..events {
        let id = format!("d-{n}");
        ids.push(app.webhook(&id, b"{}").send().await.expect(StatusCode::ACCEPTED).text("id"));
        app.clock.advance(1_000);
    }
    end(&app, |ordinal| if ordinal == 0 { DeliveryState::Dead } else { DeliveryState::Delivered }).await;
    (app, ids)
}

/// Ends everything that is due.
async fn end(app: &TestApp, state: impl Fn(u16) -> DeliveryState) {
    let now = app.gateway.clock.now();
    let all =
        ClaimRequest { now, lease_until: now + 60_000, max: 1_000, max_per_destination: 1_000, ..Default::default() };
    let claimed = app.store.claim(all).await.expect("claims");
    let settlements = claimed.iter().map(|one| {
        let next = match state(one.id.ordinal()) {
            DeliveryState::Dead => NextState::Dead { at: now },
            _ => NextState::Delivered { at: now },
        };
        let class =
            if matches!(next, NextState::Dead { .. }) { AttemptClass::ServerError } else { AttemptClass::Success };
        let attempt = Attempt {
            id: one.id.attempt(one.attempts + 1),
            started_at: now,
            duration: std::time::Duration::from_millis(3),
            class,
            status: Some(if class == AttemptClass::Success { 200 } else { 503 }),
            response: bytes::Bytes::new(),
            error: None,
        };
        let lease = Lease { delivery: one.id, generation: one.generation };
        Settlement { lease, next, attempt: Some(attempt), order: one.order }
    });
    app.store.settle(settlements.collect()).await.expect("settlements");
}

#[tokio::test]
async fn a_replay_is_counted_made_shown_and_listed() {
    let (app, _) = with_history(5).await;
    let dead = json!({"state": "dead", "destination": "a", "dry_run": true});
    let count = app.post("/api/v1/replays", dead).await.expect(StatusCode::OK).json();
    assert_eq!(count, json!({"deliveries": 5, "complete": true}));
    let all = json!({"source": "github", "dry_run": true});
    assert_eq!(app.post("/api/v1/replays", all).await.json()["deliveries"], 10);
    let early = json!({"from": "2026-01-01T00:00:00Z", "to": NOW.to_string(), "dry_run": true});
    app.post("/api/v1/replays", early).await.refused(422, "value_invalid", &["after from"]);
    let some = json!({"from": (NOW + 1_002).to_string(), "to": "2026-01-01T00:00:03.002Z", "dry_run": true});
    assert_eq!(app.post("/api/v1/replays", some).await.expect(StatusCode::OK).json()["deliveries"], 4);
    assert_eq!(app.get("/api/v1/replays").await.json()["data"], json!([]), "a dry run makes nothing");

    let made = app.post("/api/v1/replays", json!({"state": "dead", "per_second": 2})).await.expect(StatusCode::CREATED);
    let replay = made.json();
    let path = format!("/api/v1/replays/{}", replay["id"].as_str().expect("an id"));
    assert_eq!(made.header("location"), Some(path.as_str()));
    assert_eq!((&replay["state"], &replay["total"], &replay["retried"]), (&json!("running"), &json!(5), &json!(0)));
    assert_eq!((&replay["progress"], &replay["remaining_seconds"]), (&json!(0.0), &json!(3)));
    assert_eq!(replay["selection"]["state"], "dead");
    assert!(replay["selection"]["to"].is_string(), "what comes later does not join");

    advance(&app, 2).await;
    let shown = app.get(&path).await.expect(StatusCode::OK).json();
    assert_eq!((&shown["progress"], &shown["remaining_seconds"]), (&json!(0.4), &json!(2)));
    let listed = app.get("/api/v1/replays?fields=id,retried").await.expect(StatusCode::OK).json();
    assert_eq!(listed["data"], json!([{"id": replay["id"], "retried": 2}]));
}

/// What a worker does: makes `n` deliveries of the running replay due.
async fn advance(app: &TestApp, n: usize) {
    let now = app.gateway.clock.now();
    let held = app.store.hold_replay(now, now + 1).await.expect("a store").expect("a replay");
    let due = app.store.select(held.replay.selection, held.replay.cursor, n).await.expect("a store").deliveries;
    let step = ReplayStep {
        id: held.replay.id,
        generation: held.generation,
        lease_until: now,
        now,
        cursor: due.last().copied(),
        due: due.into_iter().map(|id| (id, now)).collect(),
        state: spillway_model::ReplayState::Running,
    };
    app.store.advance_replay(step).await.expect("a store").expect("a step");
}

#[tokio::test]
async fn a_replay_is_cancelled_once_and_the_second_time_nothing_changes() {
    let (app, _) = with_history(3).await;
    let id = app.post("/api/v1/replays", json!({"state": "dead"})).await.expect(StatusCode::CREATED).text("id");
    let cancel = format!("/api/v1/replays/{id}/cancel");
    let cancelled = app.post(&cancel, json!(null)).await.expect(StatusCode::OK).json();
    assert_eq!((&cancelled["state"], &cancelled["remaining_seconds"]), (&json!("cancelled"), &Value::Null));
    app.clock.advance(1_000);
    assert_eq!(app.post(&cancel, json!(null)).await.expect(StatusCode::OK).json(), cancelled);

    let done = app.post("/api/v1/replays", json!({"state": "dead"})).await.text("id");
    finish(&app, done.parse().expect("an id")).await;
    app.post(&format!("/api/v1/replays/{done}/cancel"), json!(null)).await.refused(409, "replay_done", &[]);
    let shown = app.get(&format!("/api/v1/replays/{done}")).await.json();
    assert_eq!((&shown["state"], &shown["progress"]), (&json!("done"), &json!(1.0)));
}

async fn finish(app: &TestApp, id: ReplayId) {
    let now = app.gateway.clock.now();
    let held = app.store.hold_replay(now, now + 1).await.expect("a store").expect("a replay");
    assert_eq!(held.replay.id, id);
    let step = ReplayStep {
        id,
        generation: held.generation,
        lease_until: now,
        now,
        due: Vec::new(),
        cursor: None,
        state: spillway_model::ReplayState::Done,
    };
    app.store.advance_replay(step).await.expect("a store").expect("a step");
}

#[tokio::test]
async fn what_cannot_be_replayed_is_refused_with_a_reason() {
    let (app, _) = with_history(1).await;
    let unknown = app.gateway.ids.event();
    for (body, code, hints) in [
        (json!({}), "value_invalid", ["no condition", "from"]),
        (json!({"state": "dead", "per_second": 0}), "value_invalid", ["per_second", "from 1 to 10000"]),
        (json!({"state": "dead", "per_second": 10_001}), "value_invalid", ["per_second", "from 1 to 10000"]),
        (json!({"state": "pending"}), "value_invalid", ["state", "on their way already"]),
        (json!({"state": "queued"}), "value_invalid", ["state", "on their way already"]),
        (json!({"from": "yesterday"}), "value_invalid", ["from", "2026-01-31T12:00:00Z"]),
        (json!({"from": "2026-01-02T00:00:00Z"}), "value_invalid", ["from", "future"]),
        (json!({"from": "2025-01-02T00:00:00Z", "to": "2025-01-01T00:00:00Z"}), "value_invalid", ["to", "after from"]),
        (json!({"event": "evt_x"}), "event_unknown", ["evt_x", ""]),
        (json!({"event": unknown}), "event_unknown", ["", ""]),
        (json!({"source": "nobody"}), "source_unknown", ["nobody", ""]),
        (json!({"destination": "nowhere"}), "destination_unknown", ["nowhere", ""]),
        (json!({"connection": "con_x"}), "connection_unknown", ["con_x", ""]),
        (json!({"per_minute": 3}), "json_invalid", ["per_minute", ""]),
    ] {
        app.post("/api/v1/replays", body).await.refused(422, code, &hints);
    }
    for path in ["/api/v1/replays/rpl_00000000000000000000000000", "/api/v1/replays/x"] {
        app.get(path).await.refused(404, "replay_unknown", &[]);
        app.post(&format!("{path}/cancel"), json!(null)).await.refused(404, "replay_unknown", &[]);
    }
    assert_eq!(app.get("/api/v1/replays").await.json()["data"], json!([]));
}

#[tokio::test]
async fn no_more_than_a_hundred_replays_run_at_once() {
    let (app, _) = with_history(1).await;
    for _ in 0..100 {
        app.post("/api/v1/replays", json!({"state": "dead"})).await.expect(StatusCode::CREATED);
    }
    app.post("/api/v1/replays", json!({"state": "dead"})).await.refused(409, "too_many_replays", &["cancel one"]);
    let id = app.get("/api/v1/replays?limit=1").await.json()["data"][0]["id"].as_str().expect("an id").to_owned();
    app.post(&format!("/api/v1/replays/{id}/cancel"), json!(null)).await.expect(StatusCode::OK);
    app.post("/api/v1/replays", json!({"state": "dead"})).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_key_that_may_only_read_sees_replays_and_makes_none() {
    let (app, _) = with_history(1).await;
    let key = app.key("read").await;
    app.request(Method::GET, "/api/v1/replays").key(&key).send().await.expect(StatusCode::OK);
    app.request(Method::GET, "/api/v1/dead-letters").key(&key).send().await.expect(StatusCode::OK);
    let post = app.request(Method::POST, "/api/v1/replays").key(&key).json(&json!({"state": "dead"}));
    post.send().await.refused(403, "scope_insufficient", &["write"]);
}

#[tokio::test]
async fn one_event_goes_again_to_its_destinations_and_to_new_ones() {
    let (app, events) = with_history(2).await;
    app.destination("c").await;
    app.connect("github", "c").await;
    let replay = format!("/api/v1/events/{}/replay", events[0]);
    let resent = app.post(&replay, json!(null)).await.expect(StatusCode::ACCEPTED).json();
    let event: EventId = events[0].parse().expect("an id");
    assert_eq!(resent, json!({"retried": 2, "skipped": 0, "added": [event.delivery(2)]}));
    let states = deliveries(&app, &events[0]).await;
    assert_eq!(states, ["pending", "pending", "pending"]);
    let again = app.post(&replay, json!(null)).await.expect(StatusCode::ACCEPTED).json();
    assert_eq!(again, json!({"retried": 0, "skipped": 3, "added": []}));
    assert_eq!(deliveries(&app, &events[1]).await, ["dead", "delivered"], "the other event stays");
    for path in ["/api/v1/events/evt_00000000000000000000000000", "/api/v1/events/x"] {
        app.post(&format!("{path}/replay"), json!(null)).await.refused(404, "event_unknown", &[]);
        app.post(&format!("{path}/release"), json!(null)).await.refused(404, "event_unknown", &[]);
    }
}

async fn deliveries(app: &TestApp, event: &str) -> Vec<String> {
    let list = app.get(&format!("/api/v1/events/{event}/deliveries")).await.expect(StatusCode::OK).json();
    let rows = list["data"].as_array().expect("rows").clone();
    rows.iter().map(|row| row["state"].as_str().expect("a state").to_owned()).collect()
}

#[tokio::test]
async fn an_event_in_quarantine_is_released_once() {
    let (app, events) = with_history(1).await;
    let source = app.get("/api/v1/sources/github").await.json();
    let event = Event {
        id: app.gateway.ids.event(),
        source: source["id"].as_str().expect("an id").parse().expect("an id"),
        event_type: None,
        headers: spillway_model::HeaderBlock::default(),
        body: bytes::Bytes::from_static(b"{}"),
        trace: None,
        quarantine: Some("it has no known type".into()),
    };
    let id = event.id;
    let new = NewEvent { event: Arc::new(event), idempotency: None, deliveries: Vec::new() };
    app.store.append(vec![new]).await.expect("a stored event");
    let path = format!("/api/v1/events/{id}");
    assert_eq!(app.get(&path).await.json()["quarantine"], "it has no known type");
    app.post(&format!("{path}/replay"), json!(null)).await.refused(409, "event_quarantined", &["Release"]);
    let released = app.post(&format!("{path}/release"), json!(null)).await.expect(StatusCode::ACCEPTED).json();
    app.worker_is_told().await;
    assert_eq!(released["added"], json!([id.delivery(0), id.delivery(1)]));
    assert_eq!(app.get(&path).await.json()["quarantine"], Value::Null);
    assert_eq!(deliveries(&app, &id.to_string()).await, ["pending", "pending"]);
    let release = format!("{path}/release");
    app.post(&release, json!(null)).await.refused(409, "event_not_quarantined", &["replay"]);
    let other = format!("/api/v1/events/{}/release", events[0]);
    app.post(&other, json!(null)).await.refused(409, "event_not_quarantined", &["replay"]);
}

#[tokio::test]
async fn an_event_that_would_go_nowhere_stays_in_quarantine() {
    let app = TestApp::start().await;
    app.github_source().await;
    let source = app.get("/api/v1/sources/github").await.json();
    let event = Event {
        id: app.gateway.ids.event(),
        source: source["id"].as_str().expect("an id").parse().expect("an id"),
        event_type: None,
        headers: spillway_model::HeaderBlock::default(),
        body: bytes::Bytes::new(),
        trace: None,
        quarantine: Some("why".into()),
    };
    let id = event.id;
    let new = NewEvent { event: Arc::new(event), idempotency: None, deliveries: Vec::new() };
    app.store.append(vec![new]).await.expect("a stored event");
    let release = format!("/api/v1/events/{id}/release");
    app.post(&release, json!(null)).await.refused(409, "event_unroutable", &["Connect"]);
    assert_eq!(app.get(&format!("/api/v1/events/{id}")).await.json()["quarantine"], "why");
}

#[tokio::test]
async fn dead_letters_are_shown_by_destination_and_reason() {
    let (app, _) = with_history(3).await;
    let groups = app.get("/api/v1/dead-letters").await.expect(StatusCode::OK).json();
    assert_eq!(groups["complete"], true);
    let group = &groups["data"][0];
    assert_eq!(groups["data"].as_array().map(Vec::len), Some(1));
    assert_eq!((&group["destination_name"], &group["class"]), (&json!("a"), &json!("server_error")));
    assert_eq!((&group["status"], &group["deliveries"]), (&json!(503), &json!(3)));
    assert!(group["oldest"].is_string() && group["newest"].is_string());
}

#[tokio::test]
async fn a_queued_delivery_is_not_tried_out_of_turn() {
    let (app, _) = with_history(1).await;
    let source = app.get("/api/v1/sources/github").await.json();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = app.gateway.ids.event();
        let event = Event {
            id,
            source: source["id"].as_str().expect("an id").parse().expect("an id"),
            event_type: None,
            headers: spillway_model::HeaderBlock::default(),
            body: bytes::Bytes::new(),
            trace: None,
            quarantine: None,
        };
        let delivery = spillway_model::NewDelivery {
            id: id.delivery(0),
            destination: app.gateway.ids.destination(),
            connection: app.gateway.ids.connection(),
            due_at: NOW,
            generation: 0,
            order: Some(spillway_model::OrderKey(1)),
        };
        let new = NewEvent { event: Arc::new(event), idempotency: None, deliveries: vec![delivery] };
        app.store.append(vec![new]).await.expect("a stored event");
        ids.push(id.delivery(0));
    }
    let path = format!("/api/v1/deliveries/{}", ids[1]);
    let shown = app.get(&path).await.expect(StatusCode::OK).json();
    assert_eq!((&shown["state"], &shown["due_at"], &shown["ended_at"]), (&json!("queued"), &Value::Null, &Value::Null));
    app.post(&format!("{path}/retry"), json!(null)).await.refused(409, "delivery_queued", &["earlier"]);
    app.post(&format!("/api/v1/deliveries/{}/retry", ids[0]), json!(null)).await.expect(StatusCode::ACCEPTED);
}
