//! The shares of worker slots.

use http::{Method, StatusCode};
use serde_json::json;
use spillway_model::{Slot, WorkerShares};

use crate::support::{Answer, TestApp};

const PATH: &str = "/api/v1/workers/shares";

async fn put(app: &TestApp, body: serde_json::Value) -> Answer {
    app.api(Method::PUT, PATH).json(&body).send().await
}

fn tag(answer: &Answer) -> String {
    answer.header("etag").expect("a tag").to_owned()
}

#[tokio::test]
async fn shares_are_set_shown_and_unset() {
    let app = TestApp::start().await;
    let unset = app.get(PATH).await.expect(StatusCode::OK);
    assert_eq!(unset.json(), json!({"shares": null}));
    let shares = json!({"shares": {"blue": 90, "green": 10}});
    let set = put(&app, shares.clone()).await.expect(StatusCode::OK);
    let shown = app.get(PATH).await.expect(StatusCode::OK);
    assert_eq!((set.json(), shown.json()), (shares.clone(), shares));
    assert_eq!(tag(&set), tag(&shown));
    let stored = app.store.configuration().await.expect("a store").worker_shares;
    assert_eq!(stored.map(|shares: WorkerShares| shares.of(Slot::Green)), Some(10));
    app.delete(PATH).await.expect(StatusCode::NO_CONTENT);
    let again = app.get(PATH).await.expect(StatusCode::OK);
    assert_eq!((again.json(), tag(&again)), (unset.json(), tag(&unset)));
    put(&app, json!({"shares": {"blue": 0, "green": 100}})).await.expect(StatusCode::OK);
    put(&app, json!({"shares": null})).await.expect(StatusCode::OK);
    assert_eq!(app.store.configuration().await.expect("a store").worker_shares, None);
}

#[tokio::test]
async fn a_change_of_shares_that_were_changed_meanwhile_is_refused() {
    let app = TestApp::start().await;
    let first = tag(&app.get(PATH).await);
    let shares = json!({"shares": {"blue": 90, "green": 10}});
    let change = |method: Method, tag: &str| app.api(method, PATH).header("if-match", tag).json(&shares).send();
    let set = change(Method::PUT, &first).await.expect(StatusCode::OK);
    change(Method::PUT, &first).await.refused(412, "precondition_failed", &["read them again", "ETag"]);
    change(Method::DELETE, &first).await.refused(412, "precondition_failed", &[]);
    change(Method::PUT, &tag(&set)).await.expect(StatusCode::OK);
    change(Method::DELETE, "*").await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn only_whole_shares_of_known_slots_are_taken() {
    let app = TestApp::start().await;
    for (blue, green) in [(90, 20), (0, 0), (255, 101)] {
        let answer = put(&app, json!({"shares": {"blue": blue, "green": green}})).await;
        answer.refused(422, "worker_shares_invalid", &["100 together", &(blue + green).to_string()]);
    }
    for body in [
        json!({"shares": {"blue": 100}}),
        json!({"shares": {"blue": 50, "green": 50, "red": 0}}),
        json!({"shares": {"blue": 300, "green": 0}}),
        json!({"shares": {"blue": -1, "green": 101}}),
        json!({"blue": 90, "green": 10}),
    ] {
        put(&app, body).await.refused(422, "json_invalid", &[]);
    }
    assert_eq!(app.store.configuration().await.expect("a store").worker_shares, None);
}

#[tokio::test]
async fn everybody_may_look_and_administrators_may_change() {
    let app = TestApp::start().await;
    let (read, write) = (app.key("read").await, app.key("write").await);
    app.request(Method::GET, PATH).key(&read).send().await.expect(StatusCode::OK);
    for method in [Method::PUT, Method::DELETE] {
        let answer = app.request(method, PATH).key(&write).json(&json!({"shares": null})).send().await;
        answer.refused(403, "scope_insufficient", &["needs scope admin"]);
    }
}
