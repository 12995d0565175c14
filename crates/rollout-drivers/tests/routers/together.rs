//! Others write the same object at the same moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::{Method, Request};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::client::Body;
use serde_json::{Value, json};
use spillway_rollout::ports::PortError;

use crate::support::{Web, split};

const VIRTUAL_SERVICE: &str = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop }
spec:
  http:
    - { name: images, timeout: 1s, route: [{ destination: { host: cdn } }] }
    - { name: main, route: [{ destination: { host: web } }] }
"#;

const HTTP_ROUTE: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: shop }
spec:
  rules:
    - { name: images, timeouts: { request: 1s }, backendRefs: [{ name: cdn, port: 80 }] }
    - { name: main, backendRefs: [{ name: web, port: 80 }] }
"#;

/// A client that lets `meddle` happen before each of its patches reaches the server.
fn meddling<F, M>(client: &Client, meddle: M) -> Client
where
    M: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (client, meddle) = (client.clone(), Arc::new(meddle));
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, meddle) = (client.clone(), meddle.clone());
        async move {
            if request.method() == Method::PATCH {
                meddle().await;
            }
            client.send(request).await
        }
    });
    Client::new(service, namespace)
}

async fn patch(api: &Api<DynamicObject>, patch: Value) {
    let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).expect("a patch"));
    api.patch("shop", &PatchParams::default(), &patch).await.expect("somebody else's patch");
}

#[tokio::test]
async fn a_route_that_moves_between_read_and_write_is_found_again() {
    for (web, object, list, new) in [
        (
            Web::behind_virtual_service().await,
            VIRTUAL_SERVICE,
            "/spec/http",
            json!({ "name": "new", "route": [{ "destination": { "host": "new" } }] }),
        ),
        (
            Web::behind_http_route().await,
            HTTP_ROUTE,
            "/spec/rules",
            json!({ "name": "new", "backendRefs": [{ "name": "new", "port": 80 }] }),
        ),
    ] {
        let api = if list == "/spec/http" { web.virtual_services() } else { web.http_routes() };
        web.cluster.create(&api, object).await;
        let (first, meddled_with, inserted) = (Arc::new(AtomicBool::new(true)), api.clone(), new.clone());
        let client = meddling(&web.cluster.client, move || {
            let (first, api, path, new) = (first.clone(), meddled_with.clone(), format!("{list}/0"), inserted.clone());
            async move {
                if first.swap(false, Ordering::Relaxed) {
                    patch(&api, json!([{ "op": "add", "path": path, "value": new }])).await;
                }
            }
        });

        web.write_with(&client, split(70, 30)).await.expect("written in the second attempt");

        assert_eq!(web.read().await, Ok(split(70, 30)));
        let after = api.get("shop").await.expect("there").data;
        assert_eq!(after.pointer(&format!("{list}/0")), Some(&new), "the new one is whole");
        assert_eq!(after.pointer(&format!("{list}/1/name")), Some(&json!("images")));
    }
}

#[tokio::test]
async fn a_route_that_goes_between_read_and_write_is_an_error_and_the_others_stay() {
    let web = Web::behind_virtual_service().await;
    let api = web.virtual_services();
    web.cluster.create(&api, VIRTUAL_SERVICE).await;
    let meddled_with = api.clone();
    let client = meddling(&web.cluster.client, move || {
        let api = meddled_with.clone();
        async move { patch(&api, json!([{ "op": "remove", "path": "/spec/http/1" }])).await }
    });
    let result = web.write_with(&client, split(70, 30)).await;
    assert!(
        matches!(&result, Err(PortError::Permanent(sentence)) if sentence.contains("has the name main")),
        "{result:?}"
    );
    let after = api.get("shop").await.expect("there").data;
    assert_eq!(
        after["spec"]["http"],
        json!([{ "name": "images", "timeout": "1s", "route": [{ "destination": { "host": "cdn" } }] }])
    );
}

#[tokio::test]
async fn an_object_that_others_change_all_the_time_is_given_up_for_now() {
    let web = Web::behind_virtual_service().await;
    let api = web.virtual_services();
    web.cluster.create(&api, VIRTUAL_SERVICE).await;
    let (n_patches, meddled_with) = (Arc::new(AtomicUsize::new(0)), api.clone());
    let client = meddling(&web.cluster.client, move || {
        let (n_patches, api) = (n_patches.clone(), meddled_with.clone());
        async move {
            let n = n_patches.fetch_add(1, Ordering::Relaxed);
            patch(&api, json!([{ "op": "replace", "path": "/spec/http/0/timeout", "value": format!("{}s", n + 2) }]))
                .await;
        }
    });
    let result = web.write_with(&client, split(70, 30)).await;
    assert!(
        matches!(&result, Err(PortError::Temporary(sentence)) if sentence.contains("changed by others")),
        "{result:?}"
    );
    assert_eq!(web.read().await, Ok(split(0, 0)), "the traffic is where it was");
}

/// Somebody else counts up in the foreign rule while weights change in ours: every count and the last weight are there at the end.
#[tokio::test]
async fn no_update_is_lost() {
    const N_COUNTS: u32 = 40;
    let web = Web::behind_http_route().await;
    let api = web.http_routes();
    web.cluster.create(&api, HTTP_ROUTE).await;
    let count = async {
        let mut n_counted = 0;
        while n_counted < N_COUNTS {
            let mut object = api.get("shop").await.expect("there");
            let timeout = &mut object.data["spec"]["rules"][0]["timeouts"]["request"];
            let seconds: u32 =
                timeout.as_str().and_then(|text| text.trim_end_matches('s').parse().ok()).expect("a time");
            *timeout = json!(format!("{}s", seconds + 1));
            match api.replace("shop", &PostParams::default(), &object).await {
                Ok(_) => n_counted += 1,
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    let shift = async {
        for green in 1..=20 {
            web.write(split(100 - green, green)).await.expect("written");
            assert_eq!(web.read().await, Ok(split(100 - green, green)));
        }
    };
    tokio::join!(count, shift);
    let after = api.get("shop").await.expect("there").data;
    assert_eq!(after["spec"]["rules"][0]["timeouts"]["request"], json!(format!("{}s", 1 + N_COUNTS)));
    assert_eq!(web.read().await, Ok(split(80, 20)));
}
