//! What we ask of manifests beyond their schemas.

mod containers;
mod queries;
mod references;
mod secrets;

use std::collections::BTreeSet;

use super::object::{self, Object, Step};
use super::schema::Finding;

/// What is wrong, in the order of the objects.
pub(super) fn check<'a>(objects: &'a [Object], metrics: &BTreeSet<String>) -> Vec<(&'a Object, Finding)> {
    let mut findings = Vec::new();
    for object in objects {
        let found = containers::check(object)
            .into_iter()
            .chain(secrets::check(object))
            .chain(queries::check(object, metrics))
            .chain(references::check(object, objects));
        findings.extend(found.map(|finding| (object, finding)));
    }
    findings
}

fn finding(path: &str, message: impl Into<String>) -> Finding {
    Finding { path: object::steps(path), message: message.into() }
}

/// A finding below a place.
fn below(path: &str, keys: &[&str], message: impl Into<String>) -> Finding {
    let mut finding = finding(path, message);
    finding.path.extend(keys.iter().map(|key| Step::Key((*key).to_owned())));
    finding
}

#[cfg(test)]
mod tests;
