//! The named route of an Istio VirtualService.

use serde_json::{Value, json};
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::ports::PortError;
use spillway_rollout::slot::{Slot, Slots};
use spillway_rollout::spec::VirtualServiceRouter;

use super::SlotServices;
use super::changes::{self, Changes, copies_unsafe_methods, is_safe_method, only_named};

pub(super) fn observed(
    router: &VirtualServiceRouter,
    slots: &SlotServices,
    object: &Value,
) -> Result<RouterObserved, PortError> {
    let (_, route) = find(router, object)?;
    let destinations = destinations(route, slots);
    let total = destinations.iter().map(|destination| destination.weight).sum();
    let mut weights = Slots::default();
    for destination in &destinations {
        if let Some(slot) = destination.slot {
            *weights.get_mut(slot) += destination.weight;
        }
    }
    let mut mirror: Slots<u8> = Slots::default();
    for (copied_to, share) in copies(route, slots) {
        if let Some(slot) = copied_to {
            let sum = mirror.get(slot).saturating_add(share).min(100);
            *mirror.get_mut(slot) = sum;
        }
    }
    Ok(RouterObserved { weights: changes::shares(weights, total), mirror })
}

pub(super) fn changes(
    router: &VirtualServiceRouter,
    slots: &SlotServices,
    object: &Value,
    wanted: &RouterObserved,
) -> Result<Changes, PortError> {
    let now = observed(router, slots, object)?;
    let (index, route) = find(router, object)?;
    let path = format!("/spec/http/{index}");
    let mut changes = Changes::default();
    changes.test(&format!("{path}/name"), router.route.as_str());
    change_weights(&mut changes, &path, route, slots, &now, wanted)?;
    if now.mirror != wanted.mirror {
        change_copies(&mut changes, &path, route, router, slots, wanted)?;
    }
    Ok(changes)
}

fn change_weights(
    changes: &mut Changes,
    path: &str,
    route: &Value,
    slots: &SlotServices,
    now: &RouterObserved,
    wanted: &RouterObserved,
) -> Result<(), PortError> {
    let destinations = destinations(route, slots);
    let is_adopted = destinations.len() == 2
        && Slot::BOTH.iter().all(|&slot| destinations.iter().any(|destination| destination.slot == Some(slot)));
    if is_adopted && now.weights == wanted.weights {
        return Ok(());
    }
    if is_adopted {
        for (index, destination) in destinations.iter().enumerate() {
            let Some(slot) = destination.slot else { continue };
            changes.test(&format!("{path}/route/{index}/destination/host"), destination.host);
            changes.set(&format!("{path}/route/{index}/weight"), *wanted.weights.get(slot));
        }
        return Ok(());
    }
    if ["redirect", "directResponse", "delegate"].iter().any(|answer| !route[answer].is_null()) {
        return Err(PortError::Permanent(format!(
            "the route {} redirects, answers itself or delegates, so there is no traffic to split: name a route with destinations",
            route["name"]
        )));
    }
    for (index, destination) in destinations.iter().enumerate() {
        changes.test(&format!("{path}/route/{index}/destination/host"), destination.host);
    }
    let both: Vec<Value> = Slot::BOTH
        .iter()
        .map(|&slot| json!({ "destination": destination(slots, slot), "weight": wanted.weights.get(slot) }))
        .collect();
    changes.set(&format!("{path}/route"), both);
    Ok(())
}

