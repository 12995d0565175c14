//! What a controller says about itself, for Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use spillway_rollout::state::{Phase, State};

/// The form of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A metric as people read about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, as it is exposed.
    pub name: &'static str,
    /// `gauge`, `counter` or `histogram`.
    pub kind: &'static str,
    /// Its labels, and their values where they are few.
    pub labels: &'static str,
    /// What it says, without a full stop.
    pub help: &'static str,
    /// Whether `spillway-rollout run` has it too; `spillway-rollout controller` has all.
    pub on_a_host: bool,
}

const OF: &str = "`namespace` (in a cluster); `rollout`";

const PHASE: Metric = Metric {
    name: "spillway_rollout_phase",
    kind: "gauge",
    labels: "`namespace` (in a cluster); `rollout`; `phase`: `idle`, `preparing`, `progressing`, `observing`, `succeeded`, `rollingBack`, \
             `rolledBack`, `aborted`",
    help: "1 for the phase in which a Rollout is, 0 for the others",
    on_a_host: true,
};
const WEIGHT: Metric = Metric {
    name: "spillway_rollout_weight",
    kind: "gauge",
    labels: OF,
    help: "Percent of the traffic that the candidate of a Rollout has",
    on_a_host: true,
};
const HELD: Metric = Metric {
    name: "spillway_rollout_held",
    kind: "gauge",
    labels: OF,
    help: "1 while a Rollout waits for evidence or a person, else 0",
    on_a_host: true,
};
const LOOKS: Metric = Metric {
    name: "spillway_rollout_reconcile_seconds",
    kind: "histogram",
    labels: "",
    help: "Time of one look at a Rollout",
    on_a_host: false,
};
const ERRORS: Metric = Metric {
    name: "spillway_rollout_reconcile_errors_total",
    kind: "counter",
    labels: "",
    help: "Looks that failed and were tried again",
    on_a_host: false,
};
const LEADER: Metric = Metric {
    name: "spillway_rollout_leader",
    kind: "gauge",
    labels: "",
    help: "1 while this process holds the lease and acts, else 0",
    on_a_host: false,
};

/// Every metric of a controller.
pub const CATALOGUE: [Metric; 6] = [PHASE, WEIGHT, HELD, LOOKS, ERRORS, LEADER];

/// The table of `runbooks/rollout_metrics.md`.
#[must_use]
pub fn catalogue_markdown() -> String {
    let mut out = "| metric | type | labels | meaning | `run` | `controller` |\n|---|---|---|---|---|---|\n".to_owned();
    for Metric { name, kind, labels, help, on_a_host } in CATALOGUE {
        let on_a_host = if on_a_host { "yes" } else { "" };
        // Writing to a text cannot fail.
        let _ = writeln!(out, "| `{name}` | {kind} | {labels} | {help}. | {on_a_host} | yes |");
    }
    out
}

type Labels = Vec<(&'static str, String)>;

const PHASES: [(Phase, &str); 8] = [
    (Phase::Idle, "idle"),
    (Phase::Preparing, "preparing"),
    (Phase::Progressing, "progressing"),
    (Phase::Observing, "observing"),
    (Phase::Succeeded, "succeeded"),
    (Phase::RollingBack, "rollingBack"),
    (Phase::RolledBack, "rolledBack"),
    (Phase::Aborted, "aborted"),
];

/// The metrics of one controller. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    phase: Family<Labels, Gauge>,
    weight: Family<Labels, Gauge>,
    held: Family<Labels, Gauge>,
    looks: Histogram,
    errors: Counter,
    leader: Gauge,
}

impl Metrics {
    /// Those that a rollout on one host has.
    pub(crate) fn on_a_host() -> Self {
        Self::with(|_, _| ())
    }

    /// All.
    pub(crate) fn in_a_cluster() -> Self {
        Self::with(|metrics, registry| {
            let seconds = LOOKS.name.trim_end_matches("_seconds");
            registry.register_with_unit(seconds, LOOKS.help, Unit::Seconds, metrics.looks.clone());
            registry.register(ERRORS.name.trim_end_matches("_total"), ERRORS.help, metrics.errors.clone());
            registry.register(LEADER.name, LEADER.help, metrics.leader.clone());
        })
    }

