//! The reports of rollouts that ended, in a ConfigMap that belongs to the Rollout.
//!
//! `deployment_report.md` has a section for each rollout, the newest last; beside it are the pages of the last ones, which need no other file. It goes
//! with the Rollout.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use spillway_model::UnixMillis;
use spillway_report::markdown;
use spillway_rollout::ports::PortError;

use super::call::{Cluster, FIELD_MANAGER};
use super::resource::RolloutObject;
use super::revision::ROLLOUT_LABEL;
use crate::people::Report;
use crate::people::report::DEPLOYMENT_REPORT;

/// Pages that are kept, the newest. One is less than 300 KB, and a ConfigMap takes 1 MiB.
const MOST_PAGES: usize = 2;
/// Bytes of the sections that are kept, the newest.
const MAX_SECTIONS_BYTES: usize = 256 << 10;
/// Bytes of everything. Beyond it only the sections are kept.
const MAX_BYTES: usize = 960 << 10;

/// Name of the ConfigMap.
pub(crate) fn config_map_name(rollout: &str) -> String {
    format!("{rollout}-reports")
}

/// Key of the page of a rollout that ended then: the keys are in the order of time.
pub(crate) fn page_key(report: &Report, ended_at: UnixMillis) -> String {
    let second = Timestamp::from_second(ended_at.div_euclid(1000)).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{}-{}", second.strftime("%Y%m%dT%H%M%SZ"), report.file_name())
}

/// Adds a report. One that is there already is not added again.
///
/// # Errors
/// When the ConfigMap cannot be read or written, or is someone else's.
pub(crate) async fn write(
    cluster: &Cluster,
    rollout: &RolloutObject,
    report: &Report,
    key: &str,
) -> Result<(), PortError> {
    let (namespace, name) = (rollout.namespace(), config_map_name(rollout.name()));
    let existing: Option<ConfigMap> = cluster.get(namespace, &name).await?;
    if let Some(existing) = &existing {
        must_belong(rollout, existing, &name)?;
    }
    let version = existing.as_ref().and_then(|existing| existing.metadata.resource_version.clone());
    let before = existing.and_then(|existing| existing.data).unwrap_or_default();
    if before.contains_key(key) {
        return Ok(());
    }
    let wanted = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "resourceVersion": version,
            "labels": { ROLLOUT_LABEL: rollout.name(), "app.kubernetes.io/managed-by": FIELD_MANAGER },
            "ownerReferences": [rollout.owner_reference()],
        },
        "data": with_report(before, key, report),
    });
    cluster.apply::<ConfigMap>(namespace, &name, &without_nulls(wanted)).await?;
    Ok(())
}

/// What the ConfigMap holds with one report more.
fn with_report(mut data: BTreeMap<String, String>, key: &str, report: &Report) -> BTreeMap<String, String> {
    let sections = data.remove(DEPLOYMENT_REPORT).unwrap_or_default();
    let sections = markdown::with_section(&sections, &report.markdown(), MAX_SECTIONS_BYTES);
    data.insert(key.to_owned(), report.html());
    while data.len() > MOST_PAGES {
        data.pop_first();
    }
    while sections.len() + data.values().map(String::len).sum::<usize>() > MAX_BYTES && data.pop_first().is_some() {}
    data.insert(DEPLOYMENT_REPORT.to_owned(), sections);
    data
}

fn must_belong(rollout: &RolloutObject, config_map: &ConfigMap, name: &str) -> Result<(), PortError> {
    let uid = rollout.metadata.uid.as_deref();
    let mut owners = config_map.metadata.owner_references.iter().flatten();
    if owners.any(|owner| Some(owner.uid.as_str()) == uid) {
        return Ok(());
    }
    Err(PortError::Permanent(format!(
        "the report is not written: the ConfigMap {name} is not this Rollout's. Rename or delete it"
    )))
}

fn without_nulls(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|_, value| !value.is_null());
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::{Series, sample};

    fn report() -> Report {
        Report { view: sample::good(), series: Series::default(), plan: String::new() }
    }

    #[test]
    fn the_last_pages_and_all_sections_are_kept() {
        let mut data = BTreeMap::new();
        for ended_at in [1_700_000_000_000, 1_700_000_100_000, 1_700_000_200_000] {
            data = with_report(data, &page_key(&report(), ended_at), &report());
        }
        let keys: Vec<_> = data.keys().map(String::as_str).collect();
        let pages = ["20231114T221500Z-checkout-v1-5-0-1.html", "20231114T221640Z-checkout-v1-5-0-1.html"];
        assert_eq!(keys, [pages[0], pages[1], DEPLOYMENT_REPORT]);
        assert_eq!(data[DEPLOYMENT_REPORT].matches("\n## checkout").count(), 3);
        assert!(data.values().map(String::len).sum::<usize>() <= MAX_BYTES);
    }

    #[test]
    fn keys_are_what_a_config_map_takes() {
        let key = page_key(&report(), 1_700_000_000_000);
        assert!(key.len() <= 253 && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')));
    }
}
