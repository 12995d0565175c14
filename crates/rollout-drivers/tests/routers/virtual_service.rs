//! The named route of an Istio VirtualService.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Web, copying, permanent, split, virtual_service};

/// Two foreign routes around ours, with fields that nobody may touch.
const SHOP: &str = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop, annotations: { team: shop } }
spec:
  hosts: [shop.example.org]
  gateways: [public]
  http:
    - name: images
      match: [{ uri: { prefix: /images } }]
      timeout: 3s
      retries: { attempts: 2 }
      route: [{ destination: { host: cdn }, weight: 100, headers: { request: { set: { x-from: shop } } } }]
    - name: main
      match: [{ uri: { prefix: / }, method: { exact: GET } }]
      headers: { response: { remove: [server] } }
      timeout: 9s
      route: [{ destination: { host: web, port: { number: 80 } } }]
    - route: [{ destination: { host: fallback } }]
"#;

async fn shop() -> Web {
    let web = Web::behind_virtual_service().await;
    web.cluster.create(&web.virtual_services(), SHOP).await;
    web
}

async fn patch(web: &Web, patch: Value) {
    let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).expect("a patch"));
    web.virtual_services().patch("shop", &PatchParams::default(), &patch).await.expect("patch the VirtualService");
}

#[tokio::test]
async fn adoption_replaces_the_destinations_of_the_named_route_and_nothing_else() {
    let web = shop().await;
    assert_eq!(web.read().await, Ok(split(0, 0)), "it does not lead to the slots yet");
    let before = web.spec_of("virtualservices", "shop").await;

    web.write(split(100, 0)).await.expect("adopted");

    let old = r#""route":[{"destination":{"host":"web","port":{"number":80}}}]"#;
    let new = concat!(
        r#""route":[{"destination":{"host":"web-blue","port":{"number":8080}},"weight":100},"#,
        r#"{"destination":{"host":"web-green","port":{"number":8080}},"weight":0}]"#
    );
    assert!(before.contains(old), "{before}");
    assert_eq!(web.spec_of("virtualservices", "shop").await, before.replacen(old, new, 1));
    assert_eq!(web.read().await, Ok(split(100, 0)));
}

#[tokio::test]
async fn a_step_changes_two_numbers() {
    let web = shop().await;
    let adopted = json!([{ "op": "add", "path": "/spec/http/1/route", "value": [
        { "destination": { "host": format!("web-green.{}.svc.cluster.local", web.cluster.namespace()), "subset": "fast" }, "weight": 7 },
        { "destination": { "host": "web-blue" }, "weight": 93, "headers": { "request": { "remove": ["x-debug"] } } },
    ] }]);
    patch(&web, adopted).await;
    assert_eq!(web.read().await, Ok(split(93, 7)));
    let before = web.spec_of("virtualservices", "shop").await;

    web.write(split(75, 25)).await.expect("written");

    let expected =
        before.replacen(r#""weight":93"#, r#""weight":75"#, 1).replacen(r#""weight":7}"#, r#""weight":25}"#, 1);
    assert_ne!(expected, before);
    assert_eq!(web.spec_of("virtualservices", "shop").await, expected);
    assert_eq!(web.read().await, Ok(split(75, 25)));
}

#[tokio::test]
async fn what_is_there_already_is_not_written_again_and_drift_is_repaired() {
    let web = shop().await;
    web.write(split(90, 10)).await.expect("written");
    let version = async || web.virtual_services().get("shop").await.expect("there").metadata.resource_version;
    let before = version().await;
    web.write(split(90, 10)).await.expect("nothing to do");
    assert_eq!(version().await, before);

    patch(&web, json!([{ "op": "replace", "path": "/spec/http/1/route/1/weight", "value": 30 }])).await;
    assert_eq!(web.read().await, Ok(split(75, 25)), "shares of the sum of all weights");
    patch(&web, json!([{ "op": "add", "path": "/spec/http/1/route/-", "value": { "destination": { "host": "web" }, "weight": 120 } }])).await;
    assert_eq!(web.read().await, Ok(split(38, 13)), "the rest goes elsewhere");
    web.write(split(90, 10)).await.expect("repaired");
    assert_eq!(web.read().await, Ok(split(90, 10)));
}

#[tokio::test]
async fn copies_come_change_and_go_without_a_trace() {
    let web = shop().await;
    web.write(split(100, 0)).await.expect("adopted");
    let before = web.spec_of("virtualservices", "shop").await;
    for share in [10, 50] {
        web.write(copying(share)).await.expect("copied");
        assert_eq!(web.read().await, Ok(copying(share)));
    }
    web.write(split(100, 0)).await.expect("no more copies");
    assert_eq!(web.spec_of("virtualservices", "shop").await, before);
}

#[tokio::test]
async fn copies_of_requests_that_write_are_refused_unless_allowed() {
    let mut web = shop().await;
    web.write(split(100, 0)).await.expect("adopted");
    patch(&web, json!([{ "op": "add", "path": "/spec/http/1/match/-", "value": { "uri": { "prefix": "/pay" } } }]))
        .await;
    let sentence = permanent(web.write(copying(10)).await);
    assert!(sentence.contains("set mirrorUnsafeMethods: true"), "{sentence}");
    assert_eq!(web.read().await, Ok(split(100, 0)));

    web.target.virtual_service.as_mut().expect("a VirtualService").mirror_unsafe_methods = true;
    web.write(copying(10)).await.expect("allowed");
    assert_eq!(web.read().await, Ok(copying(10)));
}

#[tokio::test]
async fn somebody_elses_copies_stay() {
    let web = shop().await;
    patch(&web, json!([{ "op": "add", "path": "/spec/http/1/mirror", "value": { "host": "recorder" } }])).await;
    web.write(split(80, 20)).await.expect("weights do not touch them");
    assert_eq!(web.read().await, Ok(split(80, 20)));
    let sentence = permanent(web.write(copying(10)).await);
    assert!(sentence.contains("copies requests to recorder already"), "{sentence}");
    let spec = web.spec_of("virtualservices", "shop").await;
    assert!(spec.contains(r#""mirror":{"host":"recorder"}"#), "{spec}");
}

#[tokio::test]
async fn a_route_that_is_not_there_is_said_with_those_that_are() {
    let web = Web { target: virtual_service("mian"), ..shop().await };
    let expected = "none of the routes in `http` of the VirtualService shop has the name mian: add `name: mian` to the one whose traffic \
        shall be split (there are: images, main; 1 without a name)";
    assert_eq!(permanent(web.read().await), expected);
    assert_eq!(permanent(web.write(split(100, 0)).await), expected);
}

#[tokio::test]
async fn two_routes_of_one_name_are_refused() {
    let web = shop().await;
    patch(&web, json!([{ "op": "replace", "path": "/spec/http/0/name", "value": "main" }])).await;
    let sentence = permanent(web.write(split(100, 0)).await);
    assert!(sentence.contains("two of the routes"), "{sentence}");
}

#[tokio::test]
async fn a_route_that_redirects_is_refused() {
    let web = shop().await;
    patch(
        &web,
        json!([
            { "op": "remove", "path": "/spec/http/1/route" },
            { "op": "add", "path": "/spec/http/1/redirect", "value": { "uri": "/new" } },
        ]),
    )
    .await;
    let sentence = permanent(web.write(split(100, 0)).await);
    assert!(sentence.contains("redirects"), "{sentence}");
}
