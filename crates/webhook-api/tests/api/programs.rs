use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

/// Programs that are no jq, or too much of it, and what is said of each.
const UNUSABLE: [(&str, &[&str]); 6] = [
    (".type ==", &["line 1, column 9", "term"]),
    (".a\n| nope", &["line 2, column 3", "\"nope\""]),
    ("env.PATH", &["\"env\""]),
    ("input", &["\"input\""]),
    ("", &["the program is empty"]),
    ("import \"x\" as x; .", &["line 1"]),
];

async fn shop() -> TestApp {
    let app = TestApp::start().await;
    app.post("/api/v1/sources", json!({"name": "shop", "provider": "none"})).await.expect(StatusCode::CREATED);
    for name in ["billing", "crm", "log"] {
        app.destination(name).await;
    }
    app
}

async fn connection(app: &TestApp, destination: &str, programs: Value) -> Answer {
    let mut body = json!({"source": "shop", "destination": destination});
    body.as_object_mut().expect("an object").extend(programs.as_object().cloned().expect("programs"));
    app.post("/api/v1/connections", body).await
}

/// Publishes an event, and says how many deliveries it has.
async fn deliveries_of(app: &TestApp, kind: &str, data: Value) -> usize {
    let event = app.post("/api/v1/events", json!({"source": "shop", "type": kind, "data": data})).await;
    let id = event.expect(StatusCode::ACCEPTED).text("id");
    let deliveries = app.get(&format!("/api/v1/events/{id}/deliveries")).await.json();
    deliveries["data"].as_array().expect("deliveries").len()
}

#[tokio::test]
async fn a_filter_decides_who_gets_an_event() {
    let app = shop().await;
    connection(&app, "billing", json!({"filter": "$type == \"invoice.paid\" and .data.amount > 10"}))
        .await
        .expect(StatusCode::CREATED);
    connection(&app, "log", json!({})).await.expect(StatusCode::CREATED);
    assert_eq!(deliveries_of(&app, "invoice.paid", json!({"amount": 12})).await, 2);
    assert_eq!(deliveries_of(&app, "invoice.paid", json!({"amount": 9})).await, 1);
    assert_eq!(deliveries_of(&app, "invoice.open", json!({"amount": 12})).await, 1);
    let large = json!({"amount": 12, "note": "x".repeat(40_000)});
    assert_eq!(deliveries_of(&app, "invoice.paid", large).await, 2, "large bodies are filtered too");
}

#[tokio::test]
async fn a_filter_that_fails_for_an_event_makes_a_delivery_so_that_somebody_sees_it() {
    let app = shop().await;
    for (destination, filter) in
        [("billing", ".data.amount / .data.name"), ("crm", "def f: f; f"), ("log", "[range(1e12)]")]
    {
        connection(&app, destination, json!({"filter": filter})).await.expect(StatusCode::CREATED);
    }
    assert_eq!(deliveries_of(&app, "t", json!({"amount": 1, "name": "n"})).await, 3);
    // Programs that took long are run elsewhere from then on, with the same outcome.
    assert_eq!(deliveries_of(&app, "t", json!({"amount": 1, "name": "n"})).await, 3);
}

#[tokio::test]
async fn a_webhook_that_is_not_json_passes_filters_that_do_not_read_it() {
    let app = TestApp::start().await;
    app.github_source().await;
    app.destination("billing").await;
    app.destination("crm").await;
    for (destination, filter) in [("billing", "$headers[\"x-github-event\"] == \"push\""), ("crm", ".ref")] {
        let body = json!({"source": "github", "destination": destination, "filter": filter});
        app.post("/api/v1/connections", body).await.expect(StatusCode::CREATED);
    }
    for (kind, deliveries) in [("push", 2), ("ping", 1)] {
        let answer = app.webhook(kind, b"payload=text").header("x-github-event", kind).send().await;
        let id = answer.expect(StatusCode::ACCEPTED).text("id");
        let made = app.get(&format!("/api/v1/events/{id}/deliveries")).await.json();
        assert_eq!(
            made["data"].as_array().expect("deliveries").len(),
            deliveries,
            "{kind}: the one that reads it failed"
        );
    }
}

#[tokio::test]
async fn deliveries_of_one_key_wait_for_each_other_and_no_others_do() {
    let app = shop().await;
    connection(&app, "billing", json!({"order_by": ".data.customer"})).await.expect(StatusCode::CREATED);
    connection(&app, "log", json!({})).await.expect(StatusCode::CREATED);
    for customer in [json!("a"), json!("a"), json!("b"), Value::Null, Value::Null] {
        assert_eq!(deliveries_of(&app, "t", json!({"customer": customer})).await, 2);
    }
    let queued = app.get("/api/v1/deliveries?state=queued").await.json();
    assert_eq!(queued["data"].as_array().map(Vec::len), Some(1), "{queued}");
    let pending = app.get("/api/v1/deliveries?state=pending").await.json();
    assert_eq!(pending["data"].as_array().map(Vec::len), Some(9), "{pending}");
}

#[tokio::test]
async fn programs_are_shown_changed_and_removed() {
    let app = shop().await;
    let programs = json!({"filter": ".data.ok", "transform": "{id: .data.id}", "order_by": ".data.customer"});
    let made = connection(&app, "billing", programs).await.expect(StatusCode::CREATED).json();
    assert_eq!((&made["filter"], &made["transform"]), (&json!(".data.ok"), &json!("{id: .data.id}")));
    assert_eq!(made["order_by"], ".data.customer");
    let path = format!("/api/v1/connections/{}", made["id"].as_str().expect("an id"));
    let changed = app.patch(&path, json!({"filter": null, "order_by": ".data.shop"})).await.expect(StatusCode::OK);
    assert_eq!(changed.json()["filter"], Value::Null);
    assert_eq!(changed.json()["order_by"], ".data.shop");
    assert_eq!(changed.json()["transform"], "{id: .data.id}");
    assert_eq!(deliveries_of(&app, "t", json!({"ok": false})).await, 1, "the filter is gone");
}

