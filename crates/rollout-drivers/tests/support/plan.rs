//! A plan for two slots on this host.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use spillway_model::Secret;
use spillway_rollout::judge::JudgeSettings;
use spillway_rollout::plan::{Plan, PlanAnalysis, PlanStep};
use spillway_rollout::spec::{
    AnalysisSource, Candidate, HostSlot, HostTarget, Latency, NginxRouter, OnFailure, OnInconclusive, Series, Strategy,
    Target,
};
use spillway_rollout::state::{Phase, Progress, Stage, State};
use spillway_rollout::{Slot, Slots};
use spillway_rollout_drivers::secrets::Secrets;

/// A plan of one step whose slots listen at these addresses.
pub(crate) fn plan(blue: &[String], green: &[String]) -> Plan {
    let slot = |addresses: &[String]| HostSlot { addresses: addresses.to_vec(), ready_path: None, metrics_path: None };
    let metric = "http_server_request_duration_seconds";
    let series = |labels: &[(&str, &str)]| Series {
        metric: format!("{metric}_count"),
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    Plan {
        name: "gateway".to_owned(),
        namespace: None,
        is_fix: false,
        strategy: Strategy::Canary,
        target: Target {
            host: Some(HostTarget {
                nginx: NginxRouter {
                    file: "unused.conf".to_owned(),
                    config: None,
                    program: None,
                    mirror_unsafe_methods: false,
                },
                slots: Slots { blue: slot(blue), green: slot(green) },
                candidate: Candidate { revision: "v2".to_owned(), start: None, stop_timeout: None },
            }),
            ..Target::default()
        },
        steps: vec![PlanStep {
            weight: 100,
            mirror: 0,
            bake: Duration::from_secs(60),
            smoke: Vec::new(),
            webhooks: Vec::new(),
            load_test: None,
            approval: false,
        }],
        guards: Vec::new(),
        optional_guards: BTreeSet::new(),
        analysis: PlanAnalysis {
            source: AnalysisSource::Slots,
            prometheus: None,
            interval: Duration::from_secs(15),
            warmup: Duration::ZERO,
            requests: series(&[]),
            errors: series(&[("http_response_status_code", "5..")]),
            latency: Latency { metric: metric.to_owned(), labels: BTreeMap::new() },
        },
        judge: JudgeSettings { metrics: Vec::new(), ..JudgeSettings::default() },
        on_failure: OnFailure::Rollback,
        on_inconclusive: OnInconclusive::Hold,
        observation: Duration::from_secs(60),
        progress_deadline: Duration::from_secs(600),
        paused: false,
        notifications: Vec::new(),
    }
}

/// Blue is live, green is the candidate at 10 %.
pub(crate) fn progressing() -> State {
    State {
        phase: Phase::Progressing,
        live_slot: Slot::Blue,
        live_revision: Some("v1".to_owned()),
        rollout: Some(Progress {
            ready_at: Some(0),
            stage: Stage::Baking,
            weight: 10,
            ..Progress::new("v2".to_owned(), Slot::Green, 1, 0)
        }),
        ..State::default()
    }
}

/// Secrets that are what they are called, and those that are given.
pub(crate) fn secrets(known: &[(&str, &str)]) -> Arc<dyn Secrets> {
    struct Known(BTreeMap<String, String>);
    #[async_trait]
    impl Secrets for Known {
        async fn resolve(&self, reference: &str) -> Result<Secret, String> {
            match reference.split_once(':') {
                Some(("env", name)) => self.0.get(name).map(Secret::new).ok_or_else(|| format!("{name} is not set")),
                _ => Ok(Secret::new(reference)),
            }
        }
    }
    Arc::new(Known(known.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()))
}