/// Of copies only our own are touched: a copy to somebody else stays, and is an error where one of ours is wanted, because a route has one.
fn change_copies(
    changes: &mut Changes,
    path: &str,
    route: &Value,
    router: &VirtualServiceRouter,
    slots: &SlotServices,
    wanted: &RouterObserved,
) -> Result<(), PortError> {
    let refuse = |reason: &str| {
        PortError::Permanent(format!("the route {} of the VirtualService {} {reason}", router.route, router.name))
    };
    if !route["mirrors"].is_null() {
        return Err(refuse("has `mirrors`: remove it, so that copies to the slots can be set with `mirror`"));
    }
    let mirrored_to = route["mirror"]["host"].as_str();
    if let Some(host) = mirrored_to {
        if slots.slot_of_host(host).is_none() {
            return Err(refuse(&format!(
                "copies requests to {host} already, and there can be one copy only: remove it"
            )));
        }
        changes.test(&format!("{path}/mirror/host"), host);
    }
    let copied: Vec<Slot> = Slot::BOTH.into_iter().filter(|&slot| *wanted.mirror.get(slot) > 0).collect();
    match copied[..] {
        [] => {
            changes.remove(&format!("{path}/mirror"));
            if !route["mirrorPercentage"].is_null() {
                changes.remove(&format!("{path}/mirrorPercentage"));
            }
        }
        [slot] => {
            let matches = route["match"].as_array().filter(|matches| !matches.is_empty());
            let is_safe = matches.is_some_and(|all| all.iter().all(|one| is_safe_method(&one["method"]["exact"])));
            if !is_safe && !router.mirror_unsafe_methods {
                return Err(copies_unsafe_methods(&format!(
                    "the route {} of the VirtualService {}",
                    router.route, router.name
                )));
            }
            changes.set(&format!("{path}/mirror"), destination(slots, slot));
            let share = f64::from(*wanted.mirror.get(slot));
            changes.set(&format!("{path}/mirrorPercentage"), json!({ "value": share }));
        }
        _ => return Err(refuse("cannot copy requests to both slots")),
    }
    Ok(())
}

struct Destination<'a> {
    host: &'a str,
    /// `None` when it is somebody else's.
    slot: Option<Slot>,
    weight: u64,
}

fn destinations<'a>(route: &'a Value, slots: &SlotServices) -> Vec<Destination<'a>> {
    let list = route["route"].as_array().map(Vec::as_slice).unwrap_or_default();
    // A single destination gets everything, whatever its weight says.
    let weight_of = |element: &Value| if list.len() == 1 { 100 } else { element["weight"].as_u64().unwrap_or(0) };
    let make = |element: &'a Value| {
        let host = element["destination"]["host"].as_str().unwrap_or_default();
        Destination { host, slot: slots.slot_of_host(host), weight: weight_of(element) }
    };
    list.iter().map(make).collect()
}

/// Where requests are copied to, `None` for somebody else's, and the share of them.
fn copies(route: &Value, slots: &SlotServices) -> Vec<(Option<Slot>, u8)> {
    let slot_of = |destination: &Value| slots.slot_of_host(destination["host"].as_str().unwrap_or_default());
    let share = |percentage: &Value| changes::percent(&percentage["value"]).unwrap_or(100);
    let one = route["mirror"].as_object().map(|_| (slot_of(&route["mirror"]), share(&route["mirrorPercentage"])));
    let several = route["mirrors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let several = several.iter().map(|copy| (slot_of(&copy["destination"]), share(&copy["percentage"])));
    one.into_iter().chain(several).collect()
}

fn find<'a>(router: &VirtualServiceRouter, object: &'a Value) -> Result<(usize, &'a Value), PortError> {
    let what = format!("routes in `http` of the VirtualService {}", router.name);
    only_named(&object["spec"]["http"], &router.route, &what)
}

fn destination(slots: &SlotServices, slot: Slot) -> Value {
    json!({ "host": slots.name(slot), "port": { "number": slots.port } })
}

impl SlotServices<'_> {
    /// The slot whose Service a host names, by its short name or by a longer one.
    fn slot_of_host(&self, host: &str) -> Option<Slot> {
        Slot::BOTH.into_iter().find(|&slot| {
            let Some(rest) = host.strip_prefix(&self.name(slot)) else { return false };
            let in_namespace = format!(".{}", self.namespace);
            match rest.strip_prefix(&in_namespace) {
                Some(rest) => matches!(rest, "" | ".svc" | ".svc.cluster.local"),
                None => rest.is_empty(),
            }
        })
    }
}
