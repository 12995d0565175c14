use http::StatusCode;
use serde_json::{Value, json};
use spillway_model::DestinationId;
use spillway_store::BudgetRequest;

use crate::support::{NOW, TestApp};

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn a_budget_is_set_shown_changed_in_part_and_taken_away() {
    let app = TestApp::start().await;
    app.destination("ai").await;
    let budget =
        json!({"requests_per_hour": 1000, "cost_per_hour": 50.0, "cost_per_request": 0.03, "max_concurrent": 10});
    let set = app.patch("/api/v1/destinations/ai", json!({"budget": budget})).await.expect(StatusCode::OK).json();
    assert_eq!(set["budget"]["requests_per_hour"], json!(1000));
    assert_eq!(set["budget"]["cost_header"], Value::Null);
    let change = json!({"budget": {"requests_per_hour": null, "cost_header": "x-cost"}});
    let changed = app.patch("/api/v1/destinations/ai", change).await.expect(StatusCode::OK).json();
    let expected = json!({"requests_per_hour": null, "cost_per_hour": 50.0, "cost_per_request": 0.03,
        "cost_header": "x-cost", "max_concurrent": 10});
    assert_eq!(changed["budget"], expected);
    let gone = app.patch("/api/v1/destinations/ai", json!({"budget": null})).await.expect(StatusCode::OK).json();
    assert_eq!(gone["budget"], Value::Null);
}

#[tokio::test]
async fn a_budget_that_cannot_be_kept_is_refused_with_what_to_do() {
    let app = TestApp::start().await;
    app.destination("ai").await;
    for (budget, says) in [
        (json!({"requests_per_hour": 0}), ["budget.requests_per_hour", "pause it"]),
        (json!({"max_concurrent": 0}), ["budget.max_concurrent", "pause it"]),
        (json!({"cost_per_hour": 0, "cost_per_request": 0.1}), ["budget.cost_per_hour", "pause it"]),
        (json!({"cost_per_hour": -5, "cost_per_request": 0.1}), ["budget.cost_per_hour", "from 0.000001"]),
        (json!({"cost_per_hour": 50, "cost_per_request": 51}), ["budget.cost_per_request", "none could ever be sent"]),
        (json!({"cost_per_hour": 50}), ["budget.cost_per_hour", "cost_header"]),
        (json!({"cost_header": "x-cost"}), ["budget.cost_header", "cost_per_hour"]),
        (json!({}), ["budget", "leave it out"]),
    ] {
        let answer = app.patch("/api/v1/destinations/ai", json!({"budget": budget})).await;
        answer.refused(422, "value_invalid", &says);
    }
    let unknown = app.patch("/api/v1/destinations/ai", json!({"budget": {"requests_per_day": 1}})).await;
    assert!(unknown.status.is_client_error());
    assert_eq!(app.get("/api/v1/destinations/ai").await.json()["budget"], Value::Null, "nothing was changed");
}

#[tokio::test]
async fn the_hours_use_is_shown_and_what_waits_says_until_when() {
    let app = TestApp::start().await;
    let id = app.destination("ai").await["id"].as_str().expect("an id").to_owned();
    app.destination("free").await;
    let budget = json!({"requests_per_hour": 4, "cost_per_hour": 1.0, "cost_per_request": 0.1});
    app.patch("/api/v1/destinations/ai", json!({"budget": budget})).await.expect(StatusCode::OK);
    let take = async |requests| {
        let request = BudgetRequest {
            destination: id.parse::<DestinationId>().expect("an id"),
            hour: NOW / HOUR_MS,
            requests,
            cost_micros_each: 100_000,
            max_requests: Some(4),
            max_cost_micros: Some(1_000_000),
        };
        app.store.take_budget(request).await.expect("a part of the budget")
    };
    assert_eq!(take(3).await, 3);
    let shown = app.get("/api/v1/destinations/ai/budget").await.expect(StatusCode::OK).json();
    assert_eq!((&shown["requests"], &shown["cost"], &shown["used_ratio"]), (&json!(3), &json!(0.3), &json!(0.75)));
    assert_eq!((&shown["name"], &shown["waiting_until"]), (&json!("ai"), &Value::Null));
    assert_eq!(take(3).await, 1);
    let shown = app.get("/api/v1/destinations/ai/budget").await.expect(StatusCode::OK).json();
    assert_eq!(shown["hour_started_at"], "2026-01-01T00:00:00.000Z");
    assert_eq!(shown["waiting_until"], "2026-01-01T01:00:00.000Z");
    let all = app.get("/api/v1/budgets").await.expect(StatusCode::OK).json();
    assert_eq!(all["data"], json!([shown]), "only those with a budget");
    app.clock.advance(HOUR_MS);
    let next = app.get("/api/v1/destinations/ai/budget").await.expect(StatusCode::OK).json();
    assert_eq!((&next["requests"], &next["waiting_until"]), (&json!(0), &Value::Null));
    let free = app.get("/api/v1/destinations/free/budget").await.expect(StatusCode::OK).json();
    assert_eq!((&free["requests_per_hour"], &free["used_ratio"]), (&Value::Null, &Value::Null));
    app.get("/api/v1/destinations/nobody/budget").await.refused(404, "destination_unknown", &[]);
}
