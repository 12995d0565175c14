//! The named rule of a Gateway API HTTPRoute.

use serde_json::{Value, json};
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::ports::PortError;
use spillway_rollout::slot::{Slot, Slots};
use spillway_rollout::spec::HttpRouteRouter;

use super::SlotServices;
use super::changes::{self, Changes, copies_unsafe_methods, is_safe_method, only_named};

pub(super) fn observed(
    router: &HttpRouteRouter,
    slots: &SlotServices,
    object: &Value,
) -> Result<RouterObserved, PortError> {
    let (_, rule) = find(router, object)?;
    let mut weights = Slots::default();
    let mut total = 0;
    for backend in list(&rule["backendRefs"]) {
        let weight = backend["weight"].as_u64().unwrap_or(1);
        total += weight;
        if let Some(slot) = slots.slot_of_backend(backend) {
            *weights.get_mut(slot) += weight;
        }
    }
    let mut mirror: Slots<u8> = Slots::default();
    for (_, slot, share) in copies(rule, slots) {
        let sum = mirror.get(slot).saturating_add(share).min(100);
        *mirror.get_mut(slot) = sum;
    }
    Ok(RouterObserved { weights: changes::shares(weights, total), mirror })
}

pub(super) fn changes(
    router: &HttpRouteRouter,
    slots: &SlotServices,
    object: &Value,
    wanted: &RouterObserved,
) -> Result<Changes, PortError> {
    let now = observed(router, slots, object)?;
    let (index, rule) = find(router, object)?;
    let path = format!("/spec/rules/{index}");
    let mut changes = Changes::default();
    changes.test(&format!("{path}/name"), router.rule.as_str());
    change_weights(&mut changes, &path, rule, slots, &now, wanted);
    if now.mirror != wanted.mirror {
        let wants_copies = Slot::BOTH.iter().any(|&slot| *wanted.mirror.get(slot) > 0);
        if wants_copies && !router.mirror_unsafe_methods && !matches_safe_methods_only(rule) {
            return Err(copies_unsafe_methods(&format!("the rule {} of the HTTPRoute {}", router.rule, router.name)));
        }
        change_copies(&mut changes, &path, rule, slots, wanted);
    }
    Ok(changes)
}

fn change_weights(
    changes: &mut Changes,
    path: &str,
    rule: &Value,
    slots: &SlotServices,
    now: &RouterObserved,
    wanted: &RouterObserved,
) {
    let backends = list(&rule["backendRefs"]);
    let slot_of: Vec<Option<Slot>> = backends.iter().map(|backend| slots.slot_of_backend(backend)).collect();
    let is_adopted = slot_of.len() == 2 && Slot::BOTH.iter().all(|&slot| slot_of.contains(&Some(slot)));
    if is_adopted && now.weights == wanted.weights {
        return;
    }
    for (index, backend) in backends.iter().enumerate() {
        changes.test(&format!("{path}/backendRefs/{index}/name"), backend["name"].clone());
    }
    if is_adopted {
        for (index, slot) in slot_of.into_iter().enumerate() {
            let Some(slot) = slot else { continue };
            changes.set(&format!("{path}/backendRefs/{index}/weight"), *wanted.weights.get(slot));
        }
        return;
    }
    let both = Slot::BOTH.map(|slot| {
        let mut backend = backend(slots, slot);
        backend["weight"] = (*wanted.weights.get(slot)).into();
        backend
    });
    changes.set(&format!("{path}/backendRefs"), both.to_vec());
}

/// Of the filters only copies to the slots are touched. One that stays keeps its place.
fn change_copies(changes: &mut Changes, path: &str, rule: &Value, slots: &SlotServices, wanted: &RouterObserved) {
    let filters = list(&rule["filters"]);
    let mut missing: Vec<Slot> = Slot::BOTH.into_iter().filter(|&slot| *wanted.mirror.get(slot) > 0).collect();
    let mut superfluous = Vec::new();
    for (index, slot, share) in copies(rule, slots) {
        changes.test(&format!("{path}/filters/{index}/requestMirror/backendRef/name"), slots.name(slot));
        match missing.iter().position(|&each| each == slot) {
            Some(at) => {
                missing.remove(at);
                if share != *wanted.mirror.get(slot) {
                    changes.replace(&format!("{path}/filters/{index}"), copy(slots, slot, wanted));
                }
            }
            None => superfluous.push(index),
        }
    }
    if missing.is_empty() && !superfluous.is_empty() && superfluous.len() == filters.len() {
        changes.remove(&format!("{path}/filters"));
        return;
    }
    for index in superfluous.into_iter().rev() {
        changes.remove(&format!("{path}/filters/{index}"));
    }
    let new: Vec<Value> = missing.into_iter().map(|slot| copy(slots, slot, wanted)).collect();
    if rule["filters"].is_null() && !new.is_empty() {
        changes.set(&format!("{path}/filters"), new);
    } else {
        for filter in new {
            changes.set(&format!("{path}/filters/-"), filter);
        }
    }
}

/// Index, slot and share of each filter that copies requests to a slot.
fn copies(rule: &Value, slots: &SlotServices) -> Vec<(usize, Slot, u8)> {
    let share = |mirror: &Value| {
        let part = |name: &str| mirror["fraction"][name].as_u64();
        let denominator = part("denominator").unwrap_or(100);
        let fraction = part("numerator").and_then(|part| (part * 100).checked_div(denominator));
        let fraction = fraction.map(|share| u8::try_from(share).unwrap_or(100));
        changes::percent(&mirror["percent"]).or(fraction).unwrap_or(100)
    };
    let copy = |(index, filter): (usize, &Value)| {
        let mirror = &filter["requestMirror"];
        let slot = slots.slot_of_backend(&mirror["backendRef"])?;
        Some((index, slot, share(mirror)))
    };
    list(&rule["filters"]).iter().enumerate().filter_map(copy).collect()
}

fn copy(slots: &SlotServices, slot: Slot, wanted: &RouterObserved) -> Value {
    let mut mirror = json!({ "backendRef": backend(slots, slot) });
    let share = *wanted.mirror.get(slot);
    if share < 100 {
        mirror["percent"] = share.into();
    }
    json!({ "type": "RequestMirror", "requestMirror": mirror })
}

fn matches_safe_methods_only(rule: &Value) -> bool {
    let matches = list(&rule["matches"]);
    !matches.is_empty() && matches.iter().all(|one| is_safe_method(&one["method"]))
}

fn find<'a>(router: &HttpRouteRouter, object: &'a Value) -> Result<(usize, &'a Value), PortError> {
    only_named(&object["spec"]["rules"], &router.rule, &format!("rules of the HTTPRoute {}", router.name))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn backend(slots: &SlotServices, slot: Slot) -> Value {
    json!({ "group": "", "kind": "Service", "name": slots.name(slot), "port": slots.port })
}

impl SlotServices<'_> {
    /// The slot whose Service a reference names.
    fn slot_of_backend(&self, backend: &Value) -> Option<Slot> {
        let is = |member: &str, expected: &str| backend[member].as_str().is_none_or(|value| value == expected);
        let is_service = is("group", "") && is("kind", "Service") && is("namespace", self.namespace);
        Slot::BOTH.into_iter().find(|&slot| is_service && backend["name"].as_str() == Some(&self.name(slot)))
    }
}
