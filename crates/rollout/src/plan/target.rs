//! What is rolled out, and what its router can do.

use std::time::Duration;

use spillway_slo::duration::Timespan;

use super::problems::Problems;
use super::{HOUR, SECOND, is_label, is_reference, is_url};
use crate::slot::{Slot, Slots};
use crate::spec::{Candidate, HostSlot, HostTarget, Target, WorkersTarget, WorkloadTarget};

/// What moves the traffic of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Router {
    /// Who it is, for messages.
    pub(super) name: &'static str,
    /// It can copy requests.
    pub(super) mirrors: bool,
    /// It lives in a cluster, where secrets have names.
    pub(super) in_cluster: bool,
    /// There are no requests, only deliveries.
    pub(super) is_workers: bool,
}

const UNKNOWN: Router = Router { name: "the router", mirrors: true, in_cluster: false, is_workers: false };

pub(super) fn complete(written: &Target, problems: &mut Problems) -> (Target, Router) {
    let mut target = written.clone();
    let n = [target.host.is_some(), target.workload.is_some(), target.workers.is_some()];
    match n.into_iter().filter(|given| *given).count() {
        0 => problems.add("spec.target", "says nothing: give one of host, workload and workers"),
        1 => {}
        _ => problems.add("spec.target", "says more than one thing: give exactly one of host, workload and workers"),
    }
    let mut router = UNKNOWN;
    if let Some(host) = &mut target.host {
        router = Router { name: "nginx", ..UNKNOWN };
        complete_host(host, problems);
    }
    if let Some(workload) = &mut target.workload {
        router = check_workload(workload, problems);
    }
    if let Some(workers) = &mut target.workers {
        router = Router { name: "a queue of deliveries", mirrors: false, is_workers: true, ..UNKNOWN };
        complete_workers(workers, problems);
    }
    (target, router)
}

fn complete_host(host: &mut HostTarget, problems: &mut Problems) {
    let at = "spec.target.host";
    problems.filled(format!("{at}.nginx.file"), &host.nginx.file, "the file that nginx includes");
    host.nginx.program.get_or_insert_with(|| "nginx".to_owned());
    complete_slots(at, &mut host.slots, problems);
    complete_candidate(at, &mut host.candidate, problems);
}

fn complete_workers(workers: &mut WorkersTarget, problems: &mut Problems) {
    let at = "spec.target.workers";
    if !is_url(&workers.gateway) {
        let text = format!("is `{}`: write the gateway's address, such as http://127.0.0.1:8080", workers.gateway);
        problems.add(format!("{at}.gateway"), text);
    }
    if !is_reference(&workers.api_key, UNKNOWN) {
        problems.add(format!("{at}.apiKey"), "names no place: write `env:NAME` or `file:PATH`, never the key itself");
    }
    complete_slots(at, &mut workers.slots, problems);
    complete_candidate(at, &mut workers.candidate, problems);
}

fn check_workload(workload: &WorkloadTarget, problems: &mut Problems) -> Router {
    let at = "spec.target.workload";
    if !is_label(&workload.deployment, 253) {
        problems.add(format!("{at}.deployment"), "is no name of a Deployment: write the one whose pods are rolled out");
    }
    if workload.port == 0 {
        problems.add(format!("{at}.port"), "is 0: write the port of the pods that takes requests");
    }
    if workload.replicas.is_some_and(|replicas| !(1..=1000).contains(&replicas)) {
        problems.add(format!("{at}.replicas"), "has to be from 1 to 1000");
    }
    if let Some(least) = workload.min_replicas {
        if !(1..=1000).contains(&least) {
            problems.add(format!("{at}.minReplicas"), "has to be from 1 to 1000");
        } else if let Some(all) = workload.replicas.filter(|all| *all < least) {
            let text = format!(
                "is {least}, more than `replicas`, which is {all}: a candidate never has more than the live slot"
            );
            problems.add(format!("{at}.minReplicas"), text);
        }
    }
    let mut routers = Vec::new();
    if let Some(service) = &workload.virtual_service {
        routers.push("an Istio VirtualService");
        problems.filled(format!("{at}.virtualService.name"), &service.name, "the VirtualService's name");
        problems.filled(format!("{at}.virtualService.route"), &service.route, "the name of the route in its http list");
    }
    if let Some(route) = &workload.http_route {
        routers.push("an HTTPRoute");
        problems.filled(format!("{at}.httpRoute.name"), &route.name, "the HTTPRoute's name");
        problems.filled(format!("{at}.httpRoute.rule"), &route.rule, "the name of the rule");
    }
    if let Some(nginx) = &workload.nginx {
        routers.push("nginx");
        problems.filled(format!("{at}.nginx.configMap"), &nginx.config_map, "the ConfigMap's name");
        problems.filled(format!("{at}.nginx.key"), &nginx.key, "the key that the controller owns");
    }
    if routers.len() != 1 {
        problems.add(at, "has to have exactly one router: virtualService, httpRoute or nginx");
    }
    Router { name: routers.first().copied().unwrap_or(UNKNOWN.name), in_cluster: true, ..UNKNOWN }
}

fn complete_slots(at: &str, slots: &mut Slots<HostSlot>, problems: &mut Problems) {
    for slot in Slot::BOTH {
        let at = format!("{at}.slots.{slot}");
        let written = slots.get_mut(slot);
        for (path, field) in [("readyPath", &mut written.ready_path), ("metricsPath", &mut written.metrics_path)] {
            let path_or_default = field.get_or_insert_with(|| match path {
                "readyPath" => "/readyz".to_owned(),
                _ => "/metrics".to_owned(),
            });
            if !path_or_default.starts_with('/') {
                problems.add(format!("{at}.{path}"), format!("is `{path_or_default}`: a path begins with /"));
            }
        }
        if written.addresses.is_empty() {
            problems.add(format!("{at}.addresses"), "is empty: write where the slot listens, such as 127.0.0.1:8081");
        }
        problems.at_most(&format!("{at}.addresses"), written.addresses.len(), 20);
        for (position, address) in written.addresses.iter().enumerate() {
            if !is_address(address) {
                let text = format!("is `{address}`: write HOST:PORT, such as 127.0.0.1:8081");
                problems.add(format!("{at}.addresses[{position}]"), text);
            }
        }
    }
    let blue = &slots.blue.addresses;
    if let Some(both) = slots.green.addresses.iter().find(|address| blue.contains(address)) {
        let text = format!("has {both}, which blue has too: each slot needs processes of its own");
        problems.add(format!("{at}.slots.green.addresses"), text);
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let host_ok = !host.is_empty() && !host.contains(['/', ' ', ';', '{', '}', '$', '"', '\'', '\n']);
        host_ok && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn complete_candidate(at: &str, candidate: &mut Candidate, problems: &mut Problems) {
    let revision = candidate.revision.trim();
    if revision.is_empty() || candidate.revision.chars().count() > 128 {
        let text = "has to have 1 to 128 characters: a version or a commit";
        problems.add(format!("{at}.candidate.revision"), text);
    }
    if candidate.start.as_ref().is_some_and(|start| start.command.first().is_none_or(|program| program.is_empty())) {
        problems.add(format!("{at}.candidate.start.command"), "is empty: write the program and its arguments");
    }
    let path = format!("{at}.candidate.stopTimeout");
    let span = problems.span(path, candidate.stop_timeout, 30 * SECOND, Duration::ZERO, HOUR);
    candidate.stop_timeout = Some(Timespan(span));
}
