//! The named rule of a Gateway API HTTPRoute.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Web, copying, http_route, permanent, split};

/// Foreign rules around ours, with fields that nobody may touch.
const SHOP: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: shop }
spec:
  parentRefs: [{ name: public, sectionName: https }]
  hostnames: [shop.example.org]
  rules:
    - backendRefs: [{ name: cdn, port: 80 }]
      matches: [{ path: { type: PathPrefix, value: /images } }]
    - name: main
      timeouts: { request: 9s }
      matches: [{ path: { type: PathPrefix, value: / }, method: GET }]
      filters:
        - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-from, value: shop }] } }
        - { type: RequestMirror, requestMirror: { backendRef: { name: recorder, port: 80 } } }
      backendRefs: [{ name: web, port: 80 }]
    - name: other
      filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: web-green, port: 8080 }, percent: 3 } }]
      backendRefs: [{ name: web-blue, port: 8080, weight: 5 }, { name: web-green, port: 8080, weight: 5 }]
"#;

async fn shop() -> Web {
    let web = Web::behind_http_route().await;
    web.cluster.create(&web.http_routes(), SHOP).await;
    web
}

async fn patch(web: &Web, patch: Value) {
    let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).expect("a patch"));
    web.http_routes().patch("shop", &PatchParams::default(), &patch).await.expect("patch the HTTPRoute");
}

#[tokio::test]
async fn adoption_replaces_the_backends_of_the_named_rule_and_nothing_else() {
    let web = shop().await;
    assert_eq!(web.read().await, Ok(split(0, 0)), "it does not lead to the slots yet");
    let before = web.spec_of("httproutes", "shop").await;

    web.write(split(100, 0)).await.expect("adopted");

    let old = r#""backendRefs":[{"name":"web","port":80}]"#;
    let new = concat!(
        r#""backendRefs":[{"group":"","kind":"Service","name":"web-blue","port":8080,"weight":100},"#,
        r#"{"group":"","kind":"Service","name":"web-green","port":8080,"weight":0}]"#
    );
    assert!(before.contains(old), "{before}");
    assert_eq!(web.spec_of("httproutes", "shop").await, before.replacen(old, new, 1));
    assert_eq!(web.read().await, Ok(split(100, 0)));
}

#[tokio::test]
async fn a_step_changes_two_numbers() {
    let web = shop().await;
    patch(
        &web,
        json!([{ "op": "add", "path": "/spec/rules/1/backendRefs", "value": [
            { "name": "web-green", "port": 8080, "filters": [{ "type": "RequestHeaderModifier", "set": "x" }] },
            { "name": "web-blue", "port": 8080, "weight": 3 },
        ] }]),
    )
    .await;
    assert_eq!(web.read().await, Ok(split(75, 25)), "a weight that is not given is 1");
    let before = web.spec_of("httproutes", "shop").await;

    web.write(split(60, 40)).await.expect("written");

    let expected = before.replacen(r#""weight":3}"#, r#""weight":60}"#, 1);
    let expected =
        expected.replacen(r#""name":"web-green","port":8080}"#, r#""name":"web-green","port":8080,"weight":40}"#, 1);
    let after = web.spec_of("httproutes", "shop").await;
    assert_eq!(after, expected);
    assert_eq!(web.read().await, Ok(split(60, 40)));

    web.write(split(60, 40)).await.expect("nothing to do");
    assert_eq!(web.spec_of("httproutes", "shop").await, after);
}

#[tokio::test]
async fn copies_come_change_and_go_beside_foreign_filters() {
    let web = shop().await;
    web.write(split(100, 0)).await.expect("adopted");
    let before = web.spec_of("httproutes", "shop").await;
    for share in [100, 10, 50] {
        web.write(copying(share)).await.expect("copied");
        assert_eq!(web.read().await, Ok(copying(share)));
    }
    let with_copies = web.spec_of("httproutes", "shop").await;
    assert!(with_copies.contains(r#""name":"recorder""#), "{with_copies}");
    web.write(split(100, 0)).await.expect("no more copies");
    assert_eq!(web.spec_of("httproutes", "shop").await, before);
}

#[tokio::test]
async fn the_first_filter_of_a_rule_can_be_a_copy_and_leaves_no_empty_list() {
    let web = shop().await;
    web.write(split(100, 0)).await.expect("adopted");
    patch(&web, json!([{ "op": "remove", "path": "/spec/rules/1/filters" }])).await;
    let before = web.spec_of("httproutes", "shop").await;
    web.write(copying(25)).await.expect("copied");
    assert_eq!(web.read().await, Ok(copying(25)));
    web.write(split(100, 0)).await.expect("no more copies");
    assert_eq!(web.spec_of("httproutes", "shop").await, before);
}

#[tokio::test]
async fn what_the_server_refuses_is_said_in_its_words_and_not_tried_again() {
    let web = shop().await;
    web.write(split(100, 0)).await.expect("adopted");
    let filter = json!({ "type": "ResponseHeaderModifier" });
    patch(&web, json!([{ "op": "add", "path": "/spec/rules/1/filters", "value": vec![filter; 16] }])).await;
    let before = web.spec_of("httproutes", "shop").await;
    let sentence = permanent(web.write(copying(10)).await);
    assert!(sentence.starts_with("the Kubernetes API refused the change of the HTTPRoute shop"), "{sentence}");
    assert!(sentence.contains("at most 16 items"), "{sentence}");
    assert_eq!(web.spec_of("httproutes", "shop").await, before);
}

#[tokio::test]
async fn copies_of_requests_that_write_are_refused_unless_allowed() {
    let mut web = shop().await;
    web.write(split(100, 0)).await.expect("adopted");
    patch(&web, json!([{ "op": "remove", "path": "/spec/rules/1/matches" }])).await;
    let sentence = permanent(web.write(copying(10)).await);
    assert!(sentence.contains("set mirrorUnsafeMethods: true"), "{sentence}");
    web.target.http_route.as_mut().expect("an HTTPRoute").mirror_unsafe_methods = true;
    web.write(copying(10)).await.expect("allowed");
    assert_eq!(web.read().await, Ok(copying(10)));
}

#[tokio::test]
async fn a_fraction_is_read_as_a_share() {
    let web = shop().await;
    web.write(split(100, 0)).await.expect("adopted");
    patch(
        &web,
        json!([{ "op": "add", "path": "/spec/rules/1/filters/0", "value": { "type": "RequestMirror", "requestMirror": {
            "backendRef": { "name": "web-green", "port": 8080 }, "fraction": { "numerator": 1, "denominator": 5 },
        } } }]),
    )
    .await;
    assert_eq!(web.read().await, Ok(copying(20)));
}

#[tokio::test]
async fn a_rule_that_is_not_there_is_said_with_those_that_are() {
    let web = Web { target: http_route("mian"), ..shop().await };
    assert_eq!(
        permanent(web.write(split(100, 0)).await),
        "none of the rules of the HTTPRoute shop has the name mian: add `name: mian` to the one whose traffic shall be split \
         (there are: main, other; 1 without a name)"
    );
}
