//! Nobody's change of an entry is lost to somebody else's.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

fn tag(answer: &Answer) -> String {
    answer.header("etag").expect("a tag").to_owned()
}

#[tokio::test]
async fn two_nodes_that_change_one_entry_at_once_keep_both_changes() {
    let app = TestApp::start().await;
    app.destination("billing").await;
    let other = app.another_node().await;
    let patches = (0..30).map(|n| {
        let header = format!("x-{n}");
        let node = if n % 2 == 0 { &app } else { &other };
        node.patch("/api/v1/destinations/billing", json!({"headers": {header: "1"}}))
    });
    for answer in futures_util::future::join_all(patches).await {
        answer.expect(StatusCode::OK);
    }
    let stored = app.store.configuration().await.expect("a store").destinations.remove(0);
    assert_eq!(stored.headers.len(), 30);
}

#[tokio::test]
async fn every_answer_with_an_entry_has_the_tag_that_the_next_change_may_name() {
    let app = TestApp::start().await;
    app.github_source().await;
    app.destination("billing").await;
    for (kind, new, patch) in [
        ("sources", json!({"name": "own", "provider": "none"}), json!({"enabled": false})),
        ("destinations", json!({"name": "crm", "url": "https://example.com"}), json!({"timeout_ms": 900})),
        ("connections", json!({"source": "github", "destination": "billing"}), json!({"enabled": false})),
    ] {
        let made = app.post(&format!("/api/v1/{kind}"), new.clone()).await.expect(StatusCode::CREATED);
        let path = format!("/api/v1/{kind}/{}", made.text("id"));
        assert_eq!(made.header("location"), Some(path.as_str()));
        let first = tag(&made);
        assert!(first.starts_with('"'), "{first} compares strongly");
        assert_eq!(tag(&app.get(&path).await), first, "{kind}");
        let change =
            |method: Method, tag: &str, body: &Value| app.api(method, &path).header("if-match", tag).json(body).send();
        let patched = change(Method::PATCH, &first, &patch).await.expect(StatusCode::OK);
        assert_ne!(tag(&patched), first, "{kind}");
        change(Method::PATCH, &first, &patch).await.refused(412, "precondition_failed", &["read it again", "ETag"]);
        change(Method::PUT, &first, &new).await.refused(412, "precondition_failed", &[]);
        let both = format!("\"another\", {}", tag(&patched));
        let replaced = change(Method::PUT, &both, &new).await.expect(StatusCode::OK);
        assert_eq!(tag(&replaced), first, "{kind}: it is again what it was");
        let delete = |tag: &str| app.api(Method::DELETE, &path).header("if-match", tag).send();
        delete(&tag(&patched)).await.refused(412, "precondition_failed", &[]);
        delete(&format!("W/{first}")).await.refused(412, "precondition_failed", &[]);
        delete("*").await.expect(StatusCode::NO_CONTENT);
        delete("*").await.refused(404, &format!("{}_unknown", kind.trim_end_matches('s')), &[]);
    }
}

#[tokio::test]
async fn a_tag_holds_while_other_entries_change_and_not_when_only_a_hidden_secret_does() {
    let app = TestApp::start().await;
    let path = "/api/v1/destinations/billing";
    app.destination("billing").await;
    let shown = app.get(path).await;
    let first = tag(&shown);
    app.destination("crm").await;
    assert_eq!(tag(&app.get(path).await), first);
    let rotated = app.post(&format!("{path}/rotate-secret"), json!({"grace_seconds": 0})).await;
    let rotated = rotated.expect(StatusCode::OK);
    let now = app.get(path).await;
    assert_eq!(now.json(), shown.json(), "what is shown is the same");
    assert_ne!(tag(&now), first);
    assert_eq!(tag(&now), tag(&rotated));
    let secrets = json!({"signing_secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]});
    let late = app.api(Method::PATCH, path).header("if-match", &first).json(&secrets).send().await;
    late.refused(412, "precondition_failed", &["billing"]);
    let pause = app.api(Method::POST, &format!("{path}/pause")).header("if-match", &first).send().await;
    pause.refused(412, "precondition_failed", &[]);
}

#[tokio::test]
async fn a_key_can_be_deleted_by_its_tag() {
    let app = TestApp::start().await;
    app.key("read").await;
    let path = "/api/v1/keys/a%20read%20key";
    let delete = |tag: &str| app.api(Method::DELETE, path).header("if-match", tag).send();
    delete("\"another\"").await.refused(412, "precondition_failed", &["a read key"]);
    delete(&tag(&app.get(path).await)).await.expect(StatusCode::NO_CONTENT);
}