    fn with(more: impl FnOnce(&Self, &mut Registry)) -> Self {
        let metrics = Self {
            registry: Arc::default(),
            phase: Family::default(),
            weight: Family::default(),
            held: Family::default(),
            looks: Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
            errors: Counter::default(),
            leader: Gauge::default(),
        };
        let mut registry = Registry::default();
        registry.register(PHASE.name, PHASE.help, metrics.phase.clone());
        registry.register(WEIGHT.name, WEIGHT.help, metrics.weight.clone());
        registry.register(HELD.name, HELD.help, metrics.held.clone());
        more(&metrics, &mut registry);
        Self { registry: Arc::new(registry), ..metrics }
    }

    /// Where a Rollout is now. On a host there is no namespace.
    pub(crate) fn record(&self, namespace: Option<&str>, rollout: &str, state: &State) {
        let of = of(namespace, rollout);
        for (phase, word) in PHASES {
            self.phase.get_or_create(&in_phase(&of, word)).set(i64::from(phase == state.phase));
        }
        let weight = state.rollout.as_ref().map_or(0, |progress| progress.weight);
        self.weight.get_or_create(&of).set(i64::from(weight));
        self.held.get_or_create(&of).set(i64::from(state.held.is_some() || state.paused));
    }

    /// A Rollout is gone.
    pub(crate) fn forget(&self, namespace: Option<&str>, rollout: &str) {
        let of = of(namespace, rollout);
        for (_, word) in PHASES {
            self.phase.remove(&in_phase(&of, word));
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

    /// Everything in the form [`CONTENT_TYPE`].
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn of(namespace: Option<&str>, rollout: &str) -> Labels {
    let namespace = namespace.map(|namespace| ("namespace", namespace.to_owned()));
    namespace.into_iter().chain([("rollout", rollout.to_owned())]).collect()
}

fn in_phase(of: &Labels, phase: &str) -> Labels {
    of.iter().cloned().chain([("phase", phase.to_owned())]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_in_one_phase_and_leaves_nothing_behind() {
        let metrics = Metrics::in_a_cluster();
        metrics.record(Some("shop"), "web", &State { phase: Phase::Observing, ..State::default() });
        metrics.looked(Duration::from_millis(20), true);
        let text = metrics.text();
        assert!(
            text.contains(r#"spillway_rollout_phase{namespace="shop",rollout="web",phase="observing"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"spillway_rollout_phase{namespace="shop",rollout="web",phase="idle"} 0"#), "{text}");
        assert!(text.contains("spillway_rollout_reconcile_seconds_count 1"), "{text}");
        assert!(text.contains("spillway_rollout_reconcile_errors_total 1"), "{text}");
        metrics.forget(Some("shop"), "web");
        assert!(!metrics.text().contains("shop"));
    }

    /// Families with their kinds, as a scrape declares them.
    fn exposed(text: &str) -> Vec<(String, String)> {
        let declared = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let total = |name: &str, kind: &str| if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        declared.map(|(name, kind)| (total(name, kind), kind.to_owned())).collect()
    }

    #[test]
    fn the_catalogue_is_what_is_exposed() {
        let listed = |only_host: bool| -> Vec<_> {
            let listed = CATALOGUE.iter().filter(|metric| metric.on_a_host || !only_host);
            listed.map(|metric| (metric.name.to_owned(), metric.kind.to_owned())).collect()
        };
        let text = |metrics: Metrics| {
            metrics.record(None, "web", &State::default());
            metrics.text()
        };
        assert_eq!(exposed(&text(Metrics::in_a_cluster())), listed(false));
        assert_eq!(exposed(&text(Metrics::on_a_host())), listed(true));
        let (named, words) = (PHASE.labels, PHASES.map(|(_, word)| format!("`{word}`")));
        assert!(words.iter().all(|word| named.contains(word)), "{named}");
    }
}
