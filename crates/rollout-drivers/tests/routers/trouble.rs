//! What is missing is said, with what to do about it.

use serde_json::json;
use spillway_rollout::ports::PortError;
use spillway_testkit::kubernetes::ApiServer;

use crate::cluster::{self, HTTP_ROUTES};
use crate::support::{Web, copying, permanent, split};

const SHOP: &str = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop }
spec: { http: [{ name: main, route: [{ destination: { host: web } }] }] }
"#;

const LEFT: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: shop }
spec: { rules: [{ name: main, matches: [{ method: GET }], backendRefs: [{ name: web, port: 80 }] }] }
"#;

#[tokio::test]
async fn an_object_that_is_missing_is_said_with_those_that_are_there() {
    let web = Web::behind_virtual_service().await;
    let namespace = web.cluster.namespace().to_owned();
    let sentence = |names: &str| {
        format!(
            "the VirtualService shop of the namespace {namespace} does not exist: create it, or name one that does (there are: {names})"
        )
    };
    assert_eq!(permanent(web.read().await), sentence("none"));
    for name in ["mail", "market"] {
        web.cluster.create(&web.virtual_services(), &SHOP.replace("name: shop", &format!("name: {name}"))).await;
    }
    assert_eq!(permanent(web.write(split(100, 0)).await), sentence("mail, market"));
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let web = Web::behind_virtual_service().await;
    web.cluster.create(&web.virtual_services(), SHOP).await;
    let rule = |verbs: &[&str]| json!([{ "apiGroups": ["networking.istio.io"], "resources": ["virtualservices"], "verbs": verbs }]);
    for (user, verbs, missing) in [("stranger", &["list"][..], "get"), ("reader", &["get", "list"], "patch")] {
        let client = web.cluster.client_with_rights(user, rule(verbs)).await;
        let expected = format!("grant it the verb {missing} on virtualservices.networking.istio.io");
        // A role that was just made is known to the server a moment later.
        let mut sentence = String::new();
        spillway_testkit::wait_until("the role to count", cluster::DEADLINE, async || {
            sentence = permanent(web.write_with(&client, split(100, 0)).await);
            sentence.contains(&expected)
        })
        .await;
        assert!(
            sentence.starts_with(&format!("the controller may not {missing} the VirtualService shop")),
            "{sentence}"
        );
    }
    assert_eq!(web.read().await, Ok(split(0, 0)), "the traffic is where it was");
}

#[tokio::test]
async fn get_list_and_patch_are_all_the_rights_that_are_needed() {
    let web = Web::behind_virtual_service().await;
    web.cluster.create(&web.virtual_services(), SHOP).await;
    let rights = json!([{ "apiGroups": ["networking.istio.io"], "resources": ["virtualservices"], "verbs": ["get", "list", "patch"] }]);
    let client = web.cluster.client_with_rights("writer", rights).await;
    spillway_testkit::wait_until("the role to count", cluster::DEADLINE, async || {
        web.write_with(&client, split(100, 0)).await.is_ok()
    })
    .await;
    assert_eq!(web.read_with(&client).await, Ok(split(100, 0)));
}

/// A cluster of its own: without the resource definition, then with an older one, then with an API that hangs.
#[tokio::test]
async fn a_cluster_that_cannot_do_it_is_refused_and_one_that_hangs_is_asked_again_later() {
    let server = ApiServer::start().await;
    let client = cluster::client(&server.access().kubeconfig("default")).await;
    let web = Web::behind_http_route().await;
    let routes =
        cluster::objects(&client, web.cluster.namespace(), "gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes");
    let namespace = json!({ "metadata": { "name": web.cluster.namespace() } }).to_string();
    let made = server.access().request("POST", "/api/v1/namespaces", &namespace).await;
    assert!(matches!(made, Some((201, _))), "{made:?}");

    let sentence = permanent(web.read_with(&client).await);
    assert_eq!(
        sentence,
        "the cluster does not know the kind HTTPRoute (gateway.networking.k8s.io/v1): install its resource definition, or choose another router"
    );

    let older: String = HTTP_ROUTES
        .lines()
        .filter(|line| !line.contains("percent:") && !line.contains("fraction:"))
        .map(|line| format!("{line}\n"))
        .collect();
    cluster::install(&client, &older).await;
    let shop = serde_saphyr::from_str(LEFT).expect("an HTTPRoute");
    routes.create(&kube::api::PostParams::default(), &shop).await.expect("create an HTTPRoute");
    web.write_with(&client, split(100, 0)).await.expect("weights need no more");
    let sentence = permanent(web.write_with(&client, copying(10)).await);
    assert!(sentence.contains("use mirror: 100"), "{sentence}");
    assert_eq!(web.read_with(&client).await, Ok(split(100, 0)), "nothing is copied");
    web.write_with(&client, copying(100)).await.expect("copies of everything need no share");
    assert_eq!(web.read_with(&client).await, Ok(copying(100)));

    server.pause();
    tokio::time::pause();
    let result = web.read_with(&client).await;
    assert!(matches!(result, Err(PortError::Temporary(_))), "{result:?}");
}
