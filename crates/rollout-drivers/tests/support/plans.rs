//! Plans of tests: a user's words, checked and completed as theirs are.

use serde_json::{Value, json};
use spillway_rollout::judge::JudgeSettings;
use spillway_rollout::spec::{API_VERSION, KIND};
use spillway_rollout::{Plan, Rollout};

/// The plan of a Rollout with this name and spec, and without guards: a test that wants some says which.
pub(crate) fn plan_of(name: &str, spec: &Value) -> Plan {
    let written = json!({ "apiVersion": API_VERSION, "kind": KIND, "metadata": { "name": name }, "spec": spec });
    let rollout: Rollout = serde_json::from_value(written).expect("a Rollout");
    let plan = Plan::new(&rollout).unwrap_or_else(|problems| panic!("{problems:?}"));
    let judge = JudgeSettings { metrics: Vec::new(), ..plan.judge };
    Plan { guards: Vec::new(), optional_guards: std::collections::BTreeSet::new(), judge, ..plan }
}
