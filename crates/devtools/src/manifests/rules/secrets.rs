//! No secret has its value in a manifest.

use serde_json::Value;

use super::super::object::Object;
use super::super::schema::Finding;
use super::containers::pod;
use super::{below, finding};

/// Parts of names that secrets have.
const NAMES: [&str; 7] = ["PASSWORD", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY", "DATABASE_URL", "REDIS_URL"];

pub(super) fn check(object: &Object) -> Vec<Finding> {
    let mut findings = Vec::new();
    if object.kind() == "Secret" {
        for field in ["data", "stringData"] {
            if object.value()[field].as_object().is_some_and(|data| !data.is_empty()) {
                findings.push(finding(
                    field,
                    "a Secret's values belong into no file: make it by hand, or with an ExternalSecret",
                ));
            }
        }
    }
    if object.kind() == "ConfigMap" {
        for (key, value) in object.value()["data"].as_object().into_iter().flatten() {
            if value.as_str().is_some_and(holds_password) {
                findings.push(below("data", &[key], "it holds an address with a password: refer to a Secret instead"));
            }
        }
    }
    if let Some((path, pod)) = pod(object) {
        for list in ["initContainers", "containers"] {
            for (number, container) in pod[list].as_array().into_iter().flatten().enumerate() {
                let variables = container["env"].as_array().into_iter().flatten().enumerate();
                let literal = variables.filter(|(_, variable)| is_secret(variable));
                findings.extend(literal.map(|(variable, _)| {
                    let field = format!("{path}.{list}[{number}].env[{variable}].value");
                    finding(&field, "a secret's value belongs into no file: give valueFrom.secretKeyRef")
                }));
            }
        }
    }
    findings
}

fn is_secret(variable: &Value) -> bool {
    let name = variable["name"].as_str().unwrap_or_default().to_uppercase();
    let value = variable["value"].as_str().unwrap_or_default();
    let refers = value.starts_with("env:") || value.starts_with("file:");
    !value.is_empty() && !refers && (NAMES.iter().any(|part| name.contains(part)) || holds_password(value))
}

/// `scheme://user:password@host`.
fn holds_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', ' ', '\n', '"']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .and_then(|(login, _)| login.split_once(':'))
            .is_some_and(|(_, password)| !password.is_empty())
    })
}
