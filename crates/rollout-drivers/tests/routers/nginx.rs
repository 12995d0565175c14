//! A key of a ConfigMap that an nginx in the cluster includes.

use kube::api::{Patch, PatchParams};
use serde_json::json;
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::slot::Slots;

use crate::cluster::Cluster;
use crate::support::{Web, copying, nginx, permanent, split};

const PROXY: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: { name: proxy }
data: { other.conf: "of somebody else" }
"#;

async fn proxy() -> Web {
    let web = Web::behind(Cluster::start().await, nginx());
    web.cluster.create(&web.config_maps(), PROXY).await;
    web
}

async fn text(web: &Web) -> String {
    let data = web.config_maps().get("proxy").await.expect("there").data;
    assert_eq!(data["data"]["other.conf"], "of somebody else");
    data["data"]["web.conf"].as_str().expect("text").replace(web.cluster.namespace(), "shop")
}

#[tokio::test]
async fn the_key_is_written_and_the_others_stay() {
    let web = proxy().await;
    assert_eq!(web.read().await, Ok(split(0, 0)), "there is no such key yet");
    web.write(split(100, 0)).await.expect("adopted");
    assert_eq!(web.read().await, Ok(split(100, 0)));
    web.write(RouterObserved { mirror: Slots { blue: 0, green: 20 }, ..split(90, 10) }).await.expect("written");
    insta::assert_snapshot!(text(&web).await, @r#"
    # Written by spillway-rollout. What is changed here by hand is overwritten.
    # spillway-rollout: {"version":1,"rollout":"web","weights":{"blue":90,"green":10},"mirror":{"blue":0,"green":20}}

    upstream web_blue {
        server web-blue.shop.svc:8080;
        keepalive 64;
    }

    upstream web_green {
        server web-green.shop.svc:8080;
        keepalive 64;
    }

    # The group that answers a request.
    split_clients "$request_id" $web_slot {
        10% web_green;
        * web_blue;
    }

    # The group that gets a copy of it; empty for none.
    map $request_method $web_mirror_method {
        default 0;
        GET 1;
        HEAD 1;
        OPTIONS 1;
    }
    split_clients "mirror $request_id" $web_mirror_share {
        20% web_green;
        * "";
    }
    map "$web_mirror_method $web_slot $web_mirror_share" $web_mirror {
        default "";
        "1 web_blue web_green" web_green;
    }
    "#);
}

#[tokio::test]
async fn an_edit_by_hand_is_seen_and_overwritten() {
    let web = proxy().await;
    web.write(copying(5)).await.expect("written");
    let written = text(&web).await;
    let edited = Patch::Merge(json!({ "data": { "web.conf": written.replace("5% web_green", "50% web_green") } }));
    web.config_maps().patch("proxy", &PatchParams::default(), &edited).await.expect("edited");
    assert_eq!(web.read().await, Ok(split(0, 0)));
    web.write(copying(5)).await.expect("repaired");
    assert_eq!(text(&web).await, written);
    assert_eq!(web.read().await, Ok(copying(5)));
}

#[tokio::test]
async fn a_config_map_without_data_is_filled_and_one_that_is_missing_is_said() {
    let web = Web::behind(Cluster::start().await, nginx());
    let sentence = permanent(web.write(split(100, 0)).await);
    assert!(sentence.contains("the ConfigMap proxy"), "{sentence}");
    assert!(sentence.contains("does not exist: create it"), "{sentence}");
    let empty = "{ apiVersion: v1, kind: ConfigMap, metadata: { name: proxy } }";
    web.cluster.create(&web.config_maps(), empty).await;
    web.write(split(100, 0)).await.expect("filled");
    assert_eq!(web.read().await, Ok(split(100, 0)));
}
