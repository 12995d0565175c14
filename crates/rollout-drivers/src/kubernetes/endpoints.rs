//! Where the pods of a slot are.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ListParams};
use spillway_rollout::Slot;
use spillway_rollout::ports::PortError;

use super::call::call;
use super::revision::{ROLLOUT_LABEL, SLOT_LABEL};
use super::router::service_name;
use super::world::is_ready;

/// Pods of one slot that are asked for; more are left out.
const MAX_PODS: u32 = 1_000;

/// Addresses of the pods of a slot that are ready, on this port, in a stable order.
///
/// # Errors
/// When pods cannot be listed.
pub async fn endpoints(
    client: &Client,
    namespace: &str,
    rollout: &str,
    slot: Slot,
    port: u16,
) -> Result<Vec<SocketAddr>, PortError> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let labels = format!("{ROLLOUT_LABEL}={rollout},{SLOT_LABEL}={}", slot.name());
    let params = ListParams::default().labels(&labels).limit(MAX_PODS);
    let listed = call(&format!("list pods of namespace {namespace}"), pods.list(&params)).await?;
    let mut addresses: Vec<SocketAddr> =
        listed.items.iter().filter_map(ready_address).map(|address| SocketAddr::new(address, port)).collect();
    addresses.sort_unstable();
    Ok(addresses)
}

/// Base address of a slot's Service, which reaches any of its pods.
#[must_use]
pub fn base_url(namespace: &str, rollout: &str, slot: Slot, port: u16) -> String {
    format!("http://{}.{namespace}.svc:{port}", service_name(rollout, slot))
}

fn ready_address(pod: &Pod) -> Option<IpAddr> {
    if is_ready(pod) { pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(ip: &str, ready: &str) -> Pod {
        let status = json!({ "podIP": ip, "conditions": [{ "type": "Ready", "status": ready }] });
        serde_json::from_value(json!({ "metadata": {}, "status": status })).expect("a pod")
    }

    #[test]
    fn only_ready_pods_have_an_address() {
        assert_eq!(ready_address(&pod("10.0.0.1", "True")), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(ready_address(&pod("10.0.0.1", "False")), None);
        assert!(ready_address(&pod("fd00::1", "True")).is_some_and(|address| address.is_ipv6()));
    }

    #[test]
    fn a_slot_has_a_name_in_the_cluster() {
        assert_eq!(base_url("shop", "web", Slot::Green, 8080), "http://web-green.shop.svc:8080");
    }
}
