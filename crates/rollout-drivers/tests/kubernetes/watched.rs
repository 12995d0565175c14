//! What a controller says about itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use spillway_rollout_drivers::http::HttpClient;
use spillway_rollout_drivers::kubernetes::{KubernetesSettings, run};
use spillway_testkit::wait_until;
use tokio_util::sync::CancellationToken;

use crate::shop::{DEADLINE, Shop};

#[tokio::test]
async fn metrics_and_readiness_are_served() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, spillway_testkit::free_port()));
    let client = shop.controllers_client("controller").await;
    let namespaces = vec![shop.cluster.namespace().to_owned()];
    let settings = KubernetesSettings { namespaces, lease: None, listen: Some(listen), concurrency: 1 };
    let stop = CancellationToken::new();
    let controller = tokio::spawn(run(client, settings, shop.world.parts(), stop.clone()));
    let http = HttpClient::new();
    let get = async |path: &str| http.get(&format!("http://{listen}{path}"), Duration::from_secs(5)).await;
    wait_until("it to be ready", DEADLINE, async || get("/readyz").await.is_ok_and(|answer| answer.status == 200))
        .await;
    shop.is_adopted().await;
    let metrics = get("/metrics").await.expect("metrics");
    let text = String::from_utf8(metrics.body.to_vec()).expect("text");
    let namespace = shop.cluster.namespace();
    for line in [
        format!(r#"spillway_rollout_phase{{namespace="{namespace}",rollout="web",phase="idle"}} 1"#),
        format!(r#"spillway_rollout_weight{{namespace="{namespace}",rollout="web"}} 0"#),
        "spillway_rollout_leader 1".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}: {text}");
    }
    stop.cancel();
    controller.await.expect("it does not panic").expect("it ends well");
}
