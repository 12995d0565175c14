//! The resource definition, as a server understands it.

use http::Request;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use spillway_rollout_drivers::kubernetes::RolloutObject;

use crate::shop::{Shop, spec};

#[tokio::test]
async fn the_server_accepts_the_schema() {
    let shop = Shop::start().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(shop.cluster.client.clone());
    let definition = definitions.get("rollouts.spillway.dev").await.expect("it is installed");
    let conditions = definition.status.and_then(|status| status.conditions).unwrap_or_default();
    let wrong: Vec<_> = conditions.iter().filter(|each| each.type_ == "NonStructuralSchema").collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test]
async fn what_is_wrong_is_refused_when_it_is_written() {
    let shop = Shop::start().await;
    let create = async |spec: Value| {
        let object = json!({ "metadata": { "name": "wrong" }, "spec": spec });
        let rollout: RolloutObject = serde_json::from_value(object).expect("a Rollout");
        shop.rollouts().create(&PostParams { dry_run: true, field_manager: None }, &rollout).await
    };
    let written = create(spec("web")).await.expect("it is right");
    assert_eq!(written.spec["strategy"], "canary", "defaults are filled in");
    for (place, value, named) in [
        ("/steps/0/weight", json!(101), "weight"),
        ("/guards/0/threshold/metric", json!("happiness"), "metric"),
        ("/target/workload/port", json!("http"), "port"),
        ("/analysis/interval", json!(15), "interval"),
    ] {
        let mut wrong = spec("web");
        *wrong.pointer_mut(place).expect("it is in the plan") = value;
        let refused = create(wrong).await.expect_err(place).to_string();
        assert!(refused.contains(named), "{place}: {refused}");
    }
}

#[tokio::test]
async fn a_list_shows_where_each_rollout_is() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    let address = format!("/apis/spillway.dev/v1alpha1/namespaces/{}/rollouts", shop.cluster.namespace());
    let request = Request::get(address).header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let table: Value =
        shop.cluster.client.request(request.body(Vec::new()).expect("a request")).await.expect("a table");
    let columns = table["columnDefinitions"].as_array().expect("columns");
    let cell = |name: &str| {
        let at = columns.iter().position(|column| column["name"] == name).expect(name);
        table["rows"][0]["cells"][at].clone()
    };
    assert_eq!((cell("Name"), cell("Strategy")), (json!("web"), json!("canary")));
    assert_eq!((cell("Phase"), cell("Held")), (json!("idle"), json!("False")));
    assert!(cell("Revision").as_str().is_some_and(|revision| revision.len() == 10), "{table}");
}