#[tokio::test]
async fn a_program_that_cannot_be_used_is_refused_and_nothing_is_changed() {
    let app = shop().await;
    for (text, hints) in UNUSABLE {
        for field in ["filter", "transform", "order_by"] {
            let answer = connection(&app, "billing", json!({field: text})).await;
            answer.refused(422, "program_invalid", &[&[field, "Nothing was changed"], hints].concat());
        }
    }
    let long = " ".repeat(16 * 1_024) + ".";
    connection(&app, "billing", json!({"filter": long})).await.refused(
        422,
        "program_invalid",
        &["16385 bytes", "16384"],
    );
    let nested = "(1+".repeat(1_000) + "1" + &")".repeat(1_000);
    connection(&app, "billing", json!({"filter": nested})).await.refused(422, "program_invalid", &["nested"]);
    assert_eq!(app.get("/api/v1/connections").await.json()["data"], json!([]));

    let made = connection(&app, "billing", json!({"filter": ".ok"})).await.expect(StatusCode::CREATED).text("id");
    let path = format!("/api/v1/connections/{made}");
    app.patch(&path, json!({"filter": "("})).await.refused(422, "program_invalid", &["closing parenthesis"]);
    assert_eq!(app.get(&path).await.json()["filter"], ".ok");
}

async fn tried(app: &TestApp, trial: Value) -> Value {
    app.post("/api/v1/connections/test", trial).await.expect(StatusCode::OK).json()
}

#[tokio::test]
async fn a_dry_run_says_what_programs_make_of_an_event() {
    let app = shop().await;
    let trial = json!({
        "filter": ".ok and $headers[\"x-shop\"] == \"eu\"", "transform": "{id, from: $source, kind: $type}", "order_by": ".id",
        "body": {"ok": true, "id": 7}, "headers": {"X-Shop": "eu"}, "type": "paid", "source": "shop",
    });
    let answer = tried(&app, trial.clone()).await;
    assert_eq!(answer["matches"], true);
    assert_eq!(answer["body"], r#"{"id":7,"from":"shop","kind":"paid"}"#);
    assert_eq!(answer["order"], "7");
    assert_eq!(answer["errors"], json!([]));
    assert!(answer["micros"].is_u64());

    let mut other = trial;
    other["body"] = json!({"ok": false});
    let answer = tried(&app, other).await;
    assert_eq!((&answer["matches"], &answer["body"], &answer["order"]), (&json!(false), &json!(null), &json!(null)));

    let text = tried(&app, json!({"body_text": "not JSON", "filter": "$source == \"test\""})).await;
    assert_eq!((&text["matches"], &text["body"]), (&json!(true), &json!("not JSON")));
    assert_eq!(app.store.latest_event().await.expect("a store"), None, "nothing is stored");
}

#[tokio::test]
async fn a_dry_run_takes_a_stored_event() {
    let app = shop().await;
    let published = app.post("/api/v1/events", json!({"source": "shop", "type": "t", "data": {"n": 1}})).await;
    let id = published.expect(StatusCode::ACCEPTED).text("id");
    let answer = tried(&app, json!({"event": id, "transform": "[$source, $type, $id, .data.n]"})).await;
    assert_eq!(answer["body"], format!("[\"shop\",\"t\",\"{id}\",1]"));
    let unknown = json!({"event": "evt_00000000000000000000000000", "filter": "."});
    app.post("/api/v1/connections/test", unknown).await.refused(422, "event_unknown", &[]);
}

#[tokio::test]
async fn a_dry_run_shows_every_fault_with_its_place() {
    let app = shop().await;
    let body = json!({"a": [1]});
    let answer =
        tried(&app, json!({"body": body, "filter": "true", "transform": ".a |", "order_by": "def f: f; f"})).await;
    assert_eq!(answer["matches"], true);
    assert_eq!(answer["body"], Value::Null);
    let errors = answer["errors"].as_array().expect("errors");
    assert_eq!(
        (&errors[0]["program"], &errors[0]["line"], &errors[0]["column"]),
        (&json!("transform"), &json!(1), &json!(5))
    );
    assert_eq!(errors[1]["program"], "order_by");
    assert!(errors[1]["message"].as_str().is_some_and(|text| text.contains("loop")), "{answer}");

    for (transform, hint) in [
        ("empty", "no output"),
        ("1, 2", "more than one"),
        ("nan", "not JSON"),
        (".a.b", "cannot index"),
        ("\"x\" * 2000000", "more than 1048576 bytes"),
    ] {
        let answer = tried(&app, json!({"body": body, "transform": transform})).await;
        let message = answer["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(hint), "{transform}: {answer}");
    }
}

#[tokio::test]
async fn a_dry_run_needs_one_event_and_a_key_that_may_write() {
    let app = shop().await;
    for trial in
        [json!({"filter": "."}), json!({"filter": ".", "body": 1, "body_text": "1"}), json!({"event": "x", "body": 1})]
    {
        app.post("/api/v1/connections/test", trial).await.refused(422, "value_invalid", &["exactly one"]);
    }
    let unknown = app.post("/api/v1/connections/test", json!({"body": 1, "filtre": "."})).await;
    unknown.refused(422, "json_invalid", &["did you mean `filter`?"]);
    let read = app.key("read").await;
    let answer =
        app.request(Method::POST, "/api/v1/connections/test").key(&read).json(&json!({"body": 1})).send().await;
    answer.refused(403, "scope_insufficient", &[]);
}
