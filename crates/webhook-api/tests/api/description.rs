use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::TestApp;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> Value {
    serde_json::to_value(spillway_webhook_api::openapi()).expect("a document")
}

fn paths(document: &Value) -> Vec<(String, BTreeSet<String>)> {
    let paths = document["paths"].as_object().expect("paths");
    let methods =
        |item: &Value| METHODS.into_iter().filter(|method| item.get(method).is_some()).map(str::to_uppercase).collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// Every text in the router's debug output that looks like a path, but for the fallback's.
fn routed(app: &TestApp) -> BTreeSet<String> {
    let shown = format!("{:?}", app.router);
    shown
        .split('"')
        .filter(|text| text.starts_with('/') && text.len() > 1 && !text.contains("__private"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn the_document_and_the_router_have_the_same_paths() {
    let app = TestApp::start().await;
    let described: BTreeSet<String> = paths(&document()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(routed(&app), described);
}

#[tokio::test]
async fn the_document_and_the_router_have_the_same_methods() {
    let app = TestApp::start().await;
    for (path, described) in paths(&document()) {
        let answer = app.api(Method::TRACE, &path.replace(['{', '}'], "")).send().await;
        if path == "/in/{source}" {
            continue;
        }
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = answer.header("allow").expect("the methods").split(',').map(|method| method.trim().to_owned());
        let allowed: BTreeSet<String> = allowed.filter(|method| method != "HEAD").collect();
        assert_eq!(allowed, described, "{path}");
    }
}

#[tokio::test]
async fn everything_under_api_needs_a_key_and_says_so() {
    let app = TestApp::start().await;
    let document = document();
    for (path, methods) in paths(&document).into_iter().filter(|(path, _)| path.starts_with("/api/")) {
        for method in methods {
            let operation = &document["paths"][&path][method.to_lowercase()];
            assert!(operation["security"][0]["key"][0].is_string(), "{method} {path}");
            assert!(operation["responses"]["401"]["content"]["application/problem+json"].is_object());
            let method: Method = method.parse().expect("a method");
            let answer = app.request(method, &path.replace(['{', '}'], "")).send().await;
            answer.refused(401, "key_missing", &[]);
        }
    }
}

#[tokio::test]
async fn the_document_is_served_and_every_reference_in_it_leads_somewhere() {
    let app = TestApp::start().await;
    let served = app.request(Method::GET, "/openapi.json").send().await.expect(StatusCode::OK);
    assert_eq!(served.json(), document());
    let document = served.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"], "bearer");
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(references.contains("#/components/schemas/Problem"));
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let mut names = BTreeSet::new();
    for (path, methods) in paths(&document) {
        for method in methods {
            let name =
                document["paths"][&path][method.to_lowercase()]["operationId"].as_str().expect("a name").to_owned();
            assert!(names.insert(name), "{method} {path} has the name of another operation");
        }
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            references.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[tokio::test]
async fn what_the_lists_answer_has_the_fields_that_are_described() {
    let app = TestApp::start().await;
    app.github_source().await;
    app.destination("billing").await;
    app.connect("github", "billing").await;
    app.webhook("d-1", b"{}").send().await.expect(StatusCode::ACCEPTED);
    let document = document();
    for (list, schema) in [
        ("sources", "SourceView"),
        ("destinations", "DestinationView"),
        ("connections", "ConnectionView"),
        ("keys", "KeyView"),
        ("events", "EventView"),
        ("deliveries", "DeliveryView"),
    ] {
        let row = &app.get(&format!("/api/v1/{list}")).await.expect(StatusCode::OK).json()["data"][0];
        let answered: BTreeSet<_> = row.as_object().expect("a row").keys().cloned().collect();
        let properties = &document["components"]["schemas"][schema]["properties"];
        let described: BTreeSet<_> = properties.as_object().expect("properties").keys().cloned().collect();
        assert_eq!(answered, described, "{list}");
    }
    assert_eq!(app.get("/api/v1/events?fields=type").await.json()["data"], json!([{"type": null}]));
}
