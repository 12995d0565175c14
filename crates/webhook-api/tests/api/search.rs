//! Events are found by what is known of them.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::TestApp;

/// Ten events of the source `github`, of which the fourth is a ping, and one of `shop`. Returns their ids.
async fn events(app: &TestApp) -> Vec<String> {
    app.github_source().await;
    app.post("/api/v1/sources", json!({"name": "shop", "provider": "none"})).await.expect(StatusCode::CREATED);
    let mut ids = Vec::new();
    for n in 0..10 {
        let kind = if n == 3 { "ping" } else { "push" };
        let body = json!({"n": n, "deep": {"even": n % 2 == 0}}).to_string();
        let request = app.webhook(&format!("d-{n}"), body.as_bytes()).header("x-github-event", kind);
        ids.push(request.header("x-number", &n.to_string()).send().await.expect(StatusCode::ACCEPTED).text("id"));
        app.clock.advance(1_000);
    }
    let request = app.request(Method::POST, "/in/shop").body("no JSON");
    ids.push(request.send().await.expect(StatusCode::ACCEPTED).text("id"));
    ids
}

async fn find(app: &TestApp, query: &str) -> Value {
    app.get(&format!("/api/v1/events?{query}")).await.expect(StatusCode::OK).json()
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().expect("rows").iter().map(|row| row["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn events_are_found_by_id_type_header_and_place_in_the_body() {
    let app = TestApp::start().await;
    let all = events(&app).await;
    for (query, expected) in [
        (format!("q={}", all[4]), vec![4]),
        (format!("q={}", all[4].replacen("evt_", "dlv_", 1)), vec![4]),
        (format!("q={}&source=shop", all[4]), vec![]),
        ("q=PIN".to_owned(), vec![3]),
        ("q=nothing".to_owned(), vec![]),
        ("q=header:x-number%3D7".to_owned(), vec![7]),
        ("q=header:X-Number".to_owned(), vec![9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("q=/n%3D2".to_owned(), vec![2]),
        ("q=/deep/even%3Dtrue".to_owned(), vec![8, 6, 4, 2, 0]),
        ("q=/deep/even%3Dtrue&source=shop".to_owned(), vec![]),
        ("q=/deep&from=2026-01-01T00:00:02Z&to=2026-01-01T00:00:05Z".to_owned(), vec![4, 3, 2]),
    ] {
        let page = find(&app, &query).await;
        let expected: Vec<&str> = expected.into_iter().map(|n: usize| all[n].as_str()).collect();
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!(page["next"], Value::Null, "{query}");
    }
}

#[tokio::test]
async fn a_search_says_how_much_it_looked_through_and_goes_on_where_it_ended() {
    let app = TestApp::start().await;
    let all = events(&app).await;
    let page = find(&app, "q=/n%3D2").await;
    assert_eq!((&page["scanned"], &page["complete"]), (&json!(11), &json!(true)));
    assert_eq!(find(&app, "").await.get("scanned"), None);
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = find(&app, &format!("q=/deep/even%3Dtrue&limit=2&fields=id{cursor}")).await;
        found.extend(ids(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let expected: Vec<_> = [8, 6, 4, 2, 0].map(|n: usize| all[n].clone()).to_vec();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_long_search_ends_at_its_bound_and_can_be_continued() {
    let app = TestApp::start().await;
    app.post("/api/v1/sources", json!({"name": "shop", "provider": "none"})).await.expect(StatusCode::CREATED);
    let first = app.request(Method::POST, "/in/shop").body(r#"{"x":1}"#).send().await.text("id");
    let source = app.gateway.routing.load().configuration.sources[0].id;
    // More than one request looks through.
    for _ in 0..11 {
        let event = || spillway_model::NewEvent {
            event: std::sync::Arc::new(spillway_model::Event {
                id: app.gateway.ids.event(),
                source,
                event_type: None,
                headers: spillway_model::HeaderBlock::default(),
                body: bytes::Bytes::from_static(b"{}"),
                trace: None,
                quarantine: None,
            }),
            idempotency: None,
            deliveries: Vec::new(),
        };
        app.store.append((0..1_000).map(|_| event()).collect()).await.expect("stored");
    }
    let (mut cursor, mut n_requests) = (String::new(), 0);
    let found = loop {
        let page = find(&app, &format!("q=/x%3D1{cursor}")).await;
        n_requests += 1;
        assert!(n_requests < 100, "{page}");
        match (ids(&page).first(), page["next"].as_str()) {
            (Some(found), _) => break (*found).to_owned(),
            (None, Some(next)) => {
                assert_eq!(page["complete"], false);
                assert!(page["scanned"].as_u64().is_some_and(|n| (1..=10_200).contains(&n)), "{page}");
                cursor = format!("&cursor={next}");
            }
            (None, None) => panic!("not found: {page}"),
        }
    };
    assert!(n_requests > 1);
    assert_eq!(found, first);
}

#[tokio::test]
async fn events_are_found_by_the_state_of_their_deliveries() {
    let app = TestApp::start().await;
    app.github_source().await;
    app.destination("billing").await;
    app.destination("mail").await;
    app.connect("github", "billing").await;
    app.connect("github", "mail").await;
    let mut all = Vec::new();
    for n in 0..3 {
        let request = app.webhook(&format!("d-{n}"), format!(r#"{{"n":{n}}}"#).as_bytes());
        all.push(request.send().await.expect(StatusCode::ACCEPTED).text("id"));
        app.clock.advance(1_000);
    }
    let page = find(&app, "status=pending").await;
    assert_eq!(ids(&page), [all[2].as_str(), &all[1], &all[0]], "each event once");
    assert_eq!(page["complete"], true);
    assert_eq!(ids(&find(&app, "status=dead").await), [""; 0]);
    assert_eq!(ids(&find(&app, "status=pending&q=/n%3D1").await), [all[1].as_str()]);
    let page = find(&app, "status=pending&limit=1").await;
    let next = page["next"].as_str().expect("another page").to_owned();
    assert_eq!(ids(&page), [all[2].as_str()]);
    let rest = find(&app, &format!("status=pending&cursor={next}")).await;
    assert!(ids(&rest).contains(&all[0].as_str()), "{rest}");
}

#[tokio::test]
async fn a_search_that_cannot_be_is_refused() {
    let app = TestApp::start().await;
    for (query, hint) in [
        ("q=", "1 to 1000 bytes"),
        ("q=evt_123", "26 characters"),
        ("q=header:", "after header:"),
        ("status=lost", "status is pending"),
        ("from=soon", "from is not a time"),
    ] {
        let answer = app.get(&format!("/api/v1/events?{query}")).await;
        answer.refused(400, "query_invalid", &[hint]);
    }
}
