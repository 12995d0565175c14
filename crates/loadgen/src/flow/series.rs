//! The series that a flow's samples go into, interned once.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::request::RequestPlan;
use super::socket::SocketPlan;
use crate::http::ErrorClass;
use crate::metrics::{Registry, Series, Tags};

/// How a request ended, as its tags say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    /// 0 without an answer.
    pub(super) status: u16,
    pub(super) error: Option<ErrorClass>,
    pub(super) expected: bool,
}

/// The series of one request.
#[derive(Debug)]
pub(super) struct RequestSeries {
    registry: Arc<Registry>,
    tags: Tags,
    /// Endings seen so far: few, so they are found by looking at each.
    known: RwLock<Vec<(Ending, Series)>>,
    /// One for each check.
    pub(super) checks: Box<[Series]>,
}

impl RequestSeries {
    pub(super) fn new(
        plan: &RequestPlan,
        scenario: &str,
        extra: &BTreeMap<String, String>,
        registry: &Arc<Registry>,
    ) -> Self {
        let extra = with(extra, &plan.tags);
        let checks = plan.checks.iter().map(|check| check_series(scenario, &plan.group, &check.name, &extra, registry));
        Self {
            registry: registry.clone(),
            checks: checks.collect(),
            known: RwLock::default(),
            tags: Tags {
                scenario: scenario.to_owned(),
                group: plan.group.clone(),
                name: plan.name.clone(),
                method: plan.method.to_string(),
                extra,
                ..Tags::default()
            },
        }
    }

    /// The series of requests that end so.
    pub(super) fn ending(&self, ending: Ending) -> Series {
        let find = |known: &[(Ending, Series)]| known.iter().find(|(one, _)| *one == ending).map(|(_, series)| *series);
        if let Some(series) = find(&self.known.read()) {
            return series;
        }
        let error = match ending.error {
            Some(class) => class.name(),
            None if ending.expected => "",
            None => "status",
        };
        let series = self.registry.series(&Tags {
            status: Some(ending.status),
            error: error.to_owned(),
            expected_response: Some(ending.expected),
            ..self.tags.clone()
        });
        let mut known = self.known.write();
        if find(&known).is_none() {
            known.push((ending, series));
        }
        series
    }
}

/// The series of a WebSocket session.
#[derive(Debug)]
pub(super) struct SocketSeries {
    pub(super) session: Series,
    /// The check that a session got through.
    pub(super) whole: Series,
    /// For each message, one for each check of its reply.
    pub(super) checks: Box<[Box<[Series]>]>,
}

impl SocketSeries {
    pub(super) fn new(
        plan: &SocketPlan,
        scenario: &str,
        extra: &BTreeMap<String, String>,
        registry: &Registry,
    ) -> Self {
        let extra = with(extra, &plan.tags);
        let check = |name: &str| check_series(scenario, &plan.group, name, &extra, registry);
        let checks = plan.messages.iter().map(|message| message.checks.iter().map(|one| check(&one.name)).collect());
        Self {
            checks: checks.collect(),
            whole: check(&format!("{} session", plan.name)),
            session: registry.series(&Tags {
                scenario: scenario.to_owned(),
                group: plan.group.clone(),
                name: plan.name.clone(),
                extra: extra.clone(),
                ..Tags::default()
            }),
        }
    }
}

fn with(extra: &BTreeMap<String, String>, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    extra.iter().chain(own).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn check_series(
    scenario: &str,
    group: &str,
    check: &str,
    extra: &BTreeMap<String, String>,
    registry: &Registry,
) -> Series {
    registry.series(&Tags { group: group.to_owned(), check: check.to_owned(), ..Tags::scenario(scenario, extra) })
}
