//! A key of a ConfigMap that an nginx in the cluster includes.

use serde_json::{Value, json};
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::ports::PortError;
use spillway_rollout::slot::Slots;
use spillway_rollout::spec::NginxConfigMapRouter;

use super::SlotServices;
use super::changes::{Changes, escaped};
use crate::host::router_file;

/// What the text does, if it is ours to the last byte; nothing for the slots otherwise, so that it is written again.
pub(super) fn observed(router: &NginxConfigMapRouter, slots: &SlotServices, object: &Value) -> RouterObserved {
    let text = object["data"][&router.key].as_str().unwrap_or_default();
    let nothing = RouterObserved { weights: Slots::default(), mirror: Slots::default() };
    let said = router_file::read(text);
    said.filter(|said| render(slots, said).is_ok_and(|ours| ours == text)).unwrap_or(nothing)
}

pub(super) fn changes(
    router: &NginxConfigMapRouter,
    slots: &SlotServices,
    object: &Value,
    wanted: &RouterObserved,
) -> Result<Changes, PortError> {
    let mut changes = Changes::default();
    let text = render(slots, wanted)?;
    if object["data"][&router.key].as_str() == Some(&text) {
        return Ok(changes);
    }
    if object["data"].is_null() {
        changes.set("/data", json!({}));
    }
    changes.set(&format!("/data/{}", escaped(&router.key)), text);
    Ok(changes)
}

/// The same file as on one host, with the slots' Services as servers.
fn render(slots: &SlotServices, wanted: &RouterObserved) -> Result<String, PortError> {
    let servers = Slots::make(|slot| vec![format!("{}.{}.svc:{}", slots.name(slot), slots.namespace, slots.port)]);
    router_file::render(slots.rollout, &servers, wanted, false).map_err(PortError::Permanent)
}
