//! What the controller says about itself, for Prometheus.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use spillway_rollout::state::{Phase, State};

use super::resource::RolloutObject;

const PHASES: [Phase; 8] = [
    Phase::Idle,
    Phase::Preparing,
    Phase::Progressing,
    Phase::Observing,
    Phase::Succeeded,
    Phase::RollingBack,
    Phase::RolledBack,
    Phase::Aborted,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    namespace: String,
    rollout: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct In {
    namespace: String,
    rollout: String,
    phase: &'static str,
}

/// The controller's metrics. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    phase: Family<In, Gauge>,
    weight: Family<Of, Gauge>,
    held: Family<Of, Gauge>,
    looks: Histogram,
    errors: Counter,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            registry: Arc::default(),
            phase: Family::default(),
            weight: Family::default(),
            held: Family::default(),
            looks: Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
            errors: Counter::default(),
            leader: Gauge::default(),
        };
        registry.register(
            "spillway_rollout_phase",
            "1 for the phase in which a Rollout is, 0 for the others",
            metrics.phase.clone(),
        );
        registry.register(
            "spillway_rollout_weight",
            "Percent of the traffic that the candidate of a Rollout has",
            metrics.weight.clone(),
        );
        registry.register(
            "spillway_rollout_held",
            "1 while a Rollout waits for evidence or a person, else 0",
            metrics.held.clone(),
        );
        registry.register_with_unit(
            "spillway_rollout_reconcile",
            "Time of one look at a Rollout",
            Unit::Seconds,
            metrics.looks.clone(),
        );
        registry.register(
            "spillway_rollout_reconcile_errors",
            "Looks that failed and were tried again",
            metrics.errors.clone(),
        );
        registry.register(
            "spillway_rollout_leader",
            "1 while this process holds the lease and acts, else 0",
            metrics.leader.clone(),
        );
        Self { registry: Arc::new(registry), ..metrics }
    }
}

impl Metrics {
    /// Where a Rollout is now.
    pub(crate) fn record(&self, rollout: &RolloutObject, state: &State) {
        let of = of(rollout.namespace(), rollout.name());
        for phase in PHASES {
            self.phase.get_or_create(&in_phase(&of, phase)).set(i64::from(phase == state.phase));
        }
        let weight = state.rollout.as_ref().map_or(0, |progress| progress.weight);
        self.weight.get_or_create(&of).set(i64::from(weight));
        self.held.get_or_create(&of).set(i64::from(state.held.is_some() || state.paused));
    }

    /// A Rollout is gone.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        let of = of(namespace, name);
        for phase in PHASES {
            self.phase.remove(&in_phase(&of, phase));
        }
        self.weight.remove(&of);
        self.held.remove(&of);
    }

    /// A look ended.
    pub(crate) fn looked(&self, took: Duration, failed: bool) {
        self.looks.observe(took.as_secs_f64());
        if failed {
            self.errors.inc();
        }
    }

    /// Whether this process acts.
    pub(crate) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Everything in the text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn of(namespace: &str, rollout: &str) -> Of {
    Of { namespace: namespace.to_owned(), rollout: rollout.to_owned() }
}

fn in_phase(of: &Of, phase: Phase) -> In {
    let phase = match phase {
        Phase::Idle => "idle",
        Phase::Preparing => "preparing",
        Phase::Progressing => "progressing",
        Phase::Observing => "observing",
        Phase::Succeeded => "succeeded",
        Phase::RollingBack => "rollingBack",
        Phase::RolledBack => "rolledBack",
        Phase::Aborted => "aborted",
    };
    In { namespace: of.namespace.clone(), rollout: of.rollout.clone(), phase }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rollout_is_in_one_phase_and_leaves_nothing_behind() {
        let metrics = Metrics::default();
        let object = json!({ "metadata": { "name": "web", "namespace": "shop" }, "spec": {} });
        let rollout: RolloutObject = serde_json::from_value(object).expect("a Rollout");
        metrics.record(&rollout, &State { phase: Phase::Observing, ..State::default() });
        metrics.looked(Duration::from_millis(20), true);
        let text = metrics.text();
        assert!(
            text.contains(r#"spillway_rollout_phase{namespace="shop",rollout="web",phase="observing"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"spillway_rollout_phase{namespace="shop",rollout="web",phase="idle"} 0"#), "{text}");
        assert!(text.contains("spillway_rollout_reconcile_seconds_count 1"), "{text}");
        assert!(text.contains("spillway_rollout_reconcile_errors_total 1"), "{text}");
        metrics.forget("shop", "web");
        assert!(!metrics.text().contains("shop"));
    }
}
